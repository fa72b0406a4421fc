//! The keys of dicts: which are one key to Python, and how they are shown.

use std::collections::HashMap;

use statedict_core::{Fault, IndexMap, Key};

use crate::budget::Budget;
use crate::pickle::Graph;
use crate::pickle::graph::{Compound, Entry, NodeId, Slot, Value};
use crate::python_repr::python_repr;

/// What a key costs beside its text.
const KEY: usize = 32;

/// How deeply a key's tuples are compared; what nests deeper is a key of its own.
const MAX_DEPTH: usize = 4;

/// The entries as a dict has them: where a key occurs twice, its first place and its last value.
///
/// `1`, `1.0` and `True` are one key to Python, and it keeps the first of them. Different keys that
/// are shown alike, such as two objects of one class, are numbered.
pub(crate) fn effective(
    graph: &Graph<'_>,
    compound: &Compound,
    budget: &Budget,
) -> Result<IndexMap<Key, Slot>, Fault> {
    let mut entries = IndexMap::default();
    let mut labels = HashMap::new();
    entries.reserve_exact(graph.entries.items(compound.entries).count());
    for Entry { key, value, .. } in budget.each_entry(graph, compound)? {
        let label = match graph.text(key.node) {
            Some(text) => Key::Text(text.into()),
            None => label(graph, key.node, &entries, &mut labels, budget)?,
        };
        budget.spend(KEY + label.as_str().len())?;
        entries.insert(label, value);
    }
    Ok(entries)
}

/// How a key that is not text is shown: as the first key that is equal to it.
fn label(
    graph: &Graph<'_>,
    key: NodeId,
    entries: &IndexMap<Key, Slot>,
    labels: &mut HashMap<String, (Key, usize)>,
    budget: &Budget,
) -> Result<Key, Fault> {
    let mut identity = String::new();
    identify(graph, key, MAX_DEPTH, budget, &mut identity)?;
    if let Some((label, _)) = labels.get(&identity) {
        return Ok(label.clone());
    }
    let shown = python_repr(graph, key, budget)?;
    let mut label = Key::Other(shown.as_str().into());
    if entries.contains_key(&label) {
        // Counted by how they are shown, so that many objects take no longer than few.
        let place = labels.entry(format!("shown {shown}")).or_insert((label, 1));
        place.1 += 1;
        label = Key::Other(format!("{shown} ({})", place.1).into());
    }
    budget.spend(2 * KEY + identity.len() + label.as_str().len())?;
    labels.insert(identity, (label.clone(), 1));
    Ok(label)
}

/// Appends a text that two keys share if and only if Python takes them for one, as far as their
/// values are known; others are as different as their places.
fn identify(
    graph: &Graph<'_>,
    node: NodeId,
    depth: usize,
    budget: &Budget,
    out: &mut String,
) -> Result<(), Fault> {
    let before = out.len();
    let node = real(graph, node).unwrap_or(node);
    match graph.value(node) {
        Value::None => out.push_str("none;"),
        Value::Bool(truth) => out.push_str(&format!("{};", i64::from(truth))),
        Value::Int(number) => out.push_str(&format!("{number};")),
        Value::Float(number) => match whole(number) {
            Some(number) => out.push_str(&format!("{number};")),
            None if number.is_nan() => out.push_str(&format!("{node:?};")),
            None => out.push_str(&format!("float {};", number.to_bits())),
        },
        Value::Bytes(extent) => {
            out.push_str(&format!("bytes {};", extent.of(&graph.pickle).escape_ascii()));
        }
        Value::Text(_) => match graph.text(node) {
            Some(text) => out.push_str(&format!("text {text:?};")),
            None => out.push_str(&format!("{node:?};")),
        },
        Value::Global(_) => match graph.global(node) {
            Some((module, name)) => out.push_str(&format!("global {module}.{name};")),
            None => out.push_str(&format!("{node:?};")),
        },
        _ => match size(graph, node).or_else(|| graph.tuple(node)).filter(|_| depth > 0) {
            Some(items) => {
                out.push('(');
                for item in items {
                    identify(graph, *item, depth - 1, budget, out)?;
                }
                out.push(')');
            }
            None => out.push_str(&format!("{node:?};")),
        },
    }
    budget.spend(out.len() - before)
}

