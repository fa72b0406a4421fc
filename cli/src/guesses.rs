//! What was probably meant by a word that other tools have: a guess that is not sure is none.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use statedict::checkpoint::ending;

/// What people type for a command, and what they want.
const COMMANDS: [(&[&str], &str); 22] = [
    (&["html", "page", "plot", "visualize", "visualise"], "view FILE -o PAGE.html"),
    (&["tree"], "ls --tree FILE"),
    (&["keys", "ll", "dir", "count", "params", "parameters", "size", "du", "summary"], "ls FILE"),
    (&["metadata", "meta", "header", "payload"], "ls --payload FILE"),
    (&["hash", "sha256", "sha256sum", "digest", "checksum"], "ls --hash FILE"),
    (&["head", "print", "get", "values", "dump", "peek", "tensor"], "cat FILE KEY"),
    (&["histogram", "hist", "nan", "summarize"], "stats FILE"),
    (&["extract", "select", "filter", "subset", "pick"], "keep PATTERN FILE -o OUT"),
    (&["remove", "rm", "delete", "del", "exclude"], "drop PATTERN FILE -o OUT"),
    (&["mv", "replace", "sub", "map", "remap", "sed"], "rename 'FROM -> TO' FILE -o OUT"),
    (&["cp", "copy", "save", "export", "safetensors", "consolidate", "unshard"], "convert IN OUT"),
    (&["cast", "half", "fp16", "f16", "bf16", "dtype", "quantize"], "convert IN OUT --cast bf16"),
    (&["shard"], "convert IN FOLDER --shard-size 5GB"),
    (&["concat", "combine", "union"], "join A B -o OUT"),
    (&["compare", "cmp", "delta"], "diff A B"),
    (&["scan", "verify", "validate", "audit", "lint", "fsck", "test"], "check FILE"),
    (&["load", "adapt", "match", "transfer", "resize"], "fit FILE --to MODEL -o OUT"),
    (&["clean", "slim", "trim", "reduce"], "prune FILE -o OUT"),
    (&["unprefix", "remove-prefix", "strip-prefix"], "strip PREFIX FILE -o OUT"),
    (&["prefix", "add-prefix", "wrap"], "add PREFIX FILE -o OUT"),
    (&["restore", "repair", "fix", "undo"], "recover FILE"),
    (&["lora", "merge-lora", "fuse"], "merge MODEL ADAPTER -o OUT"),
];

/// What people type for an option, and the options that do it, of which a command has one.
const OPTIONS: [(&[&str], &[&str]); 21] = [
    (&["dtype", "to-dtype", "torch-dtype", "type", "half", "fp16", "bf16", "precision"], &["cast"]),
    (&["out", "outfile", "output-file", "dest", "save", "save-to", "out-dir"], &["output"]),
    (&["output-dir", "output-path"], &["output"]),
    (&["inplace", "overwrite-input"], &["in-place"]),
    (&["overwrite", "yes", "replace", "clobber"], &["force"]),
    (&["max-shard-size", "shard", "split"], &["shard-size"]),
    (&["exclude", "ignore", "skip"], &["drop"]),
    (&["prefix", "path", "key", "root", "state-dict"], &["at"]),
    (&["no-color", "colour", "colors"], &["color"]),
    (&["silent"], &["quiet"]),
    (&["debug", "details"], &["verbose"]),
    (&["no-bar", "no-progress-bar", "progress"], &["no-progress"]),
    (&["model", "target", "to-model", "reference"], &["to"]),
    (&["output-format", "to-format", "safetensors", "safe-serialization"], &["format"]),
    (&["no-optimizer", "weights", "model-only", "cpu", "map-location"], &["alone"]),
    (&["sep", "delimiter"], &["separator"]),
    (&["tolerance", "tol", "eps"], &["atol"]),
    (&["sha256", "checksum", "digest"], &["hash"]),
    (&["reverse", "undo", "back"], &["inverse"]),
    (&["config-file", "configuration"], &["config"]),
    (&["json-output", "output-json", "as-json"], &["json"]),
];

/// What people type for an option that a command does not have, and what does it there.
const OTHERWISE: [(&str, &[&str], &str); 8] = [
    (
        "cat",
        &["csv", "npy", "npz", "bin", "format", "export", "save", "to"],
        "-o OUT.npy, -o OUT.csv or -o OUT.bin writes the values to a file",
    ),
    (
        "cat",
        &["json"],
        "values are text, or with -o OUT.npy and --raw for programs; 'statedict stats --json FILE \
         KEY' has their figures",
    ),
    ("cat", &["key", "tensor", "name"], "the key is the word after the file"),
    ("cat", &["at", "path", "prefix"], "in the place of KEY a path does as well: PATH/KEY"),
    ("cat", &["head", "tail", "first", "limit", "rows", "index"], "--slice ':10' takes a part"),
    ("view", &["html", "page"], "-o PAGE.html names the page"),
    ("view", &["open", "browser", "show"], "-o PAGE.html writes the page, which a browser opens"),
    (
        "view",
        &["json"],
        "'statedict ls --json FILE' and 'statedict stats --json FILE' print the same as JSON",
    ),
];

