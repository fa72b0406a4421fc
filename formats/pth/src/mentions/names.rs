//! What a plan makes of names, wherever they stand.

use std::collections::{HashMap, HashSet};

use statedict_core::{Catalog, SEPARATOR, Section, StateDict};

use crate::edit::Target;

/// Words in the paths of state dicts that are averages of a model beside them, with its names.
const AVERAGES: [&str; 5] = ["ema", "average", "averaged", "swa", "shadow"];

/// What becomes of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Becomes(String),
    Dropped,
    /// State dicts that share the name disagree, or one that is not renamed has it too.
    Ambiguous,
}

/// The names that a plan changes.
pub(super) struct Names<'a> {
    fates: HashMap<&'a str, Fate>,
    /// All keys that the plan speaks of.
    keys: HashSet<&'a str>,
    /// How many keys of a model are dropped, averages excepted.
    pub(super) dropped: usize,
}

impl<'a> Names<'a> {
    pub(super) fn of(catalog: &'a Catalog, targets: &[Target<'a, 'a>]) -> Names<'a> {
        let others: Vec<&StateDict> = catalog
            .state_dicts
            .iter()
            .filter(|it| !is_average(&it.at))
            .filter(|it| targets.iter().all(|target| target.state_dict.at != it.at))
            .filter(|it| !is_known_beside(&it.at))
            .collect();
        let mut names = Names { fates: HashMap::new(), keys: HashSet::new(), dropped: 0 };
        for Target { section, state_dict, .. } in targets {
            if !is_average(&state_dict.at) {
                names.dropped += section.dropped().count();
            }
            for (old, new) in section.fates() {
                names.keys.insert(old);
                let fate = match new {
                    Some(new) if new == old => continue,
                    _ if others.iter().any(|other| other.contains(old)) => Fate::Ambiguous,
                    Some(new) => Fate::Becomes(new.to_string()),
                    None => Fate::Dropped,
                };
                let known = names.fates.entry(old).or_insert_with(|| fate.clone());
                if *known != fate {
                    *known = Fate::Ambiguous;
                }
            }
        }
        names
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fates.is_empty()
    }

    /// What becomes of a text, if it is the name of a key that changes.
    pub(super) fn fate(&self, text: &str) -> Option<&Fate> {
        self.fates.get(text)
    }

    pub(super) fn is_key(&self, text: &str) -> bool {
        self.keys.contains(text)
    }

    /// What a key of a flattened optimizer state becomes: `state.fc.weight.exp_avg`.
    pub(super) fn flattened(&self, text: &str) -> Option<Fate> {
        let start = FLATTENED.iter().find(|start| text.starts_with(**start))?;
        let (name, option) = text.get(start.len()..)?.rsplit_once(SEPARATOR)?;
        Some(match self.fate(name)? {
            Fate::Becomes(new) => Fate::Becomes(format!("{start}{new}{SEPARATOR}{option}")),
            other => other.clone(),
        })
    }
}

/// What the keys of a flattened optimizer state begin with.
pub(super) const FLATTENED: [&str; 2] = ["state.", "param_groups."];

/// What a section makes of a name.
pub(super) fn within(section: &Section, text: &str) -> Option<Fate> {
    match section.fate(text)? {
        Some(new) if new == text => None,
        Some(new) => Some(Fate::Becomes(new.to_string())),
        None => Some(Fate::Dropped),
    }
}

/// What DeepSpeed keeps beside a model's state dict that names its keys.
pub(super) const BESIDE: [&str; 5] = [
    "param_shapes",
    "frozen_param_shapes",
    "shared_params",
    "buffer_names",
    "frozen_param_fragments",
];

fn is_known_beside(at: &str) -> bool {
    BESIDE.iter().any(|name| at.rsplit('/').next() == Some(name))
}

fn is_average(at: &str) -> bool {
    let words = at.split(|c: char| !c.is_ascii_alphanumeric());
    words.into_iter().any(|word| AVERAGES.contains(&word.to_ascii_lowercase().as_str()))
}
