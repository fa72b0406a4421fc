//! Archives that follow each other in one file, as distributed checkpoints keep them.

use std::ops::Range;

use statedict_core::{Fault, Source};

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
