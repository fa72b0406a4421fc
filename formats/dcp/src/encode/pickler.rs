//! Pickles in protocol 4, as Python's own pickler writes them by default.

use std::collections::HashMap;

use statedict_pth::opcode;

/// Writes one pickle; what repeats is written once and fetched from the memo.
#[derive(Default)]
pub(super) struct Pickler {
    out: Vec<u8>,
    /// What was written before, by its opcodes, with its number in the memo.
    memo: HashMap<Vec<u8>, u32>,
    memoized: u32,
}

impl Pickler {
    /// The whole pickle, in one frame.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.push(&[opcode::STOP]);
        let mut pickle = vec![opcode::PROTO, 4, opcode::FRAME];
        pickle.extend((self.out.len() as u64).to_le_bytes());
        pickle.extend(self.out);
        pickle
    }

    pub(super) fn push(&mut self, opcodes: &[u8]) {
        self.out.extend_from_slice(opcodes);
    }

    pub(super) fn text(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let opcodes = match (u8::try_from(bytes.len()), u32::try_from(bytes.len())) {
            (Ok(len), _) => [&[opcode::SHORT_BINUNICODE, len], bytes].concat(),
            (_, Ok(len)) => [&[opcode::BINUNICODE], &len.to_le_bytes()[..], bytes].concat(),
            _ => {
                let len = (bytes.len() as u64).to_le_bytes();
                [&[opcode::BINUNICODE8], &len[..], bytes].concat()
            }
        };
        self.once(opcodes.clone(), |pickler| pickler.push(&opcodes));
    }

    /// A class or function of a module.
    pub(super) fn global(&mut self, module: &str, name: &str) {
        let spelled = format!("c{module}\n{name}\n").into_bytes();
        self.once(spelled, |pickler| {
            pickler.text(module);
            pickler.text(name);
            pickler.push(&[opcode::STACK_GLOBAL]);
        });
    }

    /// A value, or a fetch of it if one of this name was written before.
    pub(super) fn once(&mut self, name: Vec<u8>, write: impl FnOnce(&mut Pickler)) {
        match self.memo.get(&name).copied() {
            Some(number) => match u8::try_from(number) {
                Ok(number) => self.push(&[opcode::BINGET, number]),
                Err(_) => {
                    self.push(&[opcode::LONG_BINGET]);
                    self.push(&number.to_le_bytes());
                }
            },
            None => {
                write(self);
                self.push(&[opcode::MEMOIZE]);
                self.memo.insert(name, self.memoized);
                // Of 4 billion texts nobody has a checkpoint.
                self.memoized += 1;
            }
        }
    }

    pub(super) fn number(&mut self, number: u64) {
        opcode::push_integer(&mut self.out, number);
    }

    /// A `torch.Size`.
    pub(super) fn size(&mut self, sizes: &[u64]) {
        let name = format!("s{sizes:?}").into_bytes();
        self.once(name, |pickler| {
            pickler.global("torch", "Size");
            if sizes.is_empty() {
                pickler.push(&[opcode::EMPTY_TUPLE]);
            } else {
                pickler.push(&[opcode::MARK]);
                sizes.iter().for_each(|size| pickler.number(*size));
                pickler.push(&[opcode::TUPLE]);
            }
            pickler.push(&[opcode::TUPLE1, opcode::REDUCE]);
        });
    }

    /// An object of a class, with its attributes, which `write` pushes name by name.
    pub(super) fn object(&mut self, module: &str, class: &str, write: impl FnOnce(&mut Pickler)) {
        self.global(module, class);
        self.push(&[opcode::EMPTY_TUPLE, opcode::NEWOBJ]);
        self.dict(write);
        self.push(&[opcode::BUILD]);
    }

    /// A dict, whose keys and values `write` pushes in turn.
    pub(super) fn dict(&mut self, write: impl FnOnce(&mut Pickler)) {
        self.push(&[opcode::EMPTY_DICT, opcode::MARK]);
        write(self);
        self.push(&[opcode::SETITEMS]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pickled(write: impl FnOnce(&mut Pickler)) -> Vec<u8> {
        let mut pickler = Pickler::default();
        write(&mut pickler);
        pickler.finish()[11..].to_vec()
    }

    #[test]
    fn what_repeats_is_fetched() {
        let twice = pickled(|pickler| {
            pickler.text("a");
            pickler.text("a");
        });
        assert_eq!(twice, b"\x8c\x01a\x94h\x00.");
        let size = pickled(|pickler| {
            pickler.size(&[2]);
            pickler.size(&[2]);
        });
        assert_eq!(size, b"\x8c\x05torch\x94\x8c\x04Size\x94\x93\x94(K\x02t\x85R\x94h\x03.");
    }

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let check = |number, expected: &[u8]| {
            assert_eq!(pickled(|pickler| pickler.number(number)), [expected, b"."].concat());
        };
        check(7, b"K\x07");
        check(256, b"M\x00\x01");
        check(1 << 16, b"J\x00\x00\x01\x00");
        check(1 << 31, b"\x8a\x09\x00\x00\x00\x80\x00\x00\x00\x00\x00");
    }
}
