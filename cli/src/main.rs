//! The `statedict` command: rename, match, convert and check the keys of model checkpoints.
//!
//! What was typed becomes a [`Task`] in one step (`args`), a command runs its job, which is in the
//! library, and shows the outcome as text or JSON (`commands`).
//! Nothing but parsing, printing and signals is here.

mod args;
mod commands;
mod failure;
mod hints;
mod json;
mod page;
mod terminal;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use crate::args::{Args, Task};
use crate::commands::{
    cat, check, derive, diff, explain, fit, index, ls, prune, recipes, recover, rename, shell,
    stats, view,
};
use crate::failure::{Exit, Failure};
use crate::terminal::text;
use crate::terminal::text::Visible;

fn main() -> ExitCode {
    let exit = match args::parse(&args::completed(std::env::args_os())) {
        Ok(args) => exit_of(run(args)),
        Err(usage) => return print_usage(&usage),
    };
    ExitCode::from(exit.status())
}

fn run(args: Args) -> Result<(), Failure> {
    let mut out = Visible(BufWriter::new(io::stdout().lock()));
    match args.task()? {
        Task::List(request) => ls::run(&request, &mut out)?,
        Task::Rename(request) => rename::run(&request, &mut out)?,
        Task::Diff(request) => diff::run(&request, &mut out)?,
        Task::Check(request) => check::run(&request, &mut out)?,
        Task::Derive(request) => derive::run(&request, &mut out)?,
        Task::Fit(request) => fit::run(&request, &mut out)?,
        Task::Explain(request) => explain::run(&request, &mut out)?,
        Task::Index(request) => index::run(&request, &mut out)?,
        Task::Recipes(request) => recipes::run(&request, &mut out)?,
        Task::Cat(request) => cat::run(&request, &mut out)?,
        Task::Prune(request) => prune::run(&request, &mut out)?,
        Task::Shell(request) => shell::run(&request, &mut out)?,
        Task::Stats(request) => stats::run(&request, &mut out)?,
        Task::View(request) => view::run(&request, &mut out)?,
        Task::Recover(request) => recover::run(&request, &mut out)?,
    }
    Ok(out.flush()?)
}

fn exit_of(result: Result<(), Failure>) -> Exit {
    let Err(failure) = result else { return Exit::Done };
    for error in &failure.errors {
        text::say(&format!("error: {}", text::sentence(error)));
    }
    for hint in &failure.hints {
        text::say(&format!("hint: {hint}"));
    }
    failure.exit
}

/// Prints the help that was asked for, or what is wrong with the command line.
fn print_usage(usage: &clap::Error) -> ExitCode {
    let status = match print(usage) {
        Ok(()) => usage.exit_code(),
        Err(error) => exit_of(Err(error.into())).status().into(),
    };
    ExitCode::from(u8::try_from(status).unwrap_or(Exit::CouldNot.status()))
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
