//! Pairs that names and shapes speak for, and whose elements may yet be others, or in another order.
//!
//! A name that changed says that another library wrote the file, and libraries differ in more than
//! names: rows of a head as pairs or as halves, matrices turned, parts of a fused tensor in another
//! order. None of that shows where shapes stay the same, and a tensor of permuted rows loads
//! without an error. Such pairs are left open, with the reason, unless something speaks against it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::likeness::words;
use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::modules::{Depth, form};
use crate::matching::fit::options::Reason;
use crate::{IndexSet, SEPARATOR};

/// Why the elements of a tensor may not be those that a target wants, though names and shapes fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Uncertainty {
    /// Rows of a head may be pairs on one side and halves on the other.
    Rotary,
    /// It is square, and may be the other way round.
    Transposed,
    /// Its parts may be in another order.
    Fused,
    /// An adapter beside it was not merged into it.
    Unmerged,
    /// Its numbers are the same by chance.
    Numbers,
}

/// Words for what a query or a key is projected by.
const ROTATED: [&str; 8] = ["q", "k", "query", "key", "wq", "wk", "queries", "keys"];

/// Words for tensors of which one holds several parts.
const FUSED: [&str; 8] = ["qkv", "kv", "wqkv", "adaln", "modulation", "mod", "fused", "glu"];

/// A source and a target key that would belong together, and why that is not certain.
pub(super) type Uncertain = (String, String, Uncertainty);

impl Matcher<'_> {
    /// Takes back pairs whose elements may be others; no other partners are sought for them.
    pub(super) fn take_back_uncertain(&mut self) {
        let sides = Sides::of(self);
        let pairs = self.pairs.iter();
        let mut found: Vec<(usize, usize, Uncertainty)> = pairs
            .filter_map(|(source, target, reason)| {
                let (from, to) = (&self.sources[*source], &self.targets[*target]);
                Some((*source, *target, sides.uncertainty(from, to, reason)?))
            })
            .collect();
        found.sort_unstable_by_key(|(_, target, _)| *target);
        let gone: IndexSet<usize> = found.iter().map(|(source, ..)| *source).collect();
        self.pairs.retain(|(source, ..)| !gone.contains(source));
        for (source, target, why) in found {
            for item in [&mut self.sources[source], &mut self.targets[target]] {
                item.partner = None;
                item.is_doubtful = true;
            }
            let (from, to) = (self.sources[source].key, self.targets[target].key);
            self.uncertain.push((from.to_string(), to.to_string(), why));
        }
    }
}

/// What speaks for and against other elements on the whole.
struct Sides {
    /// True if queries and keys are rotated, or nothing else can say where a token is.
    may_rotate: bool,
    /// True if a matrix of one side is left over, and one of the other that is its transpose.
    are_turned: bool,
    /// The modules that have an adapter beside their weights.
    adapted: IndexSet<String>,
    /// The forms of what is left over on both sides.
    open: [IndexSet<String>; 2],
}

impl Sides {
    fn of(board: &Matcher<'_>) -> Sides {
        let all = || board.sources.iter().chain(&board.targets).map(|item| item.name.as_str());
        let rotates = all().any(|name| {
            words(name)
                .iter()
                .any(|word| matches!(word.as_str(), "rotary" | "rope" | "freqs" | "freq"))
        });
        let has_positions = all().any(|name| words(name).iter().any(|word| is_position(word)));
        let open_sources = || board.open_sources().map(|(_, item)| item);
        let open_targets = || board.open_targets().map(|(_, item)| item);
        let misfits = board.misfits.iter();
        let misfits = misfits.map(|(a, b)| (&board.sources[*a], &board.targets[*b]));
        let own: IndexSet<[u64; 2]> = open_sources().filter_map(matrix).collect();
        let theirs: IndexSet<[u64; 2]> = open_targets().filter_map(matrix).collect();
        let is_turned =
            |[a, b]: &[u64; 2]| a != b && theirs.contains(&[*b, *a]) && !theirs.contains(&[*a, *b]);
        let mut turned_misfits =
            misfits.filter_map(|(from, to)| Some((matrix(from)?, matrix(to)?)));
        Sides {
            may_rotate: rotates || !has_positions && has_plain_norms(all()),
            are_turned: own.iter().any(is_turned)
                || turned_misfits.any(|([a, b], to)| a != b && to == [b, a]),
            adapted: adapted(board.open_sources().map(|(_, item)| item.key)),
            open: [
                open_sources().map(|item| form(&item.name, Depth::All).0).collect(),
                open_targets().map(|item| form(&item.name, Depth::All).0).collect(),
            ],
        }
    }

