//! `completions` and `man`: what a shell and `man` know of the command.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Command;
use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::args::{self, completion::VARIABLE};
use crate::failure::Failure;
use crate::terminal::Verbosity;
use crate::terminal::text::{say, shell_path};

/// What to write about the command.
pub(crate) enum ShellRequest {
    /// The completions of a shell, on standard output.
    Completions(Shell),
    /// Manual pages, in a folder.
    Pages(PathBuf, Verbosity),
}

pub(crate) fn run(request: &ShellRequest, out: &mut dyn Write) -> Result<(), Failure> {
    match request {
        ShellRequest::Completions(shell) => {
            let shells = Shells::builtins();
            let shell = shells.completer(&shell.to_string()).expect("both know the same shells");
            let (name, mut script) = ("statedict", Vec::new());
            shell.write_registration(VARIABLE, name, name, name, &mut script)?;
            Ok(out.write_all(&script)?)
        }
        ShellRequest::Pages(folder, verbosity) => pages(folder, *verbosity),
    }
}

/// Writes a page for the command, and one for each of its own.
fn pages(folder: &Path, verbosity: Verbosity) -> Result<(), Failure> {
    let mut command = args::command();
    command.build();
    let failed = |error| Failure::in_file(folder, &error);
    fs::create_dir_all(folder).map_err(failed)?;
    let own = command.get_subcommands().filter(|own| own.get_name() != "help");
    let own = own.map(|own| (format!("statedict-{}", own.get_name()), own.clone()));
    let all: Vec<(String, Command)> =
        [("statedict".to_string(), command.clone())].into_iter().chain(own).collect();
    for (name, command) in &all {
        let mut page = Vec::new();
        clap_mangen::Man::new(command.clone()).render(&mut page)?;
        fs::write(folder.join(format!("{name}.1")), page).map_err(failed)?;
    }
    if verbosity == Verbosity::All {
        say(&format!("wrote {} pages to {}", all.len(), shell_path(folder)));
    }
    Ok(())
}
