//! A command tried on the file it is for, up to the writing.

use std::ffi::OsString;
use std::path::Path;

use clap::Parser;
use statedict::{Fit, silent};
use statedict_checkpoint::{Checkpoint, Error, check};
use statedict_core::{
    Verdict as Found,
    explain::{Cause, Diagnosis, LoadError, Remedy},
};

use crate::args::{Args, Task};
use crate::explanation::{Explanation, Verdict};
use crate::failure::Failure;
use crate::rescue;

/// The format whose files PyTorch loads.
const PYTORCH: &str = "pth";

/// A file that is no PyTorch file may be a good one of another format.
pub(super) fn heed_format(checkpoint: &Checkpoint, diagnosis: &mut Diagnosis) {
    let format = checkpoint.format().name();
    let is_foreign = matches!(diagnosis.cause, Cause::OtherFormat | Cause::NoCheckpoint);
    let holds_tensors = !checkpoint.catalog().rows.is_empty();
    let is_checked = diagnosis.remedy == Remedy::Check;
    if diagnosis.remedy == Remedy::Convert("safetensors") && format == "safetensors" {
        diagnosis.caveat = Some("the file is safetensors already, and would stay as it is".into());
    }
    if let Remedy::Metadata(pair) = diagnosis.remedy {
        let is_there = |(key, value): &(String, String)| pair.split_once('=') == Some((key, value));
        match checkpoint.metadata().iter().any(is_there) {
            true => diagnosis.caveat = Some(format!("the file's metadata has {pair} already")),
            // A conversion says it, too.
            false if format != "safetensors" => {
                diagnosis.remedy = Remedy::Convert("safetensors");
            }
            false => {}
        }
    }
    if is_foreign && is_checked && holds_tensors && format != PYTORCH {
        diagnosis.cause = Cause::OtherFormat;
        diagnosis.message = format!(
            "The file is a {format} file, and the program loads it with torch.load, which reads \
             PyTorch's own. It can be written as one of those."
        );
        diagnosis.remedy = Remedy::Convert("pth");
    }
}

/// Does all but the writing of a fit, to see whether it can be done.
fn dry_run(fit: &Fit) -> Result<(), Failure> {
    let unmet = fit.run(&silent())?.result.err().unwrap_or_default();
    match unmet.is_empty() {
        true => Ok(()),
        false => Err(Failure::no(unmet.iter().map(ToString::to_string).collect())),
    }
}

/// A file may hold no path of the class that the text names.
pub(super) fn look_for_paths(
    checkpoint: &Checkpoint,
    error: &LoadError,
    diagnosis: &mut Diagnosis,
) {
    let LoadError::Path(class) = error else { return };
    let is_class = |name: &str| {
        name.starts_with("pathlib.") && name.rsplit('.').next() == Some(class.as_str())
    };
    let found = match checkpoint.objects() {
        Ok(found) => found.is_some_and(|objects| objects.names().any(is_class)),
        Err(_) => return,
    };
    match found {
        true => diagnosis.message += &format!(" This file holds a pathlib.{class}."),
        false => diagnosis.caveat = Some(format!("the file holds no pathlib.{class}")),
    }
}

impl Explanation<'_> {
    /// Tries the command on the file, and looks for another one if it does not help.
    pub(super) fn try_out(&mut self, file: &Path, opened: Result<Checkpoint, Error>) {
        self.verdict = match (&self.diagnosis.remedy, opened) {
            (Remedy::Check, _) => return self.examine(file),
            (_, Err(error)) => {
                self.command = Some(vec!["check".into(), file.display().to_string()]);
                Verdict::Refuted(error.to_string())
            }
            (Remedy::Nothing, Ok(_)) => Verdict::Open,
            (_, Ok(_)) => match &self.diagnosis.caveat {
                Some(doubt) => Verdict::Refuted(doubt.clone()),
                None if self.needs_model => Verdict::Open,
                None => self.rehearse(),
            },
        };
    }

    /// Reads the command as if it had been typed, and does all but the writing.
    fn rehearse(&self) -> Verdict {
        let words = self.command.iter().flatten().map(OsString::from);
        let words = std::iter::once(OsString::from("statedict")).chain(words);
        let rehearsed = match Args::try_parse_from(words).map(Args::task) {
            Ok(Ok(Task::Rename(mut request))) => {
                request.job.dry_run = true;
                request.job.run(&silent()).map(drop).map_err(Failure::from)
            }
            Ok(Ok(Task::Fit(mut request))) => {
                request.job.dry_run = true;
                dry_run(&request.job)
            }
            Ok(Ok(_)) => Ok(()),
            Ok(Err(failure)) => Err(failure),
            Err(usage) => return Verdict::Refuted(usage.to_string()),
        };
        match rehearsed {
            Ok(()) => Verdict::Verified,
            Err(failure) => Verdict::Refuted(failure.errors.join("; ")),
        }
    }

    /// Looks whether the file is what the text says, and whether something can be saved of it.
    fn examine(&mut self, file: &Path) {
        let found = check(file).map(|checked| checked.verdict());
        self.verdict = match found {
            Ok(Found::Malformed) | Err(_) => Verdict::Verified,
            Ok(_) => Verdict::Refuted("the file is whole; the text is about another one".into()),
        };
        if self.verdict == Verdict::Verified
            && let Some(words) = rescue::words(file)
        {
            self.command = Some(words);
        }
    }
}
