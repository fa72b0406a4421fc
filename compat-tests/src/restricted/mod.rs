//! A model of the machine that weights-only loading is, in plain Rust, apart from our own readers.
//!
//! Written from `torch/_weights_only_unpickler.py` and `_load` in `torch/serialization.py` of
//! PyTorch 2.15, one branch after the other, to hold `check` and `ls` against it as often as a
//! fuzzer can.
//! It loads a pickle in an archive whose storages it is given, and says what comes of that, or that
//! it does not know: it claims nothing of functions that it does not model.
//!
//! | file | what |
//! |---|---|
//! | `machine` | the opcodes |
//! | `calls` | what the admitted functions do, as far as it is modelled |
//! | `values` | what is on the stack |
//! | `walk` | the tensors that a program finds in what was loaded |
//! | `admitted` | `texts/admitted.tsv`, written by PyTorch itself |

mod admitted;
mod calls;
mod machine;
mod values;
mod walk;

pub use admitted::{Admitted, admitted};
pub use machine::load;
pub use walk::Found;

/// What comes of a pickle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is loaded; its tensors, where the model knows them all.
    Loaded(Option<Vec<Found>>),
    /// A global or an operation is refused.
    Refused(&'static str),
    /// Something else is raised.
    Failed(&'static str),
    /// An opcode is not known to weights-only loading; other loaders may know it.
    Unsupported(u8),
}

/// Why the machine stops before the end.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Refused(&'static str),
    Failed(&'static str),
    Unsupported(u8),
}

impl From<Stop> for Outcome {
    fn from(stop: Stop) -> Outcome {
        match stop {
            Stop::Refused(what) => Outcome::Refused(what),
            Stop::Failed(what) => Outcome::Failed(what),
            Stop::Unsupported(opcode) => Outcome::Unsupported(opcode),
        }
    }
}