/// Commands that are named as those that have an option.
const NAMED: usize = 3;

/// The error, with what was probably meant instead of the command or option whose letters are next.
pub(crate) fn with_tip(mut error: Error, command: &Command, words: &[OsString]) -> Error {
    let typed = |kind| match error.get(kind) {
        Some(ContextValue::String(typed)) => Some(typed.as_str()),
        _ => None,
    };
    let tip = match error.kind() {
        ErrorKind::InvalidSubcommand => {
            typed(ContextKind::InvalidSubcommand).and_then(|typed| of_command(command, typed))
        }
        ErrorKind::UnknownArgument => {
            let typed = typed(ContextKind::InvalidArg);
            let tip = typed.and_then(|typed| of_option(command, typed, words));
            if typed.is_some_and(is_option) {
                error.remove(ContextKind::Suggested);
                usage_of(&mut error, command, words);
            }
            tip
        }
        ErrorKind::MissingRequiredArgument => of_missing(command, words).map(String::from),
        _ => return error,
    };
    error.remove(ContextKind::SuggestedSubcommand);
    error.remove(ContextKind::SuggestedArg);
    if let Some(tip) = tip {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

/// True for what nobody means as a key or a file.
fn is_option(typed: &str) -> bool {
    let name = typed.strip_prefix("--").and_then(|rest| rest.split('=').next());
    name.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)))
}

/// Puts the whole usage into the error, instead of one with the options whose letters are next.
fn usage_of(error: &mut Error, command: &Command, words: &[OsString]) {
    let usage = named_by(command, words).clone().render_usage();
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
}

/// The command that the words begin with.
fn named_by<'a>(command: &'a Command, words: &[OsString]) -> &'a Command {
    words.iter().find_map(|word| command.find_subcommand(word)).unwrap_or(command)
}

/// Where to find what was left out.
fn of_missing(command: &Command, words: &[OsString]) -> Option<&'static str> {
    match named_by(command, words).get_name() {
        "cat" => Some("'statedict ls FILE' lists the keys of a file"),
        "view" => Some("-o PAGE.html names the page"),
        _ => None,
    }
}

fn of_command(command: &Command, typed: &str) -> Option<String> {
    let lower = typed.to_lowercase();
    if let Some((_, meant)) = COMMANDS.iter().find(|(typed, _)| typed.contains(&&*lower)) {
        return Some(format!("statedict {meant}"));
    }
    if ending(Path::new(typed)).is_some() || typed.contains(['/', '\\']) {
        return Some(format!("there is no file '{typed}' either; a file alone is listed"));
    }
    let own = command.get_subcommands();
    let names = own.flat_map(|own| [own.get_name()].into_iter().chain(own.get_all_aliases()));
    Some(format!("did you mean 'statedict {}'?", nearest(&lower, names)?))
}

fn of_option(all: &Command, typed: &str, words: &[OsString]) -> Option<String> {
    let command = named_by(all, words);
    let options = || command.get_arguments().filter_map(clap::Arg::get_long);
    let plain = typed.strip_prefix("--")?.to_lowercase().replace('_', "-");
    let plain = plain.split('=').next().unwrap_or_default();
    let is_known = |(name, typed, _): &&(&str, &[&str], &str)| {
        *name == command.get_name() && typed.contains(&plain)
    };
    if let Some((_, _, instead)) = OTHERWISE.iter().find(is_known) {
        return Some((*instead).to_string());
    }
    let known = OPTIONS.iter().filter(|(typed, _)| typed.contains(&plain));
    let meant = known.flat_map(|(_, meant)| *meant).copied();
    let mut there = [plain].into_iter().chain(meant).filter(|it| options().any(|own| own == *it));
    let Some(meant) = there.next().or_else(|| nearest(plain, options())) else {
        return elsewhere(all, plain);
    };
    let value = command.get_arguments().find(|arg| arg.get_long() == Some(meant));
    let value = value.filter(|arg| arg.get_action().takes_values());
    let value = value.and_then(|arg| arg.get_value_names()?.first().cloned());
    let value = value.map(|name| format!(" {name}")).unwrap_or_default();
    Some(format!("did you mean '--{meant}{value}'?"))
}

/// The commands that have this option.
fn elsewhere(all: &Command, option: &str) -> Option<String> {
    let has = |own: &&Command| {
        let mut arguments = own.get_arguments().filter(|arg| !arg.is_hide_set());
        arguments.any(|arg| arg.get_long() == Some(option))
    };
    let names: Vec<&str> = all.get_subcommands().filter(has).map(Command::get_name).collect();
    let more = if names.len() > NAMED { " and others" } else { "" };
    let named = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then(|| format!("'--{option}' is an option of {named}{more}"))
}

/// The name that a slip of the fingers makes this of.
fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = match typed.chars().count() {
        0..=2 => return None,
        3..=5 => 1,
        _ => 2,
    };
    let distances = names.map(|name| (strsim::osa_distance(typed, name), name));
    let nearest = distances.filter(|(distance, _)| *distance <= allowed).min()?;
    Some(nearest.1)
}
