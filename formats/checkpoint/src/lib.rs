//! Open, detect and safely write model checkpoints: the only crate of statedict that touches the disk.
