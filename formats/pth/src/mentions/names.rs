//! What a plan makes of names, wherever they are.

use statedict_core::{Catalog, SEPARATOR, Section, StateDict};

use crate::target::Target;

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
    sections: Vec<&'a Section>,
    /// Models that are not renamed, whose names may be meant as well.
    others: Vec<&'a StateDict>,
    /// How many keys of a model are dropped, averages excepted.
    pub(super) dropped: usize,
}

impl<'a> Names<'a> {
    pub(super) fn of(catalog: &'a Catalog, targets: &[Target<'a, 'a>]) -> Names<'a> {
        let others = catalog.state_dicts.iter().filter(|it| {
            let is_target = targets.iter().any(|target| target.state_dict.path == it.path);
            !is_target && !is_average(&it.path) && !is_known_beside(&it.path)
        });
        let models = targets.iter().filter(|target| !is_average(&target.state_dict.path));
        Names {
            sections: targets.iter().map(|target| target.section).collect(),
            others: others.collect(),
            dropped: models.map(|target| target.section.dropped().count()).sum(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sections.iter().all(|section| section.keeps_names())
    }

    /// What becomes of a text, if it is the name of a key that changes.
    pub(super) fn fate(&self, text: &str) -> Option<Fate> {
        let mut fates = self.sections.iter().filter_map(|section| within(section, text));
        let first = fates.next()?;
        let is_ambiguous = fates.any(|other| other != first)
            || self.others.iter().any(|other| other.contains(text));
        Some(if is_ambiguous { Fate::Ambiguous } else { first })
    }

    pub(super) fn is_key(&self, text: &str) -> bool {
        self.sections.iter().any(|section| section.fate(text).is_some())
    }

    /// What a key of a flattened optimizer state becomes: `state.fc.weight.exp_avg`.
    pub(super) fn flattened(&self, text: &str) -> Option<Fate> {
        let start = FLATTENED.iter().find(|start| text.starts_with(**start))?;
        let (name, option) = text.get(start.len()..)?.rsplit_once(SEPARATOR)?;
        Some(match self.fate(name)? {
            Fate::Becomes(new) => Fate::Becomes(format!("{start}{new}{SEPARATOR}{option}")),
            other => other,
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
