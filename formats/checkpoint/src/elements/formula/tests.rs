use std::sync::Arc;

use half::bf16;
use statedict_core::{DType, Elements, Formula, Storage, Tensor};

use crate::elements::{StreamError, stream};

/// Tensors one after another in a file.
#[derive(Default)]
struct File(Vec<u8>);

impl File {
    fn tensor(&mut self, dtype: DType, shape: &[u64], bytes: &[u8]) -> Elements {
        let start = self.0.len() as u64;
        self.0.extend_from_slice(bytes);
        let storage = Arc::new(Storage::stored(start..self.0.len() as u64));
        let tensor = Tensor::dense(dtype, shape.into(), 0, storage).expect("within");
        Elements::new(tensor, None).expect("plain")
    }

    fn f32s(&mut self, shape: &[u64], numbers: &[f32]) -> Elements {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        self.tensor(DType::F32, shape, &bytes)
    }

    /// Numbers that are not simple, `count` of them.
    fn some(&mut self, shape: &[u64], seed: u64) -> (Elements, Vec<f64>) {
        let number = |i: u64| (((i * 7919 + seed * 104_729) % 1009) as f64 / 97.0 - 5.0) as f32;
        let numbers: Vec<f32> = (0..shape.iter().product()).map(number).collect();
        (self.f32s(shape, &numbers), numbers.into_iter().map(f64::from).collect())
    }

    fn bytes(&self, elements: &Elements) -> Vec<u8> {
        let mut out = Vec::new();
        let streamed = stream(&self.0.as_slice(), elements, &mut |bytes| {
            out.extend_from_slice(bytes);
            Ok(())
        });
        assert!(
            streamed.is_ok(),
            "{:?}",
            streamed.map_err(|error| match error {
                StreamError::Read(fault) => fault.to_string(),
                StreamError::Sink(error) => error.to_string(),
            })
        );
        out
    }

    fn numbers(&self, elements: &Elements) -> Vec<f32> {
        let bytes = self.bytes(elements);
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }
}

fn rounded(numbers: &[f64]) -> Vec<f32> {
    numbers.iter().map(|number| *number as f32).collect()
}

/// `base + scale · up × down` by the definition.
fn merged(base: &[f64], up: &[f64], down: &[f64], scale: f64, rank: usize) -> Vec<f64> {
    let columns = down.len() / rank;
    let product = |at: usize| {
        let (row, column) = (at / columns, at % columns);
        (0..rank).map(|k| up[row * rank + k] * down[k * columns + column]).sum::<f64>()
    };
    base.iter().enumerate().map(|(at, base)| base + scale * product(at)).collect()
}

#[test]
fn an_adapter_is_added_in_double_precision() {
    let check = |shape: &[u64], rank: u64| {
        let mut file = File::default();
        let columns = shape[1..].iter().product();
        let (base, base_numbers) = file.some(shape, 1);
        let (up, up_numbers) = file.some(&[shape[0], rank], 2);
        let (down, down_numbers) = file.some(&[rank, columns], 3);
        let formula = Formula::LowRank { base, up, down, scale: 0.3 };
        let elements = Elements::computed(formula).expect("shapes that go together");
        let expected = merged(&base_numbers, &up_numbers, &down_numbers, 0.3, rank as usize);
        assert_eq!(file.numbers(&elements), rounded(&expected), "{shape:?}");
        // Rows by themselves are the same.
        let rows = elements.slice(0, 1..shape[0]).expect("rows");
        assert_eq!(file.numbers(&rows), rounded(&expected[columns as usize..]));
    };
    check(&[3, 4], 2);
    check(&[5, 2, 3, 3], 4);
    check(&[2, 300_000], 1);
    check(&[700, 500], 3);
}

#[test]
fn a_factor_that_is_too_long_to_hold_is_read_by_columns() {
    let mut file = File::default();
    let (rank, columns) = (8, 140_000);
    let (base, base_numbers) = file.some(&[2, columns], 1);
    let (up, up_numbers) = file.some(&[2, rank], 2);
    let (down, down_numbers) = file.some(&[rank, columns], 3);
    let formula = Formula::LowRank { base, up, down, scale: 2.0 };
    let elements = Elements::computed(formula).expect("shapes that go together");
    let expected = merged(&base_numbers, &up_numbers, &down_numbers, 2.0, rank as usize);
    assert!(file.numbers(&elements) == rounded(&expected));
}

#[test]
fn a_turned_adapter_is_one_of_a_transposed_weight() {
    let mut file = File::default();
    let (base, base_numbers) = file.some(&[4, 3], 1);
    // Of a weight of 3 outputs and 4 inputs.
    let (up, up_numbers) = file.some(&[3, 2], 2);
    let (down, down_numbers) = file.some(&[2, 4], 3);
    let turned = |elements: Elements| elements.permute(&[1, 0]).expect("turned");
    let formula = Formula::LowRank { base, up: turned(down), down: turned(up), scale: 1.0 };
    let elements = Elements::computed(formula).expect("shapes that go together");
    let product = merged(&[0.0; 12], &up_numbers, &down_numbers, 1.0, 2);
    let expected: Vec<f64> =
        (0..12).map(|at| base_numbers[at] + product[at % 3 * 4 + at / 3]).collect();
    assert_eq!(file.numbers(&elements), rounded(&expected));
}

