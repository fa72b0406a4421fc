//! Metadata of several files and their index as one, and back.
//!
//! What all files say that say it is one entry; where they differ, the name of each file is in
//! front, `model-00002-of-00003.safetensors/author`, and so does the index's where it differs.

use serde_json::{Map, Value};
use statedict_core::{IndexMap, MetadataChange};

use crate::shards::index::TOTALS;

/// A file of a sharded checkpoint, or its index, with what it says of itself.
pub(super) struct Voice<'a> {
    pub(super) file: &'a str,
    pub(super) metadata: Vec<(String, String)>,
}

/// The metadata of all files.
pub(super) fn joined(voices: &[Voice<'_>]) -> Vec<(String, String)> {
    let mut said = IndexMap::<&str, Vec<(&str, &str)>>::default();
    for Voice { file, metadata } in voices {
        for (key, value) in metadata {
            said.entry(key).or_default().push((file, value));
        }
    }
    let mut joined = Vec::new();
    for (key, said) in said {
        let agreed = said.windows(2).all(|pair| pair[0].1 == pair[1].1);
        if agreed {
            joined.extend(said.first().map(|(_, value)| (key.to_string(), (*value).to_string())));
        } else {
            joined.extend(
                said.into_iter().map(|(file, value)| (format!("{file}/{key}"), value.to_string())),
            );
        }
    }
    joined
}

/// What changes of joined metadata are for one of the files: those under its own name, and those
/// under none, where the file has the key or no file has.
pub(super) fn of_file(
    changes: &[MetadataChange],
    voice: &Voice<'_>,
    voices: &[Voice<'_>],
) -> Vec<MetadataChange> {
    let is_of_another = |key: &str| {
        voices
            .iter()
            .any(|voice| key.strip_prefix(voice.file).is_some_and(|rest| rest.starts_with('/')))
    };
    let change = |change: &MetadataChange| {
        let named = change.key.strip_prefix(voice.file).and_then(|key| key.strip_prefix('/'));
        let key = match named {
            Some(key) => key,
            None if is_of_another(&change.key) => return None,
            None => change.key.as_str(),
        };
        let own = voice.metadata.iter().find(|(own, _)| own == key);
        let old = own.map(|(_, value)| value.clone());
        let is_new = change.new.is_some() && change.old.is_none();
        if (old.is_none() && !is_new) || old == change.new {
            return None;
        }
        Some(MetadataChange { key: key.to_string(), old, new: change.new.clone() })
    };
    changes.iter().filter_map(change).collect()
}

/// What an index says beside its totals, other values than texts as JSON.
pub(super) fn of_index(metadata: &Map<String, Value>) -> Vec<(String, String)> {
    let own = metadata.iter().filter(|(key, _)| !TOTALS.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Makes changes of what an index says.
pub(super) fn change_index(metadata: &mut Map<String, Value>, changes: &[MetadataChange]) {
    for change in changes {
        match &change.new {
            Some(new) => metadata.insert(change.key.clone(), Value::String(new.clone())),
            None => metadata.remove(&change.key),
        };
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    fn voices() -> Vec<Voice<'static>> {
        vec![
            Voice { file: "1", metadata: pairs(&[("format", "pt"), ("a", "x")]) },
            Voice { file: "2", metadata: pairs(&[("format", "pt"), ("a", "y")]) },
        ]
    }

    #[test]
    fn what_files_agree_on_is_one_entry() {
        assert_eq!(joined(&voices()), pairs(&[("format", "pt"), ("1/a", "x"), ("2/a", "y")]));
    }

    #[test]
    fn each_file_gets_the_changes_that_are_its_own() {
        let voices = voices();
        let mut wanted = joined(&voices);
        wanted.retain(|(key, _)| key != "format");
        wanted[1].1 = "z".into();
        wanted.push(("new".into(), "1".into()));
        let changes = MetadataChange::between(&joined(&voices), &wanted);
        let of = |place: usize| {
            let voice = &voices[place];
            MetadataChange::apply(&of_file(&changes, voice, &voices), voice.metadata.clone())
        };
        assert_eq!(of(0), pairs(&[("a", "x"), ("new", "1")]));
        assert_eq!(of(1), pairs(&[("a", "z"), ("new", "1")]));
    }
}
