//! What a shell completes: keys and paths of the files on the line, beside what clap knows.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{
    ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use statedict::checkpoint::{Checkpoint, ending};
use statedict::core::{SEPARATOR, sorting};

use crate::terminal::text::is_hidden;

/// The variable by which a shell asks for completions.
pub(crate) const VARIABLE: &str = "STATEDICT_COMPLETE";

/// Checkpoints of the folder that are looked into where the line names none.
const MAX_FILES: usize = 16;

/// Keys that are offered; where there are more, they are offered up to their next dot.
const MAX_KEYS: usize = 60;

/// Answers a shell that asks what could be typed, and says whether one did.
pub(crate) fn answered(command: fn() -> Command) -> Result<bool, clap::Error> {
    let completions = CompleteEnv::with_factory(command).var(VARIABLE);
    completions.try_complete(env::args_os(), env::current_dir().ok().as_deref())
}

/// What is completed of a file.
#[derive(Clone, Copy)]
enum Names {
    /// Keys.
    Keys,
    /// Patterns: keys, and modules with all below them.
    Patterns,
    /// The same, and files, where both may come.
    PatternsOrFiles,
    /// Modules, which stand for all below them, keys, and files.
    ModulesOrFiles,
    /// Leading segments.
    Prefixes,
    /// Paths of state dicts.
    Paths,
}

/// The command, whose words for keys and paths are completed.
pub(super) fn given(command: Command) -> Command {
    // What is put in front of keys is none of theirs.
    if command.get_name() == "add" {
        return command;
    }
    let first = command.get_positionals().next();
    let is_after_patterns = first.is_some_and(|arg| arg.get_id() == "patterns");
    let command = command.mut_args(|arg| match names_of(&arg) {
        Some(names) => arg.add(ArgValueCompleter::new(names)),
        None if is_after_patterns && arg.get_id() == "file" => {
            arg.add(ArgValueCompleter::new(Names::PatternsOrFiles))
        }
        None => arg,
    });
    command.mut_subcommands(given)
}

/// What is completed where this is typed.
fn names_of(arg: &Arg) -> Option<Names> {
    match arg.get_id().as_str() {
        "key" => Some(Names::Keys),
        "patterns" | "drop" | "init" | "cast" | "cut" => Some(Names::Patterns),
        "more" => Some(Names::ModulesOrFiles),
        "prefix" => Some(Names::Prefixes),
        "at" | "at_b" | "at_target" => Some(Names::Paths),
        _ => None,
    }
}

impl ValueCompleter for Names {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let mut found = match self {
            Names::ModulesOrFiles | Names::PatternsOrFiles => {
                PathCompleter::any().complete(current)
            }
            _ => Vec::new(),
        };
        let Some(start) = current.to_str() else { return found };
        let names = self.below(start, &files());
        // What would steer a terminal is not put on its line.
        let names = names.into_iter().filter(|name| !name.contains(is_hidden));
        found.extend(names.map(CompletionCandidate::new));
        found
    }
}

impl Names {
    /// The names that begin so, in any of these files.
    fn below(self, start: &str, files: &[PathBuf]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for checkpoint in files.iter().filter_map(|file| Checkpoint::open(file).ok()) {
            let catalog = checkpoint.catalog();
            match self {
                Names::Paths => {
                    let paths = catalog.state_dicts.iter().map(|it| it.path.clone());
                    names.extend(paths.filter(|path| !path.is_empty() && path.starts_with(start)));
                }
                _ => {
                    let keys = catalog.state_dicts.iter().flat_map(|it| it.keys());
                    names.extend(keys.filter(|key| key.starts_with(start)).map(String::from));
                }
            }
        }
        match self {
            Names::Paths => names,
            Names::Keys if names.len() <= MAX_KEYS => names,
            _ => names.iter().map(|key| self.shown(key, start)).collect(),
        }
    }

    /// A key, or what is offered in its place: its module at the next dot.
    fn shown(self, key: &str, start: &str) -> String {
        let next = key.get(start.len()..).and_then(|rest| rest.find(SEPARATOR));
        let Some(dot) = next else { return key.to_string() };
        let module = &key[..start.len() + dot];
        match self {
            Names::Patterns | Names::PatternsOrFiles => format!("{module}{SEPARATOR}**"),
            Names::Keys => format!("{module}{SEPARATOR}"),
            _ => module.to_string(),
        }
    }
}

/// The files on the line; where there are none, the checkpoints of the folder.
fn files() -> Vec<PathBuf> {
    let line = env::args_os().skip_while(|word| word != "--").skip(2);
    let named: Vec<PathBuf> = line.filter(is_checkpoint).map(PathBuf::from).collect();
    if named.is_empty() { beside() } else { named }
}

fn is_checkpoint(word: &OsString) -> bool {
    let path = Path::new(word);
    !word.is_empty() && path.exists() && (path.is_dir() || ending(path).is_some())
}

fn beside() -> Vec<PathBuf> {
    let entries = fs::read_dir(".").into_iter().flatten().flatten();
    let files = entries.map(|entry| PathBuf::from(entry.file_name()));
    let mut files: Vec<PathBuf> = files.filter(|file| ending(file).is_some()).collect();
    sorting::sort(&mut files);
    files.truncate(MAX_FILES);
    files
}
