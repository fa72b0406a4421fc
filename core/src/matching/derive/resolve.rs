//! Which key became which.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::derive::evidence::{Alike, Evidence};
use crate::matching::renames::Moves;
use crate::{Fate, IndexMap, IndexSet, Key, Rule, SEPARATOR, diff::Entry, generalise::generalise};

/// Rounds in which what was found helps to find more; in practice two are enough.
const MAX_ROUNDS: usize = 4;

/// Keys of both sides, and which of them were found to belong together.
pub(super) struct Resolution<'a> {
    pub(super) a: &'a [Entry<'a>],
    pub(super) b: &'a [Entry<'a>],
    /// For each of `a`, its key in `b`.
    to: Vec<Option<usize>>,
    /// For each of `b`, its key in `a`.
    from: Vec<Option<usize>>,
    places: IndexMap<&'a str, usize>,
}

impl<'a> Resolution<'a> {
    pub(super) fn new(a: &'a [Entry<'a>], b: &'a [Entry<'a>]) -> Resolution<'a> {
        let texts = b.iter().enumerate().filter(|(_, entry)| is_text(entry));
        let places = texts.map(|(place, entry)| (entry.key.as_str(), place)).collect();
        let (to, from) = (alloc::vec![None; a.len()], alloc::vec![None; b.len()]);
        Resolution { a, b, to, from, places }
    }

    /// Pairs what decides by itself, and then what follows from that, until nothing more does.
    pub(super) fn settle(&mut self, evidence: &Evidence) {
        let (certain, others): (Vec<_>, Vec<_>) = evidence
            .alike
            .iter()
            .partition(|alike| alike.a.len() == 1 && alike.b.len() == 1 && !alike.is_constant);
        for alike in certain {
            self.pair(alike.a[0], alike.b[0]);
        }
        for _ in 0..MAX_ROUNDS {
            let found = self.following(&others);
            if found.is_empty() {
                return;
            }
            found.into_iter().for_each(|(a, b)| self.pair(a, b));
        }
    }

    /// Pairs what has the same elements and was left over, and gives the keys of `b` that are left
    /// after that: each with the key of `a` that has its elements under another key already.
    pub(super) fn settle_copies(&mut self, evidence: &Evidence) -> IndexMap<usize, Vec<usize>> {
        let mut ties = IndexMap::<usize, Vec<usize>>::default();
        for alike in &evidence.alike {
            let open_b: Vec<usize> =
                alike.b.iter().copied().filter(|b| self.from[*b].is_none()).collect();
            let open_a: Vec<usize> =
                alike.a.iter().copied().filter(|a| self.to[*a].is_none()).collect();
            match (open_a.as_slice(), open_b.as_slice()) {
                ([a], [b]) if !alike.is_constant || self.is_only_place(*a, *b) => self.pair(*a, *b),
                _ if alike.is_constant => {}
                _ => self.pair_copies(open_a, &open_b),
            }
            let left = alike.b.iter().copied().filter(|b| self.from[*b].is_none());
            let left: Vec<usize> = left.filter(|b| is_text(&self.b[*b])).collect();
            let source = alike.a.iter().copied().find(|a| self.to[*a].is_some());
            if let Some(source) = source.filter(|_| !alike.is_constant && !left.is_empty()) {
                ties.entry(source).or_default().extend(left);
            }
        }
        ties
    }

    /// True if two tensors of one number, which no others have, are in modules of which nothing else
    /// is known to have gone elsewhere, and the modules around these belong together.
    fn is_only_place(&self, a: usize, b: usize) -> bool {
        let (old, new) = (self.a[a].key.as_str(), self.b[b].key.as_str());
        let Some(((inner_a, own_a), (inner_b, own_b))) =
            old.rsplit_once(SEPARATOR).zip(new.rsplit_once(SEPARATOR))
        else {
            return false;
        };
        let outer = inner_a.rsplit_once(SEPARATOR).zip(inner_b.rsplit_once(SEPARATOR));
        let Some(((outer_a, _), (outer_b, _))) = outer else { return false };
        let is_below = |key: &str, module: &str| {
            key.strip_prefix(module).is_some_and(|rest| rest.starts_with(SEPARATOR))
        };
        let pairs = self.pairs();
        let leads = pairs.iter().any(|(x, y)| is_below(x, outer_a) && is_below(y, outer_b));
        let mut inner = pairs.iter().map(|(x, y)| (is_below(x, inner_a), is_below(y, inner_b)));
        own_a == own_b && leads && inner.all(|(x, y)| x == y)
    }

    /// Pairs copies of one tensor by what their keys have in common.
    fn pair_copies(&mut self, mut open: Vec<usize>, others: &[usize]) {
        for b in others {
            let key = self.b[*b].key.as_str();
            let nearest = open.iter().enumerate().max_by_key(|(at, a)| {
                let other = self.a[**a].key.as_str();
                let end = key.bytes().rev().zip(other.bytes().rev()).take_while(|(x, y)| x == y);
                (key == other, end.count(), usize::MAX - at)
            });
            let Some((at, _)) = nearest else { return };
            let a = open.remove(at);
            self.pair(a, *b);
        }
    }

    /// The tensors that `b` has under the key that a tensor of `a` became.
    pub(super) fn target_of(&self, a: usize) -> Option<usize> {
        self.to[a]
    }

    fn pair(&mut self, a: usize, b: usize) {
        if is_text(&self.a[a]) && is_text(&self.b[b]) {
            (self.to[a], self.from[b]) = (Some(b), Some(a));
        }
    }

    /// Pairs of tensors that are alike, which the pairs so far suggest.
    fn following(&self, others: &[&Alike]) -> Vec<(usize, usize)> {
        let pairs = self.pairs();
        let signs = Signs::of(&pairs);
        let mut found = Vec::new();
        for alike in others {
            let mut targets = IndexMap::<usize, Vec<usize>>::default();
            for place in alike.a.iter().copied().filter(|place| self.to[*place].is_none()) {
                if let Some(target) = self.target(self.a[place].key.as_str(), alike, &signs) {
                    targets.entry(target).or_default().push(place);
                }
            }
            let single = targets.into_iter().filter(|(_, all)| all.len() == 1);
            found.extend(single.map(|(to, all)| (all[0], to)));
        }
        found
    }

    /// The tensor that the signs lead to, of those that are alike; none where they disagree.
    fn target(&self, key: &str, alike: &Alike, signs: &Signs<'_>) -> Option<usize> {
        let (ruled, moved) = (signs.ruled(key), signs.moves.target(key));
        match (self.open_among(alike, ruled), self.open_among(alike, moved)) {
            (Some(one), Some(other)) => (one == other).then_some(one),
            (one, other) => one.or(other),
        }
    }

    /// The place of a key, if it is one of these and still without a pair.
    fn open_among(&self, alike: &Alike, key: Option<String>) -> Option<usize> {
        let place = *self.places.get(key?.as_str())?;
        (alike.b.binary_search(&place).is_ok() && self.from[place].is_none()).then_some(place)
    }

    /// The pairs, in the order of `a`.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        let pairs = self.to.iter().enumerate().filter_map(|(a, b)| Some((a, (*b)?)));
        pairs.map(|(a, b)| (self.a[a].key.to_string(), self.b[b].key.to_string())).collect()
    }

    /// Keys without a pair that the rules send to a key without one, of a tensor of that shape.
    ///
    /// Those of values that are not tensors are paired, for nothing more is known of them.
    pub(super) fn settle_names(&mut self, evidence: &Evidence) -> Vec<(String, String)> {
        let pairs = self.named_alike(evidence);
        let (tensors, others): (Vec<_>, Vec<_>) =
            pairs.into_iter().partition(|(a, _)| self.a[*a].tensor.is_some());
        others.into_iter().for_each(|(a, b)| self.pair(a, b));
        let pairs = tensors.into_iter();
        pairs.map(|(a, b)| (self.a[a].key.to_string(), self.b[b].key.to_string())).collect()
    }

    fn named_alike(&self, evidence: &Evidence) -> Vec<(usize, usize)> {
        let rules = generalise(&self.pairs(), &[]).stages;
        let (known_a, known_b) = with_evidence(evidence);
        let shape = |entry: &Entry<'a>| entry.tensor.map(|tensor| &tensor.shape);
        let mut found = IndexMap::<usize, Vec<usize>>::default();
        for (a, entry) in self.a.iter().enumerate() {
            if self.to[a].is_some() || known_a.contains(&a) || !is_text(entry) {
                continue;
            }
            let target = renamed(&rules, entry.key.as_str());
            let target = target.and_then(|key| self.places.get(key.as_str()).copied());
            if let Some(b) = target.filter(|b| self.from[*b].is_none() && !known_b.contains(b))
                && shape(entry) == shape(&self.b[b])
            {
                found.entry(b).or_default().push(a);
            }
        }
        let single = found.into_iter().filter(|(_, all)| all.len() == 1);
        single.map(|(b, all)| (all[0], b)).collect()
    }

    /// The keys of `a` at these places.
    pub(super) fn keys_of_a(&self, places: &[usize]) -> Vec<String> {
        places.iter().map(|a| self.a[*a].key.to_string()).collect()
    }

    /// The keys of `a` without a pair that have elements of a tensor of `b` that nothing accounts
    /// for, and so keep their names.
    pub(super) fn stays(
        &self,
        evidence: &Evidence,
        is_made: impl Fn(usize) -> bool,
    ) -> IndexSet<&'a str> {
        let is_open = |b: &usize| self.from[*b].is_none() && !is_made(*b);
        let mut stays = IndexSet::default();
        for alike in evidence.alike.iter().filter(|alike| alike.b.iter().any(is_open)) {
            stays.extend(alike.a.iter().copied());
        }
        stays.extend(evidence.related().filter(|(_, b)| is_open(b)).map(|(a, _)| a));
        stays.into_iter().map(|a: usize| self.a[a].key.as_str()).collect()
    }
}

