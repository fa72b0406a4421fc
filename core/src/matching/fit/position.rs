//! Partners by place alone, as `myOwnLoad` pairs them, made safe.

use alloc::vec::Vec;

use crate::Template;
use crate::matching::fit::NotFitted;
use crate::matching::fit::matcher::{Matcher, is_counter};
use crate::matching::fit::options::Reason;

impl Matcher<'_> {
    /// Settles keys place by place; target keys that are initialised take no part, and neither do
    /// batch counters where the source has none.
    pub(super) fn settle_by_position(&mut self, made: &[Template]) -> Result<(), NotFitted> {
        let lacks_counters = !self.sources.iter().any(is_counter);
        let mut targets = Vec::new();
        for (at, item) in self.targets.iter().enumerate() {
            let is_made = made.iter().any(|pattern| pattern.matches(item.key));
            if !(is_made || lacks_counters && is_counter(item)) {
                targets.push(at);
            }
        }
        if targets.len() != self.sources.len() {
            return Err(NotFitted::Counts { from: self.sources.len(), to: targets.len() });
        }
        for (source, target) in targets.into_iter().enumerate() {
            self.settle(source, target, Reason::Position);
        }
        Ok(())
    }
}
