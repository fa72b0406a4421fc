//! Gathering elements that are not side by side in their storage.
//!
//! The output is made block by block. For each block the storage is read window by window in its own
//! order, and each window is scattered into the block; so a transposed matrix costs neither its size
//! in memory nor a read for each element.

use statedict_core::{Fault, Source, row_major_strides};

use crate::elements::axes::{Axis, Cut, joined};
pub(crate) use crate::elements::window::{BUDGET, Budget};
use crate::elements::window::{Place, size};

/// The widths of numbers that are scattered whole.
const UNITS: [u64; 5] = [16, 8, 4, 2, 1];

/// The bytes of the largest unit that elements of `item` bytes are made of.
pub(crate) fn unit_of(item: u64) -> u64 {
    UNITS.into_iter().find(|unit| item.is_multiple_of(*unit)).unwrap_or(1)
}

/// Units of a storage in row-major order of their dimensions; every number is counted in units.
#[derive(Debug)]
pub(crate) struct Strided {
    axes: Vec<Axis>,
    offset: u64,
    /// The bytes of a unit: one of [`UNITS`].
    unit: u64,
}

impl Strided {
    /// Elements of `item` bytes; shape, strides and offset are those of a view that was checked to
    /// be within its storage. The elements go to a block, in which neighbours in each dimension are
    /// `targets` elements apart.
    pub(crate) fn new(
        shape: &[u64],
        strides: &[u64],
        targets: &[u64],
        offset: u64,
        item: u64,
    ) -> Strided {
        let unit = unit_of(item);
        let units = item / unit;
        let axes = shape.iter().zip(strides).zip(targets).map(|((size, source), target)| Axis {
            size: *size,
            source: source * units,
            target: target * units,
        });
        let axes = joined(axes.chain([Axis { size: units, source: 1, target: 1 }]));
        Strided { axes, offset: offset * units, unit }
    }

    /// The same for a block in which the elements follow each other.
    pub(crate) fn in_order(shape: &[u64], strides: &[u64], offset: u64, item: u64) -> Strided {
        Strided::new(shape, strides, &row_major_strides(shape), offset, item)
    }

    /// Puts all of the elements into a block, from a storage that starts at byte `start`.
    pub(crate) fn fill(
        &self,
        source: &dyn Source,
        start: u64,
        budget: Budget,
        block: &mut [u8],
    ) -> Result<(), Fault> {
        let place = Place { source, start, unit: self.unit };
        place.fill(self.offset, self.axes.clone(), budget, &mut Vec::new(), block)
    }

    /// Delivers the elements in order, some at a time, from a storage that starts at byte `start`.
    pub(crate) fn gather<E: From<Fault>>(
        &self,
        source: &dyn Source,
        start: u64,
        budget: Budget,
        deliver: &mut dyn FnMut(&mut [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut block, mut window) = (Vec::new(), Vec::new());
        let cut = self.blocks(budget);
        for (from, _, count) in cut.pieces() {
            let axes = row_major(&cut, count);
            let units: u64 = axes.iter().map(|axis| axis.size).product();
            block.resize(size(units * self.unit), 0);
            let place = Place { source, start, unit: self.unit };
            place.fill(self.offset + from, axes, budget, &mut window, &mut block)?;
            deliver(&mut block)?;
        }
        Ok(())
    }

    /// The cut into blocks: as many inner axes as fit, and as much of the next.
    fn blocks(&self, budget: Budget) -> Cut<'_> {
        let most = (budget.block / self.unit).max(1);
        let mut inner = 1u64;
        for (i, axis) in self.axes.iter().enumerate().rev() {
            match inner.checked_mul(axis.size).filter(|units| *units <= most) {
                Some(units) => inner = units,
                None => return Cut::at(&self.axes, i, most / inner),
            }
        }
        Cut::nowhere(&self.axes)
    }
}

