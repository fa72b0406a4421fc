//! `index`: the index of a folder of shards, made or corrected.

pub(crate) mod args;
mod json;

use std::io::Write;

use statedict::Index;
use statedict::checkpoint::Indexing;
use statedict::jobs::index::Outcome;

use crate::failure::Failure;
use crate::terminal::progress::followed;
use crate::terminal::text::{NAMED, count, first_few, say, size};
use crate::terminal::{OutputFormat, Verbosity};

/// The folder, and how to show what came of it.
pub(crate) struct IndexRequest {
    pub(crate) job: Index,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &IndexRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let outcome = followed(request.verbosity, |observer| request.job.run(observer))?;
    if request.output_format == OutputFormat::Json {
        json::outcome(&outcome, out)?;
        out.flush()?;
    }
    if request.verbosity == Verbosity::All {
        lines(request, &outcome).iter().for_each(|line| say(line));
    }
    if outcome.blocked {
        let path = outcome.index.path.display();
        let error = format!("cannot write '{path}': already exists");
        return Err(Failure::could_not(error).hint("add --force to replace it"));
    }
    Ok(())
}

/// What was done or would be, and what it changes.
fn lines(request: &IndexRequest, outcome: &Outcome) -> Vec<String> {
    let Outcome { index, written, .. } = outcome;
    let (keys, files) = (count(index.keys, "key"), count(index.files.len(), "file"));
    let path = index.path.display();
    let what = format!("{keys} in {files}, {}", size(index.total_size));
    let mut lines = vec![match (&index.replaces, *written) {
        (Indexing::Same, _) => format!("{path} is right: {what}"),
        (_, true) => format!("wrote {path}: {what}"),
        (_, false) => format!("dry run, nothing written; {path} would have {what}"),
    }];
    match &index.replaces {
        Indexing::Unreadable(why) => lines.push(format!("  the index that is there: {why}")),
        Indexing::Other { added, removed, moved } => {
            let changes = [("added", added), ("not in any file", removed), ("moved", moved)];
            for (change, keys) in changes {
                if !keys.is_empty() {
                    let number = count(keys.len(), "key");
                    lines.push(format!("  {number} {change}: {}", first_few(keys, NAMED)));
                }
            }
        }
        Indexing::Nothing | Indexing::Same => {}
    }
    if !index.left.is_empty() {
        lines.push(format!("note: not indexed: {}", first_few(&index.left, NAMED)));
    }
    if !index.others.is_empty() {
        let others = first_few(&index.others, NAMED);
        lines.push(format!("note: the folder has another index, which loaders may take: {others}"));
    }
    if request.job.dry_run && index.replaces != Indexing::Same {
        lines.push("to write it, leave --dry-run out".into());
    }
    lines
}
