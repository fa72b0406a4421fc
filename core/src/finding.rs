//! What a check says of a file.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::IndexMap;

/// What a file is found to be, from the best to the worst; the worst of its findings decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Nothing speaks against it.
    #[default]
    Safe,
    /// It needs a class that weights-only loading does not know; nothing in it is known to do harm.
    Unknown,
    /// It contradicts itself or its format, or is beyond a limit.
    Malformed,
    /// Something in it would run when a loader that trusts it reads it.
    Dangerous,
}

impl Verdict {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Safe => "safe",
            Verdict::Unknown => "unknown",
            Verdict::Malformed => "malformed",
            Verdict::Dangerous => "dangerous",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Finding {
    /// What it makes the file; [`Verdict::Safe`] is for what is worth knowing and no fault.
    pub verdict: Verdict,
    /// Where: a member, an offset, an opcode.
    pub place: String,
    /// What was found.
    pub what: String,
    /// Why that matters.
    pub why: String,
    /// The full name of the class or function that it is about, if it is about one.
    pub name: Option<String>,
}

impl Finding {
    /// Something that would run.
    pub fn dangerous(
        place: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Finding {
        Finding::new(Verdict::Dangerous, place, what, why)
    }

    /// A contradiction, or a limit that is crossed.
    pub fn malformed(
        place: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Finding {
        Finding::new(Verdict::Malformed, place, what, why)
    }

    /// A class that is not known.
    pub fn unknown(
        place: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Finding {
        Finding::new(Verdict::Unknown, place, what, why)
    }

    /// Something worth knowing that is not a fault.
    pub fn note(
        place: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Finding {
        Finding::new(Verdict::Safe, place, what, why)
    }

    fn new(
        verdict: Verdict,
        place: impl Into<String>,
        what: impl Into<String>,
        why: impl Into<String>,
    ) -> Finding {
        Finding { verdict, place: place.into(), what: what.into(), why: why.into(), name: None }
    }

    /// The same finding about a class or function with this full name.
    pub fn about(mut self, name: impl Into<String>) -> Finding {
        self.name = Some(name.into());
        self
    }

    /// What it takes in memory, roughly, in bytes.
    fn size(&self) -> usize {
        let name = self.name.as_ref().map_or(0, String::len);
        size_of::<Finding>() + self.place.len() + self.what.len() + self.why.len() + name
    }

    /// The same finding in a part of the file that has a name.
    pub fn within(mut self, part: &str) -> Finding {
        self.place = match self.place.as_str() {
            "" => part.into(),
            place => alloc::format!("{part}: {place}"),
        };
        self
    }
}

/// Findings, each once, with room of its own for each verdict: however many notes there are, known
/// harm is kept. What finds no room is counted.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    dangerous: Kept,
    malformed: Kept,
    unknown: Kept,
    notes: Kept,
}

/// The findings of one verdict.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// Findings by what makes them different.
    findings: IndexMap<String, Finding>,
    size: usize,
    more: u64,
}

/// The most findings of one verdict that are kept; they are for people to read.
const MAX_FINDINGS: usize = 10_000;

/// The most memory that findings of one verdict take, in bytes: names in pickles can be long.
const MAX_SIZE: usize = 4 << 20;

/// What makes a finding of a verdict, out of where, what and why.
type Constructor = fn(String, String, String) -> Finding;

impl Findings {
    /// Adds a finding if it is new. Of the same unknown class one is kept, wherever it occurs.
    pub fn add(&mut self, finding: Finding) {
        let kept = match finding.verdict {
            Verdict::Dangerous => &mut self.dangerous,
            Verdict::Malformed => &mut self.malformed,
            Verdict::Unknown => &mut self.unknown,
            Verdict::Safe => &mut self.notes,
        };
        kept.add(finding);
    }

    /// Adds each of several.
    pub fn extend(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.add(finding));
    }

    /// All of them, the worst first; what found no room is one finding more for its verdict.
    pub fn into_sorted(self) -> Vec<Finding> {
        let Findings { dangerous, malformed, unknown, notes } = self;
        let kinds: [(Kept, Constructor); 4] = [
            (dangerous, Finding::dangerous),
            (malformed, Finding::malformed),
            (unknown, Finding::unknown),
            (notes, Finding::note),
        ];
        let mut findings = Vec::new();
        for (kept, make) in kinds {
            findings.extend(kept.findings.into_values());
            if kept.more > 0 {
                let what = alloc::format!("and {} more of this kind", kept.more);
                findings.push(make(String::new(), what, String::from(NO_ROOM)));
            }
        }
        findings
    }
}

const NO_ROOM: &str = "only the first are listed";

impl Kept {
    fn add(&mut self, finding: Finding) {
        let key = match (&finding.name, finding.verdict) {
            (Some(name), Verdict::Unknown) => name.clone(),
            _ => alloc::format!("{}\0{}\0{}", finding.place, finding.what, finding.why),
        };
        if self.findings.contains_key(&key) {
            return;
        }
        let size = self.size + finding.size() + key.len();
        if self.findings.len() == MAX_FINDINGS || size > MAX_SIZE {
            self.more += 1;
            return;
        }
        self.size = size;
        self.findings.insert(key, finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn harm_is_kept_and_comes_first_however_many_notes_and_unknown_classes_there_are() {
        let mut findings = Findings::default();
        for i in 0..100_000 {
            findings.add(Finding::note(format!("byte {i}"), "an inert call", "nothing runs"));
            let unknown = Finding::unknown(format!("byte {i}"), "a class", "not known");
            findings.add(unknown.about(format!("package.Class{i}")));
        }
        findings.add(Finding::dangerous("byte 7", "calls os.system", "it runs a command"));
        let sorted = findings.into_sorted();
        assert_eq!(sorted[0].what, "calls os.system");
        assert_eq!(sorted.iter().filter(|f| f.verdict == Verdict::Dangerous).count(), 1);
        assert!(sorted.iter().any(|f| f.what == "and 90000 more of this kind"), "{sorted:?}");
    }

    #[test]
    fn an_unknown_class_is_one_finding_wherever_it_is() {
        let mut findings = Findings::default();
        for place in ["a: byte 1", "b: byte 1"] {
            findings.add(Finding::unknown(place, "imports a.B", "not known").about("a.B"));
            findings.add(Finding::dangerous(place, "calls a.b", "it runs code").about("a.b"));
        }
        assert_eq!(findings.into_sorted().len(), 3);
    }
}
