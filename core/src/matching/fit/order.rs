//! Partners by their order: an alignment of what is left between those that are sure.
//!
//! Modules of one signature may be aligned, each as much as it has parameters, and neither side's
//! order may be broken. Only what every best alignment has in common is believed, and of several
//! modules of one signature in one gap only if numbers or names leave no other choice.

use alloc::string::String;
use alloc::vec::Vec;

use crate::matching::fit::Reason;
use crate::matching::fit::families::{keeps, shifts_between};
use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::modules::Module;
use crate::matching::fit::words::{Rivals, match_by_name};
use crate::matching::numbered::Numbered;
use crate::sorting;
use crate::{IndexMap, SEPARATOR};

/// Cells of the tables of all gaps together, so that time and memory stay bounded.
const MAX_CELLS: usize = 1 << 22;

/// Of three pairs two must be in order for order to be believed.
const MOST: (usize, usize) = (3, 2);

/// Of five numbers one may be below the one before.
const DOWN: (usize, usize) = (5, 1);

/// What is left between two neighbouring pairs that keep the order.
#[derive(Default)]
struct Gap<'b> {
    sources: Vec<(Module<'b>, usize)>,
    targets: Vec<(Module<'b>, usize)>,
}

impl Matcher<'_> {
    /// Settles what the order leaves no choice about.
    pub(super) fn settle_by_order(&mut self) {
        let mut cells = MAX_CELLS;
        let mut settled = Vec::new();
        let (shifts, given) = (self.shifts(), self.given(true));
        let (sources, targets) = (open_words(&self.sources), open_words(&self.targets));
        for gap in self.gaps() {
            let Some(left) = gap.cells().and_then(|needed| cells.checked_sub(needed)) else {
                continue;
            };
            cells = left;
            for (source, target) in gap.sure() {
                let (source, target) = (&gap.sources[source].0, &gap.targets[target].0);
                let signature = source.signature(&self.sources);
                if self.is_chance(source, target, given)
                    || !keeps(&shifts, &shifts_between(source.path, target.path))
                    || outdo(targets.get(&signature), source.path, target.path)
                    || outdo(sources.get(&signature), target.path, source.path)
                {
                    continue;
                }
                let parts = source.parts.iter().zip(&target.parts);
                settled.extend(parts.map(|((_, a), (_, b))| (*a, *b)));
            }
        }
        for (source, target) in settled {
            self.settle(source, target, Reason::Order);
        }
    }

    /// True if order can be believed: what was brought together is in order, and so is each side.
    pub(super) fn is_in_order(&self) -> bool {
        let is_kept = MOST.1 * self.pairs.len() <= MOST.0 * self.anchors().len();
        is_kept && counts_up(&self.sources) && counts_up(&self.targets)
    }

    /// The open modules of both sides, by the sure pairs between which they lie.
    fn gaps(&self) -> Vec<Gap<'_>> {
        let anchors = self.anchors();
        let mut signatures = IndexMap::<String, usize>::default();
        let mut gaps = IndexMap::<usize, Gap>::default();
        let mut number = |signature: String| {
            let next = signatures.len();
            *signatures.entry(signature).or_insert(next)
        };
        for module in Module::of(self.open_sources()) {
            let gap = anchors.partition_point(|(at, _)| *at < module.first());
            let signature = number(module.signature(&self.sources));
            gaps.entry(gap).or_default().sources.push((module, signature));
        }
        for module in Module::of(self.open_targets()) {
            let gap = anchors.partition_point(|(_, at)| *at < module.first());
            let signature = number(module.signature(&self.targets));
            gaps.entry(gap).or_default().targets.push((module, signature));
        }
        let mut gaps: Vec<Gap> = gaps.into_values().collect();
        for gap in &mut gaps {
            sorting::sort_by_key(&mut gap.sources, |(module, _)| module.first());
            sorting::sort_by_key(&mut gap.targets, |(module, _)| module.first());
        }
        gaps
    }

    /// The most pairs that are in order on both sides, by position.
    fn anchors(&self) -> Vec<(usize, usize)> {
        let paired = self.sources.iter().enumerate();
        let paired: Vec<(usize, usize)> =
            paired.filter_map(|(at, item)| Some((at, item.partner?))).collect();
        // Patience: for each length the pair whose target comes first, and which it comes after.
        let (mut tails, mut before) = (Vec::<usize>::new(), Vec::with_capacity(paired.len()));
        for (i, (_, target)) in paired.iter().enumerate() {
            let length = tails.partition_point(|tail| paired[*tail].1 < *target);
            before.push(length.checked_sub(1).map(|shorter| tails[shorter]));
            match tails.get_mut(length) {
                Some(tail) => *tail = i,
                None => tails.push(i),
            }
        }
        let chain = core::iter::successors(tails.last().copied(), |at| before[*at]);
        let mut anchors: Vec<_> = chain.map(|at| paired[at]).collect();
        anchors.reverse();
        anchors
    }
}

/// The words of open modules by their signatures; none where there are too many.
fn open_words(items: &[Item]) -> IndexMap<String, Option<Rivals>> {
    let open = items.iter().enumerate().filter(|(_, item)| item.partner.is_none());
    let mut paths = IndexMap::<String, Vec<&str>>::default();
    for module in Module::of(open) {
        paths.entry(module.signature(items)).or_default().push(module.path);
    }
    paths.into_iter().map(|(it, paths)| (it, Rivals::of(paths.into_iter()))).collect()
}

