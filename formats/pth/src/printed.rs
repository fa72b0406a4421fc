//! Values as Python prints them, for keys and for the kinds of payload.

use crate::pickle::Graph;
use crate::pickle::graph::{Kind, NodeId, Value};

/// How deeply a printed key's tuples may nest before the rest is left out.
const MAX_DEPTH: usize = 4;

/// What `str(value)` gives.
pub(crate) fn printed(graph: &Graph<'_>, node: NodeId) -> String {
    match graph.text(node) {
        Some(text) => text.into_owned(),
        None => repr(graph, node, MAX_DEPTH),
    }
}

/// What `repr(value)` gives, objects excepted, which are shown by their class.
fn repr(graph: &Graph<'_>, node: NodeId, depth: usize) -> String {
    match graph.value(node) {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(_) => match graph.text(node) {
            Some(text) => quoted(&text),
            None => "'\\ufffd'".into(),
        },
        Value::Bytes(extent) => format!("b'{}'", extent.of(&graph.pickle).escape_ascii()),
        Value::Tuple(_) if depth > 0 => {
            let items = graph.tuple(node).unwrap_or_default();
            let shown: Vec<_> = items.iter().map(|item| repr(graph, *item, depth - 1)).collect();
            match shown.as_slice() {
                [one] => format!("({one},)"),
                _ => format!("({})", shown.join(", ")),
            }
        }
        _ => format!("<{}>", kind(graph, node)),
    }
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
    let plain = match graph.value(node) {
        Value::None => "None",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::BigInt => "int",
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
            Kind::Call { callable, .. } => return dotted(graph, callable.node),
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
            assert_eq!(printed(&graph, graph.root), expected);
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
