//! The tensors that a program finds when it goes through what was loaded.

use super::values::{Id, Key, Value, View, element_size};

/// More tensors, or longer paths, are not compared.
const MOST: usize = 512;
const DEEPEST: usize = 24;

/// The most elements whose places are listed.
const MOST_ELEMENTS: u64 = 4096;

/// A tensor in what was loaded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The path to what holds it.
    pub at: String,
    /// Its key there.
    pub key: String,
    /// The type of its elements.
    pub dtype: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// The number of the storage that has its elements, if it has any.
    pub storage: Option<usize>,
    /// Where in the storage each element begins, in bytes.
    pub places: Vec<u64>,
}

/// Every tensor, by the paths to it; none if the model does not know how they are listed.
pub(super) fn tensors(values: &[Value], root: Id) -> Option<Vec<Found>> {
    let mut walk = Walk { values, found: Vec::new(), steps: 0 };
    match &values[root] {
        Value::Tensor(view) | Value::Parameter(view) => walk.note("", String::new(), view)?,
        _ => walk.below(root, "", 0)?,
    }
    walk.found.sort();
    Some(walk.found)
}

struct Walk<'v> {
    values: &'v [Value],
    found: Vec<Found>,
    steps: usize,
}

impl Walk<'_> {
    fn below(&mut self, id: Id, at: &str, depth: usize) -> Option<()> {
        self.steps += 1;
        if depth > DEEPEST || self.steps > 8 * MOST {
            return None;
        }
        match &self.values[id] {
            Value::Dict(_, entries) => {
                for (key, child) in entries {
                    self.child(at, printed(key), *child, depth)?;
                }
            }
            Value::List(items) | Value::Tuple(items) | Value::Size(items) => {
                for (number, child) in items.iter().enumerate() {
                    self.child(at, Some(number.to_string()), *child, depth)?;
                }
            }
            Value::Opaque => return None,
            _ => {}
        }
        Some(())
    }

    fn child(&mut self, at: &str, key: Option<String>, child: Id, depth: usize) -> Option<()> {
        match &self.values[child] {
            Value::Tensor(view) | Value::Parameter(view) => self.note(at, key?, view),
            Value::Dict(..) | Value::List(_) | Value::Tuple(_) | Value::Size(_) => {
                let key = key?;
                let path = if at.is_empty() { key } else { format!("{at}/{key}") };
                self.below(child, &path, depth + 1)
            }
            _ => self.below(child, "", depth + 1),
        }
    }

    fn note(&mut self, at: &str, key: String, view: &View) -> Option<()> {
        let places = places(view)?;
        let storage = (!places.is_empty()).then_some(view.storage.number);
        let (dtype, shape) = (view.storage.dtype.to_string(), view.shape.clone());
        self.found.push(Found { at: at.to_string(), key, dtype, shape, storage, places });
        (self.found.len() <= MOST).then_some(())
    }
}

/// A key as Python prints it, if the model knows.
fn printed(key: &Key) -> Option<String> {
    match key {
        Key::Text(text) => String::from_utf8(text.clone()).ok(),
        Key::Int(number, None) => Some(number.to_string()),
        Key::Int(_, Some("")) => None,
        Key::Int(_, Some(word)) => Some(word.to_string()),
        Key::None => Some("None".into()),
        _ => None,
    }
}

/// Where each element of a view begins in its storage, in bytes and row-major order.
fn places(view: &View) -> Option<Vec<u64>> {
    let size = element_size(view.storage.dtype)?;
    let count = view.shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
    if view.shape.contains(&0) {
        return Some(Vec::new());
    }
    let count = count.filter(|count| *count <= MOST_ELEMENTS)?;
    let place = |number: u64| {
        let (mut rest, mut at) = (number, view.offset);
        for (size, stride) in view.shape.iter().zip(&view.strides).rev() {
            at += rest % size * stride;
            rest /= size;
        }
        at * size
    };
    Some((0..count).map(place).collect())
}
