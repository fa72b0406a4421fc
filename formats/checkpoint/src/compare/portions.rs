//! Tensors that are some rows, or columns, of larger ones.
//!
//! The first rows of each smaller tensor are looked for in one pass over each larger one; what is
//! found so is then compared to its end.

use std::collections::{HashMap, VecDeque};
use std::hash::RandomState;

use statedict_core::{DType, Lines, Owner, Portion, Tensor};

use crate::compare::couple::{Couple, deviations};
use crate::compare::half::Half;
use crate::compare::rows::{Rows, row_len, rows};
use crate::error::Error;
use crate::shares::each;

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
    parts: &[Option<Half<'_>>],
    wholes: &[Option<Half<'_>>],
    owner: Owner,
) -> Result<Vec<Portion>, Error> {
    let keys = RandomState::new();
    let needles = Needle::all(parts, wholes, &keys)?;
    let haystacks = views(wholes).filter(|(_, _, half)| needles.iter().any(|it| it.fits(half)));
    let found = each(haystacks, || {
        |(whole, is_turned, half): (usize, bool, Half<'_>)| {
            let places = search(&half, &needles, &keys)?;
            Ok(places
                .into_iter()
                .map(move |place| (whole, is_turned, half.clone(), place))
                .collect::<Vec<_>>())
        }
    })?;
    let mut candidates: Vec<_> = found.into_iter().flatten().collect();
    candidates.sort_by_key(|(whole, is_turned, _, place)| {
        (place.needle, *whole, *is_turned, place.start)
    });
    let mut couples = Vec::new();
    for (_, _, half, place) in &candidates {
        let needle = &needles[place.needle];
        let range = place.start..place.start + needle.rows;
        let cut = half.viewed(|tensor| tensor.rows(range.clone()));
        couples.extend(cut.map(|cut| Couple::compared(cut, needle.half.clone())));
    }
    if couples.len() != candidates.len() {
        return Ok(Vec::new());
    }
    let same = deviations(&couples)?;
    let mut portions: Vec<Portion> = Vec::new();
    for ((whole, is_turned, _, place), _) in
        candidates.iter().zip(same).filter(|(_, deviation)| deviation.count == 0)
    {
        let needle = &needles[place.needle];
        portions.push(Portion {
            part: needle.part,
            whole: *whole,
            owner,
            start: place.start,
            end: place.start + needle.rows,
            lines: if *is_turned { Lines::Columns } else { Lines::Rows },
            is_transposed: needle.is_turned != *is_turned,
        });
    }
    let mut counts = HashMap::<usize, usize>::new();
    portions.iter().for_each(|portion| *counts.entry(portion.part).or_default() += 1);
    portions.retain(|portion| counts[&portion.part] == 1);
    Ok(portions)
}

/// Tensors as they stand, and those of two dimensions transposed.
fn views<'h, 'a: 'h>(
    halves: &'h [Option<Half<'a>>],
) -> impl Iterator<Item = (usize, bool, Half<'a>)> + 'h {
    halves.iter().enumerate().flat_map(|(place, half)| {
        let plain = half.clone().map(|half| (place, false, half));
        let turned = half.as_ref().and_then(|half| half.viewed(Tensor::transposed));
        plain.into_iter().chain(turned.map(|half| (place, true, half)))
    })
}

/// A smaller tensor, known by its first rows.
struct Needle<'a> {
    part: usize,
    is_turned: bool,
    half: Half<'a>,
    rows: u64,
    row_len: usize,
    window: usize,
    hash: u64,
}

/// Where the first rows of a smaller tensor are.
struct Place {
    needle: usize,
    start: u64,
}

impl<'a> Needle<'a> {
    /// Those of the tensors that may be a part of one of the others, and are not one number.
    fn all(
        parts: &[Option<Half<'a>>],
        wholes: &[Option<Half<'_>>],
        keys: &RandomState,
    ) -> Result<Vec<Needle<'a>>, Error> {
        let mut room = HashMap::<(DType, usize), u64>::new();
        for (_, _, half) in views(wholes) {
            if let Some(len) = row_len(&half) {
                let most = room.entry((half.dtype().clone(), len)).or_default();
                *most = (*most).max(half.shape()[0]);
            }
        }
        let mut needles = Vec::new();
        for (part, is_turned, half) in views(parts) {
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

    fn fits(&self, whole: &Half<'_>) -> bool {
        whole.dtype() == self.half.dtype()
            && row_len(whole) == Some(self.row_len)
            && whole.shape()[0] > self.rows
    }
}

/// The hash of the first rows; none if they are all the same.
fn window_hash(half: &Half<'_>, window: usize, keys: &RandomState) -> Result<Option<u64>, Error> {
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
fn search(
    whole: &Half<'_>,
    needles: &[Needle<'_>],
    keys: &RandomState,
) -> Result<Vec<Place>, Error> {
    let fitting = needles.iter().enumerate().filter(|(_, needle)| needle.fits(whole));
    let mut wanted = HashMap::<(usize, u64), Vec<usize>>::new();
    fitting.for_each(|(i, it)| wanted.entry((it.window, it.hash)).or_default().push(i));
    let mut windows: Vec<Window> = wanted.keys().map(|(len, _)| *len).map(Window::new).collect();
    windows.sort_by_key(|window| window.len);
    windows.dedup_by_key(|window| window.len);
    let most = windows.last().map_or(0, |window| window.len);
    let (total, mut row, mut last) = (whole.shape()[0], 0u64, VecDeque::with_capacity(most + 1));
    let (mut places, mut found) = (Vec::new(), HashMap::<usize, usize>::new());
    rows(whole, keys, |hash| {
        last.push_back(hash);
        row += 1;
        for window in &mut windows {
            let Some(sum) = window.slide(&last) else { continue };
            let start = row - window.len as u64;
            for &needle in wanted.get(&(window.len, sum)).into_iter().flatten() {
                let count = found.entry(needle).or_default();
                *count += 1;
                if *count <= MAX_PLACES && start + needles[needle].rows <= total {
                    places.push(Place { needle, start });
                }
            }
        }
        if last.len() > most {
            last.pop_front();
        }
        Rows::More
    })?;
    Ok(places)
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
