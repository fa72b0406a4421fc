//! Texts as opcodes, in the manner of the ones they replace.

use super::graph::{Graph, OpPlace};
use super::opcode;

impl Graph<'_> {
    /// An opcode as it is.
    pub(super) fn bytes_of(&self, op: OpPlace) -> &[u8] {
        self.op(op).whole.of(&self.pickle)
    }

    /// An opcode that pushes a text, in the manner of the one that pushed the old text.
    pub(super) fn literal(&self, definition: OpPlace, text: &str) -> Vec<u8> {
        let old = self.op(definition);
        let short = u8::try_from(text.len()).ok();
        let was_long = old.argument.of(&self.pickle).len() > usize::from(u8::MAX);
        match (old.code, short) {
            (opcode::SHORT_BINUNICODE, Some(len)) => {
                counted(opcode::SHORT_BINUNICODE, &[len], text)
            }
            (opcode::BINUNICODE, Some(len)) if was_long && self.protocol() >= 4 => {
                counted(opcode::SHORT_BINUNICODE, &[len], text)
            }
            (opcode::SHORT_BINSTRING, Some(len)) => counted(opcode::SHORT_BINSTRING, &[len], text),
            (opcode::BINUNICODE8, _) => {
                counted(opcode::BINUNICODE8, &(text.len() as u64).to_le_bytes(), text)
            }
            (opcode::UNICODE | opcode::STRING, _) => unicode_line(text),
            _ => binunicode(text),
        }
    }

    /// The protocol that the pickle says it is written in; 0 where it says nothing.
    fn protocol(&self) -> u8 {
        match self.pickle.as_ref() {
            [opcode::PROTO, protocol, ..] => *protocol,
            _ => 0,
        }
    }
}

fn counted(code: u8, count: &[u8], text: &str) -> Vec<u8> {
    [&[code], count, text.as_bytes()].concat()
}

/// The opcode that every protocol from 1 on and every unpickler reads.
pub(crate) fn binunicode(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("keys are far shorter than 4 GiB");
    counted(opcode::BINUNICODE, &len.to_le_bytes(), text)
}

/// A text as protocol 0 writes it.
fn unicode_line(text: &str) -> Vec<u8> {
    let mut out = vec![opcode::UNICODE];
    for c in text.chars() {
        match c {
            '\\' | '\0' | '\n' | '\r' | '\x1a' => {
                out.extend(format!("\\u{:04x}", u32::from(c)).bytes());
            }
            '\u{100}'..='\u{ffff}' => out.extend(format!("\\u{:04x}", u32::from(c)).bytes()),
            '\u{10000}'.. => out.extend(format!("\\U{:08x}", u32::from(c)).bytes()),
            latin => out.push(u32::from(latin) as u8),
        }
    }
    out.push(b'\n');
    out
}
