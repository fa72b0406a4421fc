//! A layout cut into stretches that can be written in any order.

use std::ops::Range;

use statedict_core::{Elements, Layout, Part};

/// Parts shorter than this are written with their neighbours, in one go.
const LONG: u64 = 64 << 10;

/// Bytes of a copied range that one thread copies before it looks for other work.
const SHARE: u64 = 8 << 20;

/// A long run of bytes of the new file that depends on no other.
#[derive(Clone, Debug)]
pub(super) struct Stretch<'a> {
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
pub(super) fn stretches(layout: &Layout) -> Vec<Stretch<'_>> {
    let is_summed = summed(layout);
    let mut found = Vec::<Stretch>::new();
    let mut at = 0;
    for (i, part) in layout.parts().iter().enumerate() {
        let summed = is_summed[i].then_some(i);
        let work = match part {
            Part::Copy(range) => Some(Work::Copy(range.clone())),
            Part::Elements(elements) => Some(Work::Elements(elements)),
            Part::New(_) | Part::Crc32(_) => None,
        };
        if let Some(work) = work.filter(|_| !part.is_empty()) {
            let stretch = Stretch { at, work, summed };
            match found.last_mut().filter(|last| last.goes_on_in(&stretch)) {
                Some(last) => last.extend(part.len()),
                None => found.push(stretch),
            }
        }
        at = u64::saturating_add(at, part.len());
    }
    found.retain(|stretch| stretch.len() >= LONG);
    found
}

/// For each part whether a checksum covers it.
fn summed(layout: &Layout) -> Vec<bool> {
    let mut depth = vec![0i64; layout.parts().len() + 1];
    for part in layout.parts() {
        if let Part::Crc32(span) = part {
            depth[span.parts.start] += 1;
            depth[span.parts.end] -= 1;
        }
    }
    let mut covered = 0;
    let covers = depth.into_iter().map(|change| {
        covered += change;
        covered > 0
    });
    covers.collect()
}

impl<'a> Stretch<'a> {
    pub(super) fn len(&self) -> u64 {
        match &self.work {
            Work::Copy(range) => range.end - range.start,
            Work::Elements(elements) => elements.byte_len(),
        }
    }

    pub(super) fn end(&self) -> u64 {
        self.at.saturating_add(self.len())
    }

    /// True if the file that it is copied from has the same bytes at the same place.
    pub(super) fn stands(&self) -> bool {
        matches!(&self.work, Work::Copy(range) if range.start == self.at) && self.summed.is_none()
    }

    fn goes_on_in(&self, next: &Stretch<'_>) -> bool {
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

    /// The same in shares for several threads.
    pub(super) fn shares(&self) -> impl Iterator<Item = Stretch<'a>> + use<'a> {
        let whole = self.clone();
        let step = match &whole.work {
            Work::Copy(_) => SHARE,
            Work::Elements(_) => whole.len().max(1),
        };
        let (len, step_by) = (whole.len(), usize::try_from(step).unwrap_or(usize::MAX));
        (0..len).step_by(step_by).map(move |from| {
            let mut share = whole.clone();
            share.at += from;
            if let Work::Copy(range) = &mut share.work {
                *range = range.start + from..range.end.min(range.start + from + step);
            }
            share
        })
    }
}
