//! Tensors that are left on both sides and are one another's, but joined, stacked or transposed.
//!
//! Shapes and the modules around say so; no renaming makes one of the other.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::{Fit, Whose};
use crate::{IndexMap, SEPARATOR, diff::Side};

/// A tensor of one side that is made of tensors of the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composite {
    /// The key of the one tensor.
    pub whole: String,
    /// Which side has it.
    pub side: Whose,
    /// The keys of the tensors that it is made of, on the other side.
    pub parts: Vec<String>,
    /// How they lie in it.
    pub how: Composed,
}

/// How tensors lie in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Composed {
    /// Side by side along a dimension.
    Joined {
        /// The dimension of the whole.
        dimension: usize,
        /// True if rows are columns in the whole.
        transposed: bool,
    },
    /// One above the other along a new first dimension; several kinds of them are joined before.
    Stacked {
        /// True if rows are columns in the whole.
        transposed: bool,
    },
    /// With rows for columns.
    Transposed,
}

/// A key with its shape.
type Shaped<'a> = (&'a str, &'a [u64]);

impl Fit {
    /// What of both sides is left that fits together but for how it is arranged.
    pub fn composites(&self, source: Side) -> Vec<Composite> {
        let mut own: Vec<Shaped> = Vec::new();
        for key in &self.unused {
            if let Some(tensor) = source.catalog.tensor(source.state_dict, key) {
                own.push((key, &tensor.shape));
            }
        }
        let theirs: Vec<Shaped> = self.missing.iter().map(|it| (&*it.key, &*it.shape)).collect();
        let mut found = transposed(self);
        found.extend(made_of(&own, &theirs, Whose::Target));
        found.extend(made_of(&theirs, &own, Whose::Source));
        found
    }
}

fn transposed(fit: &Fit) -> Vec<Composite> {
    let is_transposed = |has: &[u64], wants: &[u64]| matches!((has, wants), ([a, b], [c, d]) if a == d && b == c && a != b);
    let misfits = fit.misfits.iter().filter(|it| is_transposed(&it.has, &it.wanted.shape));
    misfits
        .map(|it| Composite {
            whole: it.wanted.key.clone(),
            side: Whose::Target,
            parts: [it.from.clone()].into(),
            how: Composed::Transposed,
        })
        .collect()
}

/// The tensors of one side that are made of those of the other.
fn made_of(parts: &[Shaped], wholes: &[Shaped], side: Whose) -> Vec<Composite> {
    let (modules, stacks) = (by_module(parts), by_stack(parts));
    let mut found = Vec::new();
    for (key, shape) in wholes {
        let around = ancestors(key);
        let joined = around.iter().find_map(|it| joined(modules.get(it)?, shape));
        let made = joined.or_else(|| around.iter().find_map(|it| stacked(stacks.get(it)?, shape)));
        if let Some((parts, how)) = made {
            found.push(Composite { whole: key.to_string(), side, parts, how });
        }
    }
    found
}

/// The modules around a parameter, the two innermost.
fn ancestors(key: &str) -> Vec<&str> {
    key.rmatch_indices(SEPARATOR).take(2).map(|(dot, _)| &key[..dot]).collect()
}

/// Parameters of one name in the modules of one module, in their order.
fn by_module<'a>(parts: &[Shaped<'a>]) -> IndexMap<&'a str, Vec<Vec<Shaped<'a>>>> {
    let mut groups = IndexMap::<(&str, &str), Vec<Shaped>>::default();
    for part in parts {
        let (path, leaf) = part.0.rsplit_once(SEPARATOR).unwrap_or(("", part.0));
        let around = path.rsplit_once(SEPARATOR).map_or("", |(around, _)| around);
        groups.entry((around, leaf)).or_default().push(*part);
    }
    let mut modules = IndexMap::<&str, Vec<Vec<Shaped>>>::default();
    for ((around, _), group) in groups {
        modules.entry(around).or_default().push(group);
    }
    modules
}

