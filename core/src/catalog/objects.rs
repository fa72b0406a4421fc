//! What a file builds beside plain tensors, as a graph that can be held against another.
//!
//! Nodes are shared as the file shares them, so a graph is no larger than what it is of, and a
//! comparison looks at each pair of nodes once, whatever number of paths leads there.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{IndexMap, IndexSet, Key, Tensor, Value};

/// An object's place among [`Objects`].
pub type ObjectId = usize;

/// Everything that a file builds.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// The objects; ids are places here.
    pub all: Vec<Object>,
    /// What the file as a whole is.
    pub root: ObjectId,
    /// The state dicts of the file's catalog, in its order.
    pub state_dicts: Vec<ObjectId>,
}

impl Objects {
    /// The classes and functions that the file names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().filter_map(|object| match object {
            Object::Scalar(Scalar::Name(name)) => Some(name.as_str()),
            _ => None,
        })
    }
}

/// A thing that a file builds.
#[derive(Clone, Debug)]
pub enum Object {
    /// A value without parts.
    Scalar(Scalar),
    /// Values in an order.
    Sequence(Sequence, Vec<ObjectId>),
    /// A mapping, or an instance of a class.
    Record(Record),
    /// A tensor with plain elements, or a bare storage.
    Tensor(Tensor),
    /// What cannot be followed, and why.
    Unknown(String),
}

/// A value without parts.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// Python's `None`.
    None,
    /// True or false.
    Bool(bool),
    /// A whole number of up to 64 bits.
    Int(i64),
    /// A longer whole number, as its file spells it.
    BigInt(String),
    /// A floating-point number.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A class or function: `torch.float32`.
    Name(String),
}

/// What values are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// A list.
    List,
    /// A tuple.
    Tuple,
}

/// A mapping, or an instance of a class with what makes it.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What it is an instance of; none for a plain dict.
    pub class: Option<ObjectId>,
    /// What the class was called with.
    pub arguments: Option<ObjectId>,
    /// Its entries, in order; no key occurs twice.
    pub entries: IndexMap<Key, ObjectId>,
    /// Its elements, of a list or the like.
    pub elements: Vec<ObjectId>,
    /// What it was given as its state: its attributes.
    pub states: Vec<ObjectId>,
}

/// A value that differs, or that only one side has.
#[derive(Clone, Debug, PartialEq)]
pub struct ObjectChange {
    /// The path to it, joined by `/`.
    pub path: String,
    /// What it is in `a`.
    pub a: Option<Value>,
    /// What it is in `b`.
    pub b: Option<Value>,
}

/// What could not be compared, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uncompared {
    /// The key of the state dict, or the path.
    pub path: String,
    /// Why.
    pub why: String,
}

/// What came of holding objects against each other.
#[derive(Clone, Debug, Default)]
pub struct Compared {
    /// What differs.
    pub changes: Vec<ObjectChange>,
    /// Tensors of both sides, whose elements are still to be compared.
    pub tensors: Vec<(String, Tensor, Tensor)>,
    /// What could not be compared.
    pub unknown: Vec<Uncompared>,
    /// Changes beyond those that are listed.
    pub more: usize,
}

/// Two graphs that are compared as wholes.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The state dicts that are compared otherwise: by key, with renames.
    pub state_dicts: Option<(ObjectId, ObjectId)>,
    /// Keys of the roots that mean each other: those of the state dicts.
    pub keys: Option<(&'a str, &'a str)>,
}

/// How deep objects are followed; a deeper one is not compared.
const MAX_DEPTH: usize = 1000;

/// Changes that are listed one by one.
const MAX_CHANGES: usize = 10_000;

/// Bytes of the paths that are listed.
const MAX_PATHS: usize = 16 << 20;

/// How many pairs are looked at for each object of both sides.
const PAIRS_PER_OBJECT: usize = 8;

/// Values of a list that are shown.
const SHOWN: usize = 8;

impl Objects {
    /// An object.
    ///
    /// # Panics
    /// If the id is of other objects.
    pub fn get(&self, id: ObjectId) -> &Object {
        &self.all[id]
    }

