//! Tensors that are some rows, or columns, of larger ones.
//!
//! The first rows of each smaller tensor are looked for in one pass over each larger one; what is
//! found so is then compared to its end.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::RandomState;

use statedict_core::{
    DType, Tensor,
    derive::{Axis, Side, Slice},
    sorting,
};

use crate::compare::operand::Operand;
use crate::compare::rows::{Rows, row_len, rows};
use crate::compare::tensor_pair::{TensorPair, are_same};
use crate::error::Error;
use crate::parallel::each;

/// Rows by which a tensor is looked for.
const MAX_WINDOW: u64 = 256;

/// Fewer bytes would be found by chance.
const MIN_WINDOW_BYTES: u64 = 16;

/// Places where a tensor may be that are looked at closely; what is in so many has no one place.
const MAX_PLACES: usize = 4;

/// An odd number without a pattern, by which hashes of rows are made into one of a window.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

/// The tensors among `parts` that are found in one place of one of the `wholes`, which are those
/// of `owner`.
pub(super) fn portions(
    parts: &[Option<Operand<'_>>],
    wholes: &[Option<Operand<'_>>],
    owner: Side,
) -> Result<Vec<Slice>, Error> {
    let keys = RandomState::new();
    let needles = Needle::all(parts, wholes, &keys)?;
    let haystacks = views(wholes).filter(|view| needles.iter().any(|it| it.fits(&view.half)));
    let found = each(haystacks, || |view: View<'_>| search(&view, &needles, &keys))?;
    let mut places: Vec<Place> = found.into_iter().flatten().collect();
    sorting::sort_by_key(&mut places, |it| (it.needle, it.whole, it.is_turned, it.start));
    let couples = places
        .iter()
        .map(|it| TensorPair::compared(it.cut.clone(), needles[it.needle].half.clone()))
        .collect::<Vec<_>>();
    let same = places.iter().zip(are_same(&couples)?).filter(|(_, same)| *same);
    let found = same.map(|(place, _)| place.portion(&needles[place.needle], owner));
    let mut found: Vec<Slice> = found.collect();
    let mut counts = HashMap::<usize, usize>::new();
    found.iter().for_each(|portion| *counts.entry(portion.part).or_default() += 1);
    found.retain(|portion| counts[&portion.part] == 1);
    Ok(found)
}

/// A tensor as it is, or transposed.
struct View<'a> {
    place: usize,
    is_turned: bool,
    half: Operand<'a>,
}

/// Tensors as they are, and those of two dimensions transposed.
fn views<'h, 'a: 'h>(halves: &'h [Option<Operand<'a>>]) -> impl Iterator<Item = View<'a>> + 'h {
    halves.iter().enumerate().flat_map(|(place, half)| {
        let turned = half.as_ref().and_then(|half| half.viewed(Tensor::transposed));
        let plain = half.clone().map(|half| View { place, is_turned: false, half });
        plain.into_iter().chain(turned.map(|half| View { place, is_turned: true, half }))
    })
}

/// A smaller tensor, known by its first rows.
struct Needle<'a> {
    part: usize,
    is_turned: bool,
    half: Operand<'a>,
    rows: u64,
    row_len: usize,
    window: usize,
    hash: u64,
}

/// Where the first rows of a smaller tensor are, and as many rows from there as it has.
struct Place<'a> {
    needle: usize,
    whole: usize,
    is_turned: bool,
    start: u64,
    cut: Operand<'a>,
}

impl Place<'_> {
    fn portion(&self, needle: &Needle<'_>, owner: Side) -> Slice {
        Slice {
            part: needle.part,
            whole: self.whole,
            owner,
            start: self.start,
            end: self.start + needle.rows,
            lines: if self.is_turned { Axis::Columns } else { Axis::Rows },
            is_transposed: needle.is_turned != self.is_turned,
        }
    }
}