/// The axes of a block with their places in it.
fn row_major(cut: &Cut<'_>, count: u64) -> Vec<Axis> {
    let mut axes = vec![Axis { size: count, ..cut.axis }];
    axes.extend(cut.inner);
    let mut target = 1;
    for axis in axes.iter_mut().rev() {
        axis.target = target;
        target *= axis.size;
    }
    axes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Just, Strategy, prop_oneof, proptest};
    use std::convert::Infallible;

    enum Never {}

    impl From<Fault> for Never {
        fn from(fault: Fault) -> Never {
            unreachable!("nothing is read beyond the storage: {fault}")
        }
    }

    fn gathered(
        storage: &[u8],
        shape: &[u64],
        strides: &[u64],
        offset: u64,
        item: u64,
        budget: Budget,
    ) -> Vec<u8> {
        let mut out = Vec::new();
        let done = Strided::in_order(shape, strides, offset, item).gather(
            &storage,
            0,
            budget,
            &mut |block| {
                assert!(block.len() as u64 <= budget.block.max(item));
                out.extend_from_slice(block);
                Ok::<(), Never>(())
            },
        );
        let Ok(()) = done.map_err(|never| -> Infallible { match never {} });
        out
    }

    /// Element by element, as the definition says.
    fn naive(storage: &[u8], shape: &[u64], strides: &[u64], offset: u64, item: u64) -> Vec<u8> {
        let Some((&size, shape)) = shape.split_first() else {
            let at = (offset * item) as usize;
            return storage[at..at + item as usize].to_vec();
        };
        let (stride, strides) = (strides[0], &strides[1..]);
        let rows = (0..size).map(|i| naive(storage, shape, strides, offset + i * stride, item));
        rows.flatten().collect()
    }

    fn storage(shape: &[u64], strides: &[u64], offset: u64, item: u64) -> Vec<u8> {
        let last: u64 = shape.iter().zip(strides).map(|(size, stride)| (size - 1) * stride).sum();
        (0..(offset + last + 1) * item).map(|i| (i * 7 + i / 251) as u8).collect()
    }

    const SMALL: Budget = Budget { block: 64, window: 48, gap: 8 };

    fn view() -> impl Strategy<Value = (Vec<u64>, Vec<u64>, u64, u64)> {
        let axis = (1u64..6, prop_oneof![Just(0u64), Just(1), 1u64..8, 8u64..60]);
        let item = prop_oneof![Just(1u64), Just(2), Just(4), Just(8), Just(16), Just(6), Just(3)];
        (proptest::collection::vec(axis, 0..5), 0u64..5, item).prop_map(|(axes, offset, item)| {
            let (shape, strides) = axes.into_iter().unzip();
            (shape, strides, offset, item)
        })
    }

    proptest! {
        #[test]
        fn blocks_and_windows_give_what_the_definition_gives(
            (shape, strides, offset, item) in view(),
        ) {
            let storage = storage(&shape, &strides, offset, item);
            let expected = naive(&storage, &shape, &strides, offset, item);
            for budget in [SMALL, BUDGET, Budget { block: 1, window: 1, gap: 0 }] {
                let found = gathered(&storage, &shape, &strides, offset, item, budget);
                assert_eq!(found, expected, "{budget:?}");
                let mut block = vec![0; expected.len()];
                let strided = Strided::in_order(&shape, &strides, offset, item);
                strided.fill(&storage.as_slice(), 0, budget, &mut block).expect("within");
                assert_eq!(block, expected, "{budget:?}, at once");
            }
        }
    }

    #[test]
    fn a_transposed_matrix_takes_few_reads() {
        struct Counting(Vec<u8>, std::sync::atomic::AtomicU64);
        impl Source for Counting {
            fn len(&self) -> u64 {
                self.0.len() as u64
            }
            fn read_at(&self, offset: u64, buffer: &mut [u8]) -> Result<(), Fault> {
                self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                self.0.as_slice().read_at(offset, buffer)
            }
        }
        let source = Counting(storage(&[1000, 1000], &[1, 1000], 0, 4), 0.into());
        let mut len = 0;
        let done = Strided::in_order(&[1000, 1000], &[1, 1000], 0, 4).gather(
            &source,
            0,
            Budget { block: 1 << 20, window: 1 << 18, ..BUDGET },
            &mut |block| {
                len += block.len();
                Ok::<(), Never>(())
            },
        );
        assert!(done.is_ok());
        assert_eq!(len, 4_000_000);
        assert!(source.1.into_inner() < 100);
    }

    #[test]
    fn axes_that_continue_each_other_become_one() {
        let axis = |size, source| (size, source);
        let check = |shape: &[u64], strides: &[u64], item, expected: &[(u64, u64)]| {
            let axes = Strided::in_order(shape, strides, 0, item).axes;
            let axes: Vec<_> = axes.iter().map(|axis| (axis.size, axis.source)).collect();
            assert_eq!(axes, expected);
        };
        check(&[2, 3, 1, 4], &[24, 4, 99, 1], 4, &[axis(2, 24), axis(12, 1)]);
        check(&[3, 2], &[1, 3], 4, &[axis(3, 1), axis(2, 3)]);
        check(&[3, 2], &[1, 3], 6, &[axis(3, 3), axis(2, 9), axis(3, 1)]);
        check(&[5, 5], &[0, 0], 1, &[axis(25, 0)]);
    }
}
