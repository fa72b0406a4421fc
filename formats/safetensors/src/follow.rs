//! Names of tensors and layers in `__metadata__`, and what a renaming makes of them.
//!
//! Two kinds are known: ties, recorded as `alias: kept`, and the layers that
//! `_quantization_metadata` lists in a text of JSON.

use std::ops::Range;

use statedict_core::{Mentions, Section};

use crate::header::{Header, METADATA, Pair, object, string};
use crate::text::{apply, quoted};
use crate::ties::Ties;

/// The key of the text that lists quantized layers, and the member that does.
const QUANTIZATION: &str = "_quantization_metadata";
const LAYERS: &str = "layers";

/// What becomes of the names in `__metadata__`.
pub(crate) struct Following<'a> {
    section: &'a Section,
    ties: Ties<'a>,
}

impl<'a> Following<'a> {
    pub(crate) fn new(header: &'a Header<'_>, section: &'a Section) -> Following<'a> {
        Following { section, ties: Ties::new(header, section) }
    }

    /// The key and value that a pair gets; `None` for one that stays as it is.
    pub(crate) fn follow(&self, pair: &Pair) -> Option<(String, String)> {
        if pair.key.decoded == QUANTIZATION {
            let layers = Layers::of(&pair.value.decoded, self.section)?;
            return (layers.changed > 0).then(|| (QUANTIZATION.to_string(), layers.text));
        }
        self.ties.follow(pair)
    }

    /// The pairs as the renaming makes them.
    pub(crate) fn pairs(&self, header: &Header<'_>) -> Vec<(String, String)> {
        header.metadata().iter().map(|pair| self.pair(pair)).collect()
    }

    /// The pair as the renaming makes it, changed or not.
    pub(crate) fn pair(&self, pair: &Pair) -> (String, String) {
        self.follow(pair).unwrap_or_else(|| (pair.key.decoded.clone(), pair.value.decoded.clone()))
    }

    /// The names of changed keys in `__metadata__`.
    pub(crate) fn mentions(&self, header: &Header<'_>) -> Mentions {
        let mut mentions = Mentions::default();
        for pair in header.metadata() {
            let (key, value) = (pair.key.decoded.as_str(), pair.value.decoded.as_str());
            let place = format!("{METADATA}/{key}");
            if let Some(layers) = Layers::of(value, self.section).filter(|_| key == QUANTIZATION) {
                mentions.followed.add(&place, layers.changed);
            } else if self.ties.follow(pair).is_some() {
                mentions.followed.add(METADATA, 1);
            } else {
                mentions.not_followed.add(METADATA, usize::from(self.is_changed(key)));
                mentions.not_followed.add(&place, self.names_in(value));
            }
        }
        mentions
    }

    /// How many names of changed keys a text holds: itself, or strings of its JSON.
    fn names_in(&self, text: &str) -> usize {
        if text.trim_start().starts_with(['[', '{']) {
            serde_json::from_str(text).map_or(0, |json| self.names_in_json(&json))
        } else {
            usize::from(self.is_changed(text))
        }
    }

    fn names_in_json(&self, json: &serde_json::Value) -> usize {
        use serde_json::Value::{Array, Object, String};
        match json {
            String(text) => usize::from(self.is_changed(text)),
            Array(items) => items.iter().map(|item| self.names_in_json(item)).sum(),
            Object(members) => members
                .iter()
                .map(|(key, value)| usize::from(self.is_changed(key)) + self.names_in_json(value))
                .sum(),
            _ => 0,
        }
    }

    /// True for the name of a key that changes; a single word may mean anything.
    fn is_changed(&self, text: &str) -> bool {
        text.contains('.') && self.section.fate(text).is_some_and(|new| new != Some(text))
    }
}

/// A list of quantized layers under new names.
struct Layers {
    text: String,
    changed: usize,
}

impl Layers {
    /// `None` if the text is not such a list.
    fn of(text: &str, section: &Section) -> Option<Layers> {
        let members = object(text, 0..text.len(), QUANTIZATION).ok()?;
        let named = |token: &Range<usize>| string(text, token.clone(), QUANTIZATION).ok();
        let (_, list) = members.iter().find(|(key, _)| named(key).as_deref() == Some(LAYERS))?;
        let layers = object(text, list.clone(), QUANTIZATION).ok()?;
        let names: Vec<String> = layers.iter().map(|(key, _)| named(key)).collect::<Option<_>>()?;
        let fates = section.modules(&names).fates;
        let first = fates.iter().position(|(_, new)| new.is_some()).unwrap_or(usize::MAX);
        let mut edits = Vec::new();
        for (i, (old, new)) in fates.iter().enumerate() {
            let (key, value) = &layers[i];
            match new {
                Some(new) if new == old => {}
                Some(new) => edits.push((key.clone(), quoted(new))),
                // With the comma before it, or after it if it is in front.
                None if first < i => edits.push((layers[i - 1].1.end..value.end, String::new())),
                None => {
                    let end = layers.get(i + 1).map_or(value.end, |(next, _)| next.start);
                    edits.push((key.start..end, String::new()));
                }
            }
        }
        let changed = edits.len();
        Some(Layers { text: apply(text, &edits), changed })
    }
}

#[cfg(test)]
mod tests {
    use statedict_core::{Catalog, Policy, Rule, plan};

    use super::*;

    /// What becomes of a list of layers under a rule; each has a weight.
    fn check(layers: &str, keys: &[&str], rule: &str, expected: &str) {
        let catalog = Catalog::of_keys(keys).expect("unique");
        let rule: Rule = rule.parse().expect("a rule");
        let selected = catalog.select(None).expect("one state dict");
        let planned = plan(&[rule], &catalog, &selected, Policy::default()).expect("a plan");
        let section = planned.plan.section("").expect("one section");
        let text = format!(r#"{{"format_version": "1.0", "layers": {layers}}}"#);
        let found = Layers::of(&text, section).expect("a list").text;
        assert_eq!(found, format!(r#"{{"format_version": "1.0", "layers": {expected}}}"#));
    }

    #[test]
    fn layers_follow_their_weights_and_all_else_stays_byte_for_byte() {
        let keys = ["m.a.weight", "m.b.weight", "norm.weight"];
        let layers = r#"{"m.a": {"format" : "f8"},  "m.b": {}}"#;
        check(layers, &keys, "strip:m", r#"{"a": {"format" : "f8"},  "b": {}}"#);
        check(layers, &keys, "drop:m.a.**", r#"{"m.b": {}}"#);
        check(layers, &keys, "drop:m.b.**", r#"{"m.a": {"format" : "f8"}}"#);
        check(layers, &keys, "keep:norm.**", "{}");
        check(layers, &keys, "rename:{m..}.weight -> {m..}.w", layers);
    }
}