/// The whole number that a float is equal to.
fn whole(number: f64) -> Option<i64> {
    let is_whole = number.fract() == 0.0 && number.abs() < i64::MAX as f64;
    is_whole.then_some(number as i64)
}

/// The number that a complex one without an imaginary part is equal to.
fn real(graph: &Graph<'_>, node: NodeId) -> Option<NodeId> {
    let (callable, args) = graph.call(node)?;
    let (_, name) = graph.global(callable)?;
    let [real, imaginary] = graph.tuple(args).filter(|_| name == "complex")? else { return None };
    let is_zero = match graph.value(*imaginary) {
        Value::Int(number) => number == 0,
        Value::Float(number) => number == 0.0,
        Value::Bool(truth) => !truth,
        _ => false,
    };
    is_zero.then_some(*real)
}

/// The numbers of a `torch.Size`, which is a tuple.
fn size<'g>(graph: &'g Graph<'_>, node: NodeId) -> Option<&'g [NodeId]> {
    let (callable, args) = graph.call(node)?;
    let (module, name) = graph.global(callable)?;
    let [numbers] = graph.tuple(args).filter(|_| module == "torch" && name == "Size")? else {
        return None;
    };
    graph.tuple(*numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys of a dict with these entries, whose values are 0, 1, 2, and the values.
    fn keys(entries: &[&[u8]]) -> Vec<(String, i64)> {
        let mut pickle = Vec::from(b"}(");
        for (i, key) in entries.iter().enumerate() {
            pickle.extend([*key, &[b'K', i as u8]].concat());
        }
        pickle.extend(b"u.");
        let graph = Graph::read(&pickle).expect("sound");
        let (_, compound) = graph.as_compound(graph.root).expect("a dict");
        let found = effective(&graph, compound, &Budget::of(&graph)).expect("short");
        let value = |slot: Slot| graph.int(slot.node).expect("a number");
        found.into_iter().map(|(key, slot)| (key.to_string(), value(slot))).collect()
    }

    fn check(entries: &[&[u8]], expected: &[(&str, i64)]) {
        let expected: Vec<_> = expected.iter().map(|(k, v)| (k.to_string(), *v)).collect();
        assert_eq!(keys(entries), expected, "{entries:?}");
    }

    const ONE: &[u8] = b"G\x3f\xf0\0\0\0\0\0\0";
    const NAN: &[u8] = b"G\x7f\xf8\0\0\0\0\0\0";

    #[test]
    fn keys_that_are_equal_in_python_are_one_key_with_the_last_value() {
        check(&[b"K\x01", ONE, b"\x88"], &[("1", 2)]);
        check(&[b"\x88", b"K\x01"], &[("True", 1)]);
        check(&[ONE, b"\x8a\x01\x01"], &[("1.0", 1)]);
        check(&[b"\x89", b"G\x80\0\0\0\0\0\0\0", b"K\0"], &[("False", 2)]);
        check(&[b"K\x01\x85", b"\x88\x85"], &[("(1,)", 1)]);
        check(&[b"ctorch\nSize\nK\x01\x85\x85R", b"K\x01\x85"], &[("<torch.Size>", 1)]);
        check(&[b"N", b"N"], &[("None", 1)]);
        let one = b"cbuiltins\ncomplex\nK\x01K\0\x86R".as_slice();
        check(&[b"K\x01", one], &[("1", 1)]);
    }

    #[test]
    fn keys_that_differ_in_python_stay_apart() {
        check(&[b"K\x01", b"X\x01\0\0\x001", b"C\x011"], &[("1", 0), ("1", 1), ("b'1'", 2)]);
        check(&[NAN, NAN], &[("nan", 0), ("nan (2)", 1)]);
        let device = b"ctorch\ndevice\nX\x03\0\0\0cpu\x85R".as_slice();
        check(
            &[device, device, device],
            &[("<torch.device>", 0), ("<torch.device> (2)", 1), ("<torch.device> (3)", 2)],
        );
        check(&[b"K\x01", b"K\x01\x85"], &[("1", 0), ("(1,)", 1)]);
    }
}
