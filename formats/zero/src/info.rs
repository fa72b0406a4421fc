//! What DeepSpeed writes down of how it cut tensors: `universal_checkpoint_info`.
//!
//! Lists of patterns say what a parameter is; since 0.19 a map beside them says where each piece of it
//! is, which needs no list.
//!
//! Source: `deepspeed/module_inject/layers.py` and `checkpoint/ds_to_universal.py`, 0.19.

use statedict_core::{Fault, Node};
use statedict_pth::SavedFile;

use crate::cutting::{Cutting, Rule};
use crate::patterns::Patterns;
use crate::pieces::{Map, Parts};
use crate::save::Save;

/// The entry of model states, and of optimizer states.
const INFO: &str = "universal_checkpoint_info";

/// The newest version of maps that is read.
const MAP_VERSION: u64 = 1;

/// What a save says of how it was cut.
pub(crate) struct Info<'a> {
    states: &'a SavedFile,
    /// With the reasons.
    unsupported: Patterns<&'a str>,
    maps: Patterns<Node<'a>>,
    copied: Patterns<()>,
    averaged: Patterns<()>,
    halves: Patterns<()>,
    parts: Patterns<Parts<'a>>,
    columns: Patterns<()>,
    vocabulary: Patterns<()>,
    /// How many rows of a vocabulary are no padding.
    pub(crate) vocabulary_rows: Option<u64>,
}

impl<'a> Info<'a> {
    /// What the files of the first rank say, if they say anything.
    ///
    /// # Errors
    /// A version that is not known, and patterns that are not read.
    pub(crate) fn of(first: &'a Save) -> Result<Option<Info<'a>>, Fault> {
        let model = first.models.first();
        let of_model = model.root().get(INFO).map(|info| (model, info));
        let Some((states, info)) = of_model.or_else(|| first.of_optimizer(INFO)) else {
            return Ok(None);
        };
        if !info.is_record() {
            return Ok(None);
        }
        let list = |key: &str| {
            let mut patterns = Patterns::default();
            for pattern in info.get(key).map(Node::items).unwrap_or_default() {
                patterns.add(states, pattern.text().unwrap_or_default(), ())?;
            }
            Ok::<_, Fault>(patterns)
        };
        Ok(Some(Info {
            states,
            unsupported: reasons(states, info)?,
            maps: maps(states, info)?,
            copied: list("tp_replicated_parameter_patterns")?,
            averaged: list("parameter_to_average_patterns")?,
            halves: list("parameter_with_2_sub_params_cat_dim_0")?,
            parts: parts(states, info)?,
            columns: list("parameter_with_row_parallelism_patterns")?,
            vocabulary: list("vocabulary_parameter_patterns")?,
            vocabulary_rows: info.get("original_vocab_size").and_then(Node::count),
        }))
    }

    /// True if it says of every parameter where its pieces are.
    pub(crate) fn draws_maps(&self) -> bool {
        !self.maps.is_empty()
    }

    /// True for a parameter that has a row for each word.
    ///
    /// # Errors
    /// Patterns that contradict each other.
    pub(crate) fn is_vocabulary(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.vocabulary.find(self.states, name)?.is_some())
    }

    /// The map of a parameter, if there is one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn map(&self, name: &str) -> Result<Option<Map>, Fault> {
        let Some(node) = self.maps.find(self.states, name)? else { return Ok(None) };
        let map = Map::read(*node);
        let map = map.map_err(|why| self.states.broken(format!("the map of '{name}': {why}")))?;
        // One that is drawn after ZeRO took a parameter's elements has none; the lists are right.
        Ok(Some(map).filter(Map::has_elements))
    }

    /// How a parameter was cut; none if it says nothing of it.
    ///
    /// # Errors
    /// One that DeepSpeed cannot join, and what is wrong with what it says.
    pub(crate) fn cutting(&self, name: &str) -> Result<Option<Cutting<'a>>, Fault> {
        if let Some(reason) = self.unsupported.find(self.states, name)? {
            let reason = reason.chars().take(300).collect::<String>();
            let what = format!("'{name}' cannot be joined, it says: {}", reason.escape_debug());
            return Err(Fault::Uncut { what, key: name.into() }.in_file(&self.states.name));
        }
        if let Some(map) = self.map(name)? {
            return Ok(Some(if map.is_copied() { Cutting::Copied } else { said(Rule::Map(map)) }));
        }
        let is =
            |patterns: &Patterns<()>| Ok::<_, Fault>(patterns.find(self.states, name)?.is_some());
        // An average is no tensor of the model unless there is nothing to average.
        if is(&self.copied)? || is(&self.averaged)? {
            return Ok(Some(Cutting::Copied));
        }
        if is(&self.halves)? {
            return Ok(Some(said(Rule::Halves)));
        }
        if let Some(parts) = self.parts.find(self.states, name)? {
            return Ok(Some(said(Rule::Parts(*parts))));
        }
        if is(&self.columns)? {
            return Ok(Some(said(Rule::Along(1))));
        }
        Ok(is(&self.vocabulary)?.then(|| said(Rule::Along(0))))
    }
}

fn said(rule: Rule<'_>) -> Cutting<'_> {
    Cutting::Shared { rule, is_said: true }
}

/// The parameters that DeepSpeed cannot join, with its reasons.
fn reasons<'a>(states: &'a SavedFile, info: Node<'a>) -> Result<Patterns<&'a str>, Fault> {
    let mut patterns = Patterns::default();
    let unsupported = info.get("autotp_unsupported_parameter_patterns");
    for (pattern, reason) in unsupported.map(|it| it.entries()).into_iter().flatten() {
        patterns.add(states, pattern.as_str(), reason.text().unwrap_or_default())?;
    }
    Ok(patterns)
}

/// The maps of parameters.
fn maps<'a>(states: &'a SavedFile, info: Node<'a>) -> Result<Patterns<Node<'a>>, Fault> {
    let mut patterns = Patterns::default();
    let Some(all) = info.get("affine_map") else { return Ok(patterns) };
    let version = all.get("version").map_or(Some(MAP_VERSION), Node::count);
    if version.is_none_or(|version| version > MAP_VERSION) {
        let version = version.map_or("none".into(), |version| version.to_string());
        let what =
            format!("its affine_map is of version {version}, and {MAP_VERSION} is the newest read");
        return Err(states.unsupported(what));
    }
    for (pattern, map) in all.get("params").map(|it| it.entries()).into_iter().flatten() {
        patterns.add(states, pattern.as_str(), map)?;
    }
    Ok(patterns)
}

/// The parameters that are several in one.
fn parts<'a>(states: &'a SavedFile, info: Node<'a>) -> Result<Patterns<Parts<'a>>, Fault> {
    let version = info.get("universal_checkpoint_version").and_then(Node::number).unwrap_or(0.0);
    let mut patterns = Patterns::default();
    for entry in info.get("parameter_with_sub_params").map(Node::items).unwrap_or_default() {
        for pattern in entry.get("patterns").map(Node::items).unwrap_or_default() {
            let pattern = pattern.text().unwrap_or_default();
            let widths = info.get("sub_param_shard_widths").and_then(|it| it.get(pattern));
            patterns.add(states, pattern, Parts { entry, widths, version })?;
        }
    }
    Ok(patterns)
}
