//! Windows: a storage read in its own order, and scattered into a block.

use statedict_core::{Fault, Source};

use crate::elements::axes::{Axis, Cut, steps};
use crate::elements::scatter::scatter;

/// How much memory a gather takes, and what it reads in vain; all in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// The most that is delivered at once.
    pub(crate) block: u64,
    /// The most that is read before it is scattered: the more of a matrix's rows, the longer what is
    /// written of each column before the next, and the fewer pages are gone back to.
    pub(crate) window: u64,
    /// Unneeded bytes between needed ones that are read rather than leapt over.
    pub(crate) gap: u64,
}

/// The budget in use: within it a read costs less than the system call it spares.
pub(crate) const BUDGET: Budget = Budget { block: 24 << 20, window: 4 << 20, gap: 8 << 10 };

/// Bytes side by side in the storage and in the block from which on they are read in their place.
const LONG_RUN: u64 = 8 << 10;

/// A storage of which a block is made.
pub(crate) struct Place<'a> {
    pub(crate) source: &'a dyn Source,
    pub(crate) start: u64,
    pub(crate) unit: u64,
}

impl Place<'_> {
    /// Fills the block with the units of these axes, which start at unit `from` of the storage.
    pub(crate) fn fill(
        &self,
        from: u64,
        mut axes: Vec<Axis>,
        budget: Budget,
        window: &mut Vec<u8>,
        block: &mut [u8],
    ) -> Result<(), Fault> {
        axes.sort_by_key(|axis| std::cmp::Reverse(axis.source));
        if let Some((Axis { size: run, source: 1, target: 1 }, outer)) = axes.split_last()
            && run * self.unit >= LONG_RUN
        {
            return self.read_runs(from, *run, outer, block);
        }
        let windows = self.windows(&axes, budget);
        for (source, target, count) in windows.cut.pieces() {
            let block = &mut block[size(target * self.unit)..];
            self.scatter(from + source, count, &windows, window, block)?;
        }
        Ok(())
    }

    /// The cut into windows: the axes of the smallest strides, as long as little is read in vain.
    fn windows<'a>(&self, axes: &'a [Axis], budget: Budget) -> Windows<'a> {
        let most = (budget.window / self.unit).max(1);
        let mut run = 1u64;
        for (i, axis) in axes.iter().enumerate().rev() {
            if axis.source.saturating_sub(run) > budget.gap / self.unit {
                return Windows { cut: Cut::at(axes, i, most / run), run, leaps: true };
            }
            let grown = (axis.size - 1) * axis.source + run;
            if grown > most {
                let chunk = most.saturating_sub(run) / axis.source.max(1) + 1;
                return Windows { cut: Cut::at(axes, i, chunk), run, leaps: false };
            }
            run = grown;
        }
        Windows { cut: Cut::nowhere(axes), run, leaps: false }
    }

    /// Reads runs of units to where they belong in the block.
    fn read_runs(
        &self,
        from: u64,
        run: u64,
        outer: &[Axis],
        block: &mut [u8],
    ) -> Result<(), Fault> {
        let len = size(run * self.unit);
        for (source, target) in steps(outer) {
            let at = size(target * self.unit);
            let start = self.start + (from + source) * self.unit;
            self.source.read_at(start, &mut block[at..at + len])?;
        }
        Ok(())
    }

    /// Reads one window and puts its units where they belong in the block.
    fn scatter(
        &self,
        from: u64,
        count: u64,
        windows: &Windows<'_>,
        window: &mut Vec<u8>,
        block: &mut [u8],
    ) -> Result<(), Fault> {
        let (axes, at) = (windows.axes(count), |units: u64| self.start + units * self.unit);
        let (reads, run) = windows.reads(count);
        if reads == 1 && matches!(axes.as_slice(), [] | [Axis { source: 1, target: 1, .. }]) {
            return self.source.read_at(at(from), &mut block[..size(run * self.unit)]);
        }
        window.resize(size(reads * run * self.unit), 0);
        let runs = window.chunks_exact_mut(size(run * self.unit));
        for (i, bytes) in (0..reads).zip(runs) {
            self.source.read_at(at(from + i * windows.cut.axis.source), bytes)?;
        }
        scatter(self.unit, window, block, &axes);
        Ok(())
    }
}

/// How a storage is read for one block.
struct Windows<'a> {
    cut: Cut<'a>,
    /// Units from the first to the last of the inner axes.
    run: u64,
    /// True if the runs of a window are too far apart for one read.
    leaps: bool,
}

impl Windows<'_> {
    /// The axes of a window, the strides being those in the window.
    fn axes(&self, count: u64) -> Vec<Axis> {
        let stride = if self.leaps { self.run } else { self.cut.axis.source };
        let mut axes = vec![Axis { size: count, source: stride, ..self.cut.axis }];
        axes.extend(self.cut.inner);
        axes.retain(|axis| axis.size != 1);
        axes
    }

    /// How many reads fill a window, and the units of each.
    fn reads(&self, count: u64) -> (u64, u64) {
        if self.leaps {
            (count, self.run)
        } else {
            (1, (count - 1) * self.cut.axis.source + self.run)
        }
    }
}

/// A number of bytes or units of a block or window as a `usize`.
pub(crate) fn size(number: u64) -> usize {
    usize::try_from(number).expect("blocks and windows are bounded by the budget")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_far_apart_are_read_without_what_is_between() {
        let place = Place { source: &&[0u8; 0][..], start: 0, unit: 4 };
        let axis = |size, source, target| Axis { size, source, target };
        let axes = [axis(3, 1 << 40, 10), axis(10, 1, 1)];
        let windows = place.windows(&axes, BUDGET);
        assert_eq!(windows.reads(3), (3, 10));
        assert_eq!(windows.cut.axis.source, 1 << 40);
    }

    #[test]
    fn rows_close_together_take_one_read() {
        let place = Place { source: &&[0u8; 0][..], start: 0, unit: 4 };
        let axis = |size, source, target| Axis { size, source, target };
        let axes = [axis(3, 20, 10), axis(10, 1, 1)];
        assert_eq!(place.windows(&axes, BUDGET).run, 50);
    }
}
