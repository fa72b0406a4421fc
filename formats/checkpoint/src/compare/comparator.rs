//! How far apart elements are.

use statedict_core::{
    DType,
    diff::{Deviation, Products, Tolerance},
};

use crate::compare::numbers::Number;
use crate::elements::numbers::{complex, floats, integers, is_integer, is_real};

/// Elements that are made into numbers at once; few enough for a processor's cache.
const BLOCK: usize = 2048;

/// How the elements of two types are held against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberKind {
    /// By their bytes alone.
    Bytes,
    /// As whole numbers, exactly.
    Integers,
    /// As floating-point numbers.
    Floats,
    /// As complex numbers, part by part.
    Complex,
}

/// Whole elements of one side.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) dtype: &'a DType,
    /// Bytes of an element.
    pub(super) unit: usize,
    pub(super) bytes: &'a [u8],
}

/// Memory for numbers, used again for each block.
#[derive(Default)]
pub(super) struct Comparator {
    floats: [Vec<f64>; 2],
    integers: [Vec<i128>; 2],
    pub(super) tolerance: Tolerance,
}

impl NumberKind {
    /// The finest scale for both types; none if they have nothing in common.
    pub(super) fn between(a: &DType, b: &DType) -> Option<NumberKind> {
        let is_number = |dtype: &DType| is_real(dtype) || dtype.is_complex();
        match (a, b) {
            _ if is_integer(a) && is_integer(b) => Some(NumberKind::Integers),
            _ if is_real(a) && is_real(b) => Some(NumberKind::Floats),
            _ if is_number(a) && is_number(b) => Some(NumberKind::Complex),
            _ => (a == b).then_some(NumberKind::Bytes),
        }
    }
}

impl Comparator {
    /// Adds to `deviation` how far apart as many elements of both sides are; they are not counted
    /// as compared.
    pub(super) fn measure(&mut self, scale: NumberKind, a: Run, b: Run, deviation: &mut Deviation) {
        let (xs, ys) = (a.bytes.chunks(BLOCK * a.unit), b.bytes.chunks(BLOCK * b.unit));
        for (x, y) in xs.zip(ys) {
            if a.dtype != b.dtype || x != y {
                let (x, y) = (Run { bytes: x, ..a }, Run { bytes: y, ..b });
                deviation.merge(&self.block(scale, x, y));
            } else {
                deviation.products.passed_over += (x.len() / a.unit) as u64;
            }
        }
    }

    fn block(&mut self, scale: NumberKind, a: Run<'_>, b: Run<'_>) -> Deviation {
        match scale {
            NumberKind::Bytes => {
                let pairs = a.bytes.chunks(a.unit).zip(b.bytes.chunks(b.unit));
                let count = pairs.filter(|(a, b)| a != b).count() as u64;
                Deviation { count, ..Deviation::default() }
            }
            NumberKind::Integers => {
                let [x, y] = &mut self.integers;
                integers(a.dtype, a.bytes, x);
                integers(b.dtype, b.bytes, y);
                deviation::<_, 1>(x, y, self.tolerance)
            }
            NumberKind::Floats => {
                let [x, y] = &mut self.floats;
                floats(a.dtype, a.bytes, x);
                floats(b.dtype, b.bytes, y);
                reals(x, y, self.tolerance)
            }
            NumberKind::Complex => {
                let [x, y] = &mut self.floats;
                complex(a.dtype, a.bytes, x);
                complex(b.dtype, b.bytes, y);
                deviation::<_, 2>(x, y, self.tolerance)
            }
        }
    }
}

/// Sums that are taken side by side, as processors take several numbers at once.
const LANES: usize = 8;