/// What the pairs so far say of other keys.
struct Signs<'p> {
    rules: Vec<Rule>,
    moves: Moves<'p>,
}

impl<'p> Signs<'p> {
    fn of(pairs: &'p [(String, String)]) -> Signs<'p> {
        let moves = Moves::of(pairs.iter().map(|(old, new)| (old.as_str(), new.as_str())));
        Signs { rules: generalise(pairs, &[]).stages, moves }
    }

    /// What the rules make of a key, be it the key itself.
    ///
    /// Without a rule a key does not stay where the module around has gone elsewhere.
    fn ruled(&self, key: &str) -> Option<String> {
        let has_gone =
            key.contains(SEPARATOR) && self.moves.target(key).is_some_and(|it| it != key);
        renamed(&self.rules, key).filter(|it| it != key || !has_gone)
    }
}

/// The tensors of each side that the evidence has something to say of.
fn with_evidence(evidence: &Evidence) -> (IndexSet<usize>, IndexSet<usize>) {
    let (mut a, mut b) = (IndexSet::default(), IndexSet::default());
    for alike in &evidence.alike {
        a.extend(alike.a.iter().copied());
        b.extend(alike.b.iter().copied());
    }
    for (in_a, in_b) in evidence.related() {
        a.insert(in_a);
        b.insert(in_b);
    }
    (a, b)
}

fn is_text(entry: &Entry<'_>) -> bool {
    matches!(entry.key, Key::Text(_))
}

/// What stages of rules make of a key; the key itself where they do not recognise it.
pub(super) fn renamed(stages: &[Rule], key: &str) -> Option<String> {
    stages.iter().try_fold(key.to_string(), |key, stage| match stage.apply(&key) {
        Fate::Becomes(name) => Some(name),
        Fate::Undefined => Some(key),
        Fate::Dropped => None,
    })
}
