//! What can be typed after `check`, and the request that it means.

use std::path::PathBuf;

use crate::args::headings::VERDICT;
use crate::commands::check::{CheckRequest, Unknown, Unread};
use crate::terminal::{OutputFormat, Verbosity};

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// The files; of a folder, the checkpoints and pickles in it and below
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Take unknown classes for no reason to fail; they are reported all the same
    #[arg(long)]
    allow_unknown: bool,
    /// Take the classes named in this file for known and safe
    ///
    /// One full name a line, such as 'ultralytics.nn.tasks.DetectionModel'; '#' begins a comment.
    /// They are reported as notes. What is known to do harm cannot be allowed.
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// Fail if a folder has files that are not looked at
    ///
    /// Those are neither checkpoints or pickles, by their names or their bytes, nor plain text.
    #[arg(long, help_heading = VERDICT)]
    strict: bool,
    /// Print one JSON object a line for each file, and one for files that are not looked at
    #[arg(long)]
    json: bool,
}

impl CheckArgs {
    /// What was asked for.
    pub(crate) fn request(self, verbosity: Verbosity) -> CheckRequest {
        CheckRequest {
            paths: self.files,
            unknown: if self.allow_unknown { Unknown::Allowed } else { Unknown::Refused },
            unread: if self.strict { Unread::Refused } else { Unread::Allowed },
            allow_list: self.allow,
            output_format: OutputFormat::of(self.json),
            verbosity,
        }
    }
}
