//! Every member's bytes held against its length and checksum, on all processors.

use std::ops::Range;

use crc32fast::Hasher;
use statedict_core::{Fault, Finding, Source, sorting};
use statedict_zip::{Archive, Audit, Entry, Located, Method, sum};

use super::content::{Content, Look};
use super::limits::Budget;
use crate::parallel;

/// How many bytes of a stored member one thread sums at a time, so that all are at work to the end
/// however long a member is.
const PIECE: u64 = 8 << 20;

/// How many bytes of members are worth a thread of their own.
const PER_THREAD: u64 = 1 << 20;

const INFLATES: &str = "the archive inflates to more than its length allows, the check's limit";

/// A member, and where its bytes are.
type Member<'a> = (&'a Entry, &'a Located);

/// What is known of some bytes of a member.
struct Seen {
    member: usize,
    start: u64,
    what: What,
}

enum What {
    /// The checksum of a piece of a stored member.
    Sum(Hasher),
    /// A deflated member, whole.
    Inflated(Option<Finding>),
    /// Nothing more may be read.
    Unread,
}

impl Look<'_> {
    /// Notes the members whose bytes are not what their length and checksum say.
    pub(super) fn verify(
        &mut self,
        content: &Content<'_>,
        archive: &Archive,
        audit: &Audit,
    ) -> Result<(), Fault> {
        let members = archive.entries().iter().zip(&audit.located);
        let members = members.filter_map(|(entry, located)| Some((entry, located.as_ref()?)));
        let members: Vec<Member<'_>> = members.collect();
        let jobs = members
            .iter()
            .enumerate()
            .flat_map(|(i, member)| pieces(*member).map(move |bytes| (i, bytes)));
        let (source, budget) = (content.source, self.budget);
        let mut seen = parallel::each_on(threads(archive.entries()), jobs, || {
            |(i, bytes): (usize, Range<u64>)| {
                let start = bytes.start;
                let what = look_at(source, budget, members[i], bytes)?;
                Ok(Seen { member: i, start, what })
            }
        })?;
        sorting::sort_by_key(&mut seen, |seen| (seen.member, seen.start));
        let found = seen.chunk_by(|a, b| a.member == b.member);
        let found = found.filter_map(|pieces| finding(members[pieces[0].member].0, pieces));
        self.take(content, found);
        self.is_spent(content);
        Ok(())
    }
}

/// As many threads as there is work for.
fn threads(entries: &[Entry]) -> usize {
    let bytes = entries.iter().map(Entry::size).fold(0, u64::saturating_add);
    match usize::try_from(bytes / PER_THREAD).unwrap_or(usize::MAX) {
        // Asking how many processors there are takes longer than a short archive.
        0 => 1,
        worth => parallel::processors().min(worth.saturating_add(1)),
    }
}

/// What of a member is looked at at once; a deflated one has no end but its own.
fn pieces((entry, located): Member<'_>) -> impl Iterator<Item = Range<u64>> {
    let Range { start, end } = located.data;
    let piece = if entry.method() == Method::Stored { PIECE } else { u64::MAX };
    let starts = std::iter::successors(Some(start), move |at| {
        at.checked_add(piece).filter(|next| *next < end)
    });
    starts.map(move |at| at..at.saturating_add(piece).min(end))
}

fn look_at(
    source: &dyn Source,
    budget: &Budget,
    (entry, located): Member<'_>,
    bytes: Range<u64>,
) -> Result<What, Fault> {
    if budget.left() == 0 {
        return Ok(What::Unread);
    }
    match entry.method() {
        Method::Stored => sum(source, bytes).map(What::Sum),
        Method::Deflated if !budget.take_inflated(entry.size()) => {
            let bomb = Finding::malformed(entry.name(), INFLATES, "decompression bomb");
            Ok(What::Inflated(Some(bomb)))
        }
        _ => entry.verify(source, located).map(What::Inflated),
    }
}

/// What the pieces of a member show together, in their order.
fn finding(entry: &Entry, pieces: &[Seen]) -> Option<Finding> {
    let mut whole = Hasher::new();
    for piece in pieces {
        match &piece.what {
            What::Sum(sum) => whole.combine(sum),
            What::Inflated(found) => return found.clone(),
            What::Unread => return None,
        }
    }
    entry.verify_sum(whole.finalize())
}
