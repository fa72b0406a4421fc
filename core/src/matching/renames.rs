//! Which removed and added keys belong together, where their elements are the same.
//!
//! Elements alone decide where one key of each side has them. Zeros, counters and ties are under
//! many keys; there names decide, and only where they leave no choice.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{IndexMap, IndexSet, Key};

/// Separators between the segments of keys: PyTorch's, and JAX's.
const SEPARATORS: [char; 2] = ['.', '/'];

/// Segments from the end of a key that are looked at one by one, so that time stays linear.
const MAX_SEGMENTS: usize = 64;

/// Keys with the same elements, by their positions in `Diff::removed` and
/// `Diff::added`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DuplicateGroups {
    /// Positions among the keys that only `a` has.
    pub removed: Vec<usize>,
    /// Positions among the keys that only `b` has.
    pub added: Vec<usize>,
}

/// Positions of keys that belong together, each in one pair at most.
pub(crate) fn pairs(
    removed: &[Key],
    added: &[Key],
    twins: &[DuplicateGroups],
) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = twins.iter().filter_map(only).collect();
    let certain = pairs.iter().map(|&(from, to)| (removed[from].as_str(), added[to].as_str()));
    let (there, back) = (Moves::of(certain.clone()), Moves::of(certain.map(|(a, b)| (b, a))));
    for twins in twins.iter().filter(|twins| only(twins).is_none()) {
        let mut class = Class::of(removed, added, twins);
        let siblings = class.agreed(|key| there.target(key), |key| back.target(key));
        class.remove(&siblings);
        let (froms, tos) = (Endings::of(&class.removed), Endings::of(&class.added));
        pairs.extend(class.agreed(|key| tos.nearest(key), |key| froms.nearest(key)));
        pairs.extend(siblings);
    }
    pairs
}

/// The pair of two twins that have no others.
fn only(twins: &DuplicateGroups) -> Option<(usize, usize)> {
    match (twins.removed.as_slice(), twins.added.as_slice()) {
        ([from], [to]) => Some((*from, *to)),
        _ => None,
    }
}

/// Keys of the same elements with their positions; of the texts among them.
struct Class<'a> {
    removed: IndexMap<&'a str, usize>,
    added: IndexMap<&'a str, usize>,
}

impl<'a> Class<'a> {
    fn of(removed: &'a [Key], added: &'a [Key], twins: &DuplicateGroups) -> Class<'a> {
        Class { removed: texts(removed, &twins.removed), added: texts(added, &twins.added) }
    }

    /// The pairs of which each key leads to the other.
    fn agreed(
        &self,
        there: impl Fn(&str) -> Option<String>,
        back: impl Fn(&str) -> Option<String>,
    ) -> Vec<(usize, usize)> {
        let pairs = self.removed.iter().filter_map(|(key, from)| {
            let target = there(key)?;
            let to = self.added.get(target.as_str())?;
            (back(&target)? == **key).then_some((*from, *to))
        });
        pairs.collect()
    }

    fn remove(&mut self, pairs: &[(usize, usize)]) {
        let (froms, tos): (IndexSet<_>, IndexSet<_>) = pairs.iter().copied().unzip();
        self.removed.retain(|_, place| !froms.contains(place));
        self.added.retain(|_, place| !tos.contains(place));
    }
}

/// Where modules went, as the keys below them show; none for those that went to several places.
pub(crate) struct Moves<'a> {
    modules: IndexMap<&'a str, Option<&'a str>>,
    /// Where those went of which a part has another name, which its siblings need not have.
    parents: IndexMap<&'a str, Option<&'a str>>,
}

impl<'a> Moves<'a> {
    pub(crate) fn of(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Moves<'a> {
        let mut moves = Moves { modules: IndexMap::default(), parents: IndexMap::default() };
        for (from, to) in pairs {
            for (module, target) in modules(from, to) {
                note(&mut moves.modules, module, target);
            }
            if let Some((module, target)) = parents(from, to) {
                note(&mut moves.parents, module, target);
            }
        }
        moves
    }

