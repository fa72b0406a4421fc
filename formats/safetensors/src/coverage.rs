//! The rule of the data: sorted by place, the tensors fill it from its first byte to its last.

use std::ops::Range;

use statedict_core::{Fault, sorting};

/// Checks that the tensors, each with its place, tile data of `len` bytes, which starts at byte `base`
/// of the file.
pub(crate) fn check<'a>(
    tensors: impl Iterator<Item = (&'a str, Range<u64>)> + Clone,
    base: u64,
    len: u64,
) -> Result<(), Fault> {
    if are_in_order(tensors.clone(), len) {
        return Ok(());
    }
    let mut sorted: Vec<(&str, Range<u64>)> = tensors.collect();
    sorting::sort_by_key(&mut sorted, |(_, data)| (data.start, data.end));
    let mut filled = 0;
    let mut before = None;
    for (key, Range { start, end }) in sorted {
        let fault = |what: String| {
            Err(Fault::malformed(base.saturating_add(start), format!("tensor '{key}' {what}")))
        };
        if end > len {
            return fault(format!("ends at {end} of the data, which has {len} bytes"));
        }
        if start > filled {
            return fault(format!(
                "starts at {start} of the data, expected {filled}: {} bytes belong to no tensor",
                start - filled
            ));
        }
        if let Some(other) = before.filter(|_| start < filled) {
            return fault(format!(
                "starts at {start} of the data, expected {filled}: it overlaps tensor '{other}'"
            ));
        }
        filled = end;
        before = Some(key);
    }
    if filled < len {
        let what = format!("the last tensor ends at {filled} of the data, which has {len} bytes");
        return Err(Fault::malformed(base.saturating_add(filled), what));
    }
    Ok(())
}

/// True if each tensor follows the one before it in the header, as most writers have them.
fn are_in_order<'a>(tensors: impl Iterator<Item = (&'a str, Range<u64>)>, len: u64) -> bool {
    let mut filled = 0;
    for (_, data) in tensors {
        if data.start != filled {
            return false;
        }
        filled = data.end;
    }
    filled == len
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tiles: &[(u64, u64)], len: u64) -> String {
        let keys: Vec<String> = (0..tiles.len()).map(|i| format!("t{i}")).collect();
        let tiles = keys.iter().zip(tiles).map(|(key, (start, end))| (key.as_str(), *start..*end));
        match check(tiles, 100, len) {
            Ok(()) => "tiled".to_string(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn tensors_fill_the_data() {
        assert_eq!(found(&[], 0), "tiled");
        assert_eq!(found(&[(4, 6), (0, 4), (4, 4), (6, 6)], 6), "tiled");
        assert_eq!(
            found(&[(0, 4), (6, 8)], 8),
            "at byte 106: tensor 't1' starts at 6 of the data, expected 4: \
             2 bytes belong to no tensor"
        );
        assert_eq!(
            found(&[(0, 4), (2, 8)], 8),
            "at byte 102: tensor 't1' starts at 2 of the data, expected 4: it overlaps tensor 't0'"
        );
        assert_eq!(
            found(&[(0, 9)], 8),
            "at byte 100: tensor 't0' ends at 9 of the data, which has 8 bytes"
        );
        assert_eq!(
            found(&[(0, 4)], 5),
            "at byte 104: the last tensor ends at 4 of the data, which has 5 bytes"
        );
    }
}
