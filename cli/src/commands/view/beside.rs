//! What lies beside the tensors: training state, shards, metadata.

use statedict::core::Value;
use statedict::jobs::list::Outcome;

use crate::commands::ls::payload::brief;
use crate::page::{Block, Entry};
use crate::terminal::text::{count, shell_path, size};

/// Entries of one block that are shown; `ls --payload` shows them all.
const MOST: usize = 2000;

/// How deep they may be nested on the page.
const DEEPEST: usize = 12;

/// Characters of a value that are shown.
const LONGEST: usize = 4000;

/// A block for each that there is something for.
pub(super) fn blocks(listed: &Outcome) -> Vec<Block> {
    let blocks = [training_state(listed), shards(listed), metadata(listed)];
    blocks.into_iter().flatten().collect()
}

fn training_state(listed: &Outcome) -> Option<Block> {
    let Some(Value::Map(all)) = &listed.payload else { return None };
    let mut room = MOST;
    let entries = entries(all, DEEPEST, &mut room);
    let more = (room == 0).then(|| {
        let file = shell_path(listed.checkpoint.path());
        format!("the first {MOST} values are shown; all: statedict ls --payload {file}")
    });
    (!entries.is_empty()).then_some(Block { title: "Training state", entries, more })
}

/// What is not a tensor, nor holds tensors alone.
fn entries(all: &[(String, Value)], depth: usize, room: &mut usize) -> Vec<Entry> {
    let mut shown = Vec::new();
    for (key, value) in all {
        if holds_tensors_alone(value) {
            continue;
        }
        if *room == 0 {
            break;
        }
        *room -= 1;
        shown.push(entry(key, value, depth, room));
    }
    shown
}

fn entry(key: &str, value: &Value, depth: usize, room: &mut usize) -> Entry {
    let below = match value {
        Value::Map(inner) if depth > 0 => entries(inner, depth - 1, room),
        Value::List(items) if depth > 0 && items.iter().any(is_map) => {
            let numbered = items.iter().enumerate().map(|(i, it)| (i.to_string(), it.clone()));
            entries(&numbered.collect::<Vec<_>>(), depth - 1, room)
        }
        _ => Vec::new(),
    };
    let value = match value {
        Value::Map(inner) if inner.len() == 1 => "1 entry".into(),
        Value::Map(inner) => format!("{} entries", inner.len()),
        Value::List(items) if items.iter().any(is_map) => count(items.len(), "item"),
        Value::Text(text) => text.chars().take(LONGEST).collect(),
        value => brief(value),
    };
    Entry { name: key.to_string(), value, below }
}

fn is_map(value: &Value) -> bool {
    matches!(value, Value::Map(_))
}

fn holds_tensors_alone(value: &Value) -> bool {
    match value {
        Value::Tensor => true,
        Value::Map(entries) => {
            !entries.is_empty() && entries.iter().all(|(_, it)| holds_tensors_alone(it))
        }
        _ => false,
    }
}

fn shards(listed: &Outcome) -> Option<Block> {
    let entries = listed.checkpoint.shards().into_iter().map(|shard| {
        let value = format!("{}, {}", size(shard.bytes), count(shard.tensors, "tensor"));
        Entry { name: shard.name, value, below: Vec::new() }
    });
    Block::bounded("Shards", entries, MOST)
}

fn metadata(listed: &Outcome) -> Option<Block> {
    let entries = listed.checkpoint.metadata().into_iter().map(|(name, value)| {
        let value = value.chars().take(LONGEST).collect();
        Entry { name, value, below: Vec::new() }
    });
    Block::bounded("Metadata", entries, MOST)
}