    /// The value under a key of a mapping.
    pub fn entry(&self, mapping: ObjectId, key: &Key) -> Option<ObjectId> {
        match self.get(mapping) {
            Object::Record(record) => record.entries.get(key).copied(),
            _ => None,
        }
    }

    /// What a mapping was given as its attributes, such as `_metadata`.
    pub fn states(&self, mapping: ObjectId) -> &[ObjectId] {
        match self.get(mapping) {
            Object::Record(record) => &record.states,
            _ => &[],
        }
    }

    /// An object as it is shown: numbers and texts as they are, others by their kind and size.
    pub fn shown(&self, id: ObjectId) -> Value {
        match self.get(id) {
            Object::Scalar(scalar) => scalar.shown(),
            Object::Sequence(_, items) => {
                let scalar = |item: &ObjectId| match self.get(*item) {
                    Object::Scalar(scalar) => Some(scalar.shown()),
                    _ => None,
                };
                let shown: Option<Vec<_>> = items.iter().take(SHOWN + 1).map(scalar).collect();
                match shown.filter(|shown| shown.len() <= SHOWN) {
                    Some(shown) => Value::List(shown),
                    None => Value::Object(format!("list of {}", items.len())),
                }
            }
            Object::Record(record) => Value::Object(match record.class {
                None => format!("dict of {}", record.entries.len()),
                Some(class) => match self.get(class) {
                    Object::Scalar(Scalar::Name(name)) => name.clone(),
                    _ => "object".to_string(),
                },
            }),
            Object::Tensor(tensor) => {
                Value::Object(format!("tensor {} {:?}", tensor.dtype, tensor.shape))
            }
            Object::Unknown(_) => Value::Object("object".to_string()),
        }
    }
}

impl Scalar {
    fn shown(&self) -> Value {
        match self {
            Scalar::None => Value::None,
            Scalar::Bool(value) => Value::Bool(*value),
            Scalar::Int(number) => Value::Int(*number),
            Scalar::Float(number) => Value::Float(*number),
            Scalar::Text(text) => Value::Text(text.clone()),
            Scalar::BigInt(number) => Value::Object(format!("int {number}")),
            Scalar::Bytes(bytes) => Value::Object(format!("{} bytes", bytes.len())),
            Scalar::Name(name) => Value::Object(name.clone()),
        }
    }

    /// True if both are the same value; NaN is NaN, as among elements.
    fn is(&self, other: &Scalar) -> bool {
        match (self, other) {
            (Scalar::Float(a), Scalar::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
            (a, b) => a == b,
        }
    }
}

/// A pair of objects to look at, and how it was reached.
struct Visit {
    a: ObjectId,
    b: ObjectId,
    /// The visit that led here.
    from: Option<usize>,
    label: Cow<'static, str>,
    depth: usize,
}

/// Two graphs that are being compared.
pub(crate) struct Comparison<'a> {
    a: &'a Objects,
    b: &'a Objects,
    visits: Vec<Visit>,
    /// Visits to make, the next one last.
    open: Vec<usize>,
    seen: IndexSet<(ObjectId, ObjectId)>,
    paths: usize,
    whole: Option<Whole<'a>>,
    found: Compared,
}

impl Compared {
    /// Compares two graphs as wholes.
    pub fn whole(a: &Objects, b: &Objects, whole: Whole<'_>) -> Compared {
        let mut comparison = Comparison::new(a, b);
        comparison.whole = Some(whole);
        comparison.seen.extend(whole.state_dicts);
        comparison.visit(None, Cow::Borrowed(""), a.root, b.root);
        comparison.run()
    }

    /// Compares objects under the same keys.
    pub fn entries(
        a: &Objects,
        b: &Objects,
        entries: impl IntoIterator<Item = (String, ObjectId, ObjectId)>,
    ) -> Compared {
        let mut comparison = Comparison::new(a, b);
        for (key, ours, theirs) in entries {
            comparison.visit(None, Cow::Owned(key), ours, theirs);
        }
        comparison.open.reverse();
        comparison.run()
    }

    /// Adds what another comparison found.
    pub fn extend(&mut self, other: Compared) {
        self.changes.extend(other.changes);
        self.tensors.extend(other.tensors);
        self.unknown.extend(other.unknown);
        self.more += other.more;
    }
}

