//! Keys of both sides while partners are sought for them.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::options::{FitOptions, Reason, TargetTensor};
use crate::matching::fit::plain::plain;
use crate::matching::fit::uncertain::Uncertain;
use crate::sorting;
use crate::{DType, IndexSet, SEPARATOR, Tensor, diff::Side};

/// What `nn.BatchNorm` counts its batches in, which old checkpoints lack.
pub(super) const COUNTER: &str = "num_batches_tracked";

/// A tensor of one side.
pub(super) struct Item<'a> {
    pub(super) key: &'a str,
    /// The position among its side's keys.
    place: usize,
    /// The key without wrappers, and with PyTorch's name for its last segment.
    pub(super) name: String,
    pub(super) tensor: &'a Tensor,
    /// The position of the other side's item that it belongs to, if one was found.
    pub(super) partner: Option<usize>,
    /// True if what its name says is doubtful; no other partner is sought then.
    pub(super) is_doubtful: bool,
}

impl Item<'_> {
    /// What the target wants of it.
    pub(super) fn wanted(&self) -> TargetTensor {
        TargetTensor::new(self.key, self.tensor)
    }
}

/// Both sides, and what was found so far.
pub(super) struct Matcher<'a> {
    pub(super) sources: Vec<Item<'a>>,
    pub(super) targets: Vec<Item<'a>>,
    /// Positions of those that belong together: source, target.
    pub(super) pairs: Vec<(usize, usize, Reason)>,
    /// Positions of those that would, if their shapes were the same.
    pub(super) misfits: Vec<(usize, usize)>,
    /// Source keys that are to be skipped.
    pub(super) skipped: Vec<String>,
    /// Keys that would belong together, if their elements were certain to be the same.
    pub(super) uncertain: Vec<Uncertain>,
}

impl<'a> Matcher<'a> {
    /// The tensors of both sides, without those to be skipped.
    pub(super) fn new(source: Side<'a>, target: Side<'a>, options: &FitOptions) -> Matcher<'a> {
        let mut sources = items(source);
        let mut skipped: Vec<String> = Vec::new();
        sources.retain(|item| {
            let is_dropped = options.drop.iter().any(|pattern| pattern.matches(item.key));
            if is_dropped {
                skipped.push(item.key.into());
            }
            !is_dropped
        });
        let rest = sources.len().saturating_sub(options.drop_last);
        skipped.extend(sources.drain(rest..).map(|item| item.key.to_string()));
        let mut targets = items(target);
        // Whatever else an order without meaning is, it is none that could change the outcome.
        for (items, is_ordered) in
            [(&mut sources, options.ordered.source), (&mut targets, options.ordered.target)]
        {
            if !is_ordered {
                sorting::sort_by_key(items, |item| item.key);
            }
        }
        let (pairs, misfits, uncertain) = (Vec::new(), Vec::new(), Vec::new());
        Matcher { sources, targets, pairs, misfits, skipped, uncertain }
    }

    /// Settles two that belong together by their names, as a pair or as a misfit, if neither has
    /// a partner.
    pub(super) fn settle(&mut self, source: usize, target: usize, reason: Reason) {
        if self.sources[source].partner.is_some() || self.targets[target].partner.is_some() {
            return;
        }
        self.sources[source].partner = Some(target);
        self.targets[target].partner = Some(source);
        if self.agree(source, target) {
            self.pairs.push((source, target, reason))
        } else {
            self.misfits.push((source, target))
        }
    }

    /// True if the one's elements could stand for the other's.
    pub(super) fn agree(&self, source: usize, target: usize) -> bool {
        same_elements(&self.sources[source], &self.targets[target])
    }

    /// Puts both sides back into their own order, with all that was found.
    pub(super) fn restore(&mut self) {
        let (own, theirs) = (restored(&self.sources), restored(&self.targets));
        sorting::sort_by_key(&mut self.sources, |item| item.place);
        sorting::sort_by_key(&mut self.targets, |item| item.place);
        for (source, target, _) in &mut self.pairs {
            (*source, *target) = (own[*source], theirs[*target]);
        }
        for (source, target) in &mut self.misfits {
            (*source, *target) = (own[*source], theirs[*target]);
        }
        let partners = self.pairs.iter().map(|(a, b, _)| (*a, *b)).chain(self.misfits.clone());
        for (source, target) in partners.collect::<Vec<_>>() {
            self.sources[source].partner = Some(target);
            self.targets[target].partner = Some(source);
        }
    }

    pub(super) fn open_sources(&self) -> impl Iterator<Item = (usize, &Item<'a>)> {
        open(&self.sources)
    }

    pub(super) fn open_targets(&self) -> impl Iterator<Item = (usize, &Item<'a>)> {
        open(&self.targets)
    }

    /// True if both sides have keys without partners.
    pub(super) fn is_open(&self) -> bool {
        self.open_sources().next().is_some() && self.open_targets().next().is_some()
    }
}

/// True if one tensor's elements could stand for the other's.
pub(super) fn same_elements(one: &Item, other: &Item) -> bool {
    let (a, b) = (one.tensor, other.tensor);
    a.shape == b.shape && kind(&a.dtype) == kind(&b.dtype)
}

/// Those without a partner.
pub(super) fn open<'s, 'a>(items: &'s [Item<'a>]) -> impl Iterator<Item = (usize, &'s Item<'a>)> {
    items.iter().enumerate().filter(|(_, item)| item.partner.is_none() && !item.is_doubtful)
}

fn items(side: Side<'_>) -> Vec<Item<'_>> {
    let keys: IndexSet<&str> = side.state_dict.keys().collect();
    let mut items = Vec::new();
    for (place, key) in side.state_dict.keys().enumerate() {
        if let Some(tensor) = side.catalog.tensor(side.state_dict, key) {
            let name = plain(key, &keys);
            items.push(Item { key, place, name, tensor, partner: None, is_doubtful: false });
        }
    }
    items
}

/// What of a type must be the same on both sides; one float can be cast to another.
pub(super) fn kind(dtype: &DType) -> &str {
    if dtype.is_float() { "float" } else { dtype.name() }
}

/// True for tensors that count batches.
pub(super) fn is_counter(item: &Item) -> bool {
    let leaf = item.key.rsplit(SEPARATOR).next();
    leaf == Some(COUNTER) && item.tensor.shape.is_empty() && item.tensor.dtype == DType::I64
}

/// Where each item is once all are in the order of the file again.
fn restored(items: &[Item]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    sorting::sort_by_key(&mut order, |at| items[*at].place);
    let mut moved = alloc::vec![0; items.len()];
    order.into_iter().enumerate().for_each(|(new, old)| moved[old] = new);
    moved
}