    fn uncertainty(&self, from: &Item, to: &Item, reason: &Reason) -> Option<Uncertainty> {
        if self.is_unmerged(from, to) {
            return Some(Uncertainty::Unmerged);
        }
        if self.is_by_chance(from, to, reason) {
            return Some(Uncertainty::Numbers);
        }
        let is_square = matrix(from).is_some_and(|[rows, columns]| rows == columns && rows > 1);
        if is_square && (self.are_turned || was_kernel(from, to)) {
            return Some(Uncertainty::Transposed);
        }
        let (own, theirs) = (module(&from.name), module(&to.name));
        if own == theirs {
            return None;
        }
        let (own, theirs) = (words(own), words(theirs));
        let names = |list: &[&str], words: &[String]| {
            words.iter().any(|word| list.contains(&word.as_str()))
        };
        if self.may_rotate && names(&ROTATED, &own) && names(&ROTATED, &theirs) {
            return Some(Uncertainty::Rotary);
        }
        let may_be_fused = reason.is_weak() && own != theirs && is_long(from);
        (may_be_fused && (names(&FUSED, &own) || names(&FUSED, &theirs)))
            .then_some(Uncertainty::Fused)
    }

    /// True if an adapter of the source's module is left over.
    fn is_unmerged(&self, from: &Item, to: &Item) -> bool {
        from.key != to.key
            && from
                .key
                .match_indices(SEPARATOR)
                .any(|(at, _)| self.adapted.contains(&from.key[..at]))
    }

    /// True if a prefix with numbers was replaced by another, and others of both forms are left.
    fn is_by_chance(&self, from: &Item, to: &Item, reason: &Reason) -> bool {
        let is_by_prefix = matches!(reason, Reason::Prefix { .. } | Reason::Suffix);
        let ((own, numbers), (theirs, _)) =
            (form(&from.name, Depth::All), form(&to.name, Depth::All));
        is_by_prefix
            && own != theirs
            && !numbers.is_empty()
            && self.open[0].contains(&own)
            && self.open[1].contains(&theirs)
    }
}

/// True if there are norms, and all of them scale alone, as in the models that rotate.
fn has_plain_norms<'n>(names: impl Iterator<Item = &'n str>) -> bool {
    let mut norms = names.filter(|name| words(module(name)).iter().any(|it| it.contains("norm")));
    let mut found = false;
    norms.all(|name| {
        found = true;
        !name.ends_with(".bias")
    }) && found
}

/// True for words that say where a token is: `position_embeddings`, `wpe`, `relative_bias`.
fn is_position(word: &str) -> bool {
    word.starts_with("pos") || word.starts_with("rel") || word == "wpe" || word == "alibi"
}

/// The shape of a matrix.
fn matrix(item: &Item) -> Option<[u64; 2]> {
    item.tensor.shape.as_slice().try_into().ok()
}

/// True if one side calls the parameter as JAX does, whose matrices are the other way round.
fn was_kernel(from: &Item, to: &Item) -> bool {
    let [own, theirs] =
        [from, to].map(|item| item.key.rsplit([SEPARATOR, '/']).next() == Some("kernel"));
    own != theirs
}

/// True if its first dimension can be that of several parts.
fn is_long(item: &Item) -> bool {
    match item.tensor.shape.as_slice() {
        [rows] => *rows > 1,
        [rows, columns, ..] => rows > columns && rows % columns == 0,
        [] => false,
    }
}

/// The name of the module that a parameter belongs to, numbers left out: `q_proj`.
fn module(name: &str) -> &str {
    let path = name.rsplit_once(SEPARATOR).map_or(name, |(path, _)| path);
    let mut segments = path.rsplit(SEPARATOR);
    segments.find(|segment| segment.parse::<u64>().is_err()).unwrap_or(path)
}

/// The modules of which an adapter's tensors are among these keys.
fn adapted<'k>(keys: impl Iterator<Item = &'k str>) -> IndexSet<String> {
    let mut modules = IndexSet::<String>::default();
    for key in keys {
        let mut end = 0;
        for segment in key.split(SEPARATOR) {
            if segment.starts_with("lora_") {
                // What begins so is an adapter and nothing else.
                if end > 0 {
                    modules.insert(key[..end - 1].to_string());
                }
                break;
            }
            end += segment.len() + 1;
        }
    }
    modules
}
