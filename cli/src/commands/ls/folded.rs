//! Mappings that share a line: the states of an optimizer, one for each parameter.

use std::io::{self, Write};

use statedict::core::{IndexMap, IndexSet};
use statedict::jobs::grouping::grouped;
use statedict::jobs::list::{Listed, Outcome};

use crate::terminal::text::{NAMED, count, first_few, size};

/// The paths of mappings that share lines, and the lines, each before the first of them.
#[derive(Default)]
pub(crate) struct Folded<'a> {
    paths: IndexSet<&'a str>,
    lines: IndexMap<&'a str, String>,
}

impl<'a> Folded<'a> {
    /// Those among the mappings of a file whose paths differ in numbers alone, and which are no
    /// model's.
    pub(crate) fn of(
        outcome: &'a Outcome,
        groups: &IndexMap<&'a str, Vec<Listed<'a>>>,
    ) -> Folded<'a> {
        let models = outcome.checkpoint.catalog().select(Some("*")).unwrap_or_default();
        let models: IndexSet<&str> = models.iter().map(|model| model.path.as_str()).collect();
        let paths = groups.keys().copied().filter(|path| !models.contains(path));
        let paths: Vec<&str> = paths.collect();
        let mut folded = Folded::default();
        for line in grouped(paths.iter().map(|path| (*path, None))) {
            if line.keys < 2 {
                continue;
            }
            let members: Vec<&str> = line.members.iter().map(|at| paths[*at]).collect();
            let tensors = members.iter().flat_map(|path| &groups[path]);
            let text = summary(&line.old, tensors);
            let first = line.members.iter().min().map(|at| paths[*at]);
            folded.lines.extend(first.map(|first| (first, text)));
            folded.paths.extend(members);
        }
        folded
    }

    /// Writes the line of a mapping that shares one, if it is the first of them; false if it has
    /// lines of its own.
    pub(crate) fn write(&self, path: &str, out: &mut dyn Write) -> io::Result<bool> {
        if let Some(line) = self.lines.get(path) {
            writeln!(out, "{line}")?;
        }
        Ok(self.paths.contains(path))
    }
}

/// `optimizer/state/{0..61} (186 tensors, 54.4 MB): step, exp_avg, exp_avg_sq`.
fn summary<'a>(paths: &str, tensors: impl Iterator<Item = &'a Listed<'a>>) -> String {
    let (mut number, mut bytes, mut keys) = (0, 0u64, IndexSet::<String>::default());
    for listed in tensors {
        number += 1;
        bytes = bytes.saturating_add(listed.entry.tensor.byte_len());
        keys.insert(listed.entry.key.as_str().to_string());
    }
    let keys: Vec<String> = keys.into_iter().collect();
    let keys = first_few(&keys, NAMED);
    format!("{paths} ({}, {}): {keys}", count(number, "tensor"), size(bytes))
}
