//! What is missing of a checkpoint of several files.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use super::LeftOut;
use crate::{Fault, IndexMap, IndexSet};

/// The most causes that a message names.
const NAMED: usize = 6;

/// Tensors and objects that are not whole, and why.
#[derive(Clone, Debug, Default)]
pub struct Shortfall {
    problems: IndexMap<String, Problem>,
}

/// What is wrong with a tensor or object.
#[derive(Clone, Debug)]
struct Problem {
    /// The reason, in the same words for all that have the same: `'x' is missing`.
    cause: String,
    /// True if the reason is about a part of a file, which this alone may have.
    is_of_part: bool,
    /// Elements that are not there; none for what is no tensor.
    lost: Option<u64>,
}

/// What a checkpoint should hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Total {
    /// Tensors.
    pub tensors: usize,
    /// Elements of all of them.
    pub elements: u128,
}

impl Total {
    /// Adds a tensor of so many elements.
    pub fn add(&mut self, elements: u64) {
        self.tensors += 1;
        self.elements = self.elements.saturating_add(u128::from(elements));
    }
}

impl Shortfall {
    /// Notes that a tensor lacks elements, if nothing is known to be wrong with it yet.
    pub fn tensor(&mut self, name: &str, cause: impl Into<String>, lost: u64) {
        self.add(name, Problem { cause: cause.into(), is_of_part: false, lost: Some(lost) });
    }

    /// Notes what is wrong with the part of a file that has elements of a tensor, if nothing is known
    /// to be wrong with it yet; where several parts have the same, it is said once.
    pub fn part(&mut self, name: &str, cause: impl Into<String>, lost: u64) {
        self.add(name, Problem { cause: cause.into(), is_of_part: true, lost: Some(lost) });
    }

    /// Notes that something beside the tensors is not there, if nothing is known to be wrong with it
    /// yet.
    pub fn object(&mut self, name: &str, cause: impl Into<String>) {
        self.add(name, Problem { cause: cause.into(), is_of_part: false, lost: None });
    }

    fn add(&mut self, name: &str, problem: Problem) {
        self.problems.entry(name.to_string()).or_insert(problem);
    }

    /// True if something is wrong with this.
    pub fn has(&self, name: &str) -> bool {
        self.problems.contains_key(name)
    }

    /// What is left out where the rest is opened; `path` says where names are.
    pub fn left_out(&self, path: impl Fn(&str) -> String) -> Vec<LeftOut> {
        let problems = self.problems.iter();
        problems.map(|(name, it)| LeftOut { path: path(name), why: it.cause.clone() }).collect()
    }

    /// Refuses a checkpoint that lacks something; `hint` is what is known of why.
    ///
    /// # Errors
    /// Every cause, and how much it takes with it.
    pub fn refuse(&self, total: Total, hint: Option<String>) -> Result<(), Fault> {
        if self.problems.is_empty() {
            return Ok(());
        }
        let named: IndexSet<String> = hint.into_iter().chain(self.causes()).collect();
        let shown = named.iter().take(NAMED).map(String::as_str);
        let mut what = shown.collect::<Vec<_>>().join("; ");
        if let Some(more) = named.len().checked_sub(NAMED).filter(|more| *more > 0) {
            let _ = write!(what, "; and {more} more");
        }
        let broken = self.problems.values().filter(|problem| problem.lost.is_some()).count();
        let _ = match broken {
            0 => write!(what, ": {} entries beside the tensors lost", self.problems.len()),
            _ => {
                let (tensors, share) = (total.tensors, self.share(total));
                write!(
                    what,
                    ": {broken} of {tensors} tensors incomplete, {share} of the elements lost"
                )
            }
        };
        Err(Fault::Incomplete { what, whole: total.tensors.saturating_sub(broken) })
    }

    /// Every reason once: with the name of what alone has it, or how many have it, where it is about a
    /// part of a file.
    fn causes(&self) -> impl Iterator<Item = String> {
        let mut causes = IndexMap::<(&str, bool), (&str, usize)>::default();
        for (name, Problem { cause, is_of_part, .. }) in &self.problems {
            causes.entry((cause, *is_of_part)).or_insert((name, 0)).1 += 1;
        }
        causes.into_iter().map(|((cause, is_of_part), (name, count))| match (is_of_part, count) {
            (false, _) => cause.to_string(),
            (true, 1) => format!("'{name}' in {cause}"),
            (true, count) => format!("{cause} ({count} tensors)"),
        })
    }

    /// The share of all elements that are not there.
    fn share(&self, total: Total) -> String {
        let lost = self.problems.values().filter_map(|problem| problem.lost);
        let lost: u128 = lost.map(u128::from).sum();
        let permille = lost.saturating_mul(1000).checked_div(total.elements).unwrap_or(0).min(1000);
        // What is lost is never shown as nothing.
        match permille {
            0 if lost > 0 => "under 0.1 %".to_string(),
            _ => format!("{}.{} %", permille / 10, permille % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_once_with_its_share_of_the_elements() {
        let mut total = Total::default();
        [600, 300, 100].into_iter().for_each(|elements| total.add(elements));
        let mut shortfall = Shortfall::default();
        assert!(shortfall.refuse(total, None).is_ok());
        shortfall.tensor("a", "'x' is missing", 300);
        shortfall.tensor("b", "'x' is missing", 100);
        shortfall.tensor("b", "another reason", 7);
        shortfall.object("step", "'x' is missing");
        let error = shortfall.refuse(total, None).expect_err("incomplete").to_string();
        let expected = "'x' is missing: 2 of 3 tensors incomplete, 40.0 % of the elements lost";
        assert_eq!(error, expected);
        assert_eq!(shortfall.left_out(|name| format!("model/{name}"))[0].path, "model/a");
    }

    #[test]
    fn what_is_wrong_with_parts_of_files_is_said_once_and_one_alone_is_named() {
        let mut total = Total::default();
        [100, 100, 100, 100].into_iter().for_each(|elements| total.add(elements));
        let mut shortfall = Shortfall::default();
        shortfall.part("a", "'x': damaged", 100);
        shortfall.part("b", "'y': F32 in the file", 50);
        shortfall.part("c", "'y': F32 in the file", 50);
        let error = shortfall.refuse(total, None).expect_err("incomplete").to_string();
        let expected = "'a' in 'x': damaged; 'y': F32 in the file (2 tensors): 3 of 4 tensors \
                        incomplete, 50.0 % of the elements lost";
        assert_eq!(error, expected);
    }
}
