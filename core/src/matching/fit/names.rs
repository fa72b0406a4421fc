//! Partners with the same name, as it is or without wrappers.

use alloc::string::String;

use crate::IndexMap;
use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::options::Reason;

impl Matcher<'_> {
    /// Settles the keys that both sides have.
    pub(super) fn settle_same(&mut self) {
        self.settle_by(Reason::SameName, |item| item.key.into());
    }

    /// Settles the keys that are the same without wrappers, and with PyTorch's names for
    /// parameters.
    pub(super) fn settle_unwrapped(&mut self) {
        self.settle_by(Reason::Wrapper, |item| item.name.clone());
    }

    /// Settles those that one of each side has the name of.
    fn settle_by(&mut self, reason: Reason, name: impl Fn(&Item) -> String) {
        let targets = only(self.open_targets(), &name);
        let sources = only(self.open_sources(), &name);
        for (name, source) in sources {
            if let (Some(source), Some(Some(target))) = (source, targets.get(&name)) {
                self.settle(source, *target, reason.clone());
            }
        }
    }
}

/// The items by name; none where several have it.
pub(super) fn only<'s, 'a: 's>(
    items: impl Iterator<Item = (usize, &'s Item<'a>)>,
    name: impl Fn(&Item) -> String,
) -> IndexMap<String, Option<usize>> {
    let mut found = IndexMap::default();
    for (at, item) in items {
        found.entry(name(item)).and_modify(|only| *only = None).or_insert(Some(at));
    }
    found
}