impl<'a> Comparison<'a> {
    fn new(a: &'a Objects, b: &'a Objects) -> Comparison<'a> {
        Comparison {
            a,
            b,
            visits: Vec::new(),
            open: Vec::new(),
            seen: IndexSet::default(),
            paths: 0,
            whole: None,
            found: Compared::default(),
        }
    }

    fn run(mut self) -> Compared {
        let most = PAIRS_PER_OBJECT.saturating_mul(self.a.all.len() + self.b.all.len());
        while let Some(place) = self.open.pop() {
            let Visit { a, b, depth, .. } = self.visits[place];
            if depth > MAX_DEPTH {
                self.give_up(place, format!("it is nested deeper than {MAX_DEPTH}"));
            } else if self.seen.len() > most {
                self.give_up(place, "it is reached by ever more paths".to_string());
                break;
            } else {
                self.compare(place, a, b);
            }
        }
        self.found
    }

    /// Notes a pair to look at, unless that was done.
    fn visit(&mut self, from: Option<usize>, label: Cow<'static, str>, a: ObjectId, b: ObjectId) {
        if self.seen.insert((a, b)) {
            let depth = from.map_or(0, |from| self.visits[from].depth + 1);
            self.open.push(self.visits.len());
            self.visits.push(Visit { a, b, from, label, depth });
        }
    }

    fn compare(&mut self, place: usize, a: ObjectId, b: ObjectId) {
        let (ours, theirs) = (self.a, self.b);
        let first = self.open.len();
        match (ours.get(a), theirs.get(b)) {
            (Object::Scalar(a), Object::Scalar(b)) if a.is(b) => {}
            (Object::Tensor(a), Object::Tensor(b)) => {
                let path = self.path(place, "");
                self.found.tensors.push((path, a.clone(), b.clone()));
            }
            (Object::Unknown(why), _) | (_, Object::Unknown(why)) => {
                self.give_up(place, why.clone());
            }
            (Object::Sequence(kind, a), Object::Sequence(other, b))
                if kind == other && a.len() == b.len() =>
            {
                for (i, (a, b)) in a.iter().zip(b).enumerate() {
                    self.visit(Some(place), Cow::Owned(i.to_string()), *a, *b);
                }
            }
            (Object::Record(a), Object::Record(b)) if a.is_like(b) => self.records(place, a, b),
            _ => self.change(place, "", Some(a), Some(b)),
        }
        // In the order of the file, since the last one is looked at first.
        self.open[first..].reverse();
    }

    fn records(&mut self, place: usize, a: &Record, b: &Record) {
        let pairs = a.class.zip(b.class).into_iter().chain(a.arguments.zip(b.arguments));
        for (a, b) in pairs.chain(a.elements.iter().copied().zip(b.elements.iter().copied())) {
            self.visit(Some(place), Cow::Borrowed(""), a, b);
        }
        let is_root = self.visits[place].from.is_none();
        let keys = self.whole.and_then(|whole| whole.keys).filter(|_| is_root);
        let stands_for = |key: &Key| match (key, keys) {
            (Key::Text(key), Some((ours, theirs))) if **key == *ours => Key::Text(theirs.into()),
            (key, _) => key.clone(),
        };
        for (key, ours) in &a.entries {
            match b.entries.get(&stands_for(key)) {
                Some(theirs) => {
                    self.visit(Some(place), Cow::Owned(key.to_string()), *ours, *theirs);
                }
                None => self.change(place, key.as_str(), Some(*ours), None),
            }
        }
        let known: IndexSet<Key> = a.entries.keys().map(stands_for).collect();
        for (key, theirs) in b.entries.iter().filter(|(key, _)| !known.contains(*key)) {
            self.change(place, key.as_str(), None, Some(*theirs));
        }
        for (a, b) in a.states.iter().zip(&b.states) {
            self.visit(Some(place), Cow::Borrowed(""), *a, *b);
        }
    }

    fn change(&mut self, place: usize, key: &str, a: Option<ObjectId>, b: Option<ObjectId>) {
        if self.found.changes.len() >= MAX_CHANGES || self.paths >= MAX_PATHS {
            self.found.more += 1;
            return;
        }
        let path = self.path(place, key);
        let (a, b) = (a.map(|id| self.a.shown(id)), b.map(|id| self.b.shown(id)));
        self.found.changes.push(ObjectChange { path, a, b });
    }

    fn give_up(&mut self, place: usize, why: String) {
        let path = self.path(place, "");
        self.found.unknown.push(Uncompared { path, why });
    }

    /// The path to what a visit looks at, and to a key in it.
    fn path(&mut self, place: usize, key: &str) -> String {
        let mut labels: Vec<&str> = Vec::new();
        labels.extend((!key.is_empty()).then_some(key));
        let mut next = Some(place);
        while let Some(place) = next {
            let visit = &self.visits[place];
            labels.extend((!visit.label.is_empty()).then_some(visit.label.as_ref()));
            next = visit.from;
        }
        labels.reverse();
        let path = labels.join("/");
        self.paths += path.len();
        path
    }
}

