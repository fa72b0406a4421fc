//! The `statedict` command: rename, match, convert and check the keys of model checkpoints.
//!
//! What was typed becomes a [`Task`] in one step (`args`), a command runs its job, which is in the
//! library, and shows the outcome as text or JSON (`commands`).
//! Nothing but parsing, printing and signals is here.

mod args;
mod commands;
mod failure;
mod guesses;
mod hints;
mod json;
mod outcome;
mod page;
mod terminal;
mod usage;

use std::io::{self, BufWriter, Write};
use std::panic;
use std::process::ExitCode;

use statedict::checkpoint::remove_unplaced;

use crate::args::{Args, Task, completion};
use crate::commands::{
    cat, check, derive, diff, explain, fit, index, ls, parts, prune, recipes, recover, rename,
    shell, split, stats, view,
};
use crate::failure::Failure;
use crate::outcome::ended;
use crate::terminal::text::Visible;
use crate::terminal::{color, progress};

fn main() -> ExitCode {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |fault| {
        report(fault);
        // Where a fault ends the process at once, as in the command of the Python package.
        remove_unplaced();
    }));
    match completion::answered(args::command) {
        Ok(true) => return ExitCode::SUCCESS,
        Ok(false) => {}
        Err(error) => error.exit(),
    }
    let words = args::completed(std::env::args_os());
    color::choose(args::talk::color(&words));
    let mut out = Visible(BufWriter::new(io::stdout().lock()));
    let exit = match args::parse(&words) {
        Ok(args) => ended(args::output_format(&words), &mut out, |out| run(args, out)),
        Err(error) => usage::ended(&error, args::output_format(&words), &mut out),
    };
    ExitCode::from(exit.status())
}

fn run(args: Args, out: &mut dyn Write) -> Result<(), Failure> {
    progress::follow(args.following());
    match args.task()? {
        Task::List(request) => ls::run(&request, out),
        Task::Rename(several) => rename::run_all(&several, out),
        Task::Diff(request) => diff::run(&request, out),
        Task::Check(request) => check::run(&request, out),
        Task::Derive(request) => derive::run(&request, out),
        Task::Fit(several) => fit::run_all(&several, out),
        Task::Explain(request) => explain::run(&request, out),
        Task::Index(request) => index::run(&request, out),
        Task::Recipes(request) => recipes::run(&request, out),
        Task::Cat(request) => cat::run(&request, out),
        Task::Prune(several) => prune::run_all(&several, out),
        Task::Shell(request) => shell::run(&request, out),
        Task::Split(request) => split::run(&request, out),
        Task::Stats(several) => stats::run_all(&several, out),
        Task::View(request) => view::run(&request, out),
        Task::Recover(several) => recover::run_all(&several, out),
        Task::RunPart(request) => parts::run_part(&request, out),
        Task::Finish(request) => parts::finish(&request, out),
    }
}
