//! Sums and extremes of finite numbers.

use super::histogram::Histogram;
use super::sum::Sum;

/// Sums that are taken side by side, as processors add several numbers at once.
const LANES: usize = 8;

/// What is known of some finite numbers, one at least.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moments {
    count: u64,
    sum: Sum,
    squares: Sum,
    /// The squares of their distances from the mean.
    deviations: f64,
    histogram: Histogram,
}

impl Moments {
    /// Of a block of numbers.
    pub(super) fn of(numbers: &[f64]) -> Option<Moments> {
        let (min, max) = extremes(numbers)?;
        let total = added(numbers, |number| number);
        let mean = total / numbers.len() as f64;
        let mut histogram = Histogram::of_range(min, max);
        histogram.count(numbers);
        let (mut sum, mut squares) = (Sum::default(), Sum::default());
        sum.add(total);
        squares.add(added(numbers, |number| number * number));
        let deviations = added(numbers, |number| (number - mean) * (number - mean));
        Some(Moments { count: numbers.len() as u64, sum, squares, deviations, histogram })
    }

    /// Of numbers that are there several times.
    pub(super) fn of_counted(numbers: &[(f64, u64)]) -> Option<Moments> {
        let first = numbers.first()?.0;
        let (mut min, mut max) = (first, first);
        let (mut count, mut sum, mut squares) = (0, Sum::default(), Sum::default());
        for &(number, times) in numbers {
            (min, max) = (lesser(min, number), greater(max, number));
            count += times;
            sum.add(number * times as f64);
            squares.add(number * number * times as f64);
        }
        let mean = sum.value() / count as f64;
        let mut deviations = Sum::default();
        for &(number, times) in numbers {
            deviations.add((number - mean) * (number - mean) * times as f64);
        }
        let mut histogram = Histogram::of_range(min, max);
        histogram.count_times(numbers.iter().copied());
        Some(Moments { count, sum, squares, deviations: deviations.value(), histogram })
    }

    /// Takes in those of other numbers.
    pub(super) fn merge(&mut self, other: &Moments) {
        let apart = other.mean() - self.mean();
        let (ours, theirs) = (self.count as f64, other.count as f64);
        self.deviations += other.deviations + apart * apart * (ours / (ours + theirs)) * theirs;
        self.count += other.count;
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
        self.histogram.merge(&other.histogram);
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn mean(&self) -> f64 {
        self.sum.value() / self.count as f64
    }

    pub(super) fn std(&self) -> f64 {
        libm::sqrt(self.deviations / self.count as f64)
    }

    pub(super) fn min(&self) -> f64 {
        self.histogram.min()
    }

    pub(super) fn max(&self) -> f64 {
        self.histogram.max()
    }

    pub(super) fn l2(&self) -> f64 {
        libm::sqrt(self.squares.value())
    }

    pub(super) fn histogram(&self) -> &Histogram {
        &self.histogram
    }
}

/// The sum of what is made of each number.
fn added(numbers: &[f64], term: impl Fn(f64) -> f64) -> f64 {
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, number) in sums.iter_mut().zip(chunk) {
            *sum += term(*number);
        }
    }
    sums.into_iter().sum::<f64>() + rest.iter().map(|number| term(*number)).sum::<f64>()
}

/// The least and the largest.
fn extremes(numbers: &[f64]) -> Option<(f64, f64)> {
    let first = *numbers.first()?;
    let (mut least, mut most) = ([first; LANES], [first; LANES]);
    let (chunks, rest) = numbers.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, number) in chunk.iter().enumerate() {
            least[lane] = lesser(least[lane], *number);
            most[lane] = greater(most[lane], *number);
        }
    }
    let least = least.into_iter().chain(rest.iter().copied()).fold(first, lesser);
    let most = most.into_iter().chain(rest.iter().copied()).fold(first, greater);
    Some((least, most))
}

/// The lesser of two, neither of which is NaN: one instruction, which `f64::min` is not.
fn lesser(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

fn greater(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}
