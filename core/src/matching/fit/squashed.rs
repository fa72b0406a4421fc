//! Partners whose names differ only in what separates words: dots, underscores, nothing.
//!
//! kohya's scripts write `lora_unet_mid_block_resnets_0` for `unet.mid_block.resnets.0`, and LitEma
//! `model_ema.middle_block0in_layers0weight` for `middle_block.0.in_layers.0.weight`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::Reason;
use crate::matching::fit::matcher::{Item, Matcher, open, same_elements};
use crate::{IndexMap, IndexSet, SEPARATOR};

/// Prefixes that are put in the place of others, one after another.
const MAX_PREFIXES: usize = 8;

/// Letters of a prefix that has no counterpart on the other side.
const MAX_PREFIX: usize = 48;

/// Segments of a prefix that the target alone has.
const MAX_SEGMENTS: usize = 4;

/// Letters from which on a name says more than which parameter it is.
const MIN_NAME: usize = 5;

/// Modules below a prefix that must speak for it.
const MIN_MODULES: usize = 2;

/// The parts before the common ending of two names.
type Prefixes = (String, String);

/// Pairs with the same prefixes, and what speaks for them.
#[derive(Default)]
struct Votes {
    pairs: Vec<(usize, usize)>,
    modules: IndexSet<String>,
    /// True if some of the ends have other separators, and are not just below other prefixes.
    differ: bool,
}

impl Matcher<'_> {
    /// Settles the keys whose names are the same without dots and underscores, below prefixes.
    pub(super) fn settle_squashed(&mut self) {
        for _ in 0..MAX_PREFIXES {
            let there = best(self.votes_without_dots(&self.sources, &self.targets));
            let back = best(self.votes_without_dots(&self.targets, &self.sources));
            let back = back.into_iter().map(|(target, source)| (source, target)).collect();
            let found = if there.len() >= Vec::len(&back) { there } else { back };
            if found.is_empty() {
                return;
            }
            for (source, target) in found {
                self.settle(source, target, Reason::Joined);
            }
        }
    }

    /// The pairs of an item that may have a prefix of letters and one that may have one of segments.
    fn votes_without_dots(&self, own: &[Item], theirs: &[Item]) -> Vec<Votes> {
        let endings = endings(open(theirs));
        let mut votes = IndexMap::<Prefixes, Votes>::default();
        for (at, item) in open(own) {
            let squashed = squashed(&item.name);
            let most = squashed.len().saturating_sub(MIN_NAME).min(MAX_PREFIX);
            let starts = (0..=most).filter(|start| squashed.is_char_boundary(*start));
            let found =
                starts.map(|start| squashed.split_at(start)).find_map(|(before, ending)| {
                    let (other, start) = (*endings.get(ending)?)?;
                    (!has_digit(before)).then_some((before, other, start))
                });
            let Some((before, other, start)) = found else { continue };
            let (prefix, ending) = theirs[other].name.split_at(start);
            if !same_elements(item, &theirs[other]) {
                continue;
            }
            let votes = votes.entry((before.to_string(), prefix.to_string())).or_default();
            votes.pairs.push((at, other));
            votes.modules.extend(ending.rsplit_once(SEPARATOR).map(|(module, _)| module.into()));
            votes.differ |= !item.name.ends_with(ending);
        }
        votes.into_values().collect()
    }
}

/// The pairs that most modules speak for; none if too few do.
fn best(votes: Vec<Votes>) -> Vec<(usize, usize)> {
    let enough = votes.into_iter().filter(|it| it.differ && it.modules.len() >= MIN_MODULES);
    // Of those with as many, the first.
    let best = enough.rev().max_by_key(|votes| votes.pairs.len());
    single(best.unwrap_or_default().pairs)
}

/// The pairs whose other side no other pair has.
fn single(pairs: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut takers = IndexMap::<usize, usize>::default();
    for (_, other) in &pairs {
        *takers.entry(*other).or_default() += 1;
    }
    pairs.into_iter().filter(|(_, other)| takers[other] == 1).collect()
}

/// The ends of names, squashed, with the item that alone has each and where in its name it begins.
fn endings<'s, 'a: 's>(
    items: impl Iterator<Item = (usize, &'s Item<'a>)>,
) -> IndexMap<String, Option<(usize, usize)>> {
    let mut endings = IndexMap::<String, Option<(usize, usize)>>::default();
    for (at, item) in items {
        let starts = item.name.match_indices(SEPARATOR).map(|(dot, _)| dot + 1);
        for start in [0].into_iter().chain(starts).take(MAX_SEGMENTS) {
            let (before, ending) = item.name.split_at(start);
            if has_digit(before) {
                break;
            }
            let entry = endings.entry(squashed(ending));
            entry.and_modify(|only| *only = None).or_insert(Some((at, start)));
        }
    }
    endings
}

fn squashed(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '.' | '_')).collect()
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_digit())
}