/// Neighbours that together have the shape, side by side.
fn joined(groups: &[Vec<Shaped>], whole: &[u64]) -> Option<(Vec<String>, Composed)> {
    let runs = groups.iter().flat_map(|group| {
        (0..group.len())
            .flat_map(move |start| (start + 2..=group.len()).map(move |end| &group[start..end]))
    });
    // A layer has few modules of one kind; where there are many, each is looked at with a few.
    runs.take(MAX_RUNS).find_map(|run| {
        let how = how_joined(run, whole)?;
        Some((run.iter().map(|(key, _)| key.to_string()).collect(), how))
    })
}

/// Runs of neighbours that are held against one shape.
const MAX_RUNS: usize = 64;

fn how_joined(run: &[Shaped], whole: &[u64]) -> Option<Composed> {
    let (_, first) = run.first()?;
    let rows = run.iter().try_fold(0u64, |sum, (_, shape)| sum.checked_add(*shape.first()?))?;
    let are_alike = run.iter().all(|(_, shape)| shape.get(1..) == first.get(1..));
    match (whole, first) {
        _ if !are_alike => None,
        ([all, rest @ ..], [_, of_each @ ..]) if *all == rows && rest == of_each => {
            Some(Composed::Joined { dimension: 0, transposed: false })
        }
        ([columns, all], [_, width]) if *all == rows && columns == width => {
            Some(Composed::Joined { dimension: 1, transposed: true })
        }
        _ => None,
    }
}

/// Parameters of one name in numbered modules, by the module that holds those; in their order.
fn by_stack<'a>(parts: &[Shaped<'a>]) -> IndexMap<&'a str, IndexMap<&'a str, Vec<Shaped<'a>>>> {
    let mut stacks = IndexMap::<&str, IndexMap<&str, Vec<Shaped>>>::default();
    for part in parts {
        let Some((start, end)) = last_number(part.0) else { continue };
        let (list, rest) = (&part.0[..start], &part.0[end..]);
        stacks.entry(list).or_default().entry(rest).or_default().push(*part);
    }
    stacks
}

/// Where the last segment that is a number lies in a key, separators included.
fn last_number(key: &str) -> Option<(usize, usize)> {
    let mut end = key.len();
    for (dot, _) in key.rmatch_indices(SEPARATOR) {
        let segment = &key[dot + 1..end];
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            return Some((dot, end));
        }
        end = dot;
    }
    None
}

/// One kind of numbered tensors that has the shape when stacked, or two that are joined before.
///
/// What needs no transposing comes first.
fn stacked(kinds: &IndexMap<&str, Vec<Shaped>>, whole: &[u64]) -> Option<(Vec<String>, Composed)> {
    let [count, inner @ ..] = whole else { return None };
    let kinds: Vec<&Vec<Shaped>> =
        kinds.values().filter(|kind| kind.len() as u64 == *count && is_even(kind)).collect();
    let pairs = kinds
        .iter()
        .enumerate()
        .flat_map(|(at, one)| kinds[at + 1..].iter().map(|other| Vec::from([*one, *other])));
    let mut all: Vec<Vec<&Vec<Shaped>>> = kinds.iter().map(|kind| Vec::from([*kind])).collect();
    all.extend(pairs.take(MAX_RUNS));
    [false, true].into_iter().find_map(|transposed| {
        let found = all.iter().find(|kinds| is_stacked(kinds, inner) == Some(transposed))?;
        let parts = found.iter().flat_map(|kind| kind.iter()).map(|(key, _)| key.to_string());
        Some((parts.collect(), Composed::Stacked { transposed }))
    })
}

/// True if all have one shape.
fn is_even(kind: &[Shaped]) -> bool {
    kind.iter().all(|(_, shape)| *shape == kind[0].1)
}

/// Whether one of each kind, joined if there are several, has the shape only when transposed; none
/// if it has another one.
fn is_stacked(kinds: &[&Vec<Shaped>], inner: &[u64]) -> Option<bool> {
    let firsts: Vec<Shaped> = kinds.iter().filter_map(|kind| kind.first().copied()).collect();
    match firsts.as_slice() {
        [(_, one)] if *one == inner => Some(false),
        [(_, [a, b])] if inner == [*b, *a] => Some(true),
        [_] => None,
        firsts => {
            let joined = how_joined(firsts, inner)?;
            Some(matches!(joined, Composed::Joined { transposed: true, .. }))
        }
    }
}
