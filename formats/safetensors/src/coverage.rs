//! The rule of the data: sorted by place, the tensors fill it from its first byte to its last.

use statedict_core::Fault;

use crate::header::Entry;

/// Checks that the tensors tile data of `len` bytes, which starts at byte `base` of the file.
pub(crate) fn check<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    base: u64,
    len: u64,
) -> Result<(), Fault> {
    let mut sorted: Vec<&Entry> = entries.collect();
    sorted.sort_by_key(|entry| (entry.data.start, entry.data.end));
    let mut filled = 0;
    let mut before: Option<&Entry> = None;
    for entry in sorted {
        let (key, start, end) = (&entry.key, entry.data.start, entry.data.end);
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
            let other = &other.key;
            return fault(format!(
                "starts at {start} of the data, expected {filled}: it overlaps tensor '{other}'"
            ));
        }
        filled = end;
        before = Some(entry);
    }
    if filled < len {
        let what = format!("the last tensor ends at {filled} of the data, which has {len} bytes");
        return Err(Fault::malformed(base.saturating_add(filled), what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::DType;

    fn found(tiles: &[(u64, u64)], len: u64) -> String {
        let entry = |(i, &(start, end)): (usize, &(u64, u64))| Entry {
            key: format!("t{i}"),
            dtype: DType::U8,
            shape: [end - start].into(),
            data: start..end,
            offsets: 0..0,
        };
        let entries: Vec<Entry> = tiles.iter().enumerate().map(entry).collect();
        match check(entries.iter(), 100, len) {
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
