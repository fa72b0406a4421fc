//! Long lists of keys made short: keys that differ only in numbers share a line.
//!
//! `blocks.0.attn.weight` … `blocks.11.attn.weight` become `blocks.{0..11}.attn.weight`.
//! A line means every combination of its ranges, and nothing else.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use statedict_core::sorting;

use crate::jobs::words::{bounded_name, first_few};

/// Keys with what becomes of them, as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The keys, with ranges for the numbers that differ.
    pub old: String,
    /// Their new names; none if they have none.
    pub new: Option<String>,
    /// How many keys the line means.
    pub keys: usize,
    /// Which keys these are, by their positions among all.
    pub members: Vec<usize>,
}

impl Line {
    /// How many keys it is for, to be put behind it; nothing for one.
    pub fn number_of_keys(&self) -> String {
        if self.keys == 1 { String::new() } else { format!("  ({} keys)", self.keys) }
    }
}

/// The lines for these keys and their new names, in the order in which their forms first occur; long
/// names are cut, and those that would not be seen are quoted.
pub fn grouped<'a>(keys: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Vec<Line> {
    let mut lines = grouped_whole(keys);
    for line in &mut lines {
        line.old = bounded_name(&line.old).into_owned();
        line.new = line.new.take().map(|new| bounded_name(&new).into_owned());
    }
    lines
}

/// The same with names as long as they are.
pub fn grouped_whole<'a>(keys: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Vec<Line> {
    let mut forms: Vec<(Form, Vec<Block>)> = Vec::new();
    let mut known: HashMap<Form, usize> = HashMap::new();
    for (place, (old, new)) in keys.into_iter().enumerate() {
        let (form, block) = read(place, old, new);
        match known.entry(form) {
            Entry::Occupied(entry) => forms[*entry.get()].1.push(block),
            Entry::Vacant(entry) => {
                forms.push((entry.key().clone(), vec![block]));
                entry.insert(forms.len() - 1);
            }
        }
    }
    forms.into_iter().flat_map(|(form, blocks)| lines(&form, blocks)).collect()
}

/// The first of the lines for these keys, and how many more there are.
pub fn first_grouped<'a>(keys: impl IntoIterator<Item = &'a str>, most: usize) -> String {
    let lines = grouped(keys.into_iter().map(|key| (key, None)));
    first_few(&lines.into_iter().map(|line| line.old).collect::<Vec<_>>(), most)
}

/// What stays of a key and its new name when the numbers are taken out: the text between them.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Form<'a> {
    old: Vec<&'a str>,
    new: Option<Vec<&'a str>>,
}

/// The first and last of consecutive numbers.
type Span = (u64, u64);

/// Keys of one form whose numbers fill a range at each place.
struct Block {
    old: Vec<Span>,
    new: Vec<Span>,
    members: Vec<usize>,
}

fn read<'a>(place: usize, old: &'a str, new: Option<&'a str>) -> (Form<'a>, Block) {
    let (old_texts, old_numbers) = split(old);
    let (new_texts, new_numbers) = new.map(split).unzip();
    let new = new_numbers.unwrap_or_default();
    let block = Block { old: old_numbers, new, members: vec![place] };
    (Form { old: old_texts, new: new_texts }, block)
}

/// The texts around the numbers of a key, and the numbers; `007` is text, and so is what overflows.
fn split(key: &str) -> (Vec<&str>, Vec<Span>) {
    let (mut texts, mut numbers) = (Vec::new(), Vec::new());
    let (mut text_start, mut at) = (0, 0);
    while let Some(found) = key[at..].find(|c: char| c.is_ascii_digit()) {
        let start = at + found;
        let digits = key[start..].bytes().take_while(u8::is_ascii_digit).count();
        at = start + digits;
        let number = &key[start..at];
        let canonical = number == "0" || !number.starts_with('0');
        if let (true, Ok(number)) = (canonical, number.parse()) {
            texts.push(&key[text_start..start]);
            numbers.push((number, number));
            text_start = at;
        }
    }
    texts.push(&key[text_start..]);
    (texts, numbers)
}

fn lines(form: &Form, mut blocks: Vec<Block>) -> Vec<Line> {
    sorting::sort_by(&mut blocks, |a, b| a.old.cmp(&b.old));
    for place in (0..form.old.len() - 1).rev() {
        blocks = merged(blocks, place);
    }
    let lines = blocks.into_iter().map(|block| Line {
        old: filled(&form.old, &block.old),
        new: form.new.as_ref().map(|texts| filled(texts, &block.new)),
        keys: block.members.len(),
        members: block.members,
    });
    lines.collect()
}

