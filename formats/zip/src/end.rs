//! The end of an archive: where its directory is.

use statedict_core::{Fault, Source};

use crate::fields::{
    CENTRAL_LEN, ELSEWHERE_16, ELSEWHERE_32, END, END_LEN, END64, END64_LEN, Fields, LOCATOR,
    LOCATOR_LEN,
};

/// How far from the end of the file the end record is looked for: the longest comment that its
/// two-byte length can give, which is also about what PyTorch tolerates of other trailing bytes,
/// and the records themselves.
const TAIL_LEN: u64 = 65_536 + END_LEN + END64_LEN + LOCATOR_LEN;

/// Where the directory is, held against the length of the file.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) count: u64,
    pub(crate) size: u64,
    pub(crate) offset: u64,
    /// The number of the archive's only volume.
    pub(crate) volume: u64,
    /// What says that it made the zip64 end record, if there is one.
    pub(crate) made_by: Option<u16>,
    pub(crate) comment: Vec<u8>,
    /// Where the end record itself is.
    pub(crate) at: u64,
    /// What reading passes over and the records should not say.
    pub(crate) faults: Vec<&'static str>,
}

impl End {
    /// Finds the last end record that makes sense; if none does, says what is wrong with the last.
    pub(crate) fn find(source: &dyn Source) -> Result<End, Fault> {
        let start = source.len().saturating_sub(TAIL_LEN);
        let tail = source.bytes(start..source.len())?;
        let mut wrong = None;
        let places = tail.windows(END.len()).enumerate().rev().filter(|(_, four)| *four == END);
        for (place, _) in places {
            match End::at(source, start, &tail, place) {
                Ok(end) => return Ok(end),
                Err(fault) => wrong = wrong.or(Some(fault)),
            }
        }
        Err(wrong.unwrap_or_else(|| {
            let what = format!(
                "no end of a zip directory in the last {} bytes: the archive is truncated",
                tail.len()
            );
            Fault::malformed(start, what)
        }))
    }

    fn at(source: &dyn Source, start: u64, tail: &[u8], place: usize) -> Result<End, Fault> {
        let (before, record) = tail.split_at(place);
        let at = start.saturating_add(before.len() as u64);
        let short = Short::parse(record)
            .ok_or_else(|| Fault::malformed(at, "the end of the zip directory is truncated"))?;
        let locator = before.len().checked_sub(LOCATOR_LEN as usize);
        let locator = locator.and_then(|place| Fields::after(LOCATOR, before.get(place..)?));
        let mut faults = Vec::new();
        let (numbers, ends_at) = match locator {
            Some(locator) => match wide(source, locator, at, &mut faults)? {
                Some(found) => found,
                // As in PyTorch, the numbers of the end record count then.
                None => (short.numbers, at.saturating_sub(LOCATOR_LEN + END64_LEN)),
            },
            None => (short.numbers, at),
        };
        let is_wide = locator.is_some() && numbers.made_by.is_some();
        numbers.check(ends_at, is_wide)?;
        faults.extend(numbers.volumes());
        faults.extend(short.numbers.contradiction(&numbers));
        if short.is_cut {
            faults.push("the comment of the archive ends beyond the file");
        }
        let Numbers { count, size, offset, made_by, disk: volume, .. } = numbers;
        Ok(End { count, size, offset, volume, made_by, comment: short.comment, at, faults })
    }
}

/// The end record itself.
struct Short {
    numbers: Numbers,
    comment: Vec<u8>,
    /// True if the comment is longer than what follows.
    is_cut: bool,
}

/// What the end record and the zip64 end record both say.
#[derive(Clone, Copy)]
struct Numbers {
    disk: u64,
    directory_disk: u64,
    count_here: u64,
    count: u64,
    size: u64,
    offset: u64,
    made_by: Option<u16>,
}

impl Short {
    fn parse(record: &[u8]) -> Option<Short> {
        let mut fields = Fields::after(END, record)?;
        let numbers = Numbers {
            disk: fields.u16()?.into(),
            directory_disk: fields.u16()?.into(),
            count_here: fields.u16()?.into(),
            count: fields.u16()?.into(),
            size: fields.u32()?.into(),
            offset: fields.u32()?.into(),
            made_by: None,
        };
        let len = fields.u16()?;
        // As in PyTorch, what follows need not be a comment of the length that is given here.
        let comment = fields.bytes(len);
        let is_cut = comment.is_none();
        Some(Short { numbers, comment: comment.unwrap_or_default().to_vec(), is_cut })
    }
}

