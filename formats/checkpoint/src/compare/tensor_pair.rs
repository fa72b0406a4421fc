//! Two tensors, read in step.

use std::io::{self, Read};
use std::ops::Range;
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, Builder};

use statedict_core::{
    Fault,
    diff::{Deviation, Tolerance},
    sorting,
};

use crate::compare::comparator::{Comparator, NumberKind};
use crate::compare::operand::{Operand, Pipe};
use crate::elements::StreamError;
use crate::elements::inflate;
use crate::error::Error;
use crate::parallel::each;

/// Bytes of each side that are read at once; both stay in a processor's cache.
const STEP: u64 = 256 << 10;

/// Bytes of each side that one thread takes at a time.
const SHARE: u64 = 16 << 20;

/// Pieces of a stream that wait to be compared.
const PIECES_AHEAD: usize = 2;

/// Two tensors with as many elements each.
pub(super) struct TensorPair<'a> {
    a: Operand<'a>,
    b: Operand<'a>,
    scale: NumberKind,
    question: Question,
    /// Elements of each.
    units: u64,
}

/// What is asked of two tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    /// Whether every byte is the same; one difference is answer enough.
    Identical,
    /// How far apart they are.
    Deviation,
}

/// How far apart the tensors of each couple are, read by all processors.
pub(super) fn deviations(couples: &[TensorPair<'_>]) -> Result<Vec<Deviation>, Error> {
    deviations_within(couples, Tolerance::default())
}

/// The same, where what is within the tolerance is not counted.
pub(super) fn deviations_within(
    couples: &[TensorPair<'_>],
    tolerance: Tolerance,
) -> Result<Vec<Deviation>, Error> {
    let settled: Vec<AtomicBool> = couples.iter().map(|_| AtomicBool::new(false)).collect();
    let shares = couples.iter().zip(&settled).enumerate();
    let shares = shares.flat_map(|(place, (couple, settled))| {
        couple.shares().map(move |units| (place, couple, units, settled))
    });
    let found = each(shares, || {
        let mut desk = Scratch::default();
        desk.meter.tolerance = tolerance;
        move |(place, couple, units, settled): (_, &TensorPair<'_>, Range<u64>, &AtomicBool)| {
            let (mut deviation, start) = (Deviation::default(), units.start);
            if !settled.load(Ordering::Relaxed) {
                couple.hold(units, &mut desk, &mut deviation)?;
            }
            settled.fetch_or(couple.is_settled(&deviation), Ordering::Relaxed);
            Ok((place, start, deviation))
        }
    });
    let mut deviations: Vec<_> = couples
        .iter()
        .map(|couple| Deviation { of: couple.units, ..Deviation::default() })
        .collect();
    let mut found = found?;
    // In the order of the elements, so that sums are the same to the last bit.
    sorting::sort_by_key(&mut found, |(place, start, _)| (*place, *start));
    found.iter().for_each(|(place, _, part)| deviations[*place].merge(part));
    Ok(deviations)
}

/// For each couple whether its tensors are the same.
pub(super) fn are_same(couples: &[TensorPair<'_>]) -> Result<Vec<bool>, Error> {
    Ok(deviations(couples)?.iter().map(|deviation| deviation.count == 0).collect())
}

/// What a thread has before it.
#[derive(Default)]
struct Scratch {
    a: Vec<u8>,
    b: Vec<u8>,
    meter: Comparator,
}

impl<'a> TensorPair<'a> {
    /// Two tensors whose distance is asked for; none if their types have nothing in common.
    ///
    /// Both have the same shape.
    pub(super) fn measured(a: Operand<'a>, b: Operand<'a>) -> Option<TensorPair<'a>> {
        let scale = NumberKind::between(a.dtype(), b.dtype())?;
        let units = a.units();
        Some(TensorPair { a, b, scale, question: Question::Deviation, units })
    }

    /// Two tensors of the same type and shape that may be the same.
    pub(super) fn compared(a: Operand<'a>, b: Operand<'a>) -> TensorPair<'a> {
        let units = a.units();
        TensorPair { a, b, scale: NumberKind::Bytes, question: Question::Identical, units }
    }

    /// The elements in parts that can be read apart; none where there is nothing to read.
    fn shares(&self) -> impl Iterator<Item = Range<u64>> + use<> {
        let share = if self.is_verbatim() { SHARE / self.unit() } else { self.units }.max(1);
        let units = if self.a.is_place_of(&self.b) { 0 } else { self.units };
        (0..units.div_ceil(share)).map(move |i| i * share..units.min((i + 1).saturating_mul(share)))
    }

    /// True if both files hold the very bytes, so that any part can be read.
    fn is_verbatim(&self) -> bool {
        self.a.is_verbatim() && self.b.is_verbatim()
    }

    /// Bytes of an element, of the side that has more.
    fn unit(&self) -> u64 {
        self.a.unit().max(self.b.unit()) as u64
    }

    /// Holds some elements against each other; all of them, unless both are verbatim.
    fn hold(
        &self,
        units: Range<u64>,
        desk: &mut Scratch,
        deviation: &mut Deviation,
    ) -> Result<(), Error> {
        if !self.is_verbatim() {
            return self.hold_streams(&mut desk.meter, deviation);
        }
        let step = (STEP / self.unit()).max(1);
        let mut at = units.start;
        while at < units.end && !self.is_settled(deviation) {
            let end = units.end.min(at + step);
            self.a.read(at..end, &mut desk.a)?;
            self.b.read(at..end, &mut desk.b)?;
            desk.meter.measure(self.scale, self.a.run(&desk.a), self.b.run(&desk.b), deviation);
            at = end;
        }
        Ok(())
    }

    /// True if what was found is answer enough.
    fn is_settled(&self, deviation: &Deviation) -> bool {
        self.question == Question::Identical && deviation.count > 0
    }

    /// Holds all elements against each other, at least one side not being as its file has it.
    fn hold_streams(&self, meter: &mut Comparator, deviation: &mut Deviation) -> Result<(), Error> {
        let [left, right] = if self.a.is_plain() { [&self.a, &self.b] } else { [&self.b, &self.a] };
        if left.is_plain() {
            let mut reader = left.reader()?;
            return self.hold_stream(left, &mut reader, right, meter, deviation);
        }
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(PIECES_AHEAD);
            let mut send =
                move |bytes: &[u8]| sender.send(bytes.to_vec()).map_err(io::Error::other);
            let streaming = Builder::new().spawn_scoped(scope, move || left.stream(&mut send));
            let streaming =
                streaming.map_err(|error| left.error(Fault::Unreadable(error.into())))?;
            let mut pipe = Pipe { receiver, piece: io::Cursor::default() };
            let held = self.hold_stream(left, &mut pipe, right, meter, deviation);
            // A sender without a receiver stops.
            drop(pipe);
            match streaming.join().unwrap_or_else(|panicked| panic::resume_unwind(panicked)) {
                Err(StreamError::Read(fault)) => Err(left.error(fault)),
                _ => held,
            }
        })
    }

    /// Reads the left side as the right side comes.
    fn hold_stream(
        &self,
        left: &Operand<'_>,
        reader: &mut dyn Read,
        right: &Operand<'_>,
        meter: &mut Comparator,
        deviation: &mut Deviation,
    ) -> Result<(), Error> {
        let (mut buffer, mut failure) = (Vec::new(), None);
        let streamed = right.stream(&mut |bytes| {
            buffer.resize(bytes.len() / right.unit() * left.unit(), 0);
            if let Err(error) = reader.read_exact(&mut buffer) {
                failure = Some(left.error(inflate::fault(error)));
                return Err(io::ErrorKind::Other.into());
            }
            meter.measure(self.scale, left.run(&buffer), right.run(bytes), deviation);
            if self.is_settled(deviation) { Err(io::ErrorKind::Other.into()) } else { Ok(()) }
        });
        match (streamed, failure) {
            (_, Some(failure)) => Err(failure),
            (Err(StreamError::Read(fault)), None) => Err(right.error(fault)),
            (Ok(()) | Err(StreamError::Sink(_)), None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Checkpoint;
    use statedict_core::{ByteOrder, DType, Storage, Tensor};
    use std::sync::Arc;
    use tempfile::TempDir;

    /// A checkpoint of these bytes, and where in the file they are.
    struct Bytes {
        folder: TempDir,
        checkpoint: Checkpoint,
        range: Range<u64>,
    }

    /// The header is longer than what is read ahead, so that no element is known beforehand.
    const PADDING: usize = 8192;

    impl Bytes {
        fn new(bytes: &[u8]) -> Bytes {
            let len = bytes.len();
            let header =
                format!(r#"{{"x":{{"dtype":"U8","shape":[{len}],"data_offsets":[0,{len}]}}}}"#);
            let header = header + &" ".repeat(PADDING);
            let start = header.len() as u64 + 8;
            let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), bytes].concat();
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("bytes.safetensors");
            std::fs::write(&path, file).expect("writable");
            let checkpoint = Checkpoint::open(&path).expect("a checkpoint");
            Bytes { folder, checkpoint, range: start..start + len as u64 }
        }

        /// A tensor of these bytes with `rows` rows, which are side by side or one in another.
        fn half(&self, dtype: DType, rows: u64, stored: Stored) -> Operand<'_> {
            let storage = Storage {
                byte_order: if stored == Stored::Swapped {
                    ByteOrder::Big
                } else {
                    ByteOrder::Little
                },
                ..Storage::stored(self.range.clone())
            };
            let len = (self.range.end - self.range.start) / dtype.bytes().expect("whole bytes");
            let columns = len / rows;
            let strides = if stored == Stored::Transposed { [1, rows] } else { [columns, 1] };
            let shape = vec![rows, columns];
            let tensor = Tensor::view(dtype, shape, strides.into(), 0, Arc::new(storage));
            Operand::of(&self.checkpoint, &tensor.expect("within")).expect("plain")
        }
    }

    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Stored {
        Plainly,
        Transposed,
        Swapped,
    }

    fn found(couple: TensorPair<'_>) -> Result<Deviation, String> {
        let found = deviations(&[couple]).map_err(|error| error.to_string());
        found.map(|found| found[0])
    }

    fn u8s(bytes: &[u8], stored: Stored) -> (&[u8], DType, Stored) {
        (bytes, DType::U8, stored)
    }

    fn u16s(bytes: &[u8], stored: Stored) -> (&[u8], DType, Stored) {
        (bytes, DType::U16, stored)
    }

    /// Tensors of two rows: how many elements differ, of how many.
    fn check(a: (&[u8], DType, Stored), b: (&[u8], DType, Stored), expected: (u64, u64)) {
        let (x, y) = (Bytes::new(a.0), Bytes::new(b.0));
        let couple =
            || TensorPair::measured(x.half(a.1.clone(), 2, a.2), y.half(b.1.clone(), 2, b.2));
        let deviation = found(couple().expect("numbers")).expect("readable");
        assert_eq!((deviation.count, deviation.of), expected);
        if a.1 == b.1 {
            let halves = (x.half(a.1.clone(), 2, a.2), y.half(b.1.clone(), 2, b.2));
            let deviation = found(TensorPair::compared(halves.0, halves.1)).expect("readable");
            assert_eq!(deviation.count > 0, expected.0 > 0);
        }
    }

    #[test]
    fn elements_are_compared_however_they_stand() {
        use Stored::{Plainly, Swapped, Transposed};
        check(u8s(b"abcdef", Plainly), u8s(b"abcdef", Plainly), (0, 6));
        check(u8s(b"abcdef", Plainly), u8s(b"abXdeX", Plainly), (2, 6));
        check(u8s(b"abcdef", Plainly), u8s(b"adbecf", Transposed), (0, 6));
        check(u8s(b"adbecf", Transposed), u8s(b"abcdeX", Plainly), (1, 6));
        check(u8s(b"adbecf", Transposed), u8s(b"adbecf", Transposed), (0, 6));
        check(u8s(b"adbecf", Transposed), u8s(b"XdbXcf", Transposed), (2, 6));
        check(u16s(b"abcd", Swapped), u16s(b"badc", Plainly), (0, 2));
        check(u16s(b"abcd", Swapped), u16s(b"badX", Plainly), (1, 2));
        check(u16s(b"abcd", Swapped), u16s(b"abcd", Swapped), (0, 2));
        check(u16s(b"a\0d\0", Plainly), u8s(b"ad", Transposed), (0, 2));
        check(u16s(b"a\0d\0", Plainly), u8s(b"aX", Plainly), (1, 2));
    }

    #[test]
    fn tensors_of_many_shares_and_pieces_are_compared_to_the_end() {
        let len = (SHARE + 3 * STEP) as usize;
        let (a, mut b) = (vec![7; len], vec![7; len]);
        (b[0], b[SHARE as usize], b[len - 1]) = (8, 10, 9);
        check(u8s(&a, Stored::Plainly), u8s(&b, Stored::Plainly), (3, len as u64));
        check(u16s(&a, Stored::Swapped), u16s(&b, Stored::Swapped), (3, len as u64 / 2));
    }

    #[test]
    fn one_place_of_one_file_is_not_read() {
        let (a, b) = (Bytes::new(b"abcdef"), Bytes::new(b"abcdef"));
        let path = b.checkpoint.path();
        let same_file = Checkpoint::open(path).expect("a checkpoint");
        std::fs::File::options().write(true).open(path).expect("there").set_len(9).expect("cut");
        let own = Operand::of(&same_file, &same_file.catalog().rows[0].tensor).expect("plain");
        let again = Operand::of(&b.checkpoint, &same_file.catalog().rows[0].tensor).expect("plain");
        let one_place =
            found(TensorPair::measured(own, again).expect("numbers")).expect("not read");
        assert_eq!((one_place.count, one_place.of), (0, 6));
        let plain = Stored::Plainly;
        let cut = TensorPair::measured(a.half(DType::U8, 2, plain), b.half(DType::U8, 2, plain));
        let message = found(cut.expect("numbers")).expect_err("cut");
        assert!(message.contains(&b.folder.path().display().to_string()), "{message}");
        assert!(message.ends_with("unexpected end of file"), "{message}");
    }

    #[test]
    fn a_stream_that_cannot_be_read_is_named() {
        let (a, b) = (Bytes::new(b"abcdef"), Bytes::new(b"abcdef"));
        let cut = a.checkpoint.path();
        std::fs::File::options().write(true).open(cut).expect("there").set_len(9).expect("cut");
        for (x, y) in [
            (Stored::Plainly, Stored::Transposed),
            (Stored::Transposed, Stored::Plainly),
            (Stored::Transposed, Stored::Transposed),
        ] {
            let couple = TensorPair::measured(a.half(DType::U8, 2, x), b.half(DType::U8, 2, y));
            let message = found(couple.expect("numbers")).expect_err("cut");
            assert!(message.contains(&cut.display().to_string()), "{message}");
        }
    }
}
