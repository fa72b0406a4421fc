//! What every command takes: how much is said, and how.

use clap::ArgAction;

use crate::args::headings::GENERAL;
use crate::terminal::Verbosity;

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = GENERAL)]
pub(crate) struct TalkArgs {
    /// Say nothing but errors
    ///
    /// What was asked for is printed all the same, unless the exit status says it: of check, diff
    /// and stats nothing is, and of explain the command alone.
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Print help; -h prints a summary
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

impl TalkArgs {
    /// How much is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity::of(self.quiet)
    }
}
