//! Values as Python prints them, for keys and for the kinds of payload.

use statedict_core::Fault;

use crate::arrays::{class, latin1};
use crate::big_int;
use crate::budget::Budget;
use crate::dtype;
use crate::pickle::Graph;
use crate::pickle::graph::{Kind, NodeId, Value};

/// How deeply a printed key's tuples may nest before the rest is left out.
const MAX_DEPTH: usize = 4;

/// What `str(value)` gives.
///
/// # Errors
/// A value whose text is beyond the budget, such as tuples of tuples that are all the same.
pub(crate) fn python_repr(
    graph: &Graph<'_>,
    node: NodeId,
    budget: &Budget,
) -> Result<String, Fault> {
    match graph.text(node) {
        Some(text) => Ok(text.into_owned()),
        None => {
            let mut out = String::new();
            repr(graph, node, MAX_DEPTH, budget, &mut out)?;
            Ok(out)
        }
    }
}

/// Appends what `repr(value)` gives, objects excepted, which are shown by their class.
fn repr(
    graph: &Graph<'_>,
    node: NodeId,
    depth: usize,
    budget: &Budget,
    out: &mut String,
) -> Result<(), Fault> {
    let before = out.len();
    match graph.value(node) {
        Value::None => out.push_str("None"),
        Value::Bool(true) => out.push_str("True"),
        Value::Bool(false) => out.push_str("False"),
        Value::Int(number) => out.push_str(&number.to_string()),
        Value::BigInt(bytes) => out.push_str(&big_int::of_bytes(bytes.of(&graph.pickle))),
        Value::Digits(digits) => out.push_str(&big_int::of_text(digits.of(&graph.pickle))),
        Value::Float(number) if number.is_nan() => out.push_str("nan"),
        Value::Float(number) => out.push_str(&format!("{number:?}")),
        Value::Text(_) => match graph.text(node) {
            Some(text) => out.push_str(&quoted(&text)),
            None => out.push_str("'\\ufffd'"),
        },
        Value::Bytes(extent) => {
            out.push_str(&format!("b'{}'", extent.of(&graph.pickle).escape_ascii()));
        }
        Value::Compound(_) if latin1(graph, node).is_some() => {
            let text = latin1(graph, node).and_then(|text| graph.text(text)).unwrap_or_default();
            let bytes: Vec<u8> = text.chars().filter_map(|c| u8::try_from(c).ok()).collect();
            out.push_str(&format!("b'{}'", bytes.escape_ascii()));
        }
        // A dtype is printed as it is called.
        Value::Global(_)
            if graph.global(node).is_some_and(|(_, it)| dtype::named(&it).is_some()) =>
        {
            out.push_str(&kind(graph, node));
        }
        Value::Tuple(_) if depth > 0 => {
            let items = graph.tuple(node).unwrap_or_default();
            out.push('(');
            for (i, item) in items.iter().enumerate() {
                out.push_str(if i == 0 { "" } else { ", " });
                repr(graph, *item, depth - 1, budget, out)?;
            }
            out.push_str(if items.len() == 1 { ",)" } else { ")" });
        }
        _ => out.push_str(&format!("<{}>", kind(graph, node))),
    }
    budget.spend(out.len() - before)
}

/// A text in quotes, as Python chooses them.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// What a value is, in a word: `int`, `dict`, `argparse.Namespace`.
pub(crate) fn kind(graph: &Graph<'_>, node: NodeId) -> String {
    if let Some(class) = class(graph, node) {
        return class.into();
    }
    if latin1(graph, node).is_some() {
        return "bytes".into();
    }
    let plain = match graph.value(node) {
        Value::None => "None",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt(_) | Value::Digits(_) => "int",
        Value::Float(_) => "float",
        Value::Text(_) => "str",
        Value::Bytes(_) => "bytes",
        Value::Tuple(_) => "tuple",
        Value::Persistent(_) => "storage",
        Value::Unknown => "object",
        Value::Global(_) => return dotted(graph, node),
        Value::Compound(id) => match graph.compound(id).kind {
            Kind::Dict => "dict",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Call { callable, .. } => return dotted(graph, callable),
        },
    };
    plain.into()
}

fn dotted(graph: &Graph<'_>, global: NodeId) -> String {
    match graph.global(global) {
        Some((module, name)) => format!("{module}.{name}"),
        None => "object".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shown_as_python_prints_them() {
        let check = |pickle: &[u8], expected: &str| {
            let graph = Graph::read(pickle).expect("sound");
            let budget = Budget::of(&graph);
            assert_eq!(python_repr(&graph, graph.root, &budget).expect("short"), expected);
        };
        check(b"K\x03.", "3");
        check(b"X\x01\0\0\0t.", "t");
        check(b"X\x01\0\0\0tK\x01\x86.", "('t', 1)");
        check(b"K\x01\x85.", "(1,)");
        check(b"\x88.", "True");
        check(b"cargparse\nNamespace\n)\x81.", "<argparse.Namespace>");
        check(b"X\x02\0\0\0'\n\x85.", "(\"'\\n\",)");
    }
}