/// Joins blocks that differ at this place of the old key alone and follow one another there.
fn merged(blocks: Vec<Block>, place: usize) -> Vec<Block> {
    let mut done: Vec<Block> = Vec::new();
    let mut open: HashMap<Vec<Span>, usize> = HashMap::new();
    for block in blocks {
        let mut others = block.old.clone();
        others.remove(place);
        match open.get(&others) {
            Some(&last) if done[last].is_followed_by(&block, place) => done[last].extend(&block),
            _ => {
                open.insert(others, done.len());
                done.push(block);
            }
        }
    }
    done
}

impl Block {
    fn is_followed_by(&self, next: &Block, place: usize) -> bool {
        let follows = |(a, b): (&Span, &Span)| a.1.checked_add(1) == Some(b.0);
        follows((&self.old[place], &next.old[place]))
            && self.new.iter().zip(&next.new).all(|(a, b)| a == b || follows((a, b)))
    }

    fn extend(&mut self, next: &Block) {
        let spans = self.old.iter_mut().zip(&next.old).chain(self.new.iter_mut().zip(&next.new));
        for (span, next) in spans {
            span.1 = next.1;
        }
        self.members.extend(&next.members);
    }
}

fn filled(texts: &[&str], numbers: &[Span]) -> String {
    let mut out = String::new();
    for (i, text) in texts.iter().enumerate() {
        out.push_str(text);
        match numbers.get(i) {
            Some((first, last)) if first == last => out.push_str(&first.to_string()),
            Some((first, last)) => out.push_str(&format!("{{{first}..{last}}}")),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], expected: &[(&str, usize)]) {
        let found = grouped(keys.iter().map(|key| (*key, None)));
        let found: Vec<_> = found.iter().map(|line| (line.old.as_str(), line.keys)).collect();
        assert_eq!(found, expected);
    }

    fn check_pairs(pairs: &[(&str, &str)], expected: &[(&str, &str)]) {
        let found = grouped(pairs.iter().map(|(old, new)| (*old, Some(*new))));
        let found: Vec<_> = found
            .iter()
            .map(|line| (line.old.as_str(), line.new.as_deref().expect("new")))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn numbers_that_follow_one_another_make_a_range() {
        check(&["a.0.w", "a.1.w", "a.2.w"], &[("a.{0..2}.w", 3)]);
        check(&["a.0.w", "a.0.b", "a.1.w", "a.1.b"], &[("a.{0..1}.w", 2), ("a.{0..1}.b", 2)]);
        check(&["a.1", "a.10", "a.2"], &[("a.{1..2}", 2), ("a.10", 1)]);
        check(&["fc1.w", "fc2.w"], &[("fc{1..2}.w", 2)]);
    }

    #[test]
    fn a_line_means_every_combination_of_its_ranges() {
        check(&["a.0.0", "a.0.1", "a.1.0", "a.1.1"], &[("a.{0..1}.{0..1}", 4)]);
        check(&["a.0.0", "a.1.1"], &[("a.0.0", 1), ("a.1.1", 1)]);
        check(&["a.0.0", "a.0.1", "a.1.0"], &[("a.0.{0..1}", 2), ("a.1.0", 1)]);
    }

    #[test]
    fn new_numbers_go_along_with_the_old() {
        check_pairs(&[("a.0", "b.1"), ("a.1", "b.2")], &[("a.{0..1}", "b.{1..2}")]);
        check_pairs(&[("a.0", "b.1"), ("a.1", "b.0")], &[("a.0", "b.1"), ("a.1", "b.0")]);
        check_pairs(&[("a.0", "b"), ("a.1", "c")], &[("a.0", "b"), ("a.1", "c")]);
        let flat = [("a.0.0", "b.0"), ("a.0.1", "b.1"), ("a.1.0", "b.2"), ("a.1.1", "b.3")];
        check_pairs(&flat, &[("a.{0..1}.{0..1}", "b.{0..3}")]);
    }

    #[test]
    fn a_line_knows_its_keys() {
        let found = grouped(["a.1", "b", "a.0"].map(|key| (key, None)));
        let members: Vec<_> = found.iter().map(|line| line.members.as_slice()).collect();
        assert_eq!(members, [&[2, 0][..], &[1]]);
    }

    #[test]
    fn only_plain_numbers_count() {
        check(&["a.00", "a.01"], &[("a.00", 1), ("a.01", 1)]);
        check(&["a.99999999999999999999"], &[("a.99999999999999999999", 1)]);
        check(&["", "é1", "é2"], &[(r#""""#, 1), ("é{1..2}", 2)]);
    }
}
