//! What every command takes: how much is said, and how.

use std::env;
use std::ffi::OsString;

use anstream::ColorChoice;
use clap::builder::FalseyValueParser;
use clap::{ArgAction, ValueEnum};

use crate::args::headings::GENERAL;
use crate::terminal::Verbosity;
use crate::terminal::progress::{Bar, Details, Following};

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = GENERAL)]
pub(crate) struct TalkArgs {
    /// Say nothing but errors
    ///
    /// What was asked for is printed all the same, unless the exit status says it: of check, diff
    /// and stats nothing is, and of explain the command alone.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: what each file is, what was read and written, and how long it took
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Show no progress bar; there is none where standard error is not a terminal
    #[arg(long, global = true, env = "STATEDICT_NO_PROGRESS", hide_env_values = true)]
    #[arg(value_parser = FalseyValueParser::new())]
    no_progress: bool,
    /// Choose when colours are used
    ///
    /// With auto NO_COLOR, CLICOLOR_FORCE and CLICOLOR decide, and otherwise whether it is a terminal
    /// that shows them. JSON and files have none.
    #[arg(long, global = true, value_name = "WHEN", env = "STATEDICT_COLOR")]
    #[arg(hide_env_values = true)]
    #[arg(value_enum, default_value_t = When::Auto, ignore_case = true)]
    color: When,
    /// Print help; -h prints a summary
    #[arg(short, long, global = true, action = ArgAction::Help)]
    help: Option<bool>,
    /// Print the version
    #[arg(short = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    /// On a terminal that shows them
    Auto,
    Always,
    Never,
}

impl TalkArgs {
    /// How much is said.
    pub(crate) fn verbosity(&self) -> Verbosity {
        Verbosity::of(self.quiet)
    }

    /// How work is followed.
    pub(crate) fn following(&self) -> Following {
        Following {
            bar: if self.no_progress { Bar::Hidden } else { Bar::Shown },
            details: if self.verbose { Details::Said } else { Details::Unsaid },
        }
    }
}

/// When these words ask for colours, also where they mean nothing else.
pub(crate) fn color(words: &[OsString]) -> ColorChoice {
    let mut options = words.iter().take_while(|word| *word != "--").filter_map(|it| it.to_str());
    let mut typed = None;
    while let Some(option) = options.next() {
        match option.strip_prefix("--color") {
            Some("") => typed = options.next().map(String::from),
            Some(rest) => typed = rest.strip_prefix('=').map(String::from).or(typed),
            None => {}
        }
    }
    let typed = typed.or_else(|| env::var("STATEDICT_COLOR").ok());
    match typed.and_then(|typed| When::from_str(&typed, true).ok()) {
        Some(When::Always) => ColorChoice::Always,
        Some(When::Never) => ColorChoice::Never,
        Some(When::Auto) | None => ColorChoice::Auto,
    }
}
