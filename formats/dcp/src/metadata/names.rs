//! Where in the pickle of the metadata the names of tensors are.

use std::rc::Rc;

use statedict_core::{Fault, IndexMap, IndexSet};

use crate::pickle::{Built, Kind, Node, Text, Value};

/// What a push of a text means.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Meaning {
    /// The name of something that was saved.
    Name(String),
    /// The last step of the path of what has this name.
    LastStep(String),
    /// Part of the path of the folder it was saved to.
    SavedTo,
}

/// What the pushes of texts mean, by their numbers; those that mean nothing of this are left out.
///
/// # Errors
/// Names in a place where they are not known to follow.
pub(crate) fn meanings(built: &Built) -> Result<IndexMap<u32, Meaning>, Fault> {
    let mut looking = Looking { built, found: IndexMap::default(), seen: IndexSet::default() };
    let Some(attributes) = looking.state(&built.root, "Metadata") else {
        return Err(Fault::broken("expected a Metadata"));
    };
    for (attribute, value) in looking.entries(&attributes) {
        match looking.text(&attribute) {
            Some("state_dict_metadata") => looking.keys(&value),
            Some("planner_data") => looking.paths(&value),
            Some("mcore_data") if !looking.entries(&value).is_empty() => {
                let what = "the metadata has the names a further time, for an older Megatron-Core";
                return Err(Fault::Unsupported(what.into()));
            }
            _ => {}
        }
    }
    looking.indexes(&built.root);
    Ok(looking.found)
}

struct Looking<'b> {
    built: &'b Built,
    found: IndexMap<u32, Meaning>,
    /// Nodes that were looked into.
    seen: IndexSet<*const Node>,
}

impl Looking<'_> {
    fn text(&self, value: &Value) -> Option<&str> {
        match value {
            Value::Text(text) => Some(self.built.names.text(text.id)),
            _ => None,
        }
    }

    fn note(&mut self, value: &Value, meaning: impl FnOnce(String) -> Meaning) {
        if let Value::Text(Text { id, push }) = value {
            let text = self.built.names.text(*id).to_string();
            self.found.insert(*push, meaning(text));
        }
    }

    fn entries(&self, value: &Value) -> Vec<(Value, Value)> {
        let Value::Node(node) = value else { return Vec::new() };
        match &*node.kind() {
            Kind::Dict(entries, _) => entries.clone(),
            _ => Vec::new(),
        }
    }

    /// The attributes of an object of a class of this name.
    fn state(&self, value: &Value, class: &str) -> Option<Value> {
        let Value::Node(node) = value else { return None };
        match &*node.kind() {
            Kind::Object { class: own, state, .. }
                if self.built.names.global(*own).rsplit('.').next() == Some(class) =>
            {
                Some(state.clone())
            }
            _ => None,
        }
    }

    /// The keys of a mapping are names.
    fn keys(&mut self, mapping: &Value) {
        for (key, _) in self.entries(mapping) {
            self.note(&key, Meaning::Name);
        }
    }

    /// The keys of a mapping are names, and its values their paths.
    fn paths(&mut self, mapping: &Value) {
        for (key, path) in self.entries(mapping) {
            self.note(&key, Meaning::Name);
            let (Some(name), Value::Node(path)) = (self.text(&key).map(String::from), &path) else {
                continue;
            };
            if let Kind::Sequence(steps) = &*path.kind()
                && let Some(last) = steps.last()
            {
                self.note(last, |_| Meaning::LastStep(name));
            }
        }
    }

    /// The names in every index, wherever it is, and where the folder was.
    fn indexes(&mut self, value: &Value) {
        let Value::Node(node) = value else { return };
        if !self.seen.insert(Rc::as_ptr(node)) {
            return;
        }
        if let Some(state) = self.state(value, "MetadataIndex") {
            for (attribute, name) in self.entries(&state) {
                if self.text(&attribute) == Some("fqn") {
                    self.note(&name, Meaning::Name);
                }
            }
        }
        if let Some(state) = self.state(value, "StorageMeta") {
            for (attribute, path) in self.entries(&state) {
                if self.text(&attribute) == Some("checkpoint_id") {
                    self.saved_to(&path);
                }
            }
        }
        match &*node.kind() {
            Kind::Sequence(items) => items.iter().for_each(|item| self.indexes(item)),
            Kind::Chunks(_) | Kind::Stored(..) => {}
            Kind::Dict(entries, _) => entries.iter().for_each(|(key, value)| {
                self.indexes(key);
                self.indexes(value);
            }),
            Kind::Object { args, state, .. } => {
                args.iter().for_each(|item| self.indexes(item));
                self.indexes(state);
            }
        }
    }

    /// A path, as a text or as one of `pathlib`.
    fn saved_to(&mut self, path: &Value) {
        self.note(path, |_| Meaning::SavedTo);
        let Value::Node(node) = path else { return };
        if let Kind::Object { args, .. } = &*node.kind() {
            args.iter().for_each(|part| self.note(part, |_| Meaning::SavedTo));
        }
    }
}
