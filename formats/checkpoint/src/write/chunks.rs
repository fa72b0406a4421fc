//! A layout cut into stretches that can be written in any order.

use std::ops::Range;

use statedict_core::{Elements, Layout, Part};

/// Blocks of every file system that can share them are of this length, or of a divisor of it.
pub(crate) const BLOCK: u64 = 4096;

/// Parts shorter than this are written with their neighbours, in one go.
const LONG: u64 = 64 << 10;

/// Bytes of a copied range that one thread copies before it looks for other work.
const SHARE: u64 = 8 << 20;

/// A long run of bytes of the new file that depends on no other.
#[derive(Clone, Debug)]
pub(super) struct Chunk<'a> {
    /// Where it starts in the new file.
    pub(super) at: u64,
    pub(super) work: Work<'a>,
    /// The part whose checksum it is to be added to, if one is asked for.
    pub(super) summed: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Work<'a> {
    Copy(Range<u64>),
    Elements(&'a Elements),
}

/// The long stretches of a layout in order; copies that continue each other are one.
pub(super) fn stretches(layout: &Layout) -> Vec<Chunk<'_>> {
    let mut summed = Summed::of(layout);
    let mut found = Vec::<Chunk>::new();
    let mut at = 0;
    for (i, part) in layout.parts().iter().enumerate() {
        let summed = summed.has(i).then_some(i);
        let work = match part {
            Part::Copy(range) => Some(Work::Copy(range.clone())),
            Part::Elements(elements) => Some(Work::Elements(elements)),
            Part::New(_) | Part::Crc32(_) => None,
        };
        if let Some(work) = work.filter(|_| !part.is_empty()) {
            let stretch = Chunk { at, work, summed };
            match found.last_mut().filter(|last| last.goes_on_in(&stretch)) {
                Some(last) => last.extend(part.len()),
                None => {
                    // Most parts of a file of many small tensors are too short.
                    found.pop_if(|last| last.len() < LONG);
                    found.push(stretch);
                }
            }
        }
        at = u64::saturating_add(at, part.len());
    }
    found.retain(|stretch| stretch.len() >= LONG);
    found
}

/// Which parts a checksum covers, asked for one after the other. Most layouts have few checksums, and
/// some have very many parts.
struct Summed {
    /// The spans of all checksums, those that start last at the front.
    spans: Vec<Range<usize>>,
    /// Where the spans end that have started.
    end: usize,
}

impl Summed {
    fn of(layout: &Layout) -> Summed {
        let spans = layout.parts().iter().filter_map(|part| match part {
            Part::Crc32(span) => Some(span.parts.clone()),
            _ => None,
        });
        let mut spans: Vec<_> = spans.collect();
        spans.sort_unstable_by_key(|span| std::cmp::Reverse(span.start));
        Summed { spans, end: 0 }
    }

    /// True if a checksum covers a part; none before it is asked for afterwards.
    fn has(&mut self, part: usize) -> bool {
        while let Some(span) = self.spans.pop_if(|span| span.start <= part) {
            self.end = self.end.max(span.end);
        }
        part < self.end
    }
}

impl<'a> Chunk<'a> {
    pub(super) fn len(&self) -> u64 {
        match &self.work {
            Work::Copy(range) => range.end - range.start,
            Work::Elements(elements) => elements.byte_len(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.len())
    }

    /// Where in the source it is copied from, if it is.
    pub(super) fn from(&self) -> Option<u64> {
        match &self.work {
            Work::Copy(range) => Some(range.start),
            Work::Elements(_) => None,
        }
    }

    /// What remains of a copy when its first bytes are done.
    pub(super) fn after(mut self, done: u64) -> Chunk<'a> {
        if let Work::Copy(range) = &mut self.work {
            range.start += done;
            self.at += done;
        }
        self
    }

    fn goes_on_in(&self, next: &Chunk<'_>) -> bool {
        let follows = match (&self.work, &next.work) {
            (Work::Copy(range), Work::Copy(next)) => range.end == next.start,
            _ => false,
        };
        follows && self.end() == next.at && self.summed.is_none() && next.summed.is_none()
    }

    fn extend(&mut self, by: u64) {
        if let Work::Copy(range) = &mut self.work {
            range.end += by;
        }
    }

    /// A copy in shares for several threads, cut where blocks of the new file are; what comes before
    /// the first block is one of its own, so that all the others can be shared.
    pub(super) fn shares(&self) -> impl Iterator<Item = Chunk<'a>> + use<'a> {
        let mut left = matches!(self.work, Work::Copy(_)).then(|| self.clone());
        std::iter::from_fn(move || {
            let mut share = left.take()?;
            let len = match share.at % BLOCK {
                0 => SHARE - share.at % SHARE,
                within => BLOCK - within,
            };
            if let Work::Copy(range) = &mut share.work
                && range.end - range.start > len
            {
                let rest = Chunk { work: Work::Copy(range.clone()), ..share };
                range.end = range.start + len;
                left = Some(rest.after(len));
            }
            Some(share)
        })
    }
}
