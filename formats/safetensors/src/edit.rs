//! The header's text with keys replaced, entries taken out and metadata changed; everything else
//! byte for byte.

use std::collections::HashMap;
use std::ops::Range;

use statedict_core::{Fault, MetadataChange, Plan, Section, sorting};

use crate::follow::Following;
use crate::header::{Body, Entry, Header, MAX_HEADER, METADATA, PREAMBLE, Pair};
use crate::text::{Edit, apply, quoted};

/// Where tensors' bytes start in the new data, by where they were in the old.
type Moves = HashMap<(u64, u64), u64>;

/// The header of the file with renamed keys, and the data ranges that stay, in data order.
pub(crate) struct Edited {
    pub(crate) text: String,
    pub(crate) data: Vec<Range<u64>>,
}

/// What the plan makes of the header.
pub(crate) fn edit(header: &Header<'_>, plan: &Plan) -> Result<Edited, Fault> {
    let nothing = Section::default();
    let section = plan.section("").unwrap_or(&nothing);
    let following = Following::new(header, section);
    let kept = Kept::new(header, section);
    let mut edits = Vec::new();
    for (i, member) in header.members.iter().enumerate() {
        match &member.body {
            Body::Metadata(pairs) if !plan.metadata().is_empty() => {
                let text = object(pairs, &following, plan.metadata());
                edits.push((member.value.token(), text));
            }
            Body::Metadata(pairs) => {
                edits.extend(pairs.iter().flat_map(|pair| renamed(pair, &following)))
            }
            Body::Tensor(entry) => match section.fate(&entry.key) {
                Some(None) => edits.push((kept.removal(header, i), String::new())),
                fate => {
                    edits.extend(renaming(entry, fate.flatten(), member.key.token())?);
                    edits.extend(kept.shift(entry));
                }
            },
        }
    }
    let has_metadata = header.members.iter().any(|member| member.entry().is_none());
    if !has_metadata && !plan.metadata().is_empty() {
        edits.push(insertion(header, &kept, plan.metadata(), &following));
    }
    sorting::sort_by_key(&mut edits, |(range, _)| range.start);
    Ok(Edited { text: apply(header.text, &edits), data: kept.data })
}

fn renaming(entry: &Entry, new: Option<&str>, token: Range<usize>) -> Result<Option<Edit>, Fault> {
    match new {
        None => Ok(None),
        Some(METADATA) => Err(Fault::Unsupported(format!(
            "tensor '{}' cannot become '{METADATA}': safetensors keeps that name for itself",
            entry.key
        ))),
        Some(new) if *new == *entry.key => Ok(None),
        Some(new) => Ok(Some((token, quoted(new)))),
    }
}

/// `__metadata__` with changes made, as one object.
fn object(pairs: &[Pair], following: &Following<'_>, changes: &[MetadataChange]) -> String {
    let followed = pairs.iter().map(|pair| following.pair(pair)).collect();
    let changed = MetadataChange::apply(changes, followed);
    let pair = |(key, value): &(String, String)| format!("{}:{}", quoted(key), quoted(value));
    format!("{{{}}}", changed.iter().map(pair).collect::<Vec<_>>().join(","))
}

/// `__metadata__` where there was none, in front of everything.
fn insertion(
    header: &Header<'_>,
    kept: &Kept,
    changes: &[MetadataChange],
    following: &Following<'_>,
) -> Edit {
    let front = header.text.find('{').map_or(0, |brace| brace + 1);
    let comma = if kept.first < header.members.len() { "," } else { "" };
    let text = format!("{}:{}{comma}", quoted(METADATA), object(&[], following, changes));
    (front..front, text)
}

/// What changes of a pair of `__metadata__`.
fn renamed(pair: &Pair, following: &Following<'_>) -> Vec<Edit> {
    let Some((key, value)) = following.follow(pair) else { return Vec::new() };
    let mut edits = Vec::new();
    if key != pair.key.decoded {
        edits.push((pair.key.token.clone(), quoted(&key)));
    }
    edits.push((pair.value.token.clone(), quoted(&value)));
    edits
}

/// What stays of the data when entries are taken out.
struct Kept {
    /// The ranges that stay, neighbours joined.
    data: Vec<Range<u64>>,
    /// The kept tensors that move.
    moved: Moves,
    /// The position of the first member that stays.
    first: usize,
}

impl Kept {
    fn new(header: &Header<'_>, section: &Section) -> Kept {
        let stays = |entry: &Entry| section.fate(&entry.key) != Some(None);
        let mut entries: Vec<&Entry> = header.entries().filter(|entry| stays(entry)).collect();
        sorting::sort_by_key(&mut entries, |entry| (entry.data.start, entry.data.end));
        let (data, moved) = pack(&entries);
        let first = header.members.iter().position(|member| member.entry().is_none_or(stays));
        Kept { data, moved, first: first.unwrap_or(usize::MAX) }
    }

    /// The text to take out with a member: the comma before it, or after it if it is in front.
    fn removal(&self, header: &Header<'_>, i: usize) -> Range<usize> {
        let members = &header.members;
        let end = members[i].value.token().end;
        if self.first < i {
            return members[i - 1].value.token().end..end;
        }
        let next = members.get(i + 1).map(|next| next.key.token().start);
        members[i].key.token().start..next.unwrap_or(end)
    }

    fn shift(&self, entry: &Entry) -> Option<Edit> {
        let (start, end) = (entry.data.start, entry.data.end);
        let now = *self.moved.get(&(start, end))?;
        Some((entry.offsets.token(), format!("[{now},{}]", now + (end - start))))
    }
}

/// The ranges of sorted tensors, joined, and the new places of those that move.
fn pack(entries: &[&Entry]) -> (Vec<Range<u64>>, Moves) {
    let (mut data, mut moved) = (Vec::<Range<u64>>::new(), Moves::new());
    let mut filled = 0;
    for entry in entries {
        let Range { start, end } = entry.data;
        if start != filled {
            moved.insert((start, end), filled);
        }
        match data.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => data.push(start..end),
        }
        filled += end - start;
    }
    (data, moved)
}

/// The bytes in front of the data: the length, the header, and `reserve` spaces up to a multiple of
/// 8; `None` if the header is over the format's limit, which is also where the spaces end.
pub(crate) fn front(text: &str, reserve: u64) -> Option<Vec<u8>> {
    let needed = text_len(text).saturating_add(reserve.min(MAX_HEADER));
    front_of(text, needed.next_multiple_of(8).min(MAX_HEADER))
}

/// The bytes in front of the data, the header with its spaces being `len` long; `None` if it is
/// longer than that, or that is over the format's limit.
pub(crate) fn front_of(text: &str, len: u64) -> Option<Vec<u8>> {
    if text_len(text) > len || len > MAX_HEADER {
        return None;
    }
    let whole = usize::try_from(PREAMBLE + len).ok()?;
    let mut bytes = Vec::with_capacity(whole);
    bytes.extend(len.to_le_bytes());
    bytes.extend(text.trim_end_matches(' ').as_bytes());
    bytes.resize(whole, b' ');
    Some(bytes)
}

/// How long a header is without the spaces after it.
pub(crate) fn text_len(text: &str) -> u64 {
    text.trim_end_matches(' ').len() as u64
}
