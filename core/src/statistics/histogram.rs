//! How numbers are spread, counted while they pass.
//!
//! Bins are as wide as a power of two and begin at multiples of it.
//! So two that are neighbours make one of the double width, and a range that turns out larger is
//! covered by joining bins: every number is counted once, exactly, whatever came before it.

use alloc::vec::Vec;

/// The most bins there are.
const BINS: usize = 32;

/// Bits by which the width of a bin may be less than the largest number: an index stays exact.
const FINEST: i32 = 40;

/// The least width, as a power of two: the least one whose inverse is a number.
const LEAST: i32 = -1022;

/// Adding and taking this away rounds a number below 2⁵¹ to a whole one.
const ROUNDING: f64 = 6_755_399_441_055_744.0;

/// How often numbers are in each of some bins of the same width.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    min: f64,
    max: f64,
    /// The width is 2 to this power.
    exponent: i32,
    /// By the remainder of a bin's number, of which there are no more than these in a row.
    bins: [u64; BINS],
}

impl Histogram {
    /// One with nothing in it, of bins as narrow as numbers in this range allow.
    pub(super) fn of_range(min: f64, max: f64) -> Histogram {
        Histogram { min, max, exponent: exponent(min, max), bins: [0; BINS] }
    }

    /// Where the first bin begins.
    pub fn start(&self) -> f64 {
        self.bin(self.min) * self.width()
    }

    /// How wide each bin is.
    pub fn width(&self) -> f64 {
        power_of_two(self.exponent)
    }

    /// How many numbers are in each bin, from the one of the least to the one of the largest.
    pub fn counts(&self) -> Vec<u64> {
        self.places().map(|place| self.bins[slot(place)]).collect()
    }

    pub(super) fn min(&self) -> f64 {
        self.min
    }

    pub(super) fn max(&self) -> f64 {
        self.max
    }

    /// Counts numbers within the range.
    pub(super) fn count(&mut self, numbers: &[f64]) {
        let scale = power_of_two(-self.exponent);
        // Several, so that one number need not wait for an equal one before it.
        let mut tables = [[0u32; BINS]; 4];
        let (chunks, rest) = numbers.as_chunks::<4>();
        for chunk in chunks {
            let slots = chunk.map(|number| bits_of_bin(number, scale));
            for (table, bits) in tables.iter_mut().zip(slots) {
                table[bits as usize % BINS] += 1;
            }
        }
        for (slot, bin) in self.bins.iter_mut().enumerate() {
            *bin += tables.iter().map(|table| u64::from(table[slot])).sum::<u64>();
        }
        self.count_times(rest.iter().map(|number| (*number, 1)));
    }

    /// Counts numbers within the range, each several times.
    pub(super) fn count_times(&mut self, numbers: impl Iterator<Item = (f64, u64)>) {
        let scale = power_of_two(-self.exponent);
        for (number, times) in numbers {
            self.bins[bits_of_bin(number, scale) as usize % BINS] += times;
        }
    }

    pub(super) fn merge(&mut self, other: &Histogram) {
        let (min, max) = (self.min.min(other.min), self.max.max(other.max));
        let exponent = exponent(min, max).max(self.exponent).max(other.exponent);
        self.widen(exponent);
        if other.exponent == exponent {
            other.places().for_each(|it| self.bins[slot(it)] += other.bins[slot(it)]);
        } else {
            let mut other = other.clone();
            other.widen(exponent);
            other.places().for_each(|it| self.bins[slot(it)] += other.bins[slot(it)]);
        }
        (self.min, self.max) = (min, max);
    }

    /// Joins neighbouring bins until they are this wide.
    fn widen(&mut self, exponent: i32) {
        if exponent == self.exponent {
            return;
        }
        let by = u32::try_from(exponent - self.exponent).unwrap_or(0).min(63);
        let mut bins = [0; BINS];
        self.places().for_each(|place| bins[slot(place >> by)] += self.bins[slot(place)]);
        (self.exponent, self.bins) = (exponent, bins);
    }

    /// The numbers of the bins from the one of the least number to the one of the largest.
    fn places(&self) -> core::ops::RangeInclusive<i64> {
        self.bin(self.min) as i64..=self.bin(self.max) as i64
    }

    /// The number of the bin that a number is in.
    fn bin(&self, number: f64) -> f64 {
        libm::floor(number * power_of_two(-self.exponent))
    }
}

/// The least power of two of which a range has no more than all bins.
fn exponent(min: f64, max: f64) -> i32 {
    let farthest = min.abs().max(max.abs());
    if farthest == 0.0 {
        return LEAST;
    }
    let finest = (libm::ilogb(farthest) - FINEST).max(LEAST);
    // Halves, since the range may be beyond the largest number.
    let half = max / 2.0 - min / 2.0;
    let mut exponent = if half > 0.0 { (libm::ilogb(half) - 4).max(finest) } else { finest };
    while !is_covered(min, max, exponent) {
        exponent += 1;
    }
    exponent
}

/// True if bins of this width, as many as there are, hold the range.
fn is_covered(min: f64, max: f64, exponent: i32) -> bool {
    let scale = power_of_two(-exponent);
    libm::floor(max * scale) - libm::floor(min * scale) < BINS as f64
}

/// Where the bin of that number is counted.
fn slot(place: i64) -> usize {
    place.rem_euclid(BINS as i64) as usize
}

/// Bits whose last ones are those of the number of the bin; in few instructions, each for several
/// numbers at once.
fn bits_of_bin(number: f64, scale: f64) -> u64 {
    let scaled = number * scale;
    let rounded = (scaled + ROUNDING) - ROUNDING;
    let floor = if rounded > scaled { rounded - 1.0 } else { rounded };
    (floor + ROUNDING).to_bits()
}

fn power_of_two(exponent: i32) -> f64 {
    libm::ldexp(1.0, exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn of(numbers: &[f64]) -> Histogram {
        let min = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let max = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut histogram = Histogram::of_range(min, max);
        histogram.count(numbers);
        histogram
    }

    #[test]
    fn bins_begin_at_multiples_of_their_width() {
        let found = of(&[-1.0, -0.25, 0.0, 0.9]);
        assert_eq!((found.start(), found.width()), (-1.0, 0.0625));
        let counts = found.counts();
        assert_eq!((counts.len(), counts[0], counts[12], counts[16], counts[30]), (31, 1, 1, 1, 1));
    }

    #[test]
    fn one_number_has_one_bin() {
        for number in [0.0, 5.0, -1e300, 1e-310, f64::MAX, f64::MIN_POSITIVE] {
            let found = of(&[number, number]);
            assert_eq!(found.counts(), vec![2], "{number}");
            assert!(found.start() <= number && number <= found.start() + found.width(), "{number}");
        }
    }

    #[test]
    fn the_whole_range_of_numbers_has_bins() {
        let found = of(&[f64::MIN, f64::MAX, 0.0]);
        let counts = found.counts();
        assert!(counts.len() <= BINS);
        assert_eq!(counts.iter().sum::<u64>(), 3);
    }

    #[test]
    fn bins_that_are_joined_are_bins_that_were_counted_so() {
        let mut found = of(&[0.0, 0.001, 0.0015]);
        found.merge(&of(&[1000.0]));
        assert_eq!(found, of(&[0.0, 0.001, 0.0015, 1000.0]));
        let mut zero = of(&[0.0]);
        zero.merge(&of(&[-1e-3, 1e-3]));
        assert_eq!(zero, of(&[0.0, -1e-3, 1e-3]));
    }
}