/// How far apart real numbers are.
fn reals(a: &[f64], b: &[f64], tolerance: Tolerance) -> Deviation {
    let ((xs, x_rest), (ys, y_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
    let mut lanes = Lanes::default();
    for (x, y) in xs.iter().zip(ys) {
        lanes.add(x, y, tolerance);
    }
    let mut found = lanes.deviation();
    found.merge(&deviation::<_, 1>(x_rest, y_rest, tolerance));
    found
}

/// What is found of every eighth pair of numbers.
#[derive(Default)]
struct Lanes {
    max_abs: [f64; LANES],
    max_rel: [f64; LANES],
    count: [u64; LANES],
    nan: [u64; LANES],
    products: [[f64; LANES]; 4],
}

impl Lanes {
    fn add(&mut self, a: &[f64; LANES], b: &[f64; LANES], tolerance: Tolerance) {
        let [aa, bb, ab, apart] = &mut self.products;
        for lane in 0..LANES {
            let (x, y) = (a[lane], b[lane]);
            let distance = (x - y).abs();
            let (left, right) = (x.abs(), y.abs());
            // What is not a number is larger than nothing.
            let relative = distance / if right > left { right } else { left };
            self.max_abs[lane] =
                if distance > self.max_abs[lane] { distance } else { self.max_abs[lane] };
            self.max_rel[lane] =
                if relative > self.max_rel[lane] { relative } else { self.max_rel[lane] };
            let is_same = x == y || x.is_nan() & y.is_nan() || tolerance.holds(distance, right);
            self.count[lane] += u64::from(!is_same);
            self.nan[lane] += u64::from(x.is_nan() != y.is_nan());
            let are_finite = left <= f64::MAX && right <= f64::MAX;
            let (x, y) = if are_finite { (x, y) } else { (0.0, 0.0) };
            aa[lane] += x * x;
            bb[lane] += y * y;
            ab[lane] += x * y;
            apart[lane] += (x - y) * (x - y);
        }
    }

    fn deviation(&self) -> Deviation {
        let most = |lanes: &[f64; LANES]| lanes.iter().copied().fold(0.0, f64::max);
        let [aa, bb, ab, apart] = self.products.map(|lanes| lanes.iter().sum());
        measured(
            self.count.iter().sum(),
            (most(&self.max_abs), most(&self.max_rel)),
            self.nan.iter().sum(),
            Products { aa, bb, ab, apart, passed_over: 0 },
        )
    }
}

/// How far apart elements of `PARTS` numbers are.
fn deviation<N: Number, const PARTS: usize>(a: &[N], b: &[N], tolerance: Tolerance) -> Deviation {
    let (mut max_abs, mut max_rel) = (0.0, 0.0);
    let mut products = Products::default();
    for (x, y) in a.iter().zip(b) {
        // What is not a number is larger than nothing.
        let distance = x.distance(*y);
        let relative = distance / x.magnitude().max(y.magnitude());
        max_abs = if distance > max_abs { distance } else { max_abs };
        max_rel = if relative > max_rel { relative } else { max_rel };
        if distance.is_finite() {
            let (x, y) = (x.value(), y.value());
            let apart = distance * distance;
            let (aa, bb, ab) = (x * x, y * y, x * y);
            products.merge(&Products { aa, bb, ab, apart, passed_over: 0 });
        }
    }
    let count = |differs: &dyn Fn(N, N) -> bool| {
        let elements = a.as_chunks::<PARTS>().0.iter().zip(b.as_chunks::<PARTS>().0);
        let differs =
            |(x, y): &(&[N; PARTS], &[N; PARTS])| (0..PARTS).any(|part| differs(x[part], y[part]));
        elements.filter(differs).count() as u64
    };
    let is_same = |x: N, y: N| x.is_same(y) || tolerance.holds(x.distance(y), y.magnitude());
    let nan = count(&|x, y| x.is_nan() != y.is_nan());
    measured(count(&|x, y| !is_same(x, y)), (max_abs, max_rel), nan, products)
}

fn measured(count: u64, (max_abs, max_rel): (f64, f64), nan: u64, products: Products) -> Deviation {
    let max_rel = if max_abs == f64::INFINITY { f64::INFINITY } else { max_rel };
    Deviation { count, of: 0, max_abs: Some(max_abs), max_rel: Some(max_rel), nan, products }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(numbers: &[f32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    /// Bytes of two types, and the count, the largest differences and those of no number.
    fn check(
        a: (DType, &[u8]),
        b: (DType, &[u8]),
        expected: (u64, impl Into<Option<f64>>, impl Into<Option<f64>>, u64),
    ) {
        let unit = |dtype: &DType| dtype.bytes().expect("whole bytes") as usize;
        let (x, y) = (
            Run { dtype: &a.0, unit: unit(&a.0), bytes: a.1 },
            Run { dtype: &b.0, unit: unit(&b.0), bytes: b.1 },
        );
        let scale = NumberKind::between(&a.0, &b.0).expect("comparable");
        let mut found = Deviation::default();
        Comparator::default().measure(scale, x, y, &mut found);
        let (count, max_abs, max_rel, nan) = expected;
        let (max_abs, max_rel) = (max_abs.into(), max_rel.into());
        let products = found.products;
        assert_eq!(found, Deviation { count, of: 0, max_abs, max_rel, nan, products });
    }

    fn check_f32s(a: &[f32], b: &[f32], expected: (u64, Option<f64>, Option<f64>, u64)) {
        check((DType::F32, &bytes(a)), (DType::F32, &bytes(b)), expected);
    }

    const INFINITE: Option<f64> = Some(f64::INFINITY);

    #[test]
    fn the_largest_differences_are_found() {
        check_f32s(&[1.0, 2.0, 4.0], &[1.0, 2.5, 3.0], (2, Some(1.0), Some(0.25), 0));
        check_f32s(&[0.0], &[-3.0], (1, Some(3.0), Some(1.0), 0));
        check_f32s(&[1.0], &[-1.0], (1, Some(2.0), Some(2.0), 0));
    }

    #[test]
    fn products_are_of_what_is_finite_on_both_sides() {
        let (mut found, nan) = (Deviation::default(), f32::NAN);
        // More than are added side by side.
        let (mut a, mut b) = (vec![3.0; 19], vec![4.0; 19]);
        (a[2], b[18]) = (nan, f32::INFINITY);
        let (x, y) = (bytes(&a), bytes(&b));
        let run = |bytes| Run { dtype: &DType::F32, unit: 4, bytes };
        Comparator::default().measure(NumberKind::Floats, run(&x), run(&y), &mut found);
        let expected = Products {
            aa: 17.0 * 9.0,
            bb: 17.0 * 16.0,
            ab: 17.0 * 12.0,
            apart: 17.0,
            passed_over: 0,
        };
        assert_eq!((found.products, found.nan, found.count), (expected, 1, 19));
    }

    #[test]
    fn what_is_within_a_tolerance_does_not_count() {
        let check = |atol, rtol, expected| {
            let tolerance = Tolerance { atol, rtol };
            let mut comparator = Comparator { tolerance, ..Comparator::default() };
            let (x, y) = (bytes(&[1.0, 100.0, f32::NAN]), bytes(&[1.5, 101.0, 1.0]));
            let run = |bytes| Run { dtype: &DType::F32, unit: 4, bytes };
            let mut found = Deviation::default();
            comparator.measure(NumberKind::Floats, run(&x), run(&y), &mut found);
            assert_eq!(found.count, expected);
        };
        check(0.0, 0.0, 3);
        check(0.5, 0.0, 2);
        check(1.0, 0.0, 1);
        check(0.0, 0.01, 2);
        check(0.5, 0.01, 1);
    }

    #[test]
    fn what_is_equal_as_a_number_is_equal() {
        check_f32s(&[1.0, 2.0], &[1.0, 2.0], (0, None, None, 0));
        check_f32s(&[0.0], &[-0.0], (0, Some(0.0), Some(0.0), 0));
        check_f32s(&[f32::NAN], &[-f32::NAN], (0, Some(0.0), Some(0.0), 0));
        check_f32s(&[f32::INFINITY, 1.0], &[f32::INFINITY, 2.0], (1, Some(1.0), Some(0.5), 0));
    }

    #[test]
    fn what_is_not_a_number_on_one_side_is_counted_apart() {
        check_f32s(&[f32::NAN, 1.0], &[1.0, f32::NAN], (2, Some(0.0), Some(0.0), 2));
        check_f32s(&[f32::INFINITY], &[1.0], (1, INFINITE, INFINITE, 0));
        check_f32s(&[f32::INFINITY], &[f32::NEG_INFINITY], (1, INFINITE, INFINITE, 0));
    }

    #[test]
    fn differences_beyond_the_first_block_are_found() {
        let (a, mut b) = ([1.0; 3 * BLOCK], [1.0; 3 * BLOCK]);
        b[BLOCK + 7] = 2.0;
        b[3 * BLOCK - 1] = 3.0;
        check_f32s(&a, &b, (2, Some(2.0), Some(2.0 / 3.0), 0));
    }

    #[test]
    fn large_integers_are_not_rounded() {
        let (a, b) = ((1u64 << 60).to_le_bytes(), ((1u64 << 60) + 1).to_le_bytes());
        let relative = 1.0 / (1u64 << 60) as f64;
        check((DType::I64, &a), (DType::I64, &b), (1, 1.0, relative, 0));
        check((DType::U64, &[255; 8]), (DType::I8, &[255]), (1, f64::powi(2.0, 64), 1.0, 0));
    }

    #[test]
    fn complex_numbers_differ_by_their_parts() {
        let (a, b) = (bytes(&[1.0, 2.0, 5.0, 5.0]), bytes(&[1.5, 4.0, 5.0, 5.0]));
        check((DType::C64, &a), (DType::C64, &b), (1, 2.0, 0.5, 0));
        check((DType::C64, &bytes(&[3.0, 0.0])), (DType::U8, &[3]), (0, 0.0, 0.0, 0));
    }

    #[test]
    fn other_types_are_converted_and_equal_bytes_say_nothing() {
        check((DType::F16, &[0, 0x3C]), (DType::F32, &bytes(&[1.0])), (0, 0.0, 0.0, 0));
        check(
            (DType::F16, &[0x80, 0x3F]),
            (DType::Bf16, &[0x80, 0x3F]),
            (1, 0.875, 0.875 / 1.875, 0),
        );
        check((DType::Bool, &[1]), (DType::F64, &1f64.to_le_bytes()), (0, 0.0, 0.0, 0));
    }

    #[test]
    fn what_has_no_numbers_is_counted() {
        let text = || DType::other("<U1", 32);
        check((text(), b"a\0\0\0b\0\0\0"), (text(), b"a\0\0\0c\0\0\0"), (1, None, None, 0));
        assert_eq!(NumberKind::between(&text(), &DType::F32), None);
        assert_eq!(NumberKind::between(&DType::F4, &DType::F4), Some(NumberKind::Bytes));
    }
}
