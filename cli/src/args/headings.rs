//! The headings that options have in every help, said once: a new command whose options are called
//! as those of others gets them by itself.

use clap::{Arg, Command};

/// Which part of a file is meant, and how it is read.
pub(crate) const SELECTION: &str = "Selection";
/// What becomes of keys and tensors.
const RULES: &str = "Rules";
/// What tensors become when they are written.
const TENSORS: &str = "Tensors";
/// What is written, and where.
const OUTPUT: &str = "Output";
/// The text beside the tensors.
const METADATA: &str = "Metadata";
/// What the exit status goes by.
pub(crate) const VERDICT: &str = "Verdict";
/// What is printed, and how.
const REPORT: &str = "Report";
/// What every command takes.
pub(super) const GENERAL: &str = "General options";

/// The options below each heading.
const OPTIONS: [(&str, &[&str]); 7] = [
    (
        SELECTION,
        &[
            "at",
            "at-b",
            "at-target",
            "cut",
            "drop-last",
            "dtype",
            "partial",
            "separator",
            "shapes",
            "slice",
            "which",
        ],
    ),
    (
        RULES,
        &[
            "adapter",
            "allow-unchanged",
            "alpha",
            "by",
            "config",
            "drop",
            "init",
            "inverse",
            "keep",
            "only",
            "prefix",
            "resize",
            "seed",
            "set",
            "strict",
            "to",
            "trust-journal",
            "weight",
            "wrapper",
        ],
    ),
    (TENSORS, &["alone", "cast", "protocol", "reserve", "ties"]),
    (
        OUTPUT,
        &[
            "dry-run",
            "force",
            "format",
            "html",
            "in-place",
            "job",
            "output",
            "plan-parts",
            "raw",
            "save-plan",
            "save-recipe",
            "shard-size",
            "slurm",
            "weights-only",
        ],
    ),
    (VERDICT, &["allow", "allow-unknown", "atol", "fail-on", "rtol"]),
    (METADATA, &["drop-metadata", "metadata"]),
    (
        REPORT,
        &[
            "all", "csv", "depth", "each", "explain", "full", "hash", "json", "payload", "sort",
            "stats", "tree",
        ],
    ),
];

/// The command, each option of which has a heading, unless its own says otherwise.
pub(super) fn given(command: Command) -> Command {
    command.mut_args(with_heading).mut_subcommands(given)
}

fn with_heading(option: Arg) -> Arg {
    match (option.get_help_heading(), option.get_long().and_then(of)) {
        (None, Some(heading)) => option.help_heading(heading),
        _ => option,
    }
}

/// The heading of an option that is called so.
fn of(long: &str) -> Option<&'static str> {
    let found = OPTIONS.iter().find(|(_, options)| options.contains(&long));
    found.map(|(heading, _)| *heading)
}
