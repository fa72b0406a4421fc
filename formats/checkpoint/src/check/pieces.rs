//! What is in a file of a distributed checkpoint: archives that follow each other, or safetensors.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;

use statedict_core::{Fault, FilePart, Finding, IndexMap, Location, Source, Stretch, Verdict};

use super::limits::Budget;
use super::{EXPECTED, broken, check_source};
use crate::elements::inflate;

/// The bytes at the end of an archive that PyTorch writes: both end records and the locator.
const ENDS_LEN: u64 = 98;

/// Where each archive of a file is, in file order; `None` if the file is not made of archives that
/// PyTorch wrote.
pub(super) fn pieces(source: &dyn Source) -> Result<Option<Vec<Range<u64>>>, Fault> {
    let mut pieces = Vec::new();
    let mut end = source.len();
    while end > 0 {
        let Some(start) = start_of(source, end)? else { return Ok(None) };
        pieces.push(start..end);
        end = start;
    }
    pieces.reverse();
    Ok(Some(pieces))
}

/// Where the archive starts that ends here.
fn start_of(source: &dyn Source, end: u64) -> Result<Option<u64>, Fault> {
    let Some(at) = end.checked_sub(ENDS_LEN) else { return Ok(None) };
    let ends = source.bytes(at..end)?;
    let number =
        |at: usize| ends[at..at + 8].iter().rev().fold(0, |n, byte| n << 8 | u64::from(*byte));
    if !ends.starts_with(b"PK\x06\x06") || !ends[76..].starts_with(b"PK\x05\x06") {
        return Ok(None);
    }
    let directory = number(40).checked_add(number(48));
    let start = directory.and_then(|len| at.checked_sub(len));
    let Some(start) = start else { return Ok(None) };
    let is_archive = source.bytes(start..start + 4)? == b"PK\x03\x04";
    Ok(is_archive.then_some(start))
}

/// A file of a distributed checkpoint: archives end to end.
pub(super) fn check_pieces(
    source: &dyn Source,
    pieces: &[Range<u64>],
    budget: &Budget,
) -> Result<Vec<Finding>, Fault> {
    let mut findings = Vec::new();
    for piece in pieces {
        let name = format!("archive at byte {}", piece.start);
        let part = Stretch::new(source, piece.clone());
        let found = check_source(&part, Path::new(""), budget)?;
        findings.extend(found.into_iter().map(|finding| finding.within(&name)));
    }
    Ok(findings)
}

/// Parts of a file that were not checked with it; what is wrong with several alike is said once.
pub(super) fn check_parts(
    source: &dyn Source,
    parts: &[&FilePart],
    checked: &[Range<u64>],
    budget: &Budget,
) -> Result<Vec<Finding>, Fault> {
    let checked: HashSet<&Range<u64>> = checked.iter().collect();
    let mut findings = IndexMap::<Alike, (Finding, Part<'_>)>::default();
    for (location, part) in distinct(source, parts)? {
        let found = match &location {
            Location::Stored(range) if checked.contains(range) => continue,
            Location::Stored(range) => {
                let part = Stretch::new(source, range.clone());
                check_source(&part, Path::new(""), budget)?
            }
            packed => match inflate::up_to(source, packed) {
                Ok(unpacked) => check_source(&unpacked, Path::new(""), budget)?,
                Err(fault @ Fault::Unreadable(_)) => return Err(fault),
                Err(fault) => vec![broken(&fault)],
            },
        };
        for finding in found {
            let known = findings.entry(alike(&finding));
            let new = || (finding, Part { count: 0, ..part.clone() });
            known.or_insert_with(new).1.count += part.count;
        }
    }
    Ok(findings.into_values().map(|(finding, part)| finding.within(&part.place())).collect())
}

/// What findings of several parts have in common that are said once: their verdict, their reason and
/// what they say.
type Alike = (Verdict, String, String);

/// What makes a finding like another; of bytes that are nothing known, what they look like makes no
/// difference.
fn alike(finding: &Finding) -> Alike {
    let what = if finding.why == EXPECTED { "" } else { finding.what.as_str() };
    let place = &finding.place;
    (finding.verdict, finding.why.clone(), format!("{place}: {what}"))
}

/// Something inside a file that metadata lead to.
#[derive(Clone)]
struct Part<'p> {
    /// What it is called where they lead to it first.
    name: &'p str,
    start: u64,
    is_safetensors: bool,
    /// How many tensors or objects are in it.
    count: usize,
}

impl Part<'_> {
    /// What it is called in messages.
    fn place(&self) -> String {
        let Part { name, start, is_safetensors, count } = self;
        match (is_safetensors, count) {
            (true, 1) => format!("the safetensors at byte {start}, with {name}"),
            (true, count) => format!("the safetensors at byte {start}, with {count} tensors"),
            (false, 1) => (*name).to_string(),
            (false, count) => format!("{name} and {} more", count - 1),
        }
    }
}

/// The parts of a file once each: all tensors that were saved as one safetensors are in one.
///
/// Those that reach beyond the file are missed where the checkpoint is opened.
fn distinct<'p>(
    source: &dyn Source,
    parts: &[&'p FilePart],
) -> Result<IndexMap<Location, Part<'p>>, Fault> {
    let (mut all, mut fronts) = (IndexMap::<Location, Part<'_>>::default(), HashMap::new());
    for FilePart { location, name, .. } in parts {
        let Range { start, end } = *location.range();
        if end > source.len() {
            continue;
        }
        let is_safetensors = matches!(location, Location::Stored(_))
            && match fronts.get(&start) {
                Some(known) => *known,
                None => *fronts.entry(start).or_insert(is_safetensors(source, start)?),
            };
        let location =
            if is_safetensors { Location::Stored(start..source.len()) } else { location.clone() };
        let part = Part { name: name.as_str(), start, is_safetensors, count: 0 };
        all.entry(location).or_insert(part).count += 1;
    }
    Ok(all)
}

/// True if safetensors begin here, which go on to the end of their file.
fn is_safetensors(source: &dyn Source, at: u64) -> Result<bool, Fault> {
    let front = source.bytes(at..at.saturating_add(9).min(source.len()))?;
    Ok(front.len() == 9 && front[8] == b'{' && front[6..8] == [0, 0])
}
