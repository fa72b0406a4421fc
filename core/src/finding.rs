//! What a check says of a file.

use alloc::string::String;
use core::fmt;

/// What a file is found to be, from the best to the worst; the worst of its findings decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Nothing speaks against it.
    #[default]
    Safe,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it makes the file; [`Verdict::Safe`] is for what is worth knowing and no fault.
    pub verdict: Verdict,
    /// Where: a member, an offset, an opcode.
    pub place: String,
    /// What stands there.
    pub what: String,
    /// Why that matters.
    pub why: String,
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

    /// Something worth knowing that is no fault.
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
        Finding { verdict, place: place.into(), what: what.into(), why: why.into() }
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