#[test]
fn norms_are_over_the_dimensions_where_there_is_one_magnitude() {
    let check = |shape: &[u64], of: &[u64], norm_of: &dyn Fn(usize) -> usize| {
        let mut file = File::default();
        let (direction, numbers) = file.some(shape, 1);
        let (magnitude, magnitudes) = file.some(of, 2);
        let mut squares = vec![0.0; magnitudes.len()];
        numbers.iter().enumerate().for_each(|(at, number)| squares[norm_of(at)] += number * number);
        let expected: Vec<f64> = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| number * (magnitudes[norm_of(at)] / squares[norm_of(at)].sqrt()))
            .collect();
        let formula = Formula::WeightNorm { direction, magnitude };
        let elements = Elements::computed(formula).expect("shapes that go together");
        assert_eq!(file.numbers(&elements), rounded(&expected), "{shape:?} {of:?}");
    };
    check(&[4, 3, 2], &[4, 1, 1], &|at| at / 6);
    check(&[4, 3, 2], &[1, 1, 2], &|at| at % 2);
    check(&[4, 3, 2], &[1, 3, 1], &|at| at / 2 % 3);
    check(&[4, 3, 2], &[4, 1, 2], &|at| at / 6 * 2 + at % 2);
    check(&[4, 3, 2], &[], &|_| 0);
    check(&[4, 3, 2], &[1], &|_| 0);
    check(&[500, 700], &[500, 1], &|at| at / 700);
    check(&[500, 700], &[1, 700], &|at| at % 700);
}

#[test]
fn each_block_has_its_scale() {
    let check =
        |shape: &[u64], scales: &[u64], blocks: &[u64], scale_of: &dyn Fn(usize) -> usize| {
            let mut file = File::default();
            let (quantised, numbers) = file.some(shape, 1);
            let (scales, factors) = file.some(scales, 2);
            let formula =
                Formula::Dequantise { quantised, scales, blocks: blocks.into(), dtype: DType::F32 };
            let elements = Elements::computed(formula).expect("shapes that go together");
            let expected: Vec<f64> =
                numbers.iter().enumerate().map(|(at, it)| it * factors[scale_of(at)]).collect();
            assert_eq!(file.numbers(&elements), rounded(&expected), "{shape:?}");
            let rows = elements.slice(0, 1..shape[0]).expect("rows");
            let row = numbers.len() / shape[0] as usize;
            assert_eq!(file.numbers(&rows), rounded(&expected[row..]));
        };
    check(&[5, 7], &[3, 2], &[2, 4], &|at| at / 7 / 2 * 2 + at % 7 / 4);
    check(&[5, 7], &[1, 1], &[5, 7], &|_| 0);
    check(&[5, 7], &[5], &[1, 7], &|at| at / 7);
    check(&[2, 4, 6], &[2, 2, 2], &[1, 2, 3], &|at| at / 24 * 4 + at % 24 / 6 / 2 * 2 + at % 6 / 3);
    check(&[4, 300_000], &[2, 150_000], &[2, 2], &|at| at / 600_000 * 150_000 + at % 300_000 / 2);
    check(&[3, 600_000], &[3, 600_000], &[1, 1], &|at| at);
}

#[test]
fn bytes_are_small_floats_or_integers() {
    let mut file = File::default();
    let scales = file.f32s(&[1], &[0.5]);
    let check = |file: &mut File, dtype: DType, bytes: &[u8], expected: &[f32]| {
        let quantised = file.tensor(dtype, &[bytes.len() as u64], bytes);
        let blocks = [bytes.len() as u64].into();
        let scales = scales.clone();
        let formula = Formula::Dequantise { quantised, scales, blocks, dtype: DType::Bf16 };
        let out = file.bytes(&Elements::computed(formula).expect("known"));
        let found = out.as_chunks().0.iter().map(|bytes| bf16::from_le_bytes(*bytes).to_f32());
        assert_eq!(found.collect::<Vec<_>>(), expected);
    };
    check(&mut file, DType::F8E4M3, &[0x38, 0x7E, 0xB8], &[0.5, 224.0, -0.5]);
    check(&mut file, DType::I8, &[1, 0x80, 0xFF], &[0.5, -64.0, -0.5]);
    check(&mut file, DType::U8, &[1, 255], &[0.5, 127.5]);
}

#[test]
fn sums_are_rounded_once() {
    let mut file = File::default();
    let terms: Vec<Elements> =
        [1e8f32, 1.0, -1e8].iter().map(|number| file.f32s(&[1], &[*number])).collect();
    let sum = Elements::computed(Formula::Sum { terms }).expect("alike");
    assert_eq!(file.numbers(&sum), [1.0]);
}

#[test]
fn rows_of_several_formulas_are_put_one_after_another() {
    let mut file = File::default();
    let (one, numbers) = file.some(&[2, 3], 1);
    let (other, more) = file.some(&[2, 3], 2);
    let twice = |terms: &Elements| {
        let terms = [terms.clone(), terms.clone()].into();
        Elements::computed(Formula::Sum { terms }).expect("alike")
    };
    let both = Elements::concat(0, [twice(&one), other.clone(), twice(&other)].into());
    let both = both.expect("alike").reshape([9, 2].into()).expect("as many");
    let doubled = |numbers: &[f64]| numbers.iter().map(|it| it * 2.0).collect::<Vec<_>>();
    let expected = [doubled(&numbers), more.clone(), doubled(&more)].concat();
    assert_eq!(file.numbers(&both), rounded(&expected));
    let refused = Elements::concat(1, [twice(&one), other].into()).expect_err("columns");
    assert_eq!(
        refused,
        "what a formula gives cannot be joined along another dimension than the first in the same \
         plan; rows of it can be cut"
    );
    assert!(twice(&one).permute(&[1, 0]).is_err());
    assert!(twice(&one).slice(1, 0..2).is_err());
}
