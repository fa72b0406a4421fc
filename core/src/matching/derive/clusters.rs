//! Forms that differ in numbers alone, as one rule.

use alloc::string::String;
use alloc::vec::Vec;

use crate::IndexMap;
use crate::matching::derive::forms::{Form, literal};

/// How a number of a key is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Literal(u64),
    /// `by * capture + shift`.
    Captured {
        capture: usize,
        by: i64,
        shift: i64,
    },
}

/// Forms that one rule makes.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) forms: Vec<usize>,
    /// For each of a form's numbers how it is spelled.
    pub(super) numbers: Vec<Number>,
    pub(super) captures: usize,
}

/// The forms in as few clusters as their numbers allow.
pub(super) fn clusters(forms: &[Form]) -> Vec<Cluster> {
    let mut outlines = IndexMap::<String, Vec<usize>>::default();
    for (at, form) in forms.iter().enumerate() {
        outlines.entry(form.outline()).or_default().push(at);
    }
    let mut found = Vec::new();
    for own in outlines.into_values() {
        gather(forms, own, &mut found);
    }
    found
}

/// Adds these forms as one cluster, or as several with one of their numbers spelled out.
pub(super) fn gather(forms: &[Form], own: Vec<usize>, found: &mut Vec<Cluster>) {
    let rows: Vec<Vec<u64>> = own.iter().map(|at| forms[*at].numbers()).collect();
    let on_the_left = forms[own[0]].numbers_on_the_left();
    if let Some((numbers, captures)) = spelled(&rows, on_the_left) {
        let is_one = own.len() == 1 || captures > 0;
        if is_one {
            found.push(Cluster { forms: own, numbers, captures });
            return;
        }
    }
    // The number with the fewest values is spelled out.
    let values = |column: usize| {
        let mut values: Vec<u64> = rows.iter().map(|row| row[column]).collect();
        values.sort_unstable();
        values.dedup();
        values.len()
    };
    let varied = (0..rows[0].len()).filter(|column| values(*column) > 1);
    let Some(column) = varied.min_by_key(|column| values(*column)) else {
        let numbers: Vec<Number> = rows[0].iter().map(|n| Number::Literal(*n)).collect();
        let single = own.into_iter();
        found.extend(single.map(|at| Cluster {
            forms: [at].into(),
            numbers: numbers.clone(),
            captures: 0,
        }));
        return;
    };
    let mut parts = IndexMap::<u64, Vec<usize>>::default();
    for (row, at) in rows.iter().zip(&own) {
        parts.entry(row[column]).or_default().push(*at);
    }
    parts.into_values().for_each(|part| gather(forms, part, found));
}

/// How the numbers of these rows go along: each is the same in all, a capture, or says the same as
/// one. None if some number of the right side goes with none of the left, or one of the left with none
/// of the right.
fn spelled(rows: &[Vec<u64>], on_the_left: usize) -> Option<(Vec<Number>, usize)> {
    let mut bases: Vec<usize> = Vec::new();
    let mut is_used: Vec<bool> = Vec::new();
    let mut numbers = Vec::new();
    for column in 0..rows[0].len() {
        let first = rows[0][column];
        if rows.iter().all(|row| row[column] == first) {
            numbers.push(Number::Literal(first));
            continue;
        }
        let known = bases.iter().enumerate().find_map(|(capture, base)| {
            let (by, shift) = line(rows, *base, column)?;
            Some(Number::Captured { capture, by, shift })
        });
        match known {
            Some(number) => {
                if let Number::Captured { capture, .. } = number
                    && column >= on_the_left
                {
                    is_used[capture] = true;
                }
                numbers.push(number);
            }
            None if column < on_the_left => {
                numbers.push(Number::Captured { capture: bases.len(), by: 1, shift: 0 });
                bases.push(column);
                is_used.push(false);
            }
            None => return None,
        }
    }
    // Two rows with the same captures would be one.
    let mut keys: Vec<Vec<u64>> =
        rows.iter().map(|row| bases.iter().map(|base| row[*base]).collect()).collect();
    keys.sort_unstable();
    keys.dedup();
    let is_told_apart = keys.len() == rows.len();
    (is_told_apart && is_used.iter().all(|used| *used)).then_some((numbers, bases.len()))
}

/// The line on which the numbers of two columns lie.
fn line(rows: &[Vec<u64>], base: usize, column: usize) -> Option<(i64, i64)> {
    let pair =
        |row: &Vec<u64>| Some((i64::try_from(row[base]).ok()?, i64::try_from(row[column]).ok()?));
    let (x, y) = pair(&rows[0])?;
    let other = rows.iter().find(|row| row[base] != rows[0][base])?;
    let (u, v) = pair(other)?;
    let by = (v - y).checked_div(u - x).filter(|by| *by != 0)?;
    let shift = y - by * x;
    let is_line = rows.iter().all(|row| pair(row).is_some_and(|(x, y)| by * x + shift == y));
    (is_line && (by > 0 || by == -1)).then_some((by, shift))
}

impl Number {
    /// The number as it is spelled in a key, if its captures have these names.
    pub(super) fn spelled(self, names: &[&str]) -> String {
        match self {
            Number::Literal(number) => literal(number),
            Number::Captured { capture, by, shift } => spelled_number(names[capture], by, shift),
        }
    }
}

/// `{i}`, `{i+1}`, `{2i+1}` or `{3-i}`.
pub(super) fn spelled_number(name: &str, by: i64, shift: i64) -> String {
    match (by, shift) {
        (-1, shift) => alloc::format!("{{{shift}-{name}}}"),
        (1, 0) => alloc::format!("{{{name}}}"),
        (1, shift) => alloc::format!("{{{name}{shift:+}}}"),
        (by, 0) => alloc::format!("{{{by}{name}}}"),
        (by, shift) => alloc::format!("{{{by}{name}{shift:+}}}"),
    }
}
