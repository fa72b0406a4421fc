//! `cat`: the values of one tensor.

pub(crate) mod args;
mod array_text;
mod csv;
mod decimal;
mod number_format;
mod values;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use statedict::checkpoint::{Existing, TensorPart};
use statedict::core::DType;
use statedict::jobs::cat::{Outcome, Saved, ValueFormat};
use statedict::jobs::target::{refuse_to_save, stage_text};
use statedict::{Cat, Error};

use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::progress::followed_with;
use crate::terminal::text::{say, shell_path};
use values::Values;

/// Arrays of more elements are summarised.
const THRESHOLD: u64 = 1000;

/// Entries at both ends of each dimension that a summary shows.
const EDGE: u64 = 3;

/// The most dimensions that are printed, which is NumPy's limit, too: each of them indents further.
const MAX_DIMENSIONS: usize = 64;

/// Values of a `.csv` file at most, which is made in memory.
const MAX_CSV: u64 = 1 << 26;

/// Whose values to show, and how.
pub(crate) struct CatRequest {
    pub(crate) job: Cat,
    pub(crate) form: Form,
    pub(crate) existing: Existing,
    pub(crate) verbosity: Verbosity,
}

/// How to show them.
pub(crate) enum Form {
    /// As NumPy prints them.
    Text(Summary),
    /// Their bytes, on standard output.
    Raw,
    /// A file of the values.
    Saved(PathBuf, ValueFormat),
    /// A file of comma-separated values.
    Csv(PathBuf),
}

/// When the middle is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Summary {
    OfMany,
    Never,
}

pub(crate) fn run(request: &CatRequest, out: &mut dyn Write) -> Result<(), Failure> {
    followed_with(request.verbosity, |observer| {
        let outcome = request.job.run(observer).map_err(|error| request.failure(error))?;
        match &request.form {
            Form::Text(summary) => text(&printable(outcome.part()?), *summary, out),
            Form::Raw => raw(&outcome.part()?),
            Form::Saved(path, format) => {
                let saved = outcome.save(path, *format, request.existing)?;
                request.report(&saved);
                Ok(())
            }
            Form::Csv(path) => request.save_csv(&outcome, path),
        }
    })
}

impl CatRequest {
    /// Why it was not done, and what was meant if the file and the key are the other way round.
    fn failure(&self, error: Error) -> Failure {
        let (file, key) = (&self.job.file, Path::new(&self.job.key));
        let is_reversed = !file.exists() && key.is_file();
        let failure = Failure::from(error);
        if !is_reversed {
            return failure;
        }
        let (file, key) = (shell_path(key), shell_path(file));
        failure.hint(format!("the file comes first: statedict cat {file} {key}"))
    }

    fn report(&self, saved: &Saved) {
        if let (Saved::Widened { from, to }, Verbosity::All) = (saved, self.verbosity) {
            say(&format!("note: written as {to}, which holds every {from}; NumPy has no {from}"));
        }
    }

    fn save_csv(&self, outcome: &Outcome, path: &Path) -> Result<(), Failure> {
        refuse_to_save(Some(path), "table", [outcome.checkpoint.path()], self.existing)?;
        let part = printable(outcome.part()?);
        let count = count(&part);
        if count > MAX_CSV {
            let error = format!("{count} values; a .csv file has at most {MAX_CSV}");
            return Err(Failure::could_not(error).hint("use .npy, or --slice for a part"));
        }
        let text = csv::text(&read_values(&part, part.read()?)?, part.shape());
        Ok(stage_text(text, path, self.existing)?.commit().map(drop).map_err(Error::from)?)
    }
}

/// The part in a type that NumPy has.
fn printable(part: TensorPart<'_>) -> TensorPart<'_> {
    match part.dtype() {
        DType::F16 | DType::F32 | DType::F64 => part,
        _ => part.cast(&DType::F32),
    }
}

fn text(part: &TensorPart<'_>, summary: Summary, out: &mut dyn Write) -> Result<(), Failure> {
    let dimensions = part.shape().len();
    if dimensions > MAX_DIMENSIONS {
        let error = format!("{dimensions} dimensions; at most {MAX_DIMENSIONS} are printed");
        return Err(Failure::could_not(error).hint("--slice takes a part, --raw writes the bytes"));
    }
    let edge = (summary == Summary::OfMany && count(part) > THRESHOLD).then_some(EDGE);
    let bytes = match edge {
        Some(edge) => part.read_corners(edge)?,
        None => part.read()?,
    };
    let values = read_values(part, bytes)?;
    array_text::write(&values, part.shape(), edge, out)?;
    Ok(writeln!(out)?)
}

/// How many values there are.
fn count(part: &TensorPart<'_>) -> u64 {
    part.shape().iter().copied().fold(1, u64::saturating_mul)
}

fn read_values(part: &TensorPart<'_>, bytes: Vec<u8>) -> Result<Values, Failure> {
    let unknown = || {
        let error = format!("elements of type {} are not read as numbers", part.dtype());
        Failure::could_not(error).hint("--raw writes their bytes")
    };
    Values::of(part.dtype(), bytes).ok_or_else(unknown)
}

/// Writes bytes where nothing changes them on the way.
fn raw(part: &TensorPart<'_>) -> Result<(), Failure> {
    let mut out = io::stdout();
    if out.is_terminal() {
        let error = "these are bytes that are not text, and standard output is a terminal";
        return Err(Failure::could_not(error).hint("send them to a file or a pipe"));
    }
    part.write_to(&mut out).map_err(Error::from)??;
    Ok(out.flush()?)
}
