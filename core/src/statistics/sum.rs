//! Sums that lose nothing to rounding on the way.

/// A sum and what rounding took from it (Neumaier's).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    pub(super) fn add(&mut self, term: f64) {
        let sum = self.sum + term;
        let lost = if self.sum.abs() >= term.abs() {
            (self.sum - sum) + term
        } else {
            (term - sum) + self.sum
        };
        // Beyond the range there is nothing to keep.
        self.lost += if sum.is_finite() { lost } else { 0.0 };
        self.sum = sum;
    }

    pub(super) fn merge(&mut self, other: &Sum) {
        self.add(other.sum);
        self.lost += other.lost;
    }

    pub(super) fn value(&self) -> f64 {
        self.sum + self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_takes_is_kept() {
        let mut sum = Sum::default();
        [1.0, 1e100, 1.0, -1e100].into_iter().for_each(|term| sum.add(term));
        assert_eq!(sum.value(), 2.0);
    }

    #[test]
    fn a_sum_beyond_the_range_is_infinite() {
        let mut sum = Sum::default();
        [f64::MAX, f64::MAX, 1.0].into_iter().for_each(|term| sum.add(term));
        assert_eq!(sum.value(), f64::INFINITY);
    }
}
