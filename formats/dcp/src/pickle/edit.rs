//! A pickle with some of its texts replaced, every other opcode as it was.
//!
//! A text may be pushed once and fetched from the memo in places where it means something else; so
//! it is pushes that are replaced, not texts, and what is fetched of a text that was replaced is
//! spelled out where it stays.

use statedict_core::{Fault, IndexMap};
use statedict_pth::opcode;

use super::fetched::pass_argument;
use super::reader::{Reader, is_text};

/// New texts for pushes of texts, by their numbers.
pub(crate) type Edits = IndexMap<u32, String>;

/// A text in the memo.
struct Memoized {
    old: String,
    /// What is in the memo of the new pickle.
    new: String,
}

/// The pickle with other texts.
///
/// # Errors
/// A pickle that is broken, or has more than one opcode can spell.
pub(crate) fn edited(pickle: &[u8], edits: &Edits) -> Result<Vec<u8>, Fault> {
    let (mut out, mut reader) = (Vec::with_capacity(pickle.len()), Reader::new(&pickle));
    let mut memo = IndexMap::<u32, Memoized>::default();
    let (mut pushes, mut places) = (0u32, 0u32);
    // The text that the opcode before pushed, which is the one that is put into the memo.
    let mut pushed: Option<Memoized> = None;
    loop {
        let start = reader.at();
        let code = reader.byte()?;
        let text = if is_text(code) { Some(reader.text(code)?) } else { None };
        let mut place = None;
        match code {
            _ if text.is_some() => {}
            opcode::BINPUT | opcode::BINGET => place = Some(u32::from(reader.byte()?)),
            opcode::LONG_BINPUT | opcode::LONG_BINGET => {
                place = Some(u32::from_le_bytes(reader.bytes()?));
            }
            opcode::PUT | opcode::GET => {
                let line = String::from_utf8(reader.line()?).unwrap_or_default();
                place = line.trim().parse().ok();
            }
            opcode::MEMOIZE => place = Some(places),
            _ => pass_argument(&mut reader, code)?,
        }
        let raw = raw(pickle, start, reader.at());
        let before = pushed.take();
        if let Some(old) = text {
            let new = edits.get(&pushes).cloned().unwrap_or(old.clone());
            pushes += 1;
            if new == old {
                out.extend_from_slice(raw);
            } else {
                spell(&new, &mut out)?;
            }
            pushed = Some(Memoized { old, new });
            continue;
        }
        match (code, place) {
            // What is in a frame may be of any length without one.
            (opcode::FRAME, _) => pushed = before,
            (opcode::BINGET | opcode::LONG_BINGET | opcode::GET, Some(place)) => {
                match memo.get(&place) {
                    Some(Memoized { old, new }) => {
                        let wanted = edits.get(&pushes).unwrap_or(old);
                        pushes += 1;
                        if wanted == new {
                            out.extend_from_slice(raw);
                        } else {
                            spell(wanted, &mut out)?;
                        }
                    }
                    None => out.extend_from_slice(raw),
                }
            }
            (opcode::BINPUT | opcode::LONG_BINPUT | opcode::PUT | opcode::MEMOIZE, Some(place)) => {
                places = places.saturating_add(1);
                out.extend_from_slice(raw);
                match before {
                    Some(text) => drop(memo.insert(place, text)),
                    None => drop(memo.swap_remove(&place)),
                }
            }
            _ => out.extend_from_slice(raw),
        }
        if code == opcode::STOP {
            return Ok(out);
        }
    }
}

/// The bytes of an opcode with what is behind it.
fn raw(pickle: &[u8], start: u64, end: u64) -> &[u8] {
    let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    pickle.get(place(start)..place(end)).unwrap_or_default()
}

/// Adds an opcode that pushes a text.
fn spell(text: &str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let too_long =
        || Fault::TooLarge { at: None, what: "a name beyond what a pickle holds".into() };
    let len = u32::try_from(text.len()).map_err(|_| too_long())?;
    out.push(opcode::BINUNICODE);
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_where_it_is_meant_and_spelled_out_where_it_stays() {
        // ('a', 'a', 'a'): the text, and two times what the memo has.
        let pickle = b"\x80\x04\x95\x09\0\0\0\0\0\0\0(\x8c\x01a\x94h\0h\0t.";
        let check = |edits: &[(u32, &str)], expected: &[u8]| {
            let edits = edits.iter().map(|(push, text)| (*push, (*text).to_string())).collect();
            assert_eq!(edited(pickle, &edits).expect("sound"), expected, "{edits:?}");
        };
        check(&[], b"\x80\x04(\x8c\x01a\x94h\0h\0t.");
        check(&[(1, "b")], b"\x80\x04(\x8c\x01a\x94X\x01\0\0\0bh\0t.");
        check(&[(0, "b")], b"\x80\x04(X\x01\0\0\0b\x94X\x01\0\0\0aX\x01\0\0\0at.");
        check(&[(0, "b"), (2, "b")], b"\x80\x04(X\x01\0\0\0b\x94X\x01\0\0\0ah\0t.");
    }
}
