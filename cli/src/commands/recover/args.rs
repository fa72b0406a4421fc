//! What can be typed after `recover`, and the request that it means.

use std::path::PathBuf;

use statedict::Recover;
use statedict::checkpoint::Journals;

use crate::commands::recover::RecoverRequest;
use crate::commands::several::Several;
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct RecoverArgs {
    /// The files to restore, or the folders or indexes of sharded checkpoints
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Restore from a journal that another user or another machine may have written
    ///
    /// A journal beside a file says what the file was before an interrupted edit. One
    /// that this user did not write on this machine for this very file may have come with the
    /// file, and is used only with this option: say so only if you know where it comes from.
    #[arg(long)]
    trust_journal: bool,
    /// Print one JSON object that says what was done
    #[arg(long)]
    json: bool,
}

impl RecoverArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> Several<RecoverRequest> {
        let journals = if self.trust_journal { Journals::Any } else { Journals::Own };
        let requests = self.files.into_iter().map(|file| RecoverRequest {
            output_format: OutputFormat::of(self.json),
            verbosity,
            job: Recover { file, journals },
        });
        Several::to_read(requests.collect())
    }
}