/// True if the keys of a side are in the order in which a model makes its modules, and not in that
/// of the alphabet or another: numbers count up, and weights come before biases.
fn counts_up(items: &[Item]) -> bool {
    let mut last = IndexMap::<String, u64>::default();
    let (mut up, mut down) = (0, 0);
    for item in items {
        let mut stem = String::new();
        for segment in item.name.split(SEPARATOR) {
            let part = Numbered::of(segment);
            if let Some(number) = part.number {
                let before = last.insert(alloc::format!("{stem}{part}"), number);
                up += usize::from(before.is_some_and(|before| before < number));
                down += usize::from(before.is_some_and(|before| before > number));
            }
            stem.push_str(segment);
            stem.push(SEPARATOR);
        }
    }
    let mut leaves = IndexMap::<&str, &str>::default();
    let (mut weight_first, mut bias_first) = (0usize, 0usize);
    for (path, leaf) in items.iter().filter_map(|item| item.name.rsplit_once(SEPARATOR)) {
        match (leaves.insert(path, leaf), leaf) {
            (Some("weight"), "bias") => weight_first += 1,
            (Some("bias"), "weight") => bias_first += 1,
            _ => {}
        }
    }
    DOWN.0 * down <= DOWN.1 * (up + down) && bias_first <= weight_first
}

/// A path without its numbers, and all of them.
fn counted(path: &str) -> (String, Vec<u64>) {
    let (mut text, mut numbers, mut digits) = (String::new(), Vec::new(), String::new());
    for c in path.chars().chain(['\0']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        // A number too long to be one is as good as the largest.
        numbers.extend((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)));
        digits.clear();
        text.push(c);
    }
    (text, numbers)
}

impl Gap<'_> {
    fn cells(&self) -> Option<usize> {
        (self.sources.len() + 1).checked_mul(self.targets.len() + 1)
    }

    /// The pairs, by position in the gap, that leave no choice.
    fn sure(&self) -> Vec<(usize, usize)> {
        let mut classes = IndexMap::<usize, Vec<(usize, usize)>>::default();
        for (source, target) in self.common() {
            classes.entry(self.sources[source].1).or_default().push((source, target));
        }
        let mut sure = Vec::new();
        for (signature, pairs) in classes {
            if [&self.sources, &self.targets].into_iter().any(|modules| {
                modules.iter().filter(|(_, other)| *other == signature).count() != pairs.len()
            }) {
                continue;
            }
            if pairs.len() == 1 || self.are_numbered(&pairs) || self.are_named(&pairs) {
                sure.extend(pairs);
            }
        }
        sure
    }

    /// True if on each side the modules differ in numbers only, and these go up.
    fn are_numbered(&self, pairs: &[(usize, usize)]) -> bool {
        count_up(pairs.iter().map(|(at, _)| self.sources[*at].0.path))
            && count_up(pairs.iter().map(|(_, at)| self.targets[*at].0.path))
    }

    /// True if names say of all of them what the order says.
    fn are_named(&self, pairs: &[(usize, usize)]) -> bool {
        let sources: Vec<_> = pairs.iter().map(|(at, _)| self.sources[*at].0.path).collect();
        let targets: Vec<_> = pairs.iter().map(|(_, at)| self.targets[*at].0.path).collect();
        let found = match_by_name(&sources, &targets, true);
        found.len() == pairs.len() && found.iter().all(|(a, b)| a == b)
    }

    /// The pairs that all best alignments have in common.
    fn common(&self) -> Vec<(usize, usize)> {
        let (rows, columns) = (self.sources.len(), self.targets.len());
        let width = columns + 1;
        let mut ahead = alloc::vec![0usize; (rows + 1) * width];
        for i in 0..rows {
            for j in 0..columns {
                let matched = match self.weight(i, j) {
                    0 => 0,
                    weight => ahead[i * width + j] + weight,
                };
                let skipped = ahead[i * width + j + 1].max(ahead[(i + 1) * width + j]);
                ahead[(i + 1) * width + j + 1] = matched.max(skipped);
            }
        }
        let mut behind = alloc::vec![0usize; (rows + 1) * width];
        for i in (0..rows).rev() {
            for j in (0..columns).rev() {
                let matched = match self.weight(i, j) {
                    0 => 0,
                    weight => behind[(i + 1) * width + j + 1] + weight,
                };
                let skipped = behind[i * width + j + 1].max(behind[(i + 1) * width + j]);
                behind[i * width + j] = matched.max(skipped);
            }
        }
        let best = behind[0];
        let mut common = Vec::new();
        for i in 0..rows {
            // An alignment that skips this row, or two that match it differently, leave a choice.
            let can_skip =
                (0..=columns).any(|j| ahead[i * width + j] + behind[(i + 1) * width + j] == best);
            let mut matched = (0..columns).filter(|j| {
                let weight = self.weight(i, *j);
                let through = ahead[i * width + j] + weight + behind[(i + 1) * width + j + 1];
                weight > 0 && through == best
            });
            if let (false, Some(j), None) = (can_skip, matched.next(), matched.next()) {
                common.push((i, j));
            }
        }
        common
    }

    /// How much it counts to match two modules: as many tensors as they have, if they are alike.
    fn weight(&self, source: usize, target: usize) -> usize {
        let (source, target) = (&self.sources[source], &self.targets[target]);
        if source.1 == target.1 { source.0.parts.len() } else { 0 }
    }
}

/// True if a rival is more like the path than its partner is, or there are too many to compare.
fn outdo(rivals: Option<&Option<Rivals>>, path: &str, partner: &str) -> bool {
    let rivals = rivals.and_then(Option::as_ref);
    rivals.is_none_or(|rivals| rivals.outdo(path, partner))
}

/// True if the paths differ in one number, and it goes up.
fn count_up<'p>(paths: impl Iterator<Item = &'p str>) -> bool {
    let forms: Vec<_> = paths.map(counted).collect();
    forms.windows(2).all(|two| two[0].0 == two[1].0 && two[0].1 < two[1].1)
}
