//! Which tensors of a checkpoint go where in a model, found from names, shapes and order.
//!
//! Each step looks only at what those before it left open, and settles only what it leaves no
//! choice about: a tensor in the wrong place loads without an error, and is worse than none.

mod ambiguity;
mod assembly;
mod composites;
mod families;
mod likeness;
mod matcher;
mod modules;
mod names;
mod numbering;
mod options;
mod order;
mod plain;
mod position;
mod prefixes;
mod roles;
mod siblings;
mod squashed;
mod uncertain;
mod words;

pub use assembly::{Assembled, Casts, FillOptions, FitError, InitSource, Made};
pub use composites::{Composed, Composite};
pub use options::{FitOptions, MatchBy, Ordered, Reason, TargetTensor};
pub use uncertain::Uncertainty;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use thiserror::Error;

use crate::catalog::selection::is_extra_state;
use crate::matching::fit::matcher::{Item, Matcher, is_counter};
use crate::matching::fit::modules::{Depth, Module};
use crate::matching::fit::uncertain::Uncertain;
use crate::sorting;
use crate::{DType, Fate, IndexMap, IndexSet, diff::Side, generalise::generalise};

/// What of a source fits into a target, and what prevents the rest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fit {
    /// The tensors of the target, in order.
    pub wanted: Vec<TargetTensor>,
    /// The keys that belong together, in the target's order.
    pub pairs: Vec<FitPair>,
    /// Keys that belong together and have other shapes, in the target's order.
    pub misfits: Vec<ShapeMismatch>,
    /// Target keys that no source key was found for, in order.
    pub missing: Vec<TargetTensor>,
    /// Target keys of batch counters that the source has not; 0 will do.
    pub counters: Vec<TargetTensor>,
    /// Source keys that no target key wants.
    pub unused: Vec<String>,
    /// Source keys that were to be skipped.
    pub skipped: Vec<String>,
    /// Keys that could belong together in several ways; they are missing and unused too.
    pub open: Vec<Ambiguous>,
    /// Target keys whose values are not tensors.
    pub no_tensors: Vec<String>,
    /// Target keys under which modules keep what is not a tensor, and which the new file lacks.
    pub extra_states: Vec<String>,
}

/// A source key and the target key it goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FitPair {
    /// The source key.
    pub from: String,
    /// The target key.
    pub to: String,
    /// Why they belong together.
    pub reason: Reason,
    /// The type the elements have and the one they are wanted in, where these differ.
    pub cast: Option<(DType, DType)>,
}

/// A source and a target key that belong together and have other shapes or kinds of elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeMismatch {
    /// The source key.
    pub from: String,
    /// The type of its elements.
    pub has_dtype: DType,
    /// Its shape.
    pub has: Vec<u64>,
    /// What the target has there.
    pub wanted: TargetTensor,
}

/// Keys that could belong together in several ways, or in one that is not certain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ambiguous {
    /// The source keys.
    pub from: Vec<String>,
    /// The target keys, of which each could be any of them.
    pub to: Vec<String>,
    /// Why elements may be others though names and shapes fit, if that is what leaves them open.
    pub why: Option<Uncertainty>,
}

/// Why positions cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotFitted {
    /// The order of the keys is how the file was written by chance.
    #[error("the order of keys in the {0} means nothing")]
    Unordered(Whose),
    /// There are more keys on one side.
    #[error("{from} keys of the source are to go to {to} of the target, place by place")]
    Counts {
        /// Source keys that are not skipped.
        from: usize,
        /// Target keys that are not made.
        to: usize,
    },
}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The checkpoint that is to fit.
    Source,
    /// What it is to fit into.
    Target,
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Whose::Source => "source",
            Whose::Target => "target",
        })
    }
}

/// Finds for each key of the target the source key that belongs there.
///
/// Shapes of a pair are always the same, and so are the types of its elements unless both are
/// floating-point numbers. What could be several ways is left open.
///
/// # Errors
/// If places are to be compared and have no meaning, or do not match in number.
pub fn fit(source: Side, target: Side, options: &FitOptions) -> Result<Fit, NotFitted> {
    let by_place = options.by == MatchBy::Position;
    if (by_place || options.drop_last > 0) && !options.ordered.source {
        return Err(NotFitted::Unordered(Whose::Source));
    }
    if by_place && !options.ordered.target {
        return Err(NotFitted::Unordered(Whose::Target));
    }
    let mut board = Matcher::new(source, target, options);
    match options.by {
        MatchBy::Position => board.settle_by_position(&options.made)?,
        by => {
            board.settle_by_evidence(by, options.ordered);
            board.take_back_uncertain();
        }
    }
    let mut fit = board.outcome();
    for key in target.state_dict.keys() {
        if target.catalog.tensor(target.state_dict, key).is_some() {
            continue;
        }
        // What a module keeps beside its tensors is its own to make.
        let list = if is_extra_state(key) { &mut fit.extra_states } else { &mut fit.no_tensors };
        list.push(key.to_string());
    }
    Ok(fit)
}

