//! Columns of numbers as codes of one or two bytes.
//!
//! Code 0 is no number and code 1 is zero. The others are powers at even distances between the least
//! and the largest magnitude, and the last of them is infinite; those of negative numbers come after
//! those of positive ones.

use serde::Serialize;

/// Rows up to which a code has two bytes, so that four figures of a number are right.
const MOST_PRECISE: usize = 20_000;

/// How a column's codes are read.
#[derive(Debug, Serialize)]
pub(super) struct Scale {
    /// Bytes of a code.
    pub(super) width: u8,
    /// The natural logarithm of the least magnitude.
    low: f64,
    /// Between two codes.
    step: f64,
    /// Codes for one sign.
    levels: u32,
}

impl Scale {
    /// The scale of some numbers.
    pub(super) fn of(numbers: &[Option<f64>]) -> Scale {
        let signed = numbers.iter().flatten().any(|it| *it < 0.0);
        let magnitudes = numbers.iter().flatten().filter(|it| it.is_finite() && **it != 0.0);
        let (mut least, mut most) = (f64::INFINITY, 0.0f64);
        for number in magnitudes {
            least = least.min(number.abs());
            most = most.max(number.abs());
        }
        let width = if numbers.len() > MOST_PRECISE { 1 } else { 2 };
        let codes = (1u32 << (8 * u32::from(width))) - 2;
        let levels = if signed { codes / 2 } else { codes };
        if most == 0.0 {
            return Scale { width, low: 0.0, step: 0.0, levels };
        }
        let (low, high) = (least.ln(), most.ln());
        Scale { width, low, step: (high - low) / f64::from(levels - 2), levels }
    }

    /// The code of a number.
    pub(super) fn code(&self, number: Option<f64>) -> u32 {
        let Some(number) = number.filter(|it| !it.is_nan()) else { return 0 };
        if number == 0.0 {
            return 1;
        }
        2 + self.place(number.abs()) + if number < 0.0 { self.levels } else { 0 }
    }

    /// The place of a magnitude among the codes of one sign, the last of which is infinite.
    fn place(&self, magnitude: f64) -> u32 {
        let infinite = self.levels - 1;
        if magnitude.is_infinite() {
            infinite
        } else if self.step == 0.0 {
            0
        } else {
            let place = ((magnitude.ln() - self.low) / self.step).round();
            place.clamp(0.0, f64::from(infinite - 1)) as u32
        }
    }
}

/// The bytes of some codes: first the lowest of each, then the next.
pub(super) fn planes(codes: impl Iterator<Item = u32>, width: u8) -> Vec<u8> {
    let codes: Vec<u32> = codes.collect();
    let bytes = (0..u32::from(width))
        .flat_map(|plane| codes.iter().map(move |it| (it >> (8 * plane)) as u8));
    bytes.collect()
}

/// Bytes that numbers below this one need.
pub(super) fn width_of(numbers: usize) -> u8 {
    match numbers {
        0..=0x100 => 1,
        0x101..=0x1_0000 => 2,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the page's script reads a code.
    fn decoded(scale: &Scale, code: u32) -> Option<f64> {
        match code {
            0 => None,
            1 => Some(0.0),
            code => {
                let (sign, place) = if code - 2 >= scale.levels {
                    (-1.0, code - 2 - scale.levels)
                } else {
                    (1.0, code - 2)
                };
                let is_infinite = place == scale.levels - 1;
                let finite = (scale.low + scale.step * f64::from(place)).exp();
                Some(sign * if is_infinite { f64::INFINITY } else { finite })
            }
        }
    }

    fn check(numbers: &[Option<f64>], precision: f64) {
        let scale = Scale::of(numbers);
        for number in numbers {
            let found = decoded(&scale, scale.code(*number));
            match (found, *number) {
                (Some(found), Some(number)) => {
                    assert!(
                        (found - number).abs() <= precision * number.abs(),
                        "{found} for {number}"
                    );
                }
                (found, number) => assert_eq!(found, number),
            }
        }
    }

    #[test]
    fn few_numbers_keep_four_figures_and_many_two() {
        let some = [Some(1e-8), Some(-3.25), Some(0.0), None, Some(7e12), Some(-1e-3)];
        check(&some, 1e-3);
        check(&some.repeat(4000), 0.25);
        let alike: Vec<_> = (0..30_000).map(|i| Some(0.01 + f64::from(i) * 1e-6)).collect();
        check(&alike, 0.01);
    }

    #[test]
    fn columns_of_one_number_or_none_have_a_scale() {
        check(&[Some(-2.5)], 1e-12);
        check(&[Some(0.0), None], 0.0);
        check(&[], 0.0);
        assert_eq!(Scale::of(&[Some(2.0)]).code(Some(f64::NAN)), 0);
    }

    #[test]
    fn an_infinite_number_is_not_taken_for_the_largest() {
        let all = [f64::INFINITY, f64::NEG_INFINITY, 2.0, -1e-3, 7e300, 0.0];
        for numbers in [&all[..], &all[..3], &all[..1], &all[1..2]] {
            let scale = Scale::of(&numbers.iter().copied().map(Some).collect::<Vec<_>>());
            for number in numbers {
                let found = decoded(&scale, scale.code(Some(*number))).expect("a number");
                assert_eq!(found.is_infinite(), number.is_infinite(), "{number} in {numbers:?}");
                assert_eq!(found.is_sign_negative(), number.is_sign_negative(), "{number}");
            }
        }
    }

    #[test]
    fn codes_are_split_into_bytes() {
        assert_eq!(planes([0x102, 3].into_iter(), 2), [2, 3, 1, 0]);
        assert_eq!([0, 256, 257, 65_537].map(width_of), [1, 1, 2, 4]);
    }
}
