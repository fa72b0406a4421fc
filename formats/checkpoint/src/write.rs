//! Writing a layout from front to back.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::ops::Range;

use crc32fast::Hasher;
use statedict_core::{Layout, Part, Source};

use crate::elements::{self, PIECE, Stop};

/// Writes every part of the layout and gives the number of bytes written.
pub(crate) fn write(
    source: &dyn Source,
    layout: &Layout,
    out: &mut dyn Write,
) -> Result<u64, Stop> {
    let mut output = Output { out, checksums: Checksums::of(layout), written: 0 };
    let mut buffer = Vec::new();
    for (i, part) in layout.parts().iter().enumerate() {
        output.checksums.reach(i);
        match part {
            Part::New(bytes) => output.put(bytes).map_err(Stop::Sink)?,
            Part::Copy(range) => output.copy(source, range.clone(), &mut buffer)?,
            Part::Elements(elements) => {
                elements::stream(source, elements, &mut |bytes| output.put(bytes))?;
            }
            Part::Crc32(span) => {
                let sum = output.checksums.sum(&span.parts);
                output.put(&sum.to_le_bytes()).map_err(Stop::Sink)?;
            }
        }
    }
    Ok(output.written)
}

/// The file in the making.
struct Output<'a> {
    out: &'a mut dyn Write,
    checksums: Checksums,
    written: u64,
}

impl Output<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.checksums.update(bytes);
        self.written += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn copy(
        &mut self,
        source: &dyn Source,
        range: Range<u64>,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let mut at = range.start;
        while at < range.end {
            let len = (range.end - at).min(PIECE);
            buffer.resize(usize::try_from(len).expect("a piece fits in memory"), 0);
            source.read_at(at, buffer)?;
            self.put(buffer).map_err(Stop::Sink)?;
            at += len;
        }
        Ok(())
    }
}

/// The checksums of the spans that the layout asks for; nothing else is summed.
struct Checksums {
    wanted: HashMap<usize, HashSet<usize>>,
    running: Vec<(Range<usize>, Hasher)>,
    done: HashMap<Range<usize>, u32>,
}

impl Checksums {
    fn of(layout: &Layout) -> Checksums {
        let mut wanted = HashMap::<usize, HashSet<usize>>::new();
        for part in layout.parts() {
            if let Part::Crc32(span) = part {
                wanted.entry(span.parts.start).or_default().insert(span.parts.end);
            }
        }
        Checksums { wanted, running: Vec::new(), done: HashMap::new() }
    }

    /// Ends the sums of the spans before part `i`, and begins those of the spans that start there.
    fn reach(&mut self, i: usize) {
        let ends = self.wanted.remove(&i).unwrap_or_default();
        self.running.extend(ends.into_iter().map(|end| (i..end, Hasher::new())));
        for (span, hasher) in self.running.extract_if(.., |(span, _)| span.end <= i) {
            self.done.insert(span, hasher.finalize());
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.running.iter_mut().for_each(|(_, hasher)| hasher.update(bytes));
    }

    fn sum(&self, span: &Range<usize>) -> u32 {
        *self.done.get(span).expect("a layout's checksums are over parts before them")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::{ByteOrder, DType, Elements, Storage, Tensor};
    use std::sync::Arc;

    const SOURCE: &[u8] = b"0123456789";

    fn written(layout: &Layout) -> Vec<u8> {
        let mut out = Vec::new();
        let len = write(&SOURCE, layout, &mut out).expect("written");
        assert_eq!((len, out.len() as u64), (layout.len(), layout.len()));
        out
    }

    fn big_endian_pair() -> Elements {
        let storage = Storage { byte_order: ByteOrder::Big, ..Storage::stored(2..6) };
        let tensor = Tensor::dense(DType::U16, vec![2], 0, Arc::new(storage)).expect("within");
        Elements::new(tensor, None).expect("plain")
    }

    #[test]
    fn parts_are_written_in_order() {
        let mut layout = Layout::new();
        layout.copy(7..9);
        layout.bytes(b"-new-".to_vec());
        layout.elements(big_endian_pair());
        layout.copy(0..0);
        assert_eq!(written(&layout), b"78-new-3254");
    }

    #[test]
    fn a_checksum_covers_every_kind_of_part() {
        let mut layout = Layout::new();
        layout.bytes(b"not this".to_vec());
        let first = layout.parts().len();
        layout.copy(7..9);
        layout.bytes(b"-new-".to_vec());
        layout.elements(big_endian_pair());
        let span = layout.span_from(first);
        layout.bytes(b"nor this".to_vec());
        layout.crc32(span.clone());
        layout.crc32(span);
        let sum = crc32fast::hash(b"78-new-3254").to_le_bytes();
        assert_eq!(written(&layout)[27..], [sum, sum].concat());
    }

    #[test]
    fn checksums_may_cover_nothing_and_each_other() {
        let mut layout = Layout::new();
        layout.crc32(layout.span_from(0));
        layout.copy(0..3);
        layout.crc32(layout.span_from(0));
        let inner = [&[0; 4][..], b"012"].concat();
        let sum = crc32fast::hash(&inner).to_le_bytes();
        assert_eq!(written(&layout), [&inner[..], &sum].concat());
    }

    #[test]
    fn a_source_that_ends_too_early_stops_the_writing() {
        let mut layout = Layout::new();
        layout.copy(8..12);
        let stop = write(&SOURCE, &layout, &mut Vec::new()).expect_err("stopped");
        assert!(matches!(stop, Stop::Read(_)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_stops_the_writing() {
        let mut layout = Layout::new();
        layout.copy(0..10);
        let mut full = std::fs::File::options().write(true).open("/dev/full").expect("a device");
        let stop = write(&SOURCE, &layout, &mut full).expect_err("stopped");
        assert!(matches!(stop, Stop::Sink(error) if error.kind() == io::ErrorKind::StorageFull));
    }
}
