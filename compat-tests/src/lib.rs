//! What the tests against real PyTorch, NumPy and safetensors share.
//!
//! The tests in `tests/` run the built `statedict` command on files that real libraries wrote, and
//! let those libraries judge what comes out. The oracle is Python: `python/zoo.py` writes a file of
//! every shape users meet, `python/rules.py` and `python/operate.py` do in a few plain lines what
//! statedict is asked to do, and `python/same.py` compares in every way a program could notice.
//!
//! - [`oracle`] asks Python, in an environment of its own with pinned versions, made on first use
//!   under the user's cache folder; `STATEDICT_PYTHON` names another interpreter.
//! - [`statedict`] runs the command, built from this workspace.
//! - [`Zoo`] is a folder of generated files.
//! - [`trial`] puts bytes through everything that is done in memory.
//! - [`kill_while_writing`] ends a command at its worst moment; [`Mounted`] is a file system of its
//!   own.
//! - [`processor_time`] is what limits are held against, for the clock depends on the machine.
//! - [`restricted`] models what weights-only loading does, and [`agree`] holds `check` and `ls` against it;
//!   [`mutation`] changes files as their structure has it.
//! - [`Loaders`] has weights-only PyTorch load files that may do it harm; [`Meter`] measures what a
//!   run of the command takes.
//! - [`Browser`] is a headless Chromium that draws pages.
//! - [`Tally`] collects what went wrong over many files, so that one failure does not hide another.

mod agreement;
mod browser;
mod command;
mod corpus;
mod environment;
mod frame;
mod interruption;
mod measured;
mod mounted;
pub mod mutation;
mod oracle;
mod processor;
pub mod restricted;
mod tally;
mod trial;
mod weights_only;
mod zoo;

pub use agreement::{agree, agree_on_pickle};
pub use browser::{Browser, Scheme};
pub use command::{Run, command, start, statedict, statedict_reading, statedict_within};
pub use corpus::corpus;
pub use environment::{cache, fresh_python, package_python, succeed};
pub use frame::{archive, npz, safetensors};
pub use interruption::{Ending, found, kill_while_writing, time_of_writing, unrecovered};
pub use measured::{Measured, Meter};
pub use mounted::Mounted;
pub use oracle::{oracle, python};
pub use processor::processor_time;
pub use tally::Tally;
pub use trial::{Trial, trial, written};
pub use weights_only::{Loaded, Loaders, tensor_rows};
pub use zoo::{Entry, Zoo, text};
