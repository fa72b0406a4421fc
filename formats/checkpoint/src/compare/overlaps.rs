//! Tensors whose elements are those of others, wherever they are.
//!
//! Some elements of each smaller tensor are looked for in one pass over each larger one. Those that
//! are in one place only lead to all the others, which `derive::Search` finds digit by digit, reading
//! single elements; so tensors of any size cost two passes and some thousand reads.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use statedict_core::derive::{Overlap, Run, Search, Side, Step};
use statedict_core::sorting;

use crate::compare::operand::Operand;
use crate::compare::tensor_pair::{TensorPair, are_same};
use crate::elements::StreamError;
use crate::error::Error;
use crate::parallel::each;

/// Elements by which a tensor is looked for.
const MAX_SAMPLES: usize = 256;

/// The same where there are very many tensors,
const MIN_SAMPLES: usize = 48;

/// that is, where their samples together would be more than these.
const ALL_SAMPLES: usize = 1 << 20;

/// A tensor of up to this many bytes is read into memory.
const IN_MEMORY: u64 = 32 << 20;

/// Elements of what was found that are compared again.
const CHECKED: u64 = 256;

/// Samples of which one at least must be found for tensors that may have a part in common.
const MIN_SHARE: usize = 64;

/// Fewer samples in common are there by chance.
const MIN_ANCHORS: usize = 4;

/// Pairs of tensors of types with few values that are looked at closely without more reason than some
/// elements in common.
const MAX_TRIES: usize = 256;

/// Elements of a type with few values among which each value is in many places.
const MANY: u64 = 1 << 16;

/// Places of a sample that are looked at; what is in more says little.
const MAX_PLACES: u8 = 8;

/// Bits of the table that says which elements need not be looked up.
const SIEVE: u64 = 1 << 20;

