//! `explain`: what a loading error of PyTorch means, and the command that fixes it.

pub(crate) mod args;
mod json;
mod report;

use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use statedict::Explain;
use statedict::checkpoint::plain;
use statedict::jobs::explain::Verdict;

use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// The longest text that is read, in bytes; an error that names a hundred thousand keys has that.
const MAX_TEXT: u64 = 8 << 20;

/// An error text on standard input, and the file it is about.
#[derive(Clone, Debug)]
pub(crate) struct ExplainRequest {
    pub(crate) file: Option<PathBuf>,
    /// The model that the file is to be loaded into.
    pub(crate) target: Option<PathBuf>,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &ExplainRequest, out: &mut dyn Write) -> Result<(), Failure> {
    for file in request.file.iter().chain(&request.target) {
        let known = std::fs::metadata(file);
        known.map_err(|error| Failure::in_file(file, &error))?;
    }
    let (file, target) = (request.file.clone(), request.target.clone());
    let job = Explain { text: text(request.verbosity)?, file, target };
    let outcome = followed(Verbosity::Errors, |observer| job.run(observer))?;
    match request.output_format {
        OutputFormat::Json => json::explanation(&job, &outcome, out)?,
        OutputFormat::Text => report::explanation(&job, &outcome, request.verbosity, out)?,
    }
    out.flush()?;
    match (&outcome.verdict, &outcome.fix) {
        (Verdict::Refuted(why), _) => {
            let file = job.file.map(|file| file.display().to_string()).unwrap_or_default();
            Err(Failure::no(vec![format!("{file}: not verified: {why}")]))
        }
        (_, None) => Err(Failure::no(Vec::new())),
        (_, Some(_)) => Ok(()),
    }
}

/// All of standard input, whatever its encoding.
fn text(verbosity: Verbosity) -> Result<String, Failure> {
    let stdin = io::stdin();
    if stdin.is_terminal() && verbosity == Verbosity::All {
        say("paste what PyTorch said, and end with a line of Ctrl-D:");
    }
    let mut bytes = Vec::new();
    let read = stdin.lock().take(MAX_TEXT + 1).read_to_end(&mut bytes);
    read.map_err(|error| {
        Failure::could_not(format_args!("cannot read standard input: {}", plain(&error)))
    })?;
    if bytes.len() as u64 > MAX_TEXT {
        let error = format!("standard input goes on beyond {} MiB", MAX_TEXT >> 20);
        return Err(Failure::could_not(error).hint("give it the end of the log: tail -c 1M LOG"));
    }
    let text = decoded(&bytes);
    if text.trim().is_empty() {
        Err(Failure::could_not("standard input is empty; expected what PyTorch said")
            .hint("python train.py 2>&1 | statedict explain CKPT"))
    } else {
        Ok(text)
    }
}

/// The text, in UTF-8 or, as one shell writes its pipes, in UTF-16; what is neither is replaced.
fn decoded(bytes: &[u8]) -> String {
    match bytes {
        [0xff, 0xfe, rest @ ..] => {
            let units = rest.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
            char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
        }
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}
