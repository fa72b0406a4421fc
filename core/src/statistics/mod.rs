//! Figures of a tensor's elements, taken in parts that are put together.
//!
//! Sums are compensated and squares are of distances from the mean, so that neither a large tensor
//! nor a mean far from zero costs digits.
//! What parts give together does not depend on where they were cut, but for the last digits.

mod histogram;
mod moments;
mod sum;

pub use histogram::Histogram;

use alloc::vec::Vec;

use moments::Moments;

/// Numbers that are added at once; few enough for a processor's cache.
const BLOCK: usize = 1024;

/// What is known of some numbers.
///
/// Mean, deviation, extremes, norm and histogram are of the finite ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// How many there are.
    pub count: u64,
    /// How many are zero.
    pub zeros: u64,
    /// How many are not a number.
    pub nan: u64,
    /// How many are infinite.
    pub inf: u64,
    finite: Option<Moments>,
}

impl Statistics {
    /// Adds numbers.
    pub fn add(&mut self, numbers: &[f64]) {
        for block in numbers.chunks(BLOCK) {
            self.add_block(block);
        }
    }

    /// Adds distinct numbers, each as often as is said.
    pub fn add_counted(&mut self, numbers: &[(f64, u64)]) {
        let mut finite = Vec::with_capacity(numbers.len());
        for &(number, times) in numbers {
            self.count += times;
            if number.is_finite() {
                self.zeros += if number == 0.0 { times } else { 0 };
                finite.push((number, times));
            } else {
                self.add_special(number, times);
            }
        }
        self.join(Moments::of_counted(&finite));
    }

    /// Takes in what is known of other numbers.
    pub fn merge(&mut self, other: &Statistics) {
        self.count += other.count;
        self.zeros += other.zeros;
        self.nan += other.nan;
        self.inf += other.inf;
        self.join(other.finite.clone());
    }

    /// How many are finite.
    pub fn finite(&self) -> u64 {
        self.finite.as_ref().map_or(0, Moments::count)
    }

    /// The mean.
    pub fn mean(&self) -> Option<f64> {
        self.finite.as_ref().map(Moments::mean)
    }

    /// The standard deviation of the numbers themselves, as NumPy takes it.
    pub fn std(&self) -> Option<f64> {
        self.finite.as_ref().map(Moments::std)
    }

    /// The least.
    pub fn min(&self) -> Option<f64> {
        self.finite.as_ref().map(Moments::min)
    }

    /// The largest.
    pub fn max(&self) -> Option<f64> {
        self.finite.as_ref().map(Moments::max)
    }

    /// The farthest from zero, as a distance.
    pub fn absmax(&self) -> Option<f64> {
        self.finite.as_ref().map(|finite| finite.min().abs().max(finite.max().abs()))
    }

    /// The Euclidean norm.
    pub fn l2(&self) -> Option<f64> {
        self.finite.as_ref().map(Moments::l2)
    }

    /// How they are spread.
    pub fn histogram(&self) -> Option<&Histogram> {
        self.finite.as_ref().map(Moments::histogram)
    }

    fn add_block(&mut self, block: &[f64]) {
        self.count += block.len() as u64;
        self.zeros += block.iter().filter(|number| **number == 0.0).count() as u64;
        if block.iter().filter(|number| number.is_finite()).count() == block.len() {
            return self.join(Moments::of(block));
        }
        let (finite, special): (Vec<f64>, Vec<f64>) =
            block.iter().partition(|number| number.is_finite());
        special.into_iter().for_each(|number| self.add_special(number, 1));
        self.join(Moments::of(&finite));
    }

    fn add_special(&mut self, number: f64, times: u64) {
        if number.is_nan() {
            self.nan += times;
        } else {
            self.inf += times;
        }
    }

