//! What objects look like that are all alike but for their numbers and names.
//!
//! A checkpoint of many ranks has millions of objects of which every opcode is the same: what one of
//! them was read from is compared with the next, which takes a tenth of the time of reading it.
//! What differs in any other way is read as the first one was.

use super::ahead::Ahead;
use super::flat::{Attribute, DIMENSIONS, Found, Plain};
use super::value::{Names, SizesId};

/// The most different ones of one class that are kept.
const MOST: usize = 16;

/// The bytes of an object, with holes.
#[derive(Debug)]
pub(super) struct Template {
    /// The bytes without those of the holes.
    bytes: Vec<u8>,
    /// Each after so many of the bytes.
    holes: Vec<(usize, Hole)>,
    /// What the object says elsewhere.
    found: Found,
    /// How many places of the memo it takes.
    pub(super) places: u32,
}

/// A part of an object that may be another in the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hole {
    Text(Attribute),
    Number(Attribute),
    /// So many numbers of a `torch.Size`.
    Sizes(Attribute, usize),
}

impl Template {
    /// Of an object of these bytes, with holes at some ranges of them.
    pub(super) fn new(
        object: &[u8],
        holes: &[(Hole, usize, usize)],
        found: Found,
        places: u32,
    ) -> Template {
        let (mut bytes, mut filled, mut from) = (Vec::new(), Vec::new(), 0);
        for (hole, start, end) in holes {
            bytes.extend_from_slice(object.get(from..*start).unwrap_or_default());
            filled.push((bytes.len(), *hole));
            from = *end;
        }
        bytes.extend_from_slice(object.get(from..).unwrap_or_default());
        Template { bytes, holes: filled, found, places }
    }

    /// What the object says that the bytes begin with, if it is like this.
    fn read(&self, ahead: &mut Ahead<'_>, names: &mut Names) -> Option<Found> {
        let (mut found, mut from) = (self.found, 0);
        for (at, hole) in &self.holes {
            ahead.pass_same(&self.bytes[from..*at])?;
            from = *at;
            let (attribute, plain) = hole.read(ahead, names)?;
            found.set(attribute, plain, names)?;
        }
        ahead.pass_same(&self.bytes[from..])?;
        Some(found)
    }
}

impl Hole {
    fn read(self, ahead: &mut Ahead<'_>, names: &mut Names) -> Option<(Attribute, Plain)> {
        Some(match self {
            Hole::Text(attribute) => (attribute, Plain::Text(names.add_text_of(ahead.text()?)?)),
            Hole::Number(attribute) => (attribute, Plain::Int(ahead.integer()?)),
            Hole::Sizes(attribute, count) => (attribute, Plain::Sizes(sizes(ahead, count, names)?)),
        })
    }
}

/// So many numbers.
fn sizes(ahead: &mut Ahead<'_>, count: usize, names: &mut Names) -> Option<SizesId> {
    let mut sizes = [0; DIMENSIONS];
    let sizes = sizes.get_mut(..count)?;
    for size in &mut *sizes {
        *size = u64::try_from(ahead.integer()?).ok()?;
    }
    Some(names.add_sizes(sizes))
}

/// The templates of objects of one class.
#[derive(Debug, Default)]
pub(super) struct Templates {
    all: Vec<Template>,
    /// The one that was right the last time.
    last: usize,
}

impl Templates {
    pub(super) fn add(&mut self, template: Template) {
        if self.all.len() < MOST {
            self.last = self.all.len();
            self.all.push(template);
        } else {
            self.last = (self.last + 1) % MOST;
            self.all[self.last] = template;
        }
    }

    /// What the object says that the bytes begin with, its template, and how long it is.
    pub(super) fn read(
        &mut self,
        bytes: &[u8],
        names: &mut Names,
    ) -> Option<(Found, &Template, usize)> {
        for i in 0..self.all.len() {
            let number = (self.last + i) % self.all.len();
            let mut ahead = Ahead::new(bytes);
            if let Some(found) = self.all[number].read(&mut ahead, names) {
                self.last = number;
                return Some((found, &self.all[number], ahead.at()));
            }
        }
        None
    }
}