impl<'a> Needle<'a> {
    /// Those of the tensors that may be a part of one of the others, and are not one number.
    fn all(
        parts: &[Option<Operand<'a>>],
        wholes: &[Option<Operand<'_>>],
        keys: &RandomState,
    ) -> Result<Vec<Needle<'a>>, Error> {
        let mut room = HashMap::<(DType, usize), u64>::new();
        for View { half, .. } in views(wholes) {
            if let Some(len) = row_len(&half) {
                let most = room.entry((half.dtype().clone(), len)).or_default();
                *most = (*most).max(half.shape()[0]);
            }
        }
        let mut needles = Vec::new();
        for View { place: part, is_turned, half } in views(parts) {
            let Some(row_len) = row_len(&half) else { continue };
            let rows = half.shape()[0];
            let has_room =
                room.get(&(half.dtype().clone(), row_len)).is_some_and(|most| *most > rows);
            let window = rows.min(MAX_WINDOW);
            if !has_room || window * (row_len as u64) < MIN_WINDOW_BYTES || half.is_constant()? {
                continue;
            }
            let window = usize::try_from(window).expect("a window is small");
            if let Some(hash) = window_hash(&half, window, keys)? {
                needles.push(Needle { part, is_turned, half, rows, row_len, window, hash });
            }
        }
        Ok(needles)
    }

    fn fits(&self, whole: &Operand<'_>) -> bool {
        whole.dtype() == self.half.dtype()
            && row_len(whole) == Some(self.row_len)
            && whole.shape()[0] > self.rows
    }
}

/// The hash of the first rows; none if they are all the same.
fn window_hash(
    half: &Operand<'_>,
    window: usize,
    keys: &RandomState,
) -> Result<Option<u64>, Error> {
    let (mut hash, mut seen, mut first, mut differ) = (0u64, 0, None, window == 1);
    rows(half, keys, |row| {
        hash = hash.wrapping_mul(FACTOR).wrapping_add(row);
        differ |= *first.get_or_insert(row) != row;
        seen += 1;
        if seen < window { Rows::More } else { Rows::Enough }
    })?;
    Ok(differ.then_some(hash))
}

/// Where the first rows of the smaller tensors are in a larger one.
fn search<'a>(
    view: &View<'a>,
    needles: &[Needle<'_>],
    keys: &RandomState,
) -> Result<Vec<Place<'a>>, Error> {
    let fitting = needles.iter().enumerate().filter(|(_, needle)| needle.fits(&view.half));
    let mut wanted = HashMap::<(usize, u64), Vec<usize>>::new();
    fitting.for_each(|(i, it)| wanted.entry((it.window, it.hash)).or_default().push(i));
    let mut windows = Windows::new(wanted.keys().map(|(len, _)| *len));
    let mut found = HashMap::<usize, Vec<u64>>::new();
    rows(&view.half, keys, |row| {
        windows.slide(row, |len, hash, start| {
            for &needle in wanted.get(&(len, hash)).into_iter().flatten() {
                let starts = found.entry(needle).or_default();
                if starts.len() < MAX_PLACES {
                    starts.push(start);
                }
            }
        });
        Rows::More
    })?;
    let place = |needle: usize, start: u64| {
        let end = start + needles[needle].rows;
        let cut = view.half.viewed(|tensor| tensor.rows(start..end))?;
        Some(Place { needle, whole: view.place, is_turned: view.is_turned, start, cut })
    };
    let places = found.iter().flat_map(|(needle, starts)| {
        let places = starts.iter().filter_map(|start| place(*needle, *start));
        places.collect::<Vec<_>>()
    });
    Ok(places.collect())
}

/// Windows of several lengths that slide over the rows of a tensor together.
struct Windows {
    all: Vec<Window>,
    /// The hashes of the last rows, as many as the longest window has.
    last: VecDeque<u64>,
    /// Rows that were taken in.
    seen: u64,
}

impl Windows {
    fn new(lengths: impl Iterator<Item = usize>) -> Windows {
        let lengths: BTreeSet<usize> = lengths.collect();
        let all = lengths.into_iter().map(Window::new).collect();
        Windows { all, last: VecDeque::new(), seen: 0 }
    }

    /// Takes a row in; reports the length of each window that is full, its hash, and where it
    /// starts.
    fn slide(&mut self, row: u64, mut report: impl FnMut(usize, u64, u64)) {
        self.last.push_back(row);
        self.seen += 1;
        for window in &mut self.all {
            if let Some(hash) = window.slide(&self.last) {
                report(window.len, hash, self.seen - window.len as u64);
            }
        }
        if self.all.last().is_none_or(|longest| self.last.len() > longest.len) {
            self.last.pop_front();
        }
    }
}

/// The hash of the last rows of some number.
struct Window {
    len: usize,
    hash: u64,
    /// What the oldest row has been multiplied by.
    weight: u64,
}

impl Window {
    fn new(len: usize) -> Window {
        let weight = (1..len).fold(1u64, |weight, _| weight.wrapping_mul(FACTOR));
        Window { len, hash: 0, weight }
    }

    /// Takes the newest of these rows in, and one out; none until there are enough.
    fn slide(&mut self, rows: &VecDeque<u64>) -> Option<u64> {
        let newest = *rows.back()?;
        if let Some(out) = rows.len().checked_sub(self.len + 1) {
            self.hash = self.hash.wrapping_sub(rows[out].wrapping_mul(self.weight));
        }
        self.hash = self.hash.wrapping_mul(FACTOR).wrapping_add(newest);
        (rows.len() >= self.len).then_some(self.hash)
    }
}
