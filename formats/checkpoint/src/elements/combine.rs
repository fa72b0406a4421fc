//! Elements combined with constants, as PyTorch calculates on a CPU.
//!
//! A half and a constant meet as `f32`, and the result is rounded; an `f32` meets the constant as
//! `f32`, an `f64` as it is. Each result is led back at once, to count those that do not come back.

use half::{bf16, f16};
use statedict_core::{Arithmetic, DType, Operation};

/// What elements of one type are combined with.
pub(crate) struct Combine {
    kind: Kind,
    steps: Vec<Arithmetic>,
    /// The opposites in the opposite order.
    back: Vec<Arithmetic>,
    changed: u64,
}

#[derive(Clone, Copy)]
enum Kind {
    F64,
    F32,
    F16,
    Bf16,
}

impl Combine {
    /// None where there is no step, and for other types than floats of 16 bits and more.
    pub(crate) fn new(dtype: &DType, steps: &[Arithmetic]) -> Option<Combine> {
        let kind = match dtype {
            DType::F64 => Kind::F64,
            DType::F32 => Kind::F32,
            DType::F16 => Kind::F16,
            DType::Bf16 => Kind::Bf16,
            _ => return None,
        };
        let back = steps.iter().rev().map(Arithmetic::inverse).collect();
        (!steps.is_empty()).then(|| Combine { kind, steps: steps.to_vec(), back, changed: 0 })
    }

    /// How many elements the opposite did not give back so far.
    pub(crate) fn changed(&self) -> u64 {
        self.changed
    }

    /// Combines whole little-endian elements in place.
    pub(crate) fn apply(&mut self, piece: &mut [u8]) {
        let (steps, back) = (self.steps.as_slice(), self.back.as_slice());
        self.changed += match self.kind {
            Kind::F64 => each(piece, |bytes| {
                let (old, new, again) =
                    there_and_back(f64::from_le_bytes(bytes), steps, back, step_f64);
                (new.to_le_bytes(), old.to_bits() == again.to_bits())
            }),
            Kind::F32 => each(piece, |bytes| {
                let (old, new, again) =
                    there_and_back(f32::from_le_bytes(bytes), steps, back, step_f32);
                (new.to_le_bytes(), old.to_bits() == again.to_bits())
            }),
            Kind::F16 => each(piece, |bytes| {
                let step =
                    |number: f16, step: &Arithmetic| f16::from_f32(step_f32(number.to_f32(), step));
                let (old, new, again) =
                    there_and_back(f16::from_le_bytes(bytes), steps, back, step);
                (new.to_le_bytes(), old.to_bits() == again.to_bits())
            }),
            Kind::Bf16 => each(piece, |bytes| {
                let step = |number: bf16, step: &Arithmetic| {
                    bf16::from_f32(step_f32(number.to_f32(), step))
                };
                let (old, new, again) =
                    there_and_back(bf16::from_le_bytes(bytes), steps, back, step);
                (new.to_le_bytes(), old.to_bits() == again.to_bits())
            }),
        };
    }
}

/// Puts new elements in the places of old ones; gives how many did not come back.
fn each<const N: usize>(piece: &mut [u8], new: impl Fn([u8; N]) -> ([u8; N], bool)) -> u64 {
    let mut changed = 0;
    for element in piece.as_chunks_mut::<N>().0 {
        let (becomes, comes_back) = new(*element);
        *element = becomes;
        changed += u64::from(!comes_back);
    }
    changed
}

/// A number, what the steps make of it, and what the steps back make of that.
fn there_and_back<T: Copy>(
    old: T,
    steps: &[Arithmetic],
    back: &[Arithmetic],
    step: impl Fn(T, &Arithmetic) -> T,
) -> (T, T, T) {
    let new = steps.iter().fold(old, &step);
    (old, new, back.iter().fold(new, &step))
}

fn step_f64(number: f64, step: &Arithmetic) -> f64 {
    match step.operation() {
        Operation::Add => number + step.constant(),
        Operation::Multiply => number * step.constant(),
        Operation::Divide => number / step.constant(),
    }
}

fn step_f32(number: f32, step: &Arithmetic) -> f32 {
    let constant = step.constant() as f32;
    match step.operation() {
        Operation::Add => number + constant,
        Operation::Multiply => number * constant,
        Operation::Divide => number / constant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn combined(numbers: &[f32], steps: &[Option<Arithmetic>]) -> (Vec<f32>, u64) {
        let steps: Vec<Arithmetic> = steps.iter().map(|step| step.expect("a constant")).collect();
        let mut combine = Combine::new(&DType::F32, &steps).expect("known");
        let mut bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        combine.apply(&mut bytes);
        let new = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (new, combine.changed())
    }

    #[test]
    fn what_does_not_come_back_is_counted() {
        let one = Arithmetic::add(1.0);
        assert_eq!(combined(&[0.5, -1.0, 2.0], &[one]), ([1.5, 0.0, 3.0].into(), 0));
        assert_eq!(combined(&[1e-9, 0.5, -0.0], &[one]).1, 2);
        let double = Arithmetic::multiply(2.0);
        assert_eq!(combined(&[0.1, 1e-40, -0.0], &[double]).1, 0);
        assert_eq!(combined(&[3e38], &[double]).1, 1);
        assert_eq!(combined(&[1e-45, 0.1], &[Arithmetic::divide(2.0)]).1, 1);
    }

    #[test]
    fn several_steps_are_led_back_in_the_opposite_order() {
        let steps = [Arithmetic::add(1.0), Arithmetic::multiply(4.0)];
        assert_eq!(combined(&[0.5, -1.0], &steps), ([6.0, 0.0].into(), 0));
    }

    #[test]
    fn a_half_is_rounded_once() {
        let add = [Arithmetic::add(1.0).expect("a constant")];
        let mut combine = Combine::new(&DType::Bf16, &add).expect("known");
        let mut bytes = bf16::from_f32(0.01).to_le_bytes();
        combine.apply(&mut bytes);
        assert_eq!(bf16::from_le_bytes(bytes), bf16::from_f32(1.0 + bf16::from_f32(0.01).to_f32()));
        assert_eq!(combine.changed(), 1);
    }
}
