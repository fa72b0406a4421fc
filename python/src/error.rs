//! Errors as Python's exceptions; their classes are in `statedict/_errors.py`.

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use pyo3::exceptions::{PyKeyboardInterrupt, PyOSError};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use statedict::checkpoint::Kind;
use statedict::core::{BadRemap, DuplicateKey, Issue, PlanError};
use statedict::{Error, ErrorKind};

use crate::advice;
use crate::words::printable_lines;

/// The numbers of errors that the library knows and the system did not raise, or whose number the
/// library keeps to itself.
const NOT_FOUND: i32 = 2;
const PERMISSION_DENIED: i32 = 13;
const FILE_EXISTS: i32 = 17;
const NOT_A_DIRECTORY: i32 = 20;
const IS_A_DIRECTORY: i32 = 21;
const STORAGE_FULL: i32 = 28;
const READ_ONLY: i32 = 30;

/// An exception, before it is one.
pub(crate) struct Raised {
    class: Class,
    message: String,
    kind: &'static str,
    path: Option<PathBuf>,
    hint: Option<String>,
}

/// The class of an exception.
enum Class {
    Checkpoint,
    Malformed,
    /// With the names that several keys would get, and these keys.
    Collision(Vec<(String, Vec<String>)>),
    /// The system's, which the number chooses.
    System(i32),
    Interrupt,
}

impl Raised {
    /// An error of this kind.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Raised {
        let (path, hint) = (None, None);
        Raised { class: Class::Checkpoint, message: message.into(), kind, path, hint }
    }

    /// The same with what would help.
    pub(crate) fn hint(self, hint: Option<String>) -> Raised {
        Raised { hint, ..self }
    }

    fn of(class: Class, kind: &'static str, message: String) -> Raised {
        Raised { class, ..Raised::new(kind, message) }
    }

    /// Why there is no such plan.
    pub(crate) fn of_plan(refused: &PlanError, message: String) -> Raised {
        let collisions: Vec<(String, Vec<String>)> =
            refused.issues.iter().filter_map(keys).collect();
        if collisions.is_empty() {
            return Raised::new("refused", message);
        }
        Raised::of(Class::Collision(collisions), "collision", message)
    }

    pub(crate) fn into_err(self, py: Python<'_>) -> PyErr {
        self.raise(py).unwrap_or_else(|error| error)
    }

    fn raise(self, py: Python<'_>) -> PyResult<PyErr> {
        let Raised { class, message, kind, path, hint } = self;
        let message = printable_lines(&advice::in_arguments(&message));
        let hint = hint.map(|hint| printable_lines(&hint));
        let path = path.map(PathBuf::into_os_string);
        let class = match class {
            Class::Interrupt => return Ok(PyKeyboardInterrupt::new_err(message)),
            Class::System(number) => return of_system(py, number, message, path, hint),
            class => class,
        };
        let facts = PyDict::new(py);
        facts.set_item("kind", kind)?;
        facts.set_item("path", path)?;
        facts.set_item("hint", hint)?;
        let name = match class {
            Class::Collision(collisions) => {
                facts.set_item("collisions", collisions)?;
                "CollisionError"
            }
            Class::Malformed => "MalformedError",
            _ => "CheckpointError",
        };
        let class = py.import("statedict._errors")?.getattr(name)?;
        Ok(PyErr::from_value(class.call((message,), Some(&facts))?))
    }
}

/// What a job failed with.
impl From<Error> for Raised {
    fn from(error: Error) -> Raised {
        let raised = match error.checkpoint_error() {
            _ if error.kind() == ErrorKind::Stopped => {
                Raised::of(Class::Interrupt, "stopped", error.to_string())
            }
            Some(checkpoint) => Raised::from(checkpoint),
            None => {
                let message = error.problems().join("\n");
                let raised = match (error.plan_error(), error.kind_name(), number(&error)) {
                    (_, kind @ "exists", _) => {
                        Raised::of(Class::System(FILE_EXISTS), kind, message)
                    }
                    (_, kind, Some(number)) => Raised::of(Class::System(number), kind, message),
                    (Some(refused), ..) => Raised::of_plan(refused, message),
                    (None, kind, None) => Raised::new(kind, message),
                };
                Raised { path: error.path().map(Into::into), ..raised }
            }
        };
        let hint = advice::of(error.advice()).or(raised.hint);
        Raised { hint, ..raised }
    }
}

/// The name that several keys would get, and these.
fn keys(issue: &Issue) -> Option<(String, Vec<String>)> {
    let Issue::Collision { to, from, .. } = issue else { return None };
    Some((to.clone(), from.iter().map(|(key, _)| key.clone()).collect()))
}

/// What is wrong with a file.
impl From<&statedict::checkpoint::Error> for Raised {
    fn from(error: &statedict::checkpoint::Error) -> Raised {
        let class = match error.kind() {
            Kind::Stopped => Class::Interrupt,
            Kind::AlreadyExists => Class::System(FILE_EXISTS),
            Kind::NotAFile if error.path().is_dir() => Class::System(IS_A_DIRECTORY),
            Kind::Io => number(error).map_or(Class::Checkpoint, Class::System),
            Kind::Malformed => Class::Malformed,
            _ => Class::Checkpoint,
        };
        let kind = error.kind().name();
        let path = Some(error.path().to_path_buf());
        Raised { path, hint: advice::of_file(error), ..Raised::of(class, kind, error.to_string()) }
    }
}

impl From<DuplicateKey> for Raised {
    fn from(error: DuplicateKey) -> Raised {
        Raised::new("failed", error.to_string())
    }
}

impl From<BadRemap> for Raised {
    fn from(error: BadRemap) -> Raised {
        Raised::new("failed", error.to_string())
    }
}

/// The system's number of an error, if the system raised what is behind it.
fn number(error: &dyn std::error::Error) -> Option<i32> {
    let error = error.source()?.downcast_ref::<io::Error>()?;
    error.raw_os_error().or(match error.kind() {
        io::ErrorKind::NotFound => Some(NOT_FOUND),
        io::ErrorKind::PermissionDenied => Some(PERMISSION_DENIED),
        io::ErrorKind::NotADirectory => Some(NOT_A_DIRECTORY),
        io::ErrorKind::StorageFull => Some(STORAGE_FULL),
        io::ErrorKind::ReadOnlyFilesystem => Some(READ_ONLY),
        _ => None,
    })
}

/// An exception of the system's.
fn of_system(
    py: Python<'_>,
    number: i32,
    message: String,
    path: Option<OsString>,
    hint: Option<String>,
) -> PyResult<PyErr> {
    // Python shows the file itself.
    let text = match (&path, message.rsplit_once(": ")) {
        (Some(_), Some((_, text))) => text,
        _ => &*message,
    };
    let error = PyOSError::new_err((number, text.to_string(), path));
    error.value(py).setattr("hint", hint)?;
    Ok(error)
}
