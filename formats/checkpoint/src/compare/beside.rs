//! What is next to the plain tensors of two files: values, quantized tensors, optimizers, metadata.

use statedict_core::{
    Catalog, IndexMap, IndexSet, Key, StateDict, Tensor, Value,
    diff::{Change, Diff, Entry, Matching, Side, Unplaced},
    is_implied,
    objects::{Compared, ObjectChange, ObjectId, Objects, Uncompared, Whole},
};

use crate::checkpoint::Checkpoint;
use crate::compare::operand::Operand;
use crate::compare::tensor_pair::{TensorPair, deviations};
use crate::error::Error;

/// How much of two files is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Everything.
    Files,
    /// A state dict of each, with those of its values that are not tensors.
    StateDicts,
    /// The tensors of a state dict of each.
    Weights,
}

/// Adds to what was found of the elements what differs in everything else.
///
/// What a format cannot store is not a difference where the other file has it; it is named.
///
/// # Errors
/// What keeps elements from being read.
pub fn compare_beside(
    diff: &mut Diff,
    matching: &Matching<'_>,
    (a, ours): (&Checkpoint, Side<'_>),
    (b, theirs): (&Checkpoint, Side<'_>),
    scope: Scope,
) -> Result<(), Error> {
    let keys_agree = diff.removed.is_empty() && diff.added.is_empty() && diff.renamed.is_empty();
    let has_place = [a, b].map(|file| file.format().facts().holds_objects);
    for (in_a, entries) in [(true, &matching.removed), (false, &matching.added)] {
        set_aside(diff, entries, in_a, scope, has_place);
    }
    let mut compared = Compared::default();
    let [in_a, in_b] = has_place;
    if let [Some(x), Some(y)] = [read(a, diff), read(b, diff)] {
        let sides = Sides { a: (&x, ours), b: (&y, theirs) };
        compared.extend(sides.entries(diff, matching, scope));
        if in_a && in_b && scope == Scope::Files {
            compared.extend(sides.beside());
        }
        if in_a && in_b && scope != Scope::Weights && keys_agree {
            compared.extend(sides.attributes());
        }
    }
    if scope == Scope::Files {
        diff.unplaced.extend(beside(ours).filter(|_| !in_b).map(|it| it.unplaced(true)));
        diff.unplaced.extend(beside(theirs).filter(|_| !in_a).map(|it| it.unplaced(false)));
    }
    if scope == Scope::Files {
        compare_metadata(diff, (a, ours.state_dict), (b, theirs.state_dict));
    }
    finish(diff, compared, a, b)
}

/// The objects of a file, if it has any that can be read.
fn read(file: &Checkpoint, diff: &mut Diff) -> Option<Objects> {
    match file.objects() {
        Ok(objects) => objects,
        Err(error) => {
            let path = file.path().display().to_string();
            diff.not_compared.push(Uncompared { path, why: error.to_string() });
            None
        }
    }
}

/// Values of one side that are not tensors: left out where weights alone are compared, and no
/// difference where the other format has no place for them.
fn set_aside(
    diff: &mut Diff,
    entries: &[Entry<'_>],
    in_a: bool,
    scope: Scope,
    has_place: [bool; 2],
) {
    let other_has_place = has_place[usize::from(in_a)];
    let values = entries.iter().filter(|entry| entry.tensor.is_none());
    let values: IndexSet<&Key> = values.map(|entry| &entry.key).collect();
    if scope != Scope::Weights && other_has_place {
        return;
    }
    let keys = if in_a { &mut diff.removed } else { &mut diff.added };
    keys.retain(|key| !values.contains(key));
    if scope != Scope::Weights {
        diff.unplaced.extend(values.iter().map(|key| Unplaced {
            in_a,
            path: key.to_string(),
            kind: "no tensor".to_string(),
        }));
    }
}

/// Something beside a state dict, by its path.
struct Beside {
    path: String,
    kind: String,
}

impl Beside {
    fn unplaced(self, in_a: bool) -> Unplaced {
        Unplaced { in_a, path: self.path, kind: self.kind }
    }
}

fn beside(side: Side<'_>) -> impl Iterator<Item = Beside> {
    let beside = side.catalog.beside(side.state_dict).into_iter();
    beside.map(|(path, kind)| Beside { path, kind })
}

/// The objects of both files, with the state dicts that are compared by key.
struct Sides<'a> {
    a: (&'a Objects, Side<'a>),
    b: (&'a Objects, Side<'a>),
}

impl Sides<'_> {
    /// The mappings of the state dicts.
    fn mappings(&self) -> Option<(ObjectId, ObjectId)> {
        let mapping = |(objects, side): (&Objects, Side<'_>)| {
            let place = place_of(side.catalog, side.state_dict)?;
            objects.state_dicts.get(place).copied()
        };
        Some((mapping(self.a)?, mapping(self.b)?))
    }

    /// The values of the state dicts that are not plain elements on both sides.
    fn entries(&self, diff: &mut Diff, matching: &Matching<'_>, scope: Scope) -> Compared {
        let Some((ours, theirs)) = self.mappings() else { return Compared::default() };
        let mut entries = Vec::new();
        let mut found = IndexSet::<String>::default();
        for pair in &matching.common {
            let is_plain = pair.elements().is_some() || pair.differs_in_layout();
            if is_plain || (scope == Scope::Weights && pair.a.is_none()) {
                continue;
            }
            let key = pair.key.to_string();
            let both = self.a.0.entry(ours, &pair.key).zip(self.b.0.entry(theirs, &pair.key));
            if let Some((a, b)) = both {
                entries.push((key.clone(), a, b));
                found.insert(key);
            }
        }
        let is_left_out = |path: &str| {
            let value = matching.common.iter().find(|pair| pair.key.as_str() == path);
            scope == Scope::Weights && value.is_some_and(|pair| pair.a.is_none())
        };
        diff.not_compared.retain(|it| !found.contains(&it.path) && !is_left_out(&it.path));
        Compared::entries(self.a.0, self.b.0, entries)
    }

    /// Everything beside the state dicts.
    fn beside(&self) -> Compared {
        let (at_a, at_b) = (self.a.1.state_dict.path.as_str(), self.b.1.state_dict.path.as_str());
        let is_fixed = [self.a, self.b].iter().any(|(_, side)| side.state_dict.fixed.is_some());
        let state_dicts = self.mappings().filter(|_| !is_fixed);
        let keys = match (at_a, at_b) {
            (a, b) if a == b => None,
            (a, b) if is_one_key(a) && is_one_key(b) => Some((a, b)),
            _ => return self.listed(),
        };
        Compared::whole(self.a.0, self.b.0, Whole { state_dicts, keys })
    }

    /// What is beside state dicts that are at different depths, by the names of the things.
    fn listed(&self) -> Compared {
        let shown = |it: &Beside| Some(Value::Object(it.kind.clone()));
        let ours =
            beside(self.a.1).map(|it| ObjectChange { a: shown(&it), b: None, path: it.path });
        let theirs =
            beside(self.b.1).map(|it| ObjectChange { b: shown(&it), a: None, path: it.path });
        Compared { changes: ours.chain(theirs).collect(), ..Compared::default() }
    }

    /// The attributes of the state dicts, `_metadata` among them; one that has none is not another.
    fn attributes(&self) -> Compared {
        let Some((ours, theirs)) = self.mappings() else { return Compared::default() };
        let states = |objects: &Objects, id| objects.states(id).last().copied();
        let both = states(self.a.0, ours).zip(states(self.b.0, theirs));
        let entries = both.map(|(a, b)| (String::new(), a, b));
        Compared::entries(self.a.0, self.b.0, entries)
    }
}

fn place_of(catalog: &Catalog, state_dict: &StateDict) -> Option<usize> {
    catalog.state_dicts.iter().position(|it| std::ptr::eq(it, state_dict))
}

/// True for the path of a value of the root.
fn is_one_key(at: &str) -> bool {
    !at.is_empty() && !at.contains('/')
}

/// Metadata by their names, so far as both formats have a place for them.
fn compare_metadata(
    diff: &mut Diff,
    (a, ours): (&Checkpoint, &StateDict),
    (b, theirs): (&Checkpoint, &StateDict),
) {
    let metadata = |file: &Checkpoint, own: &StateDict, other: &StateDict| {
        // Recorded ties are compared as the keys they stand for, where the other side has those.
        let is_key = |alias: &str| file.catalog().state_dicts.iter().any(|it| it.contains(alias));
        let is_tie =
            |alias: &str, kept: &str| !is_key(alias) && own.contains(kept) && other.contains(alias);
        let pairs = file.metadata().into_iter();
        pairs.filter(|(key, value)| !is_tie(key, value)).collect::<IndexMap<String, String>>()
    };
    let mut sides = [metadata(a, ours, theirs), metadata(b, theirs, ours)];
    if a.format().name() != b.format().name() {
        sides.iter_mut().for_each(|side| side.retain(|key, value| !is_implied(key, value)));
    }
    for (in_a, file) in [(true, b), (false, a)] {
        if !file.format().facts().holds_metadata {
            let side = std::mem::take(&mut sides[usize::from(!in_a)]);
            diff.unplaced.extend(side.into_keys().map(|path| Unplaced {
                in_a,
                path,
                kind: "metadata".to_string(),
            }));
        }
    }
    let [a, b] = sides;
    let keys: IndexSet<&String> = a.keys().chain(b.keys()).collect();
    for key in keys.into_iter().filter(|key| a.get(*key) != b.get(*key)) {
        let (a, b) = (a.get(key).cloned(), b.get(key).cloned());
        diff.metadata.push(Change { key: Key::Text(key.as_str().into()), a, b });
    }
}

/// Adds what was found, after reading the tensors among the objects.
fn finish(
    diff: &mut Diff,
    compared: Compared,
    a: &Checkpoint,
    b: &Checkpoint,
) -> Result<(), Error> {
    diff.objects.extend(compared.changes);
    diff.not_compared.extend(compared.unknown);
    diff.more += compared.more;
    let (mut paths, mut couples) = (Vec::new(), Vec::new());
    for (path, ours, theirs) in compared.tensors {
        if described(&ours) != described(&theirs) {
            let (a, b) =
                (Some(Value::Object(described(&ours))), Some(Value::Object(described(&theirs))));
            diff.objects.push(ObjectChange { path, a, b });
            continue;
        }
        let halves = Operand::of(a, &ours).zip(Operand::of(b, &theirs));
        match halves.and_then(|(ours, theirs)| TensorPair::measured(ours, theirs)) {
            Some(couple) => {
                paths.push(path);
                couples.push(couple);
            }
            None => {
                let why = format!("elements of type {} cannot be read", ours.dtype);
                diff.not_compared.push(Uncompared { path, why });
            }
        }
    }
    let found = paths.into_iter().zip(deviations(&couples)?);
    diff.object_values.extend(found.filter(|(_, deviation)| deviation.count > 0));
    Ok(())
}

fn described(tensor: &Tensor) -> String {
    format!("tensor {} {:?}", tensor.dtype, tensor.shape)
}
