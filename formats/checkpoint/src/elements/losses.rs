//! What elements lost on their way.

use std::iter::Sum;
use std::ops::AddAssign;

use statedict_core::Elements;

/// How many elements lost something as they were streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Losses {
    /// Finite numbers that the new type has no room for.
    pub(crate) overflows: u64,
    /// Numbers that the opposite of what was done does not give back, bit for bit.
    pub(crate) changed: u64,
}

/// Elements that were written, and what they lost.
#[derive(Clone, Debug)]
pub(crate) struct Lossy {
    pub(crate) elements: Elements,
    pub(crate) losses: Losses,
}

impl Losses {
    /// Nothing but finite numbers without room.
    pub(crate) fn of_overflows(overflows: u64) -> Losses {
        Losses { overflows, changed: 0 }
    }

    /// True if nothing was lost.
    pub(crate) fn is_none(self) -> bool {
        self == Losses::default()
    }
}

impl AddAssign for Losses {
    fn add_assign(&mut self, other: Losses) {
        self.overflows += other.overflows;
        self.changed += other.changed;
    }
}

impl Sum for Losses {
    fn sum<I: Iterator<Item = Losses>>(losses: I) -> Losses {
        losses.fold(Losses::default(), |mut all, one| {
            all += one;
            all
        })
    }
}
