//! Partners beside others: `X.alpha` goes where `X.lora_down` and `X.lora_up` went.

use alloc::vec::Vec;

use crate::IndexMap;
use crate::matching::fit::Reason;
use crate::matching::fit::matcher::{Matcher, is_counter};
use crate::matching::renames::Moves;

impl Matcher<'_> {
    /// Settles keys of one name in modules whose other parameters belong together.
    pub(super) fn settle_siblings(&mut self) {
        if !self.is_open() {
            return;
        }
        let found = self.beside();
        for (source, target) in found {
            self.settle(source, target, Reason::Sibling);
        }
    }

    fn beside(&self) -> Vec<(usize, usize)> {
        let names = self.pairs.iter().map(|(source, target, _)| {
            (self.sources[*source].name.as_str(), self.targets[*target].name.as_str())
        });
        let (there, back) = (Moves::of(names.clone()), Moves::of(names.map(|(a, b)| (b, a))));
        let targets: IndexMap<&str, usize> =
            self.open_targets().map(|(at, item)| (item.name.as_str(), at)).collect();
        let sources = self.open_sources().filter(|(_, item)| !is_counter(item));
        let pairs = sources.filter_map(|(at, item)| {
            let target = there.sibling(&item.name)?;
            let found = *targets.get(target.as_str())?;
            let is_mutual = back.sibling(&target).is_some_and(|own| own == item.name);
            (is_mutual && self.agree(at, found)).then_some((at, found))
        });
        pairs.collect()
    }
}