    /// The key of the same name in the place of the module around, if it is known where that went.
    pub(crate) fn sibling(&self, key: &str) -> Option<String> {
        let (around, own) = key.split_at(ends(key).next().filter(|end| *end > 0)?);
        let target = self.modules.get(around).or_else(|| self.parents.get(around))?;
        target.map(|target| target.to_string() + own)
    }

    /// The key to which the innermost module that is known leads: `X.alpha` goes with `X.down.weight`
    /// that became `Y.A.weight`.
    pub(crate) fn target(&self, key: &str) -> Option<String> {
        let mut modules = ends(key).map(|end| key.split_at(end));
        let (around, own) = modules.next()?;
        let known = self.modules.get(around).or_else(|| self.parents.get(around));
        let (target, rest) = match known {
            Some(target) => (target, own),
            None => modules.find_map(|(module, rest)| Some((self.modules.get(module)?, rest)))?,
        };
        target.map(|target| target.to_string() + rest)
    }
}

fn note<'a>(moves: &mut IndexMap<&'a str, Option<&'a str>>, module: &'a str, target: &'a str) {
    let known = moves.entry(module).or_insert(Some(target));
    *known = known.filter(|known| *known == target);
}

/// The modules in which two keys differ for the first time, looked at from their ends.
///
/// None if a number differs there, for others may be shifted too, or all of a key.
fn parents<'a>(from: &'a str, to: &'a str) -> Option<(&'a str, &'a str)> {
    let mut both = ends(from).zip(ends(to));
    let (a, b) = both.find(|(a, b)| from[*a..] != to[*b..])?;
    let is_named = |key: &str| {
        let segment = key.split(SEPARATORS).next().unwrap_or_default();
        !segment.bytes().all(|byte| byte.is_ascii_digit())
    };
    let are_named = is_named(&from[a..]) && is_named(&to[b..]);
    (are_named && a > 0 && b > 0).then(|| (&from[..a], &to[..b]))
}

/// The modules of two keys below which the keys are the same, separators included, inner to outer.
fn modules<'a>(from: &'a str, to: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let both = ends(from).zip(ends(to)).map(|(a, b)| (from.split_at(a), to.split_at(b)));
    let same = both.take_while(|((_, from), (_, to))| from == to);
    same.map(|((module, _), (target, _))| (module, target))
}

/// Where the last segments begin, the last one first, and where the key does.
fn ends(key: &str) -> impl Iterator<Item = usize> {
    let inner = key.rmatch_indices(SEPARATORS).map(|(at, separator)| at + separator.len());
    inner.take(MAX_SEGMENTS).chain([0])
}

