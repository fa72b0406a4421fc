//! From the paths of what was saved to the mappings that hold it.

use std::sync::Arc;

use statedict_core::{
    Catalog, DuplicateKey, IndexMap, Key, Payload, StateDict, Tensor, TensorEntry, Value,
};

use crate::metadata::Step;

/// What objects are, as long as nobody looks into them.
const OBJECT: &str = "object";

/// The mappings and lists of a nested state dict, by their paths.
#[derive(Default)]
pub(crate) struct Tree {
    catalog: Catalog,
    levels: IndexMap<Arc<str>, Level>,
}

/// A mapping or list.
#[derive(Default)]
struct Level {
    /// Its keys that are texts, with the rows of those that are tensors.
    keys: IndexMap<Arc<str>, Option<usize>>,
    is_list: bool,
}

impl Step {
    fn key(&self) -> Key {
        match self {
            Step::Key(text) => Key::Text(text.clone()),
            Step::Index(index) => Key::Other(index.to_string().into()),
        }
    }
}

/// A path as it is shown.
pub(crate) fn joined(path: &[Step]) -> String {
    let steps = path.iter().map(|step| step.key().to_string());
    steps.collect::<Vec<_>>().join("/")
}

impl Tree {
    /// Adds a tensor.
    ///
    /// # Errors
    /// Another thing at its path.
    pub(crate) fn add_tensor(&mut self, path: &[Step], tensor: Tensor) -> Result<(), DuplicateKey> {
        let row = self.catalog.rows.len();
        let (path, key) = self.add(path, Some(row))?;
        self.catalog.rows.push(TensorEntry { path, key, tensor });
        Ok(())
    }

    /// Adds something else.
    ///
    /// # Errors
    /// Another thing at its path.
    pub(crate) fn add_object(&mut self, path: &[Step]) -> Result<(), DuplicateKey> {
        self.add(path, None)?;
        let path = joined(path);
        self.catalog.payload.push(Payload { path, kind: OBJECT.into() });
        Ok(())
    }

    /// Adds the last step of a path to the level that the others lead to.
    fn add(&mut self, path: &[Step], row: Option<usize>) -> Result<(Arc<str>, Key), DuplicateKey> {
        let (last, above) = path
            .split_last()
            .map_or((Key::Text("".into()), path), |(last, above)| (last.key(), above));
        let mut at: Arc<str> = "".into();
        for (depth, step) in above.iter().enumerate() {
            let level = self.levels.entry(at.clone()).or_default();
            level.is_list |= matches!(step, Step::Index(_));
            if let Step::Key(key) = step {
                level.keys.entry(key.clone()).or_insert(None);
            }
            at = joined(&path[..=depth]).into();
        }
        let level = self.levels.entry(at.clone()).or_default();
        match &last {
            Key::Text(key) => {
                if level.keys.insert(key.clone(), row).is_some() {
                    return Err(DuplicateKey(joined(path)));
                }
            }
            Key::Other(_) => level.is_list = true,
        }
        Ok((at, last))
    }

    /// What all of it is.
    pub(crate) fn into_catalog(self) -> Catalog {
        let Tree { mut catalog, levels } = self;
        for (path, level) in levels {
            if !path.is_empty() {
                let kind = if level.is_list { "list" } else { "dict" };
                catalog.payload.push(Payload { path: path.to_string(), kind: kind.into() });
            }
            if level.keys.values().any(Option::is_some) {
                let mut state_dict = StateDict::of_keys(level.keys.keys().cloned());
                state_dict.path = path.to_string();
                for (key, row) in &level.keys {
                    row.iter().for_each(|row| state_dict.set_row(key, *row));
                }
                catalog.state_dicts.push(state_dict);
            }
        }
        catalog
    }
}

/// Values at paths, put into each other.
#[derive(Default)]
pub(crate) struct Nested {
    parts: IndexMap<Step, Nested>,
    value: Option<Value>,
}

impl Nested {
    /// Puts a value at a path.
    pub(crate) fn place(&mut self, path: &[Step], value: Value) {
        let mut at = self;
        for step in path {
            at = at.parts.entry(step.clone()).or_default();
        }
        at.value = Some(value);
    }

    /// All of them as one value; lists are shown as mappings from numbers, since some of their items
    /// may be missing.
    pub(crate) fn into_value(self) -> Value {
        if let Some(value) = self.value {
            return value;
        }
        let part = |(step, part): (Step, Nested)| (step.key().to_string(), part.into_value());
        Value::Map(self.parts.into_iter().map(part).collect())
    }
}