/// What the tensors of both sides have in common, as far as it can be said in few steps.
pub(super) fn overlaps(
    a: &[Option<Operand<'_>>],
    b: &[Option<Operand<'_>>],
) -> Result<Vec<Overlap>, Error> {
    let mut found = sought(a, b, Extent::Whole)?;
    let (mut open_a, mut open_b) = (a.to_vec(), b.to_vec());
    for overlap in &found {
        (open_a[overlap.a], open_b[overlap.b]) = (None, None);
    }
    found.extend(sought(&open_a, &open_b, Extent::Part)?);
    sorting::sort_by_key(&mut found, |it| (it.b, it.start_in_b, it.a, it.start_in_a));
    verified(found, a, b)
}

/// How much of a smaller tensor is in a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// All of it.
    Whole,
    /// Some of it, perhaps.
    Part,
}

fn sought(
    a: &[Option<Operand<'_>>],
    b: &[Option<Operand<'_>>],
    extent: Extent,
) -> Result<Vec<Overlap>, Error> {
    let mut found = Vec::new();
    for (side, parts, wholes) in [(Side::A, a, b), (Side::B, b, a)] {
        let needles = Needles::new(Needle::all(parts, wholes)?, side, extent);
        let haystacks = wholes.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
        let haystacks = haystacks.filter(|(_, whole)| is_readable(whole));
        let all = each(haystacks, || |(at, whole)| needles.search(whole, at))?;
        found.extend(all.into_iter().flatten());
    }
    Ok(found)
}

/// Those of which every element is the same on both sides.
fn verified(
    found: Vec<Overlap>,
    a: &[Option<Operand<'_>>],
    b: &[Option<Operand<'_>>],
) -> Result<Vec<Overlap>, Error> {
    let (mut couples, mut is_same) = (Vec::new(), vec![false; found.len()]);
    for (place, overlap) in found.iter().enumerate() {
        let (Some(x), Some(y)) = (&a[overlap.a], &b[overlap.b]) else { continue };
        match view(x, overlap, Side::A).zip(view(y, overlap, Side::B)) {
            Some((x, y)) => couples.push((place, TensorPair::compared(x, y))),
            None => is_same[place] = is_same_one_by_one(overlap, x, y)?,
        }
    }
    let (places, couples): (Vec<usize>, Vec<_>) = couples.into_iter().unzip();
    for (place, same) in places.into_iter().zip(are_same(&couples)?) {
        is_same[place] = same;
    }
    Ok(found.into_iter().zip(is_same).filter(|(_, same)| *same).map(|(it, _)| it).collect())
}

/// The elements of an overlap as a view of the tensor of one side; none if that is a view itself.
fn view<'a>(half: &Operand<'a>, overlap: &Overlap, side: Side) -> Option<Operand<'a>> {
    let steps = overlap.steps.iter();
    let (start, strides) = match side {
        Side::A => (overlap.start_in_a, steps.map(|step| step.in_a).collect::<Vec<_>>()),
        Side::B => (overlap.start_in_b, steps.map(|step| step.in_b).collect()),
    };
    let shape: Vec<u64> = overlap.steps.iter().map(|step| step.size).collect();
    half.viewed(|tensor| tensor.strided(shape.clone(), strides.clone(), start))
}

/// The same question for tensors that are views themselves, which are in memory.
fn is_same_one_by_one(overlap: &Overlap, a: &Operand<'_>, b: &Operand<'_>) -> Result<bool, Error> {
    let (x, y) = (Content::of(a)?, Content::of(b)?);
    for (in_a, in_b) in overlap.places() {
        if x.at(in_a)? != y.at(in_b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True for elements that are whole bytes and can be read one by one.
fn is_readable(half: &Operand<'_>) -> bool {
    let is_whole = half.dtype().bytes() == Some(half.unit() as u64);
    is_whole && half.units() > 1 && (half.is_verbatim() || half.byte_len() <= IN_MEMORY)
}

/// A smaller tensor and some of its elements.
struct Needle<'h, 'a> {
    place: usize,
    half: &'h Operand<'a>,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    place: u64,
    element: u64,
}

impl<'h, 'a: 'h> Needle<'h, 'a> {
    fn all(
        parts: &'h [Option<Operand<'a>>],
        wholes: &[Option<Operand<'_>>],
    ) -> Result<Vec<Needle<'h, 'a>>, Error> {
        let mut room = HashMap::new();
        for whole in wholes.iter().flatten() {
            let most = room.entry(whole.dtype()).or_insert(0);
            *most = whole.units().max(*most);
        }
        let parts = parts.iter().enumerate().filter_map(|(at, it)| Some((at, it.as_ref()?)));
        let parts: Vec<_> = parts
            .filter(|(_, half)| {
                is_readable(half)
                    && room.get(half.dtype()).is_some_and(|most| *most >= half.units())
            })
            .collect();
        let samples = (ALL_SAMPLES / parts.len().max(1)).clamp(MIN_SAMPLES, MAX_SAMPLES);
        let needles = each(parts.into_iter(), || {
            |(place, half): (usize, &'h Operand<'a>)| {
                Ok(Needle { place, half, samples: sampled(half, samples)? })
            }
        })?;
        Ok(needles.into_iter().filter(|needle| !needle.samples.is_empty()).collect())
    }

    /// True if it may be a part of the other; of two as large as each other, that of `a` is.
    fn fits(&self, whole: &Operand<'_>, side: Side) -> bool {
        let (own, other) = (self.half.units(), whole.units());
        self.half.dtype() == whole.dtype() && (own < other || own == other && side == Side::A)
    }
}

/// Elements at places without a pattern, and of types with few values those that are furthest from
/// zero, which are the rarest; none if they are all the same.
fn sampled(half: &Operand<'_>, samples: usize) -> Result<Vec<Sample>, Error> {
    let (units, few) = (half.units(), half.unit() <= 2);
    let random = if !few {
        samples
    } else if units <= MANY {
        samples / 2
    } else {
        // All values but the rarest are in very many places.
        0
    };
    let mut wanted: BTreeSet<u64> = BTreeSet::new();
    if units <= random as u64 {
        wanted.extend(0..units);
    } else {
        wanted.extend(scattered(units).take(random));
    }
    let mut found = if !few && half.is_verbatim() {
        picked(half, &wanted)?
    } else {
        streamed(half, wanted, samples - random)?
    };
    let is_constant = found.iter().all(|sample| sample.element == found[0].element);
    if is_constant {
        found.clear();
    }
    Ok(found)
}

/// The elements at these places of a tensor that is verbatim; nothing else of it is read.
fn picked(half: &Operand<'_>, wanted: &BTreeSet<u64>) -> Result<Vec<Sample>, Error> {
    let (mut found, mut buffer) = (Vec::new(), Vec::new());
    for &place in wanted {
        half.read(place..place + 1, &mut buffer)?;
        found.push(Sample { place, element: number(&buffer) });
    }
    Ok(found)
}

/// The elements at these places, found in one pass over all; of types with few values also as many of
/// the others as `most`, those that are furthest from zero.
fn streamed(
    half: &Operand<'_>,
    mut wanted: BTreeSet<u64>,
    most: usize,
) -> Result<Vec<Sample>, Error> {
    let few = half.unit() <= 2;
    let (mut found, mut largest, mut least) = (Vec::new(), BTreeSet::new(), 0);
    let mut next = wanted.pop_first();
    elements(half, |place, element| {
        if next == Some(place) {
            found.push(Sample { place, element });
            next = wanted.pop_first();
        } else if few && magnitude(element, half.unit()) >= least {
            largest.insert((magnitude(element, half.unit()), place, element));
            if largest.len() > most {
                largest.pop_first();
                least = largest.first().map_or(0, |(magnitude, _, _)| magnitude + 1);
            }
        }
    })?;
    found.extend(largest.into_iter().map(|(_, place, element)| Sample { place, element }));
    Ok(found)
}

/// A number that grows with a floating-point number's distance from zero.
fn magnitude(element: u64, unit: usize) -> u64 {
    element & !(1 << (8 * unit - 1))
}

/// Places without a pattern.
fn scattered(units: u64) -> impl Iterator<Item = u64> {
    let mut state = units;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u64::try_from((u128::from(state) * u128::from(units)) >> 64).expect("below the number")
    })
}

/// Tells `take` each element with its place.
fn elements(half: &Operand<'_>, mut take: impl FnMut(u64, u64)) -> Result<(), Error> {
    let mut place = 0;
    let streamed = half.stream(&mut |bytes| {
        for element in bytes.chunks_exact(half.unit()) {
            take(place, number(element));
            place += 1;
        }
        Ok(())
    });
    match streamed {
        Ok(()) => Ok(()),
        Err(StreamError::Read(fault)) => Err(half.error(fault)),
        Err(StreamError::Sink(error)) => {
            Err(half.error(statedict_core::Fault::Unreadable(error.into())))
        }
    }
}

/// The bytes of an element as a number; more than eight are folded into it.
fn number(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0u64, |all, some| {
        let mut eight = [0; 8];
        eight[..some.len()].copy_from_slice(some);
        all.rotate_left(29).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from_le_bytes(eight)
    })
}

/// What is looked for in every larger tensor.
struct Needles<'h, 'a> {
    all: Vec<Needle<'h, 'a>>,
    /// The samples of each element that one of them is.
    wanted: HashMap<u64, Vec<(usize, usize)>>,
    /// Says of most other elements that they are none of these.
    sieve: Vec<u64>,
    side: Side,
    extent: Extent,
    /// How often elements of few values were followed that may be there by chance.
    tries: AtomicUsize,
}

/// Where the samples of a tensor are in another.
struct Seen {
    /// How often each is there, as far as it is counted.
    times: Vec<u8>,
    /// The first places of each.
    places: Vec<(usize, u64)>,
}

impl Seen {
    fn of(samples: usize) -> Seen {
        Seen { times: vec![0; samples], places: Vec::new() }
    }

    fn note(&mut self, sample: usize, place: u64) {
        let times = &mut self.times[sample];
        if *times < MAX_PLACES {
            self.places.push((sample, place));
        }
        *times = (*times + 1).min(MAX_PLACES + 1);
    }

    /// How many of the samples are there.
    fn there(&self) -> usize {
        self.times.iter().filter(|times| **times > 0).count()
    }
}

impl<'h, 'a> Needles<'h, 'a> {
    fn new(all: Vec<Needle<'h, 'a>>, side: Side, extent: Extent) -> Needles<'h, 'a> {
        let mut wanted = HashMap::<u64, Vec<(usize, usize)>>::new();
        let mut sieve = vec![0u64; (SIEVE / 64) as usize];
        for (needle, it) in all.iter().enumerate() {
            for (sample, it) in it.samples.iter().enumerate() {
                let (word, bit) = sieved(it.element);
                sieve[word] |= 1 << bit;
                wanted.entry(it.element).or_default().push((needle, sample));
            }
        }
        Needles { all, wanted, sieve, side, extent, tries: AtomicUsize::new(0) }
    }

    /// Which of them are in a larger tensor, and where.
    fn search(&self, whole: &Operand<'_>, place: usize) -> Result<Vec<Overlap>, Error> {
        if !self.all.iter().any(|needle| needle.fits(whole, self.side)) {
            return Ok(Vec::new());
        }
        let mut content = None;
        let mut found = Vec::new();
        for (needle, seen) in self.seen(whole)? {
            let needle = &self.all[needle];
            let (anchors, sure) = anchors(&needle.samples, &seen);
            if anchors.is_empty() || !self.is_candidate(needle, &seen, whole) {
                continue;
            }
            if content.is_none() {
                content = Some(Content::of(whole)?);
            }
            let (own, content) = (Content::of(needle.half)?, content.as_ref().expect("read"));
            let same = |x: u64, y: u64| Ok::<_, Error>(own.at(x)? == content.at(y)?);
            let shapes = (needle.half.shape(), whole.shape());
            let search = Search { part: shapes.0, whole: shapes.1, anchors, sure, same };
            let runs = search.runs()?;
            if all_hold(&runs, &own, content)? {
                let pair = match self.side {
                    Side::A => (needle.place, place),
                    Side::B => (place, needle.place),
                };
                found.extend(runs.into_iter().map(|run| overlap(run, pair, self.side)));
            }
        }
        Ok(found)
    }

    /// The samples that are in a larger tensor, by the tensors that they are of.
    fn seen(&self, whole: &Operand<'_>) -> Result<BTreeMap<usize, Seen>, Error> {
        let fits: Vec<bool> = self.all.iter().map(|it| it.fits(whole, self.side)).collect();
        let mut all = BTreeMap::<usize, Seen>::new();
        elements(whole, |place, element| {
            let (word, bit) = sieved(element);
            if self.sieve[word] >> bit & 1 == 0 {
                return;
            }
            for &(needle, sample) in self.wanted.get(&element).into_iter().flatten() {
                if !fits[needle] {
                    continue;
                }
                let samples = self.all[needle].samples.len();
                all.entry(needle).or_insert_with(|| Seen::of(samples)).note(sample, place);
            }
        })?;
        Ok(all)
    }

    /// True if so many samples are there that it is worth a closer look.
    fn is_candidate(&self, needle: &Needle<'_, '_>, seen: &Seen, whole: &Operand<'_>) -> bool {
        let (there, samples) = (seen.there(), needle.samples.len());
        if self.extent == Extent::Whole {
            return there == samples;
        }
        let is_small = needle.half.byte_len().max(whole.byte_len()) <= IN_MEMORY;
        let is_likely = there >= MIN_ANCHORS && there * MIN_SHARE >= samples;
        // Types with few values have many in common by chance.
        let is_chance = needle.half.unit() <= 2;
        is_likely
            && (!is_chance || is_small && self.tries.fetch_add(1, Ordering::Relaxed) < MAX_TRIES)
    }
}

fn sieved(element: u64) -> (usize, u64) {
    let bit = element.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
    (usize::try_from(bit / 64).expect("within the sieve"), bit % 64)
}

/// Samples that are in few places of the larger tensor, those in one place first and otherwise in an
/// order without a pattern; and how many are in one place only.
fn anchors(samples: &[Sample], seen: &Seen) -> (Vec<(u64, u64)>, usize) {
    let mut alike = HashMap::<u64, usize>::new();
    samples.iter().for_each(|sample| *alike.entry(sample.element).or_default() += 1);
    let few = seen.places.iter().filter(|(sample, _)| {
        seen.times[*sample] <= MAX_PLACES && alike[&samples[*sample].element] == 1
    });
    let mut few: Vec<(u8, u64, u64)> =
        few.map(|(sample, place)| (seen.times[*sample], samples[*sample].place, *place)).collect();
    sorting::sort_by_key(&mut few, |(times, place, _)| {
        (*times, place.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    });
    let sure = few.iter().take_while(|(times, _, _)| *times == 1).count();
    (few.into_iter().map(|(_, in_part, in_whole)| (in_part, in_whole)).collect(), sure)
}

/// True if a sample of the elements of all runs is the same.
fn all_hold(runs: &[Run], own: &Content<'_>, whole: &Content<'_>) -> Result<bool, Error> {
    for run in runs {
        let overlap = overlap(run.clone(), (0, 0), Side::B);
        let count = overlap.count();
        let places: Vec<u64> = if count <= CHECKED {
            (0..count).collect()
        } else {
            scattered(count).take(CHECKED as usize).collect()
        };
        for index in places {
            let (in_whole, in_part) = overlap.place(index);
            if own.at(in_part)? != whole.at(in_whole)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A run between a tensor of each side, the part being the one of `side`.
fn overlap(run: Run, (a, b): (usize, usize), side: Side) -> Overlap {
    let (start_in_a, start_in_b) = match side {
        Side::A => (run.in_part, run.in_whole),
        Side::B => (run.in_whole, run.in_part),
    };
    let turned = |step: Step| Step { in_a: step.in_b, in_b: step.in_a, ..step };
    let steps = match side {
        Side::A => run.steps.into_iter().map(turned).collect(),
        Side::B => run.steps,
    };
    Overlap { a, b, start_in_a, start_in_b, steps }.merged()
}

/// Elements that are read one by one.
enum Content<'a> {
    Memory { bytes: Vec<u8>, unit: usize },
    File { half: &'a Operand<'a>, buffer: RefCell<Vec<u8>> },
}

impl<'a> Content<'a> {
    fn of(half: &'a Operand<'a>) -> Result<Content<'a>, Error> {
        if half.byte_len() > IN_MEMORY {
            return Ok(Content::File { half, buffer: RefCell::default() });
        }
        let mut bytes = Vec::new();
        let streamed = half.stream(&mut |some| {
            bytes.extend_from_slice(some);
            Ok(())
        });
        match streamed {
            Err(StreamError::Read(fault)) => Err(half.error(fault)),
            Ok(()) | Err(StreamError::Sink(_)) => Ok(Content::Memory { bytes, unit: half.unit() }),
        }
    }

    /// The element at a place; none beyond the last.
    fn at(&self, place: u64) -> Result<Option<u64>, Error> {
        match self {
            Content::Memory { bytes, unit } => {
                let start = usize::try_from(place).ok().and_then(|place| place.checked_mul(*unit));
                let element = start.and_then(|start| bytes.get(start..start.checked_add(*unit)?));
                Ok(element.map(number))
            }
            Content::File { half, buffer } => {
                if place >= half.units() {
                    return Ok(None);
                }
                let mut buffer = buffer.borrow_mut();
                half.read(place..place + 1, &mut buffer)?;
                Ok(Some(number(&buffer)))
            }
        }
    }
}
