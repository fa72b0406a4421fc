//! The statedict command.

fn main() {}
