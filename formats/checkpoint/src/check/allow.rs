//! Classes that someone knows and trusts, though weights-only loading does not know them.

use std::collections::HashSet;

use statedict_core::{Finding, Verdict};

/// Full names of classes and functions that are not to be reported as unknown.
///
/// Known harm cannot be allowed.
///
/// ```
/// use statedict_checkpoint::AllowList;
///
/// AllowList::parse("# our own\nultralytics.nn.tasks.DetectionModel\n")?;
/// assert!(AllowList::parse("DetectionModel").is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowList(HashSet<String>);

impl AllowList {
    /// Reads one full name a line; `#` begins a comment.
    ///
    /// # Errors
    /// Which line is not a full name.
    pub fn parse(text: &str) -> Result<AllowList, String> {
        let mut names = HashSet::new();
        for (i, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or_default().trim();
            if name.is_empty() {
                continue;
            }
            if !name.contains('.') || name.contains(char::is_whitespace) {
                let line = i + 1;
                return Err(format!(
                    "line {line}: expected a full name such as package.module.Class, found '{name}'"
                ));
            }
            names.insert(name.to_string());
        }
        Ok(AllowList(names))
    }

    pub(super) fn allows(&self, finding: &Finding) -> bool {
        let name = finding.name.as_ref().filter(|_| finding.verdict == Verdict::Unknown);
        name.is_some_and(|name| self.0.contains(name))
    }
}

/// What was found of allowed classes, as notes.
pub(super) fn as_notes(allowed: Vec<Finding>) -> impl Iterator<Item = Finding> {
    allowed.into_iter().map(|finding| {
        let note = Finding::note(finding.place, finding.what, ALLOWED);
        Finding { name: finding.name, ..note }
    })
}

const ALLOWED: &str = "weights-only loading does not know it, and the allow-list does";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_allows_unknown_classes_by_their_full_names_and_no_harm() {
        let list = AllowList::parse("# ours\n\n a.b.C # a comment\nos.system\n").expect("sound");
        let unknown = |name: &str| Finding::unknown("", "calls it", "").about(name);
        assert!(list.allows(&unknown("a.b.C")));
        assert!(!list.allows(&unknown("a.b.D")));
        assert!(!list.allows(&Finding::dangerous("", "calls it", "").about("os.system")));
        let error = AllowList::parse("a.b.C\na b").expect_err("no name");
        assert_eq!(error, "line 2: expected a full name such as package.module.Class, found 'a b'");
    }
}
