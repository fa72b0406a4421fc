//! The digits of a place, and blocks that they lead through as runs.

use alloc::vec::Vec;

use crate::matching::derive::overlap::{Step, merged};
use crate::matching::derive::run::Run;

/// Parts of one tensor that are in several places of the other.
const MAX_PARTS: usize = 64;

/// The digits that were found.
pub(super) struct Digits {
    pub(super) steps: Vec<Step>,
    /// Elements that they count together.
    pub(super) block: u64,
    /// The size and the distance in the whole of the last one.
    pub(super) last: Option<(u64, u64)>,
}

impl Digits {
    /// Nothing but one element.
    pub(super) fn none() -> Digits {
        Digits { steps: Vec::new(), block: 1, last: None }
    }

    pub(super) fn push(&mut self, size: u64, step: u64) {
        self.steps.push(Step { size, in_a: step, in_b: self.block });
        self.block *= size;
        self.last = Some((size, step));
    }

    /// How far in the whole an element is from the first of its block.
    pub(super) fn distance(&self, in_part: u64) -> u64 {
        self.steps.iter().map(|step| in_part / step.in_b % step.size * step.in_a).sum()
    }

    /// The first of all elements to which the digits lead, seen from one of them.
    pub(super) fn start(&self, in_part: u64, in_whole: u64) -> (u64, u64) {
        let back: u64 =
            self.steps.iter().map(|step| in_part / step.in_b % step.size * step.in_b).sum();
        (in_part - back, in_whole - self.distance(in_part))
    }

    /// The first element of the block in which one is, and where it is in the whole.
    pub(super) fn start_of_block(&self, in_part: u64, in_whole: u64) -> (u64, Option<u64>) {
        (in_part - in_part % self.block, in_whole.checked_sub(self.distance(in_part)))
    }
}

/// Blocks at these places of the whole as few runs; none if there are too many.
pub(super) fn folded(offsets: &[u64], digits: &Digits) -> Option<Vec<Run>> {
    let mut runs: Vec<(u64, Vec<Step>, u64)> =
        offsets.iter().enumerate().map(|(at, offset)| (at as u64, Vec::new(), *offset)).collect();
    loop {
        let before = runs.len();
        runs = fold(runs, digits.block);
        if runs.len() == before {
            break;
        }
    }
    if runs.len() > MAX_PARTS {
        return None;
    }
    let run = |(block, mut steps, in_whole): (u64, Vec<Step>, u64)| {
        steps.extend(digits.steps.iter().copied());
        Run { in_part: block * digits.block, in_whole, steps: merged(steps) }
    };
    Some(runs.into_iter().map(run).collect())
}

/// Runs of the same form at equal distances become one, whatever lies between them.
fn fold(runs: Vec<(u64, Vec<Step>, u64)>, block: u64) -> Vec<(u64, Vec<Step>, u64)> {
    let mut left: Vec<Option<(u64, Vec<Step>, u64)>> = runs.into_iter().map(Some).collect();
    let mut all = Vec::new();
    for at in 0..left.len() {
        let Some((first, steps, offset)) = left[at].take() else { continue };
        let next = (1..left.len() - at).find_map(|gap| {
            let (in_part, in_whole) = distance(&left, at + gap, (first, &steps, offset))?;
            Some((gap, in_part, in_whole))
        });
        let Some((gap, in_part, in_whole)) = next else {
            all.push((first, steps, offset));
            continue;
        };
        let mut size = 1;
        while distance(&left, at + gap * size, (first, &steps, offset))
            == Some((in_part * size as u64, in_whole * size as u64))
        {
            left[at + gap * size] = None;
            size += 1;
        }
        let step = Step { size: size as u64, in_a: in_whole, in_b: in_part * block };
        all.push((first, [&[step], steps.as_slice()].concat(), offset));
    }
    all
}

/// How far a run of this form is from another in the part and in the whole.
fn distance(
    runs: &[Option<(u64, Vec<Step>, u64)>],
    other: usize,
    (first, steps, offset): (u64, &[Step], u64),
) -> Option<(u64, u64)> {
    let (next, others, place) = runs.get(other)?.as_ref()?;
    let by = place.checked_sub(offset).filter(|by| *by > 0)?;
    (others == steps).then_some((next - first, by))
}
