//! How work ends: what is said of a failure, and what of several files.

use std::io::{self, Write};

use serde::Serialize;

use crate::failure::{Exit, Failure};
use crate::json;
use crate::terminal::OutputFormat;
use crate::terminal::text::{self, say};

/// Does the same with each of several things, such as files: what one fails with is said at once and
/// does not stop the others, and the end is the worst of all. A signal stops them all.
pub(crate) fn each<T>(
    items: &[T],
    format: OutputFormat,
    out: &mut dyn Write,
    work: impl Fn(&T, &mut dyn Write) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if let [only] = items {
        return work(only, out);
    }
    let mut worst = Exit::Done;
    for item in items {
        let exit = ended(format, out, |out| work(item, out));
        worst = worst.max(exit);
        if let Exit::Stopped(_) = exit {
            break;
        }
    }
    if worst == Exit::Done { Ok(()) } else { Err(Failure::silent(worst)) }
}

/// Does some work, and says what it failed with: on standard error, and on standard output where that
/// is to be JSON and nothing has come yet.
pub(crate) fn ended(
    format: OutputFormat,
    out: &mut dyn Write,
    work: impl FnOnce(&mut dyn Write) -> Result<(), Failure>,
) -> Exit {
    let mut watched = Watched { out, has_written: false };
    let mut result = work(&mut watched);
    if result.is_ok() {
        result = watched.flush().map_err(Failure::from);
    }
    let Err(failure) = result else { return Exit::Done };
    for error in &failure.errors {
        say(&format!("error: {}", text::sentence(error)));
    }
    for hint in &failure.hints {
        say(&format!("hint: {hint}"));
    }
    if format == OutputFormat::Json && !watched.has_written && !failure.errors.is_empty() {
        // Where this fails, the exit status says that something did.
        let _ = print(&failure, &mut watched);
    }
    failure.exit
}

/// A failure as JSON.
#[derive(Serialize)]
struct Failed<'a> {
    error: Error<'a>,
}

#[derive(Serialize)]
struct Error<'a> {
    kind: &'a str,
    message: String,
    path: Option<String>,
    hint: Option<String>,
}

/// Prints a failure as a line of JSON.
pub(crate) fn print(failure: &Failure, out: &mut dyn Write) -> io::Result<()> {
    let error = Error {
        kind: failure.kind,
        message: failure.errors.join("\n"),
        path: failure.path.as_ref().map(|path| path.display().to_string()),
        hint: (!failure.hints.is_empty()).then(|| failure.hints.join("\n")),
    };
    json::put(&Failed { error }, out)?;
    writeln!(out)?;
    out.flush()
}

/// Output that remembers whether anything was written.
struct Watched<'a> {
    out: &'a mut dyn Write,
    has_written: bool,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.has_written |= !bytes.is_empty();
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
