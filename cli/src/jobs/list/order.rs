//! In which order tensors are listed.

use std::cmp::{Ordering, Reverse};

use statedict_core::{Catalog, TensorEntry, sorting};

/// In which order tensors are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As the file has them.
    #[default]
    File,
    /// The largest first.
    Size,
    /// By their keys, numbers in them as numbers.
    Name,
    /// By their shapes, the largest dimensions first.
    Shape,
}

/// Puts rows of a catalog in order; what is equal stays in the file's.
pub(super) fn sort(rows: &mut [usize], catalog: &Catalog, order: Order) {
    let entry = |row: &usize| &catalog.rows[*row];
    match order {
        Order::File => {}
        Order::Size => sorting::sort_by_key(rows, |row| Reverse(entry(row).tensor.byte_len())),
        Order::Name => sorting::sort_by(rows, |a, b| by_name(entry(a), entry(b))),
        Order::Shape => {
            sorting::sort_by(rows, |a, b| entry(b).tensor.shape.cmp(&entry(a).tensor.shape))
        }
    }
}

fn by_name(a: &TensorEntry, b: &TensorEntry) -> Ordering {
    let paths = natural(&a.path, &b.path);
    paths.then_with(|| natural(a.key.as_str(), b.key.as_str()))
}

/// Compares texts, numbers in them as numbers: `layers.2` is before `layers.10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    while !a.is_empty() && !b.is_empty() {
        let ((first, rest), (other, others)) = (split(a), split(b));
        let numbers = first.parse::<u64>().ok().zip(other.parse::<u64>().ok());
        let order = match numbers {
            Some((first, other)) => first.cmp(&other),
            None => first.cmp(other),
        };
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest, others);
    }
    a.len().cmp(&b.len())
}

/// The digits that a text begins with, or what is before the first, and the rest.
fn split(text: &str) -> (&str, &str) {
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != is_number);
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_numbers() {
        let mut names = ["b", "a.10.w", "a.2.w", "a.2", "a", "a.x"];
        names.sort_by(|a, b| natural(a, b));
        assert_eq!(names, ["a", "a.2", "a.2.w", "a.10.w", "a.x", "b"]);
    }
}
