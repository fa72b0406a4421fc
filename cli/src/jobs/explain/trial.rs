//! A fix tried on the file it is for, up to the writing.

use std::path::Path;
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, check};
use statedict_core::{
    Verdict as FileVerdict,
    explain::{Cause, Diagnosis, LoadError, Remedy},
};

use crate::jobs::check::salvage;
use crate::jobs::explain::{Fix, Outcome, Verdict};
use crate::jobs::observer::Observer;
use crate::jobs::{Convert, Error, Fit, Rename};

/// The format whose files PyTorch loads.
const PYTORCH: &str = "pth";

/// A file that is not a PyTorch file may be a good one of another format.
pub(super) fn adjust_for_format(checkpoint: &Checkpoint, diagnosis: &mut Diagnosis) {
    let format = checkpoint.format().name();
    let is_foreign = matches!(diagnosis.cause, Cause::OtherFormat | Cause::NoCheckpoint);
    let holds_tensors = !checkpoint.catalog().rows.is_empty();
    let is_checked = diagnosis.remedy == Remedy::Check;
    if diagnosis.remedy == Remedy::Convert("safetensors") && format == "safetensors" {
        diagnosis.caveat = Some("the file is safetensors already, and would stay as it is".into());
    }
    if let Remedy::Metadata(pair) = diagnosis.remedy {
        let wanted = pair.split_once('=');
        if checkpoint.metadata().iter().any(|(key, value)| wanted == Some((key, value))) {
            diagnosis.caveat = Some(format!("the file's metadata has {pair} already"));
        } else if format != "safetensors" {
            // A conversion says it, too.
            diagnosis.remedy = Remedy::Convert("safetensors");
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
    if found {
        diagnosis.message += " The file holds one.";
    } else {
        diagnosis.caveat = Some(format!("the file holds no pathlib.{class}"));
    }
}

impl Outcome {
    /// Tries the fix on the file, and looks for another one if it does not help.
    pub(super) fn try_out(
        &mut self,
        file: &Path,
        opened: Result<Checkpoint, statedict_checkpoint::Error>,
        observer: &Arc<dyn Observer>,
    ) {
        self.verdict = match (&self.diagnosis.remedy, opened) {
            (Remedy::Check, _) => return self.examine(file),
            (_, Err(error)) => {
                self.fix = Some(Fix::Check(file.to_path_buf()));
                Verdict::Refuted(error.to_string())
            }
            (Remedy::Nothing, Ok(_)) => Verdict::Open,
            (_, Ok(_)) => match &self.diagnosis.caveat {
                Some(caveat) => Verdict::Refuted(caveat.clone()),
                None if self.needs_model => Verdict::Open,
                None => self.dry_run(observer),
            },
        };
    }

    /// Does all but the writing.
    fn dry_run(&self, observer: &Arc<dyn Observer>) -> Verdict {
        let tried = match &self.fix {
            Some(Fix::Rename(job)) => {
                Rename { dry_run: true, ..job.clone() }.run(observer).map(drop)
            }
            Some(Fix::Convert(job)) => {
                Convert { dry_run: true, ..job.clone() }.run(observer).map(drop)
            }
            Some(Fix::Fit(job)) => fits(&Fit { dry_run: true, ..job.clone() }, observer),
            Some(Fix::Check(_) | Fix::List(_)) | None => Ok(()),
        };
        match tried {
            Ok(()) => Verdict::Verified,
            Err(error) => Verdict::Refuted(error.to_string()),
        }
    }

    /// Looks whether the file is what the text says, and whether something can be saved of it.
    fn examine(&mut self, file: &Path) {
        let found = check(file).map(|checked| checked.verdict());
        self.verdict = match found {
            Ok(FileVerdict::Malformed) | Err(_) => Verdict::Verified,
            Ok(_) => Verdict::Refuted("the file is whole; the text is about another one".into()),
        };
        if self.verdict == Verdict::Verified
            && let Some(convert) = salvage::conversion(file)
        {
            self.fix = Some(Fix::Convert(convert));
        }
    }
}

/// That a checkpoint does not fit is a reason, too.
fn fits(fit: &Fit, observer: &Arc<dyn Observer>) -> Result<(), Error> {
    let unmet = fit.run(observer)?.result.err().unwrap_or_default();
    if unmet.is_empty() {
        Ok(())
    } else {
        Err(Error::refused(unmet.iter().map(ToString::to_string).collect()))
    }
}