    fn join(&mut self, other: Option<Moments>) {
        match (&mut self.finite, other) {
            (Some(own), Some(other)) => own.merge(&other),
            (own @ None, other) => *own = other,
            (Some(_), None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::collection;
    use proptest::prelude::{Strategy, any};
    use proptest::{prop_assert, prop_assert_eq, prop_oneof, proptest};

    fn of(numbers: &[f64]) -> Statistics {
        let mut statistics = Statistics::default();
        statistics.add(numbers);
        statistics
    }

    fn close(a: Option<f64>, b: Option<f64>) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
            (a, b) => a == b,
        }
    }

    #[test]
    fn figures_are_of_the_finite_numbers() {
        let found = of(&[3.0, f64::NAN, -4.0, f64::INFINITY, 0.0, -0.0, f64::NEG_INFINITY]);
        assert_eq!((found.count, found.zeros, found.nan, found.inf), (7, 2, 1, 2));
        assert_eq!(found.finite(), 4);
        assert_eq!((found.mean(), found.min(), found.max()), (Some(-0.25), Some(-4.0), Some(3.0)));
        assert_eq!((found.absmax(), found.l2()), (Some(4.0), Some(5.0)));
        assert!(close(found.std(), Some(libm::sqrt(6.1875))));
    }

    #[test]
    fn nothing_finite_has_no_figures() {
        for numbers in [&[][..], &[f64::NAN, f64::INFINITY]] {
            let found = of(numbers);
            let figures = [found.mean(), found.std(), found.min(), found.absmax(), found.l2()];
            assert_eq!(figures, [None; 5]);
            assert_eq!(found.histogram(), None);
        }
    }

    #[test]
    fn a_mean_far_from_zero_costs_no_digits() {
        let numbers: Vec<f64> = (0..100_000).map(|i| 1e9 + f64::from(i % 2)).collect();
        let found = of(&numbers);
        assert!(close(found.mean(), Some(1e9 + 0.5)));
        assert!(close(found.std(), Some(0.5)));
    }

    #[test]
    fn a_long_sum_keeps_its_small_terms() {
        let mut numbers = vec![1e-8; 1_000_000];
        numbers[0] = 1e12;
        let mean = (1e12 + 999_999.0 * 1e-8) / 1e6;
        assert_eq!(of(&numbers).mean(), Some(mean));
    }

    fn number() -> impl Strategy<Value = f64> {
        prop_oneof![
            8 => -1.0..1.0f64,
            2 => any::<f32>().prop_map(f64::from),
            1 => (-3..3i32).prop_map(f64::from),
        ]
    }

    proptest! {
        #[test]
        fn parts_make_the_whole(numbers in collection::vec(number(), 0..300), cut in 0..300usize) {
            let (first, second) = numbers.split_at(cut.min(numbers.len()));
            let mut merged = of(first);
            merged.merge(&of(second));
            let whole = of(&numbers);
            prop_assert_eq!(merged.finite(), whole.finite());
            prop_assert_eq!((merged.zeros, merged.nan, merged.inf), (whole.zeros, whole.nan, whole.inf));
            prop_assert_eq!((merged.min(), merged.max()), (whole.min(), whole.max()));
            prop_assert_eq!(merged.histogram(), whole.histogram());
            prop_assert!(close(merged.l2(), whole.l2()));
            prop_assert!(close(merged.std(), whole.std()));
        }

        #[test]
        fn numbers_that_are_counted_are_numbers_that_are_repeated(
            counted in collection::vec((number(), 1..5u64), 0..60)
        ) {
            let repeated: Vec<f64> =
                counted.iter().flat_map(|(number, times)| vec![*number; *times as usize]).collect();
            let mut found = Statistics::default();
            found.add_counted(&counted);
            let expected = of(&repeated);
            prop_assert_eq!((found.count, found.zeros), (expected.count, expected.zeros));
            prop_assert_eq!((found.min(), found.max()), (expected.min(), expected.max()));
            prop_assert_eq!(found.histogram(), expected.histogram());
            prop_assert!(close(found.l2(), expected.l2()));
            prop_assert!(close(found.std(), expected.std()));
        }

        #[test]
        fn every_finite_number_is_in_its_bin(numbers in collection::vec(number(), 1..200)) {
            let numbers: Vec<f64> = numbers.into_iter().filter(|it| it.is_finite()).collect();
            let found = of(&numbers);
            let Some(histogram) = found.histogram() else { return Ok(()) };
            for (i, count) in histogram.counts().into_iter().enumerate() {
                let start = histogram.start() + histogram.width() * i as f64;
                let inside = |it: &&f64| **it >= start && **it < start + histogram.width();
                prop_assert_eq!(numbers.iter().filter(inside).count() as u64, count);
            }
        }
    }
}
