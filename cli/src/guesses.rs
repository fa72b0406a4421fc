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
            typed(ContextKind::InvalidArg).and_then(|typed| of_option(command, typed, words))
        }
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

fn of_option(command: &Command, typed: &str, words: &[OsString]) -> Option<String> {
    let command = words.iter().find_map(|word| command.find_subcommand(word)).unwrap_or(command);
    let options = || command.get_arguments().filter_map(clap::Arg::get_long);
    let plain = typed.strip_prefix("--")?.to_lowercase().replace('_', "-");
    let plain = plain.split('=').next().unwrap_or_default();
    let known = OPTIONS.iter().filter(|(typed, _)| typed.contains(&plain));
    let meant = known.flat_map(|(_, meant)| *meant).copied();
    let mut there = [plain].into_iter().chain(meant).filter(|it| options().any(|own| own == *it));
    let meant = there.next().or_else(|| nearest(plain, options()))?;
    let value = command.get_arguments().find(|arg| arg.get_long() == Some(meant));
    let value = value.filter(|arg| arg.get_action().takes_values());
    let value = value.and_then(|arg| arg.get_value_names()?.first().cloned());
    let value = value.map(|name| format!(" {name}")).unwrap_or_default();
    Some(format!("did you mean '--{meant}{value}'?"))
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