impl Matcher<'_> {
    /// Takes one step after another, the surest first.
    fn settle_by_evidence(&mut self, by: MatchBy, ordered: Ordered) {
        self.settle_same();
        if by == MatchBy::Name {
            return;
        }
        self.settle_unwrapped();
        if by == MatchBy::Wrapper {
            return;
        }
        self.doubt_numbers();
        self.settle_prefixes();
        self.settle_contained();
        self.settle_squashed();
        self.settle_siblings();
        if by == MatchBy::Auto {
            self.settle_by_shapes(ordered);
        }
        self.settle_misfits();
    }

    /// Takes the steps for which shapes must speak too.
    fn settle_by_shapes(&mut self, ordered: Ordered) {
        let are_ordered = ordered.source && ordered.target;
        for depth in [Depth::All, Depth::Bare, Depth::None] {
            self.settle_families(depth, are_ordered && self.is_in_order());
            self.settle_counters();
            self.settle_siblings();
            self.settle_by_rules();
        }
        if are_ordered && self.is_open() && self.is_in_order() {
            self.settle_by_order();
            self.settle_counters();
            self.settle_by_rules();
        }
    }

    /// Settles what the rules behind the pairs so far lead to.
    fn settle_by_rules(&mut self) {
        if !self.is_open() {
            return;
        }
        let pairs = self.pairs.iter().map(|(source, target, _)| {
            (self.sources[*source].key.to_string(), self.targets[*target].key.to_string())
        });
        let pairs: Vec<_> = pairs.collect();
        let rules = generalise(&pairs, &[]).stages;
        let targets: IndexMap<&str, usize> =
            self.open_targets().map(|(at, item)| (item.key, at)).collect();
        let known = self.known_numbers();
        let mut found = IndexMap::<usize, Option<usize>>::default();
        for (source, item) in self.open_sources().filter(|(_, item)| known.allow(item)) {
            let renamed =
                rules.iter().fold(item.key.to_string(), |key, rule| match rule.apply(&key) {
                    Fate::Becomes(name) => name,
                    _ => key,
                });
            if let Some(target) = targets.get(renamed.as_str()) {
                found.entry(*target).and_modify(|only| *only = None).or_insert(Some(source));
            }
        }
        for (target, source) in found {
            if let Some(source) = source {
                self.settle(source, target, Reason::Template);
            }
        }
    }

    /// Settles batch counters of modules that were settled.
    fn settle_counters(&mut self) {
        let path =
            |name: &str| name.rsplit_once(crate::SEPARATOR).map(|(path, _)| path.to_string());
        let counters: IndexMap<String, usize> = self
            .open_targets()
            .filter(|(_, item)| is_counter(item))
            .filter_map(|(at, item)| Some((path(&item.name)?, at)))
            .collect();
        let mut modules = IndexMap::<String, String>::default();
        for (source, target, _) in &self.pairs {
            let (a, b) = (path(&self.sources[*source].name), path(&self.targets[*target].name));
            modules.extend(a.zip(b));
        }
        let sources = self.open_sources().filter(|(_, item)| is_counter(item));
        let found: Vec<(usize, usize)> = sources
            .filter_map(|(at, item)| Some((at, *counters.get(modules.get(&path(&item.name)?)?)?)))
            .collect();
        for (source, target) in found {
            self.settle(source, target, Reason::Template);
        }
    }

    fn outcome(mut self) -> Fit {
        self.restore();
        let all = self.sources.iter_mut().chain(&mut self.targets);
        all.for_each(|item| item.is_doubtful = false);
        sorting::sort_by_key(&mut self.pairs, |(_, target, _)| *target);
        sorting::sort_by_key(&mut self.misfits, |(_, target)| *target);
        let pairs = self.pairs.iter().map(|(source, target, reason)| {
            let (from, to) = (&self.sources[*source], &self.targets[*target]);
            let (a, b) = (&from.tensor.dtype, &to.tensor.dtype);
            let cast = (a != b).then(|| (a.clone(), b.clone()));
            FitPair { from: from.key.into(), to: to.key.into(), reason: reason.clone(), cast }
        });
        let misfits = self.misfits.iter().map(|(source, target)| {
            let (from, to) = (&self.sources[*source], &self.targets[*target]);
            ShapeMismatch {
                from: from.key.into(),
                has_dtype: from.tensor.dtype.clone(),
                has: from.tensor.shape.clone(),
                wanted: to.wanted(),
            }
        });
        let (counters, missing): (Vec<_>, Vec<_>) =
            self.open_targets().map(|(_, item)| item).partition(|item| is_counter(item));
        Fit {
            wanted: self.targets.iter().map(Item::wanted).collect(),
            pairs: pairs.collect(),
            misfits: misfits.collect(),
            missing: missing.into_iter().map(Item::wanted).collect(),
            counters: counters.into_iter().map(Item::wanted).collect(),
            unused: self.open_sources().map(|(_, item)| item.key.to_string()).collect(),
            open: self.undecided(),
            skipped: self.skipped,
            no_tensors: Vec::new(),
            extra_states: Vec::new(),
        }
    }

    /// What is left of both sides with the same parameters.
    fn undecided(&self) -> Vec<Ambiguous> {
        let mut uncertain = Vec::<Ambiguous>::new();
        for (from, to, why) in &self.uncertain {
            let (from, to, why) = ([from.clone()].into(), [to.clone()].into(), Some(*why));
            uncertain.push(Ambiguous { from, to, why });
        }
        let [own, theirs] = [|it: &Uncertain| it.0.clone(), |it: &Uncertain| it.1.clone()]
            .map(|key| self.uncertain.iter().map(key).collect::<IndexSet<String>>());
        let mut classes = IndexMap::<String, Ambiguous>::default();
        for module in Module::of(self.open_sources().filter(|(_, it)| !own.contains(it.key))) {
            let class = classes.entry(module.signature(&self.sources));
            let open = class.or_insert_with(Ambiguous::default);
            open.from.extend(module.keys(&self.sources));
        }
        for module in Module::of(self.open_targets().filter(|(_, it)| !theirs.contains(it.key))) {
            if let Some(open) = classes.get_mut(&module.signature(&self.targets)) {
                open.to.extend(module.keys(&self.targets));
            }
        }
        uncertain.extend(classes.into_values().filter(|open| !open.to.is_empty()));
        uncertain
    }
}