/// For each ending, in whole segments, the shortest key that has it; none where that is not one.
struct Endings<'a>(IndexMap<&'a str, (usize, Option<&'a str>)>);

impl<'a> Endings<'a> {
    fn of(keys: &IndexMap<&'a str, usize>) -> Endings<'a> {
        let mut endings = IndexMap::default();
        for key in keys.keys() {
            for ending in ends(key).map(|end| &key[end..]) {
                let shortest = endings.entry(ending).or_insert((key.len(), Some(*key)));
                if key.len() < shortest.0 {
                    *shortest = (key.len(), Some(*key));
                } else if key.len() == shortest.0 && shortest.1 != Some(*key) {
                    shortest.1 = None;
                }
            }
        }
        Endings(endings)
    }

    /// The key that has the longest ending in common, and of these the shortest.
    fn nearest(&self, key: &str) -> Option<String> {
        let starts: Vec<_> = ends(key).collect();
        let mut longest_first = starts.iter().rev().map(|start| &key[*start..]);
        let (_, nearest) = longest_first.find_map(|ending| self.0.get(ending))?;
        nearest.map(String::from)
    }
}

/// The keys at these places that are texts, with their places.
fn texts<'a>(keys: &'a [Key], places: &[usize]) -> IndexMap<&'a str, usize> {
    let texts = places.iter().filter_map(|&place| match &keys[place] {
        Key::Text(key) => Some((&**key, place)),
        Key::Other(_) => None,
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Renames found among keys of which those of one list have the same elements.
    fn check(classes: &[(&[&str], &[&str])], expected: &[(&str, &str)]) {
        let (mut removed, mut added, mut twins) = (Vec::new(), Vec::new(), Vec::new());
        let list = |into: &mut Vec<Key>, keys: &[&str]| {
            let first = into.len();
            into.extend(keys.iter().map(|key| Key::Text((*key).into())));
            (first..into.len()).collect()
        };
        for (from, to) in classes {
            twins.push(DuplicateGroups {
                removed: list(&mut removed, from),
                added: list(&mut added, to),
            });
        }
        let mut found = pairs(&removed, &added, &twins);
        found.sort_unstable();
        let keys = |(from, to): &(usize, usize)| (removed[*from].as_str(), added[*to].as_str());
        assert_eq!(found.iter().map(keys).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn elements_that_one_key_has_on_each_side_decide() {
        check(&[(&["a"], &["x"]), (&["b"], &["y"])], &[("a", "x"), ("b", "y")]);
        check(&[(&["a"], &[]), (&[], &["y"])], &[]);
    }

    #[test]
    fn equal_tensors_below_a_prefix_are_distinguished_by_their_endings() {
        check(
            &[(&["module.n", "module.a.n", "module.b.a.n"], &["n", "a.n", "b.a.n"])],
            &[("module.n", "n"), ("module.a.n", "a.n"), ("module.b.a.n", "b.a.n")],
        );
        check(&[(&["n", "a.n"], &["m.n", "m.a.n"])], &[("n", "m.n"), ("a.n", "m.a.n")]);
        check(&[(&["m/a/n", "m/n"], &["a/n", "n"])], &[("m/a/n", "a/n"), ("m/n", "n")]);
    }

    #[test]
    fn equal_tensors_go_where_their_siblings_went() {
        let zeros: (&[&str], &[&str]) =
            (&["layer1.n", "layer2.n", "layer3.n"], &["block2.n", "block1.n", "block3.n"]);
        check(&[zeros], &[]);
        check(
            &[(&["layer1.w"], &["block1.w"]), (&["layer2.w"], &["block2.w"]), zeros],
            &[
                ("layer1.w", "block1.w"),
                ("layer2.w", "block2.w"),
                ("layer1.n", "block1.n"),
                ("layer2.n", "block2.n"),
                ("layer3.n", "block3.n"),
            ],
        );
    }

    #[test]
    fn values_go_where_parts_with_other_names_went() {
        let alphas: (&[&str], &[&str]) = (&["a_q.alpha", "a_k.alpha"], &["a.k.alpha", "a.q.alpha"]);
        check(
            &[
                (&["a_q.down.weight"], &["a.q.A.weight"]),
                (&["a_k.down.weight"], &["a.k.A.weight"]),
                alphas,
            ],
            &[
                ("a_q.down.weight", "a.q.A.weight"),
                ("a_k.down.weight", "a.k.A.weight"),
                ("a_q.alpha", "a.q.alpha"),
                ("a_k.alpha", "a.k.alpha"),
            ],
        );
        let shifted: (&[&str], &[&str]) = (&["a.s", "b.s"], &["x.s", "y.s"]);
        check(&[(&["a.0.w"], &["x.1.w"]), shifted], &[("a.0.w", "x.1.w")]);
    }

    #[test]
    fn a_module_that_went_to_two_places_leads_to_neither() {
        check(
            &[
                (&["a.v"], &["x.v"]),
                (&["a.w"], &["y.w"]),
                (&["a.0", "a.1"], &["x.0", "y.0", "x.1"]),
            ],
            &[("a.v", "x.v"), ("a.w", "y.w"), ("a.1", "x.1")],
        );
    }

    #[test]
    fn nothing_is_guessed() {
        check(&[(&["a", "b"], &["c"])], &[]);
        check(&[(&["a.n", "b.n"], &["c.n", "d.n"])], &[]);
        check(&[(&["a.n", "b.n"], &["c.n"])], &[]);
    }
}
