//! The index of a folder, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::checkpoint::Indexing;
use statedict::jobs::index::Outcome;

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, path_bytes, put};

/// The object of `index --json`.
#[derive(Serialize)]
struct Object<'a> {
    schema_version: u32,
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

/// One object that says what was done.
pub(crate) fn outcome(outcome: &Outcome, out: &mut dyn Write) -> Result<(), Failure> {
    put(&Object::of(outcome), out)?;
    Ok(writeln!(out)?)
}

impl<'a> Object<'a> {
    fn of(outcome: &'a Outcome) -> Object<'a> {
        let Outcome { index, written, .. } = outcome;
        let (added, removed, moved) = match &index.replaces {
            Indexing::Other { added, removed, moved } => (&added[..], &removed[..], &moved[..]),
            _ => (&[][..], &[][..], &[][..]),
        };
        Object {
            schema_version: SCHEMA_VERSION,
            index: index.path.display().to_string(),
            index_bytes: path_bytes(&index.path),
            written: *written,
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
