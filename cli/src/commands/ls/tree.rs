//! The modules of a file as text: how many tensors lie below each, and how large they are.

use std::io::Write;

use statedict::core::{IndexMap, SEPARATOR, sorting};
use statedict::jobs::list::{Listed, Outcome};

use crate::commands::ls::folded::Folded;
use crate::commands::ls::glance;
use crate::commands::ls::table::{by_path, foot, head};
use crate::failure::Failure;
use crate::terminal::columns::widest;
use crate::terminal::text::{count, name, size};

/// Segments beyond this are shown as one; no module tree is that deep, and the stack is not either.
const MAX_DEPTH: usize = 64;

/// A line for every module down to a depth, and for tensors that are in none; modules that are alike share one.
pub(crate) fn tree(outcome: &Outcome, most: usize, out: &mut dyn Write) -> Result<(), Failure> {
    glance::head(outcome, out)?;
    let groups = by_path(outcome);
    let folded = Folded::of(outcome, &groups);
    for (place, (at, tensors)) in groups.iter().enumerate() {
        if folded.write(at, out)? {
            continue;
        }
        head(place, at, tensors.len(), out)?;
        let root = Module::of(tensors);
        let mut lines = Vec::new();
        root.lines(0, most, 1, &mut lines);
        let width = widest(lines.iter().map(|line| line.name.as_str()));
        for Line { name, tensors, bytes } in lines {
            let (tensors, size) = (count(tensors, "tensor"), size(bytes));
            writeln!(out, "{name:width$}  {tensors:>12}  {size:>9}")?;
        }
    }
    foot(outcome, out)
}

/// The tensors whose keys start with the same segments.
#[derive(Default, PartialEq)]
struct Module<'a> {
    tensors: usize,
    bytes: u64,
    below: IndexMap<&'a str, Module<'a>>,
}

/// A module, or several alike in a row: `{0..11}`.
struct Line {
    name: String,
    tensors: usize,
    bytes: u64,
}

impl<'a> Module<'a> {
    /// The module that holds all of them.
    fn of(tensors: &[Listed<'a>]) -> Module<'a> {
        let mut root = Module::default();
        for listed in tensors {
            let bytes = listed.entry.tensor.byte_len();
            let mut module = &mut root;
            for segment in listed.entry.key.as_str().splitn(MAX_DEPTH, SEPARATOR) {
                module = module.below.entry(segment).or_default();
                module.tensors += 1;
                module.bytes = module.bytes.saturating_add(bytes);
            }
        }
        root
    }

    /// The modules below, indented; tensors are shown at the top only.
    ///
    /// Each is repeated `times` times.
    fn lines(&self, depth: usize, most: usize, times: usize, lines: &mut Vec<Line>) {
        if depth >= most {
            return;
        }
        for run in self.runs() {
            let module = run.module;
            if depth > 0 && module.below.is_empty() {
                continue;
            }
            let times = times.saturating_mul(run.len);
            lines.push(Line {
                name: format!("{}{}", "  ".repeat(depth), name(&run.name())),
                tensors: module.tensors * times,
                bytes: module.bytes.saturating_mul(times as u64),
            });
            module.lines(depth + 1, most, times, lines);
        }
    }

    /// The modules below, those together that are alike and counted up.
    fn runs(&self) -> Vec<Run<'_, 'a>> {
        let mut below: Vec<_> = self.below.iter().collect();
        if below.iter().all(|(name, _)| number(name).is_some()) {
            sorting::sort_by_key(&mut below, |(name, _)| number(name));
        }
        let mut runs: Vec<Run> = Vec::new();
        for (name, module) in below {
            match runs.last_mut() {
                Some(run) if run.goes_on_with(name, module) => run.len += 1,
                _ => runs.push(Run { first: name, module, len: 1 }),
            }
        }
        runs
    }
}

/// Modules that are alike, whose names count up from the first one's.
struct Run<'m, 'a> {
    first: &'m str,
    module: &'m Module<'a>,
    len: usize,
}

impl Run<'_, '_> {
    fn goes_on_with(&self, name: &str, module: &Module) -> bool {
        let next = number(self.first).and_then(|first| first.checked_add(self.len as u64));
        next.is_some() && next == number(name) && self.module == module
    }

    fn name(&self) -> String {
        match number(self.first) {
            Some(first) if self.len > 1 => format!("{{{first}..{}}}", first + self.len as u64 - 1),
            _ => self.first.to_string(),
        }
    }
}

/// A whole number as it is printed.
fn number(name: &str) -> Option<u64> {
    name.parse().ok().filter(|number: &u64| number.to_string() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str], expected: &[(&str, usize)]) {
        let mut root = Module::default();
        for key in keys {
            let mut module = &mut root;
            for segment in key.split(SEPARATOR) {
                module = module.below.entry(segment).or_default();
                module.tensors += 1;
            }
        }
        let mut lines = Vec::new();
        root.lines(0, usize::MAX, 1, &mut lines);
        let lines: Vec<_> = lines.iter().map(|line| (line.name.as_str(), line.tensors)).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn modules_are_shown_and_their_tensors_counted() {
        check(&["a.w", "a.b", "c"], &[("a", 2), ("c", 1)]);
        check(&["a.b.w", "a.w"], &[("a", 2), ("  b", 1)]);
    }

    #[test]
    fn blocks_that_are_alike_share_a_line() {
        check(&["a.1.f.w", "a.0.f.w"], &[("a", 2), ("  {0..1}", 2), ("    f", 2)]);
        check(&["a.0.w", "a.1.b"], &[("a", 2), ("  0", 1), ("  1", 1)]);
        check(&["a.0.w", "a.2.w"], &[("a", 2), ("  0", 1), ("  2", 1)]);
    }
}
