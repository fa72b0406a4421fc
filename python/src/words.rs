//! Texts as Python shows and spells them.

use std::fmt::Write;

use pyo3::prelude::*;
use statedict::jobs::words::{is_hidden, printable as printable_line};

/// The lines of a text without characters that would steer a terminal or deceive its reader.
pub(crate) fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable_line).collect::<Vec<_>>().join("\n")
}

/// One line of the same.
#[pyfunction]
pub(crate) fn printable(text: &str) -> String {
    printable_line(text).into_owned()
}

/// A text as Python spells it.
pub(crate) fn literal(text: &str) -> String {
    let mut literal = String::from("\"");
    for c in text.chars() {
        let _ = match c {
            '"' | '\\' => write!(literal, "\\{c}"),
            '\n' => write!(literal, "\\n"),
            '\t' => write!(literal, "\\t"),
            '\r' => write!(literal, "\\r"),
            c if !is_hidden(c) => write!(literal, "{c}"),
            c if u32::from(c) < 0x1_0000 => write!(literal, "\\u{:04x}", u32::from(c)),
            c => write!(literal, "\\U{:08x}", u32::from(c)),
        };
    }
    literal + "\""
}
