//! A command line that means nothing, and a help that was asked for.

use std::io::{self, Write};

use clap::error::ErrorKind;

use crate::failure::{Exit, Failure};
use crate::outcome;
use crate::terminal::OutputFormat;
use crate::terminal::text;

/// Prints the help that was asked for, or what is wrong with the command line.
pub(crate) fn ended(usage: &clap::Error, format: OutputFormat, out: &mut dyn Write) -> Exit {
    if let Err(error) = print(usage) {
        return outcome::ended(OutputFormat::Text, out, |_| Err(error.into()));
    }
    if usage.exit_code() == 0 {
        return Exit::Done;
    }
    // Without a command the help is the message.
    let is_help = usage.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;
    if format == OutputFormat::Json && !is_help {
        let _ = outcome::print(&failure(usage), out);
    }
    Exit::CouldNot
}

/// Prints it with the terminal's colours, unless the words that were typed would steer it too.
fn print(usage: &clap::Error) -> io::Result<()> {
    let text = usage.render().to_string();
    let is_meant = |c: char| c == '\n' || !text::is_hidden(c);
    if text.chars().all(is_meant) {
        return usage.print();
    }
    text.lines().for_each(text::say);
    Ok(())
}

/// The same as a failure: what comes before the tips and the usage, and the tips.
fn failure(usage: &clap::Error) -> Failure {
    let text = usage.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let mut paragraphs = text.split("\n\n");
    let message = paragraphs.next().unwrap_or_default();
    let lines = text.lines().map(str::trim);
    let tips = lines.filter_map(|line| line.strip_prefix("tip: ")).map(String::from);
    Failure { kind: "usage", hints: tips.collect(), ..Failure::could_not(message) }
}
