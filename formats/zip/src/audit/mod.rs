//! Archives held to more than reading them takes.
//!
//! A reader follows the directory and looks no further; this looks at what other readers would see
//! otherwise: local headers that contradict the directory, members that overlap, names that climb,
//! two ends, and bytes that belong to nothing.

mod data;
mod local;
mod names;
mod places;

use std::ops::Range;

use statedict_core::{Fault, Finding, Source};

use crate::audit::places::{Extent, Places};
use crate::end::End;
use crate::{Archive, Located};

pub use data::sum;
pub use names::climbs;

/// What was found of an archive's structure.
#[derive(Debug, Default)]
pub struct Audit {
    /// What is wrong, and what is odd.
    pub findings: Vec<Finding>,
    /// Where each member is, in the directory's order; none where its local header is not a header.
    pub located: Vec<Option<Located>>,
    /// Stretches of the file that belong to no member and not to the directory.
    pub gaps: Vec<Range<u64>>,
}

impl Archive {
    /// Holds every header against the directory, and every place against the others.
    ///
    /// # Errors
    /// Only what keeps the bytes from being read.
    pub fn audit(&self, source: &dyn Source) -> Result<Audit, Fault> {
        let mut audit = Audit { findings: names::check(self), ..Audit::default() };
        let mut extents = Vec::new();
        for entry in self.entries() {
            match local::check(entry, source) {
                Ok(local) => {
                    let name = entry.name().to_string();
                    extents.push(Extent { name, range: entry.header_offset()..local.end });
                    audit.findings.extend(local.findings);
                    audit.located.push(Some(local.located));
                }
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                Err(fault) => {
                    let why = "without it the member cannot be read";
                    audit.findings.push(Finding::malformed(entry.name(), fault.to_string(), why));
                    audit.located.push(None);
                }
            }
        }
        let end = End::find(source)?;
        let places = Places { extents, end, file_len: source.len() };
        let (findings, gaps) = places.check(source)?;
        audit.findings.extend(findings);
        audit.gaps = gaps;
        Ok(audit)
    }
}