impl Record {
    /// True if both have the same count of everything that is identified by its position.
    fn is_like(&self, other: &Record) -> bool {
        self.class.is_some() == other.class.is_some()
            && self.arguments.is_some() == other.arguments.is_some()
            && self.elements.len() == other.elements.len()
            && self.states.len() == other.states.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn int(number: i64) -> Object {
        Object::Scalar(Scalar::Int(number))
    }

    fn dict(entries: &[(&str, ObjectId)]) -> Object {
        let entries = entries.iter().map(|(key, id)| (Key::Text((*key).into()), *id)).collect();
        Object::Record(Record { entries, ..Record::default() })
    }

    fn graph(all: Vec<Object>) -> Objects {
        Objects { all, root: 0, state_dicts: Vec::new() }
    }

    fn whole(a: &Objects, b: &Objects) -> Vec<String> {
        let found = Compared::whole(a, b, Whole { state_dicts: None, keys: None });
        assert!(found.unknown.is_empty() && found.more == 0);
        found
            .changes
            .into_iter()
            .map(|change| format!("{}: {:?} {:?}", change.path, change.a, change.b))
            .collect()
    }

    #[test]
    fn values_differ_by_their_paths_and_the_order_of_keys_is_none() {
        let a = graph(vec![
            dict(&[("x", 1), ("l", 2), ("gone", 1)]),
            int(1),
            Object::Sequence(Sequence::List, vec![1, 3]),
            int(3),
        ]);
        let b = graph(vec![
            dict(&[("l", 2), ("x", 1), ("came", 3)]),
            int(1),
            Object::Sequence(Sequence::List, vec![1, 4]),
            int(3),
            int(4),
        ]);
        let expected = [
            "gone: Some(Int(1)) None",
            "came: None Some(Int(3))",
            "l/1: Some(Int(3)) Some(Int(4))",
        ];
        assert_eq!(whole(&a, &b), expected);
        assert!(whole(&a, &a).is_empty());
    }

    #[test]
    fn kinds_and_lengths_differ() {
        let list = |kind, items: Vec<ObjectId>| graph(vec![Object::Sequence(kind, items), int(1)]);
        let one = list(Sequence::List, vec![1]);
        assert_eq!(whole(&one, &list(Sequence::Tuple, vec![1])).len(), 1);
        assert_eq!(whole(&one, &list(Sequence::List, vec![1, 1])).len(), 1);
        let float = |number| graph(vec![Object::Scalar(Scalar::Float(number))]);
        assert!(whole(&float(f64::NAN), &float(f64::NAN)).is_empty());
        assert!(whole(&float(0.0), &float(-0.0)).is_empty());
        assert_eq!(whole(&float(1.0), &graph(vec![int(1)])).len(), 1);
    }

    #[test]
    fn cycles_and_what_is_shared_many_times_over_end() {
        let mut all: Vec<Object> =
            (0..60).map(|i| Object::Sequence(Sequence::List, vec![i + 1, i + 1])).collect();
        all.push(Object::Sequence(Sequence::List, vec![0]));
        let a = graph(all);
        assert!(whole(&a, &a.clone()).is_empty());
    }
}
