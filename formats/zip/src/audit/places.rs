//! Where members are: none over another, and what is between them.

use std::ops::Range;

use statedict_core::{Fault, Finding, Source, sorting};

use crate::end::End;
use crate::fields::{END, END_LEN, END64, END64_LEN, LOCATOR_LEN};

/// How many of the bytes behind an archive are looked at, for another archive's end.
const TAIL_LEN: u64 = 70_000;

/// A part of the file that belongs to a member.
pub(super) struct Extent {
    pub(super) name: String,
    pub(super) range: Range<u64>,
}

/// Members and directory in their file.
pub(super) struct Places {
    pub(super) extents: Vec<Extent>,
    pub(super) end: End,
    pub(super) file_len: u64,
}

const OVERLAPS: &str = "bytes that are two things at once make each reader see what it likes";
const TWO_ENDS: &str = "readers differ on which directory counts";

impl Places {
    pub(super) fn check(
        mut self,
        source: &dyn Source,
    ) -> Result<(Vec<Finding>, Vec<Range<u64>>), Fault> {
        let mut findings = self.check_end(source)?;
        let directory = self.end.offset..self.end.offset.saturating_add(self.end.size);
        let after = self.after();
        self.extents.push(Extent { name: "the directory".into(), range: directory });
        self.extents.push(Extent { name: "the end record".into(), range: self.end.at..after });
        sorting::sort_by_key(&mut self.extents, |extent| (extent.range.start, extent.range.end));
        let mut gaps = Vec::new();
        let mut last: Option<&Extent> = None;
        let mut filled = 0;
        for extent in &self.extents {
            let Range { start, end } = extent.range;
            if start < filled && end > start {
                let other = last.map_or("", |last| &last.name);
                let what = format!("the member at byte {start} overlaps '{other}'");
                findings.push(Finding::malformed(&*extent.name, what, OVERLAPS));
            } else if start > filled {
                gaps.push(filled..start);
            }
            if end > filled {
                filled = end;
                last = Some(extent);
            }
        }
        if filled < self.file_len {
            gaps.push(filled..self.file_len);
            let what = format!("{} bytes follow the archive", self.file_len - filled);
            let why = "PyTorch passes over some thousands of them";
            findings.push(Finding::note(format!("byte {filled}"), what, why));
        }
        Ok((findings, self.without_wide_end(source, gaps)?))
    }

    /// Where the end record ends, its comment included.
    fn after(&self) -> u64 {
        self.end.at.saturating_add(END_LEN).saturating_add(self.end.comment.len() as u64)
    }

    fn check_end(&self, source: &dyn Source) -> Result<Vec<Finding>, Fault> {
        let mut findings = Vec::new();
        let place = format!("byte {}", self.end.at);
        for what in &self.end.faults {
            findings.push(Finding::malformed(&*place, *what, TWO_ENDS));
        }
        let start = self.end.at.saturating_add(END.len() as u64);
        let tail = source.bytes(start..self.file_len.min(start.saturating_add(TAIL_LEN)))?;
        if let Some(at) = tail.windows(END.len()).position(|four| four == END) {
            let what = "a second end record follows the one that makes sense";
            let place = format!("byte {}", start.saturating_add(at as u64));
            findings.push(Finding::malformed(place, what, TWO_ENDS));
        }
        Ok(findings)
    }

    /// The gaps but for the zip64 end record and its locator.
    fn without_wide_end(
        &self,
        source: &dyn Source,
        mut gaps: Vec<Range<u64>>,
    ) -> Result<Vec<Range<u64>>, Fault> {
        let wide = self.end.at.saturating_sub(END64_LEN + LOCATOR_LEN)..self.end.at;
        let has_wide = wide.end - wide.start == END64_LEN + LOCATOR_LEN
            && source.bytes(wide.start..wide.start + END64.len() as u64)? == END64;
        if has_wide {
            gaps.retain(|gap| *gap != wide);
        }
        Ok(gaps)
    }
}
