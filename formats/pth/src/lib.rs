//! PyTorch checkpoints for statedict: pickles edited opcode by opcode, never executed.
