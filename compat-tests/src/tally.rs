//! Many cases in one test: every failure is shown, and how many there were.

use std::io::{self, Write};

/// Counts cases and remembers what was wrong with them.
#[derive(Debug, Default)]
pub struct Tally {
    cases: usize,
    problems: Vec<String>,
}

impl Tally {
    /// A tally of nothing.
    pub fn new() -> Tally {
        Tally::default()
    }

    /// Counts a case, and notes what was wrong with it, if something was.
    pub fn note(&mut self, case: impl AsRef<str>, problem: Option<String>) {
        self.cases += 1;
        self.problems.extend(problem.map(|problem| format!("{}: {problem}", case.as_ref())));
    }

    /// True if nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.cases == 0
    }

    /// Prints `N of N` and what was counted, and returns what was wrong; empty if nothing was.
    pub fn count(self, what: &str) -> String {
        let good = self.cases - self.problems.len();
        // Past the capture of test output, so that the counts show in every run.
        let _ = writeln!(io::stderr(), "{good} of {} {what}", self.cases);
        match self.problems.as_slice() {
            [] if self.cases == 0 => format!("no {what} at all"),
            [] => String::new(),
            _ => format!("{good} of {} {what}\n{}", self.cases, self.shown()),
        }
    }

    /// Prints `N of N` and what was counted.
    ///
    /// # Panics
    /// If something was wrong, or nothing was counted.
    pub fn close(self, what: &str) {
        let problems = self.count(what);
        assert!(problems.is_empty(), "{problems}");
    }

    fn shown(&self) -> String {
        let shorten = |problem: &String| problem.chars().take(600).collect::<String>();
        self.problems.iter().take(100).map(shorten).collect::<Vec<_>>().join("\n")
    }
}
