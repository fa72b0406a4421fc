//! `index`: the index of a folder of shards, made or mended.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;
use statedict_checkpoint::{Disk, Existing, Indexing, NewIndex, System, index_folder};

use crate::failure::Failure;
use crate::json::path_bytes;
use crate::terminal::text::{count, first_few, say, size};
use crate::terminal::{OutputFormat, Verbosity};

/// Things of one kind that a line names; the rest is counted.
const NAMED: usize = 6;

/// The folder, and what to do with an index that is there.
pub(crate) struct IndexRequest {
    pub(crate) folder: PathBuf,
    /// The shards; none for those that are named as such.
    pub(crate) files: Vec<String>,
    pub(crate) existing: Existing,
    pub(crate) writing: Writing,
    pub(crate) form: OutputFormat,
    pub(crate) talk: Verbosity,
}

/// Whether the index is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    Done,
    Shown,
}

/// The object of `index --json`.
#[derive(Serialize)]
struct Object<'a> {
    index: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    index_bytes: Option<String>,
    written: bool,
    state: &'static str,
    files: &'a [String],
    keys: usize,
    total_size: u64,
    added: &'a [String],
    removed: &'a [String],
    moved: &'a [String],
    not_indexed: &'a [String],
    other_indexes: &'a [String],
}

pub(crate) fn run(request: &IndexRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let index = index_folder(&request.folder, &request.files)?;
    let is_wanted = request.writing == Writing::Done && index.replaces != Indexing::Same;
    let is_blocked = index.replaces != Indexing::Nothing && request.existing == Existing::Refuse;
    let written = is_wanted && !is_blocked;
    if written {
        let disk: Arc<dyn Disk> = Arc::new(System);
        index.stage(request.existing, &disk)?.commit()?;
    }
    if request.form == OutputFormat::Json {
        let object = Object::of(&index, written);
        serde_json::to_writer(&mut *out, &object).map_err(io::Error::from)?;
        writeln!(out)?;
        out.flush()?;
    }
    if request.talk == Verbosity::All {
        lines(&index, request, written).iter().for_each(|line| say(line));
    }
    if is_wanted && is_blocked {
        let error = format!("cannot write '{}': it exists already", index.path.display());
        return Err(Failure::could_not(error).hint("add --force to replace it"));
    }
    Ok(())
}

/// What was done or would be, and what it changes.
fn lines(index: &NewIndex, request: &IndexRequest, written: bool) -> Vec<String> {
    let (keys, files) = (count(index.keys, "key"), count(index.files.len(), "file"));
    let path = index.path.display();
    let what = format!("{keys} in {files}, {}", size(index.total_size));
    let mut lines = vec![match (&index.replaces, written) {
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
    if request.writing == Writing::Shown && index.replaces != Indexing::Same {
        lines.push("to write it, leave --dry-run out".into());
    }
    lines
}

impl<'a> Object<'a> {
    fn of(index: &'a NewIndex, written: bool) -> Object<'a> {
        let (added, removed, moved) = match &index.replaces {
            Indexing::Other { added, removed, moved } => (&added[..], &removed[..], &moved[..]),
            _ => (&[][..], &[][..], &[][..]),
        };
        Object {
            index: index.path.display().to_string(),
            index_bytes: path_bytes(&index.path),
            written,
            state: match &index.replaces {
                Indexing::Nothing => "none",
                Indexing::Same => "same",
                Indexing::Unreadable(_) => "unreadable",
                Indexing::Other { .. } => "other",
            },
            files: &index.files,
            keys: index.keys,
            total_size: index.total_size,
            added,
            removed,
            moved,
            not_indexed: &index.left,
            other_indexes: &index.others,
        }
    }
}