/// The numbers of the zip64 end record, which count even where the short ones would do, and where
/// it is; `None` if the locator leads to something else.
fn wide(
    source: &dyn Source,
    mut locator: Fields<'_>,
    end: u64,
    faults: &mut Vec<&'static str>,
) -> Result<Option<(Numbers, u64)>, Fault> {
    let at = locator.u32().and_then(|_disk| locator.u64()).unwrap_or(u64::MAX);
    match locator.u32() {
        Some(1) | None => {}
        Some(0) => faults.push("the zip64 locator speaks of no volume"),
        Some(_) => faults.push("the zip64 locator speaks of several volumes"),
    }
    let last = end.saturating_sub(LOCATOR_LEN + END64_LEN);
    let beyond = || {
        let what = format!("the zip64 locator points to byte {at}, beyond the last place, {last}");
        Fault::malformed(end.saturating_sub(LOCATOR_LEN), what)
    };
    let whole = at..at.checked_add(END64_LEN).filter(|e| *e <= source.len()).ok_or_else(beyond)?;
    let record = source.bytes(whole)?;
    let Some(numbers) = Numbers::parse_wide(&record) else {
        faults.push("the zip64 locator does not lead to a zip64 end record");
        return Ok(None);
    };
    // One behind the locator is for PyTorch alone: other readers would find another directory.
    if at > last {
        return Err(beyond());
    }
    // The length that a record gives does not count the signature and itself (4.3.14.1).
    let len = Fields::after(END64, &record).and_then(|mut fields| fields.u64());
    if len.and_then(|len| len.checked_add(at + 12)) != Some(end - LOCATOR_LEN) {
        faults.push("the zip64 end record does not end where its locator begins");
    }
    Ok(Some((numbers, at)))
}

impl Numbers {
    fn parse_wide(record: &[u8]) -> Option<Numbers> {
        let mut fields = Fields::after(END64, record)?;
        let (_record_len, made_by, _needed) = (fields.u64()?, fields.u16()?, fields.u16()?);
        Some(Numbers {
            disk: fields.u32()?.into(),
            directory_disk: fields.u32()?.into(),
            count_here: fields.u64()?,
            count: fields.u64()?,
            size: fields.u64()?,
            offset: fields.u64()?,
            made_by: Some(made_by),
        })
    }

    /// What these short numbers say otherwise than the wide ones, which some readers pass over.
    fn contradiction(&self, wide: &Numbers) -> Option<&'static str> {
        let differ = |short: u64, wide: u64, elsewhere: u64| short != wide && short != elsewhere;
        if differ(self.count, wide.count, ELSEWHERE_16) {
            Some("the two end records differ on the number of entries")
        } else if differ(self.size, wide.size, ELSEWHERE_32) {
            Some("the two end records differ on the size of the directory")
        } else if differ(self.offset, wide.offset, ELSEWHERE_32) {
            Some("the two end records differ on the place of the directory")
        } else {
            None
        }
    }

    /// What these numbers say of volumes, where the whole directory is in this file all the same.
    fn volumes(&self) -> Option<&'static str> {
        let one_disk = matches!((self.disk, self.directory_disk), (0, 0) | (1, 1));
        let is_whole = one_disk && self.count_here == self.count;
        (!is_whole).then_some("the end record speaks of several volumes")
    }

    /// Holds the numbers against each other and against the end record's own place: some readers
    /// count the directory's bytes back from there, so a gap would let them see another directory.
    fn check(&self, at: u64, is_wide: bool) -> Result<(), Fault> {
        if !is_wide && (self.size == ELSEWHERE_32 || self.offset == ELSEWHERE_32) {
            return Err(Fault::malformed(at, "the zip64 end record is missing"));
        }
        let Some(_) = self.offset.checked_add(self.size).filter(|end| *end == at) else {
            let what = format!(
                "the zip directory of {} bytes at byte {} does not end where its end record begins",
                self.size, self.offset
            );
            return Err(Fault::malformed(at, what));
        };
        if self.count > self.size / CENTRAL_LEN {
            let what =
                format!("a zip directory of {} bytes with {} entries", self.size, self.count);
            return Err(Fault::malformed(at, what));
        }
        Ok(())
    }
}
