//! The figures of elements as they come.
//!
//! Elements of 8 and 16 bits are counted by their bits, and calculated with once for each that
//! occurs: that is faster than a sum, and rounds less. Longer ones become numbers block by block.

use statedict_core::{DType, Fault, Source, Statistics};

use crate::elements::numbers::floats;

/// Elements that are made into numbers at once; few enough for a processor's cache.
const BLOCK: usize = 1024;

/// Elements of 16 bits below which they are not counted: there may be as many of their patterns.
const FEW: u64 = 16 << 10;

/// How many patterns 16 bits have.
const PATTERNS: usize = 1 << 16;

/// Bytes that are counted before the counts are made into figures: no count runs over.
const COUNTED: u64 = 1 << 30;

/// What a thread has before it, used again for each portion of a tensor.
#[derive(Default)]
pub(super) struct Tally {
    buffer: Vec<u8>,
    numbers: Vec<f64>,
    /// How often each pattern of bits occurred since they were last made into figures.
    counts: Vec<u32>,
    /// Bytes that were counted since.
    counted: u64,
    dtype: Option<DType>,
    statistics: Statistics,
}

impl Tally {
    /// Begins with elements of this type.
    pub(super) fn begin(&mut self, dtype: &DType) {
        self.statistics = Statistics::default();
        self.dtype = Some(dtype.clone());
    }

    /// Takes in bytes of a file.
    pub(super) fn read(
        &mut self,
        source: &dyn Source,
        at: u64,
        len: u64,
        step: u64,
    ) -> Result<(), Fault> {
        let mut done = 0;
        while done < len {
            let now = step.min(len - done);
            self.fill(now, |buffer| source.read_at(at + done, buffer))?;
            done += now;
        }
        Ok(())
    }

    /// Takes in so many bytes that something fills.
    pub(super) fn fill<E>(
        &mut self,
        len: u64,
        fill: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(usize::try_from(len).expect("a portion fits in memory"), 0);
        let filled = fill(&mut buffer);
        if filled.is_ok() {
            self.add(&buffer);
        }
        self.buffer = buffer;
        filled
    }

    /// Takes in whole elements.
    pub(super) fn add(&mut self, bytes: &[u8]) {
        let Some(dtype) = &self.dtype else { return };
        match dtype.bytes() {
            Some(1) => {
                let counts = table(&mut self.counts);
                bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
            }
            Some(2) if self.counted > 0 || bytes.len() as u64 >= 2 * FEW => {
                let counts = table(&mut self.counts);
                let patterns = bytes.as_chunks().0.iter();
                patterns.for_each(|bytes| counts[usize::from(u16::from_le_bytes(*bytes))] += 1);
            }
            Some(width) => {
                let width = usize::try_from(width).expect("16 bytes at most");
                return self.calculate(bytes, width);
            }
            None => return,
        }
        self.counted += bytes.len() as u64;
        if self.counted >= COUNTED {
            self.settle();
        }
    }

    /// The figures of what was taken in since the beginning.
    pub(super) fn end(&mut self) -> Statistics {
        self.settle();
        std::mem::take(&mut self.statistics)
    }

    fn calculate(&mut self, bytes: &[u8], width: usize) {
        let Some(dtype) = &self.dtype else { return };
        for block in bytes.chunks(BLOCK * width) {
            floats(dtype, block, &mut self.numbers);
            if dtype.is_complex() {
                magnitudes(&mut self.numbers);
            }
            self.statistics.add(&self.numbers);
        }
    }

    /// Makes figures of the counts.
    fn settle(&mut self) {
        let Some(dtype) = self.dtype.as_ref().filter(|_| self.counted > 0) else { return };
        let width = if dtype.bytes() == Some(1) { 1 } else { 2 };
        let (mut patterns, mut times) = (Vec::new(), Vec::new());
        let counts = self.counts.iter_mut().take(1 << (8 * width)).enumerate();
        for (pattern, count) in counts.filter(|(_, count)| **count > 0) {
            patterns.extend_from_slice(&pattern.to_le_bytes()[..width]);
            times.push(u64::from(std::mem::take(count)));
        }
        floats(dtype, &patterns, &mut self.numbers);
        let counted: Vec<(f64, u64)> = self.numbers.iter().copied().zip(times).collect();
        self.statistics.add_counted(&counted);
        self.counted = 0;
    }
}

/// The counts, as many as there are patterns, so that none is looked for beyond their end.
fn table(counts: &mut Vec<u32>) -> &mut [u32; PATTERNS] {
    counts.resize(PATTERNS, 0);
    counts.as_mut_slice().try_into().expect("as many as were asked for")
}

/// Makes complex numbers, whose parts follow each other, into how far from zero they are.
fn magnitudes(parts: &mut Vec<f64>) {
    *parts = parts.as_chunks::<2>().0.iter().map(|[re, im]| re.hypot(*im)).collect();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(dtype: &DType, bytes: &[u8]) -> Statistics {
        let mut tally = Tally::default();
        tally.begin(dtype);
        tally.add(bytes);
        tally.end()
    }

    #[test]
    fn elements_that_are_counted_are_as_if_they_were_added() {
        for dtype in [DType::Bf16, DType::F16, DType::I16, DType::U16, DType::F8E5M2, DType::Bool] {
            let bytes: Vec<u8> = (0..200_000u64).map(|i| (i * i / 7) as u8).collect();
            let (mut numbers, mut expected) = (Vec::new(), Statistics::default());
            floats(&dtype, &bytes, &mut numbers);
            expected.add(&numbers);
            let found = of(&dtype, &bytes);
            assert_eq!((found.count, found.nan), (expected.count, expected.nan), "{dtype}");
            assert_eq!((found.zeros, found.inf), (expected.zeros, expected.inf), "{dtype}");
            assert_eq!(found.histogram(), expected.histogram(), "{dtype}");
            let (std, close) = (expected.std().expect("finite"), found.std().expect("finite"));
            assert!((std - close).abs() <= 1e-12 * std, "{dtype}: {std} {close}");
        }
    }

    #[test]
    fn a_thread_begins_again_with_nothing() {
        let mut tally = Tally::default();
        tally.begin(&DType::Bf16);
        tally.add(&vec![0x80; 1 << 16]);
        assert_eq!(tally.end().count, 1 << 15);
        tally.begin(&DType::U8);
        tally.add(&[3, 5]);
        let found = tally.end();
        assert_eq!((found.count, found.mean(), found.max()), (2, Some(4.0), Some(5.0)));
    }

    #[test]
    fn complex_numbers_go_by_their_magnitudes() {
        let bytes: Vec<u8> = [3.0f32, -4.0].iter().flat_map(|part| part.to_le_bytes()).collect();
        assert_eq!(of(&DType::C64, &bytes).max(), Some(5.0));
    }
}
