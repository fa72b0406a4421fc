//! Benchmarks of statedict.
