//! The keys that were to be loaded, those that the model wants, and what a rule would leave.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{
    Catalog, IndexSet, Policy, Rule, StateDict, Undefined, Unmatched, explain::Mismatch, plan,
};

/// What batch norms count their batches in, and what they count for.
pub(super) const COUNTER: &str = "num_batches_tracked";
const COUNTED: &str = "running_mean";

/// One state dict against what the model wants.
pub(super) struct LoadContext<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) state_dict: &'a StateDict,
    /// Keys that the model lacks, as far as that is known: those to rename.
    pub(super) sources: Vec<&'a str>,
    /// Keys that the model has and the state dict lacks.
    pub(super) wanted: IndexSet<&'a str>,
    /// Keys that both have and a rule must leave, as far as that is known.
    common: IndexSet<&'a str>,
    /// True if keys may remain that the message does not name.
    pub(super) is_open: bool,
    /// True if the state dict is a file's, and not reconstructed from the message.
    pub(super) is_held: bool,
    /// Keys that the message reports as unexpected.
    unexpected_keys: IndexSet<&'a str>,
}

/// What a rule would leave undone.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Left {
    /// Keys of the model without a tensor.
    pub(super) missing: Vec<String>,
    /// Keys that the model does not know.
    pub(super) unexpected: Vec<String>,
}

impl<'a> LoadContext<'a> {
    /// A state dict of which the message reports these keys as unexpected.
    pub(super) fn new(
        catalog: &'a Catalog,
        state_dict: &'a StateDict,
        mismatch: &'a Mismatch,
    ) -> LoadContext<'a> {
        let named: IndexSet<&str> = mismatch.unexpected.iter().map(String::as_str).collect();
        let unexpected: IndexSet<&str> =
            state_dict.keys().filter(|key| named.contains(key)).collect();
        LoadContext::of(catalog, state_dict, mismatch, &unexpected)
    }

    /// A state dict that was not loaded by itself, so that all of its keys may be the model's.
    pub(super) fn inside(
        catalog: &'a Catalog,
        state_dict: &'a StateDict,
        mismatch: &'a Mismatch,
    ) -> LoadContext<'a> {
        let wanted: IndexSet<&str> = mismatch.missing.iter().map(String::as_str).collect();
        let others = state_dict.keys().filter(|key| !wanted.contains(key));
        let unexpected = others.collect();
        let mut scene = LoadContext::of(catalog, state_dict, mismatch, &unexpected);
        scene.wanted = wanted;
        scene
    }

    fn of(
        catalog: &'a Catalog,
        state_dict: &'a StateDict,
        mismatch: &'a Mismatch,
        unexpected: &IndexSet<&'a str>,
    ) -> LoadContext<'a> {
        let (sources, common): (Vec<_>, Vec<_>) =
            state_dict.keys().partition(|key| mismatch.is_cut || unexpected.contains(key));
        let common = common.into_iter().collect();
        let wanted = mismatch.missing.iter().map(String::as_str).collect();
        let is_open = mismatch.is_cut;
        let unexpected_keys = mismatch.unexpected.iter().map(String::as_str).collect();
        LoadContext {
            catalog,
            state_dict,
            sources,
            wanted,
            common,
            is_open,
            is_held: false,
            unexpected_keys,
        }
    }

    /// What is left undone if nothing is renamed.
    pub(super) fn untouched(&self) -> Left {
        let names: IndexSet<&str> = self.state_dict.keys().collect();
        self.left(&names)
    }

    /// What a rule leaves undone; `None` if it cannot be, or takes away what the model has.
    pub(super) fn judge(&self, rule: &Rule, undefined: Undefined) -> Option<Left> {
        let policy = Policy { undefined, unmatched: Unmatched::Allow };
        let rules = [rule.clone()];
        let planned = plan(&rules, self.catalog, &[self.state_dict], policy).ok()?;
        let section = planned.plan.sections().first()?;
        let names: IndexSet<&str> = section.kept().map(|(_, new)| new).collect();
        let keeps_common = self.common.iter().all(|key| names.contains(key));
        keeps_common.then(|| self.left(&names))
    }

    fn left(&self, names: &IndexSet<&str>) -> Left {
        let missing = self.wanted.iter().filter(|key| !names.contains(*key));
        let has = |name: &str| self.wanted.contains(name) || self.common.contains(name);
        // PyTorch fills a counter that is missing without a word, so no message says that it is wanted.
        let is_counted = |name: &str| {
            name.strip_suffix(COUNTER).is_some_and(|path| has(&format!("{path}{COUNTED}")))
        };
        let unknown = names.iter().filter(|name| !has(name) && !is_counted(name));
        // Where the message may omit keys, only those known as unexpected count.
        let unexpected =
            unknown.filter(|name| !self.is_open || self.unexpected_keys.contains(**name));
        Left {
            missing: missing.map(ToString::to_string).collect(),
            unexpected: unexpected.map(ToString::to_string).collect(),
        }
    }

    /// Keys that both have.
    pub(super) fn common(&self) -> impl Iterator<Item = &'a str> {
        self.common.iter().copied()
    }
}

impl Left {
    /// True if nothing is left.
    pub(super) fn is_nothing(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty()
    }

    /// How much is left, what is missing first.
    pub(super) fn amount(&self) -> (usize, usize) {
        (self.missing.len(), self.unexpected.len())
    }
}
