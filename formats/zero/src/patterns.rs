//! Names as DeepSpeed writes them down: regular expressions of Python, each at the beginning of a name.
//!
//! Nearly all are one whole name, `^model\.norm\.weight$`, and are looked up; the others are matched
//! in linear time, and are few.

use std::collections::HashMap;

use regex::{Regex, RegexBuilder};
use statedict_core::Fault;
use statedict_pth::SavedFile;

/// The most patterns that are not one whole name: trainers that write such have a dozen.
const MAX_PATTERNS: usize = 256;

/// The longest of them, in bytes.
const MAX_LENGTH: usize = 1 << 12;

/// How much memory one of them takes at most, in bytes.
const MAX_SIZE: usize = 1 << 18;

/// What is said of the names that match patterns.
#[derive(Debug)]
pub(crate) struct Patterns<T> {
    names: HashMap<String, T>,
    others: Vec<(Regex, T)>,
}

impl<T> Default for Patterns<T> {
    fn default() -> Patterns<T> {
        Patterns { names: HashMap::new(), others: Vec::new() }
    }
}

impl<T> Patterns<T> {
    /// Adds a pattern.
    ///
    /// # Errors
    /// One that is not read, or too many of them.
    pub(crate) fn add(&mut self, states: &SavedFile, pattern: &str, said: T) -> Result<(), Fault> {
        if let Some(name) = name(pattern) {
            self.names.insert(name, said);
            return Ok(());
        }
        let shown = || pattern.chars().take(60).collect::<String>().escape_debug().to_string();
        if pattern.len() > MAX_LENGTH || self.others.len() >= MAX_PATTERNS {
            return Err(states.unsupported(format!("'{}' is a pattern too many", shown())));
        }
        let regex = RegexBuilder::new(pattern).size_limit(MAX_SIZE).build();
        let regex = regex.map_err(|error| {
            let error = error.to_string();
            let why = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
            states.unsupported(format!("its pattern '{}' is not read: {why}", shown()))
        })?;
        self.others.push((regex, said));
        Ok(())
    }

    /// What is said of a name.
    ///
    /// # Errors
    /// Two patterns that match it, of which DeepSpeed takes none.
    pub(crate) fn find(&self, states: &SavedFile, name: &str) -> Result<Option<&T>, Fault> {
        // Where one begins with the name, that is the match that is found.
        let is_match = |regex: &Regex| regex.find(name).is_some_and(|found| found.start() == 0);
        let others = self.others.iter().filter(|(regex, _)| is_match(regex));
        let mut found = self.names.get(name).into_iter().chain(others.map(|(_, said)| said));
        let first = found.next();
        match found.next() {
            Some(_) => Err(states.broken(format!("several of its patterns match '{name}'"))),
            None => Ok(first),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.others.is_empty()
    }
}

/// The one name that a pattern matches, if it says one whole name.
fn name(pattern: &str) -> Option<String> {
    let mut letters = pattern.strip_prefix('^')?.strip_suffix('$')?.chars();
    let mut name = String::new();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '\\' => letters.next().filter(|it| !it.is_alphanumeric())?,
            '.' | '^' | '$' | '*' | '+' | '?' | '{' | '}' | '[' | ']' | '(' | ')' | '|' => {
                return None;
            }
            plain => plain,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_of_one_name_is_that_name() {
        let check = |pattern: &str, expected: Option<&str>| {
            assert_eq!(name(pattern).as_deref(), expected, "{pattern}");
        };
        check(r"^model\.layers\.0\.q_proj\.weight$", Some("model.layers.0.q_proj.weight"));
        check(r"^a\-b\ c$", Some("a-b c"));
        check(r"^model.norm$", None);
        check(r"^\d$", None);
        check(r"model\.norm", None);
        check(r"^model\$", None);
    }
}
