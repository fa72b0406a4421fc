//! Payload as text: one line for each value, indented by its depth.

use std::io::Write;

use statedict::core::Value;

use crate::failure::Failure;
use crate::terminal::text::{bounded, count, name, printable};

/// Items of a list of plain values that are shown; the rest is counted.
const ITEMS_SHOWN: usize = 8;

/// What a file holds beside its tensors: its metadata, and in a pickle whatever else there is.
pub(crate) fn payload(
    payload: Option<&Value>,
    metadata: &[(String, String)],
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if !metadata.is_empty() {
        writeln!(out, "metadata:")?;
    }
    for (key, value) in metadata {
        writeln!(out, "  {}: '{}'", name(key), printable(&bounded(value)))?;
    }
    match payload {
        None if metadata.is_empty() => Ok(writeln!(out, "the file holds tensors only")?),
        None => Ok(()),
        Some(Value::Map(entries)) => map(entries, 0, out),
        Some(other) => Ok(writeln!(out, "{}", brief(other))?),
    }
}

fn map(entries: &[(String, Value)], depth: usize, out: &mut dyn Write) -> Result<(), Failure> {
    let indent = "  ".repeat(depth);
    let tensors = entries.iter().filter(|(_, value)| *value == Value::Tensor).count();
    if tensors > 0 {
        writeln!(out, "{indent}({})", count(tensors, "tensor"))?;
    }
    for (key, value) in entries.iter().filter(|(_, value)| *value != Value::Tensor) {
        let key = name(key);
        if let Some(tensors) = only_tensors(value) {
            writeln!(out, "{indent}{key}: ({})", count(tensors, "tensor"))?;
            continue;
        }
        match value {
            Value::Map(inner) if !inner.is_empty() => {
                writeln!(out, "{indent}{key}:")?;
                map(inner, depth + 1, out)?;
            }
            Value::List(items) if items.iter().any(is_map) => {
                writeln!(out, "{indent}{key}:")?;
                let numbered = items.iter().enumerate().map(|(i, it)| (i.to_string(), it.clone()));
                map(&numbered.collect::<Vec<_>>(), depth + 1, out)?;
            }
            plain => writeln!(out, "{indent}{key}: {}", brief(plain))?,
        }
    }
    Ok(())
}

/// How many tensors a mapping holds at whatever depth, if it holds nothing else.
fn only_tensors(value: &Value) -> Option<usize> {
    match value {
        Value::Tensor => Some(1),
        Value::Map(entries) if !entries.is_empty() => {
            entries.iter().try_fold(0, |sum, (_, value)| Some(sum + only_tensors(value)?))
        }
        _ => None,
    }
}

fn is_map(value: &Value) -> bool {
    matches!(value, Value::Map(_))
}

/// A value on one line.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::None => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => format!("'{}'", printable(&bounded(text))),
        Value::Map(entries) => format!("{{{}}}", count(entries.len(), "key")),
        Value::List(items) => {
            let shown: Vec<String> = items.iter().take(ITEMS_SHOWN).map(brief).collect();
            let more = items.len().saturating_sub(ITEMS_SHOWN);
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("[{}{rest}]", shown.join(", "))
        }
        Value::Object(class) => format!("<{}>", name(class)),
        Value::Tensor => "<tensor>".into(),
    }
}
