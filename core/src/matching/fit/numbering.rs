//! Which numbers of a key the rules behind the pairs so far may speak of.
//!
//! That `block.2.1` became `bn2` and `block.3.1` became `bn3` does not make a `bn1` of `block.1.1`
//! where a `block.0.1` is as good.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use crate::matching::fit::matcher::{Item, Matcher};
use crate::matching::fit::modules::{Depth, form};
use crate::{IndexMap, IndexSet, SEPARATOR};

/// The numbers of keys that have a partner, and what is left.
pub(super) struct KnownNumbers {
    /// By the form of the key and the place in it.
    seen: IndexSet<(String, usize, u64)>,
    /// How many open keys differ in one number alone, and in no shape.
    rivals: IndexMap<String, usize>,
}

impl Matcher<'_> {
    /// What is known while these pairs are.
    pub(super) fn known_numbers(&self) -> KnownNumbers {
        let mut known = KnownNumbers { seen: IndexSet::default(), rivals: IndexMap::default() };
        for (source, ..) in &self.pairs {
            let (form, numbers) = numbers(&self.sources[*source]);
            let places = numbers.into_iter().enumerate();
            known.seen.extend(places.map(|(place, number)| (form.clone(), place, number)));
        }
        for (_, item) in self.open_sources() {
            let (form, numbers) = numbers(item);
            for place in 0..numbers.len() {
                *known.rivals.entry(but_for(item, &form, &numbers, place)).or_default() += 1;
            }
        }
        known
    }
}

impl KnownNumbers {
    /// True if each number of the key is that of a key with a partner, or no other key is as good.
    pub(super) fn allow(&self, item: &Item) -> bool {
        let (form, numbers) = numbers(item);
        numbers.iter().enumerate().all(|(place, number)| {
            let rivals = self.rivals.get(&but_for(item, &form, &numbers, place));
            self.seen.contains(&(form.clone(), place, *number))
                || rivals.is_none_or(|rivals| *rivals < 2)
        })
    }
}

/// The numbers of a key's path; and the key without them, with the number of dimensions.
fn numbers(item: &Item) -> (String, Vec<u64>) {
    let path = path(item);
    let (mut form, numbers) = form(path, Depth::All);
    form.push_str(&item.key[path.len()..]);
    let _ = write!(form, " of {}", item.tensor.shape.len());
    (form, numbers)
}

fn path<'a>(item: &Item<'a>) -> &'a str {
    item.key.rsplit_once(SEPARATOR).map_or("", |(path, _)| path)
}

/// The key without one of its numbers, and its shape.
fn but_for(item: &Item, form: &str, numbers: &[u64], place: usize) -> String {
    let mut text = String::from(form);
    for (other, number) in numbers.iter().enumerate().filter(|(other, _)| *other != place) {
        let _ = write!(text, ",{other}:{number}");
    }
    let _ = write!(text, "{:?}", item.tensor.shape);
    text
}
