//! A pickle of any protocol rewritten in protocol 2, which weights-only loading reads.
//!
//! PyTorch 2.6 and later refuse protocols 4 and 5 by default, and most opcodes of 0 and 1.
//! Opcode by opcode: what protocol 2 spells otherwise is replaced, everything else stays, and what
//! is built stays the same.
//! Source: CPython's `pickle.py`, the `save_*` methods for `proto == 2`.

use std::collections::HashMap;

use statedict_core::Fault;

use super::graph::{Compound, CompoundId, Graph, Kind, OpPlace, Slot, Value};
use super::literal::plain;
use super::opcode::{self, Op};
use super::patch::Patch;
use super::strings::binunicode;

impl Graph<'_> {
    /// The same pickle in protocol 2.
    ///
    /// # Errors
    /// What protocol 2 cannot hold: out-of-band buffers and the extension registry.
    pub(crate) fn in_protocol_2(&self) -> Result<Vec<u8>, Fault> {
        let mut patch = Patch::in_protocol_2();
        for (place, op) in self.opcodes() {
            match op.code {
                opcode::NEXT_BUFFER | opcode::READONLY_BUFFER => {
                    let what = "a buffer outside the pickle cannot be written in protocol 2";
                    return Err(Fault::Unsupported(what.into()));
                }
                opcode::PERSID => {
                    let what = "a persistent id as text, which PyTorch itself cannot load";
                    return Err(Fault::Unsupported(what.into()));
                }
                _ => {
                    if let Some(opcodes) = self.respelled(place, op)? {
                        patch.respell(place, opcodes);
                    }
                }
            }
        }
        for (op, module, name) in &self.stack_globals {
            let text = |slot: &Slot| self.text(slot.node).map(|text| text.into_owned());
            let (Some(module_name), Some(name)) = (text(module), text(name)) else {
                return Err(Fault::broken("a global's name is no text"));
            };
            // Up to protocol 3 a name ends with its line.
            if module_name.contains('\n') || name.contains('\n') {
                let what =
                    format!("protocol 2 cannot spell a line break in {module_name}.{name:?}");
                return Err(Fault::Unsupported(what.replace('\n', "\\n")));
            }
            patch.replace(module.start..self.after(*op), global_line(&module_name, &name));
        }
        for (op, class) in &self.keyword_instances {
            patch.insert_before(class.start, &global_line("copyreg", "__newobj_ex__"));
            patch.respell(*op, [opcode::TUPLE3, opcode::REDUCE].into());
        }
        let puts = self.first_puts();
        for (id, compound) in self.compounds.iter().enumerate() {
            self.respell_collection(compound, &mut patch);
            if matches!(compound.kind, Kind::Set) && compound.made.mark().is_none() {
                let put = puts.get(&CompoundId(id as u32)).copied();
                self.respell_set(compound, put, &mut patch);
            }
        }
        patch.apply(self)
    }

    /// A set that is made empty and filled: a list that `set` is called on once it is full.
    fn respell_set(&self, set: &Compound, put: Option<OpPlace>, patch: &mut Patch) {
        let mut opening = global_line("builtins", "set");
        let Some(last) = self.elements.last(set.elements).map(|element| element.batch.close) else {
            opening.extend([opcode::EMPTY_TUPLE, opcode::REDUCE]);
            return patch.respell(set.made.close, opening);
        };
        opening.push(opcode::EMPTY_LIST);
        patch.respell(set.made.close, opening);
        for element in self.elements.items(set.elements) {
            patch.respell(element.batch.close, [opcode::APPENDS].into());
        }
        patch.respell(last, [opcode::APPENDS, opcode::TUPLE1, opcode::REDUCE].into());
        if let Some(put) = put.filter(|put| *put < last) {
            patch.move_put(put, last);
        }
    }

    /// The first `PUT` of every compound that has one.
    fn first_puts(&self) -> HashMap<CompoundId, OpPlace> {
        let mut first = HashMap::new();
        for (op, _, place) in &self.puts {
            if let Value::Compound(id) = self.value(self.memoized[*place as usize].node) {
                first.entry(id).or_insert(*op);
            }
        }
        first
    }

    /// The opcodes of protocol 2 in place of one that it does not have; `None` to keep it.
    fn respelled(&self, place: OpPlace, op: Op) -> Result<Option<Vec<u8>>, Fault> {
        let argument = op.argument.of(&self.pickle);
        Ok(Some(match op.code {
            opcode::PROTO => vec![opcode::PROTO, 2],
            opcode::SHORT_BINUNICODE
            | opcode::BINUNICODE8
            | opcode::UNICODE
            | opcode::STRING
            | opcode::BINSTRING => match self.text_of(place) {
                Some(text) => binunicode(&text),
                None if op.code == opcode::SHORT_BINUNICODE || op.code == opcode::BINUNICODE8 => {
                    let len = u32::try_from(argument.len()).expect("pickles are below 1 GiB");
                    [&[opcode::BINUNICODE][..], &len.to_le_bytes(), argument].concat()
                }
                None => return Err(Fault::Unsupported("a byte string that is no text".into())),
            },
            opcode::BINBYTES | opcode::SHORT_BINBYTES | opcode::BINBYTES8 => bytes(argument),
            opcode::BYTEARRAY8 => [
                global_line("builtins", "bytearray"),
                bytes(argument),
                vec![opcode::TUPLE1, opcode::REDUCE],
            ]
            .concat(),
            opcode::INT | opcode::LONG => match plain(&self.pickle, op) {
                Some(Value::Bool(true)) => vec![opcode::NEWTRUE],
                Some(Value::Bool(false)) => vec![opcode::NEWFALSE],
                Some(Value::Int(number)) => integer(number),
                _ => match two_complement(argument) {
                    Some(bytes) => [&[opcode::LONG1, bytes.len() as u8], &bytes[..]].concat(),
                    None => return Ok(None),
                },
            },
            opcode::FLOAT => match plain(&self.pickle, op) {
                Some(Value::Float(number)) => {
                    [&[opcode::BINFLOAT][..], &number.to_be_bytes()].concat()
                }
                _ => return Ok(None),
            },
            _ => return Ok(None),
        }))
    }

    /// Lists, dicts and frozen sets made of what is above a mark.
    fn respell_collection(&self, compound: &Compound, patch: &mut Patch) {
        let made = compound.made;
        let Some(mark) = made.mark() else { return };
        let made_by = self.op(made.close).code;
        match (compound.kind, made_by) {
            (Kind::List, opcode::LIST) => {
                patch.insert_before(mark, &[opcode::EMPTY_LIST]);
                patch.respell(made.close, [opcode::APPENDS].into());
            }
            (Kind::Dict, opcode::DICT) => {
                patch.insert_before(mark, &[opcode::EMPTY_DICT]);
                patch.respell(made.close, [opcode::SETITEMS].into());
            }
            (Kind::Set, opcode::FROZENSET) => {
                let opening = [global_line("builtins", "frozenset"), [opcode::EMPTY_LIST].into()];
                patch.insert_before(mark, &opening.concat());
                let closing = [opcode::APPENDS, opcode::TUPLE1, opcode::REDUCE];
                patch.respell(made.close, closing.into());
            }
            _ => {}
        }
    }
}

fn global_line(module: &str, name: &str) -> Vec<u8> {
    // Python 3 reads the old names of these in protocol 2, and weights-only loading wants them.
    let module = match module {
        "builtins" => "__builtin__",
        "copyreg" => "copy_reg",
        other => other,
    };
    format!("c{module}\n{name}\n").into_bytes()
}

/// Bytes as protocol 2 has them: a text of Latin-1 characters, encoded when it is loaded.
fn bytes(content: &[u8]) -> Vec<u8> {
    let text: String = content.iter().copied().map(char::from).collect();
    [
        global_line("_codecs", "encode"),
        binunicode(&text),
        binunicode("latin1"),
        vec![opcode::TUPLE2, opcode::REDUCE],
    ]
    .concat()
}

/// A decimal integer as a little-endian two's complement, if 255 bytes can hold it.
fn two_complement(decimal: &[u8]) -> Option<Vec<u8>> {
    let (negative, digits) = match decimal {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let digits = digits.strip_suffix(b"L").unwrap_or(digits);
    let mut bytes = vec![0u8; 256];
    for digit in digits {
        let mut carry = u32::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        for byte in &mut bytes {
            let sum = u32::from(*byte) * 10 + carry;
            (*byte, carry) = ((sum & 0xff) as u8, sum >> 8);
        }
        if carry > 0 {
            return None;
        }
    }
    if negative {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
        }
    }
    // As many bytes as the number and its sign need.
    let fill = if negative { 0xff } else { 0 };
    while bytes.len() > 1
        && bytes.last() == Some(&fill)
        && (bytes[bytes.len() - 2] & 0x80 != 0) == negative
    {
        bytes.pop();
    }
    (bytes.len() <= 255).then_some(bytes)
}

/// An integer in the shortest opcode of protocol 2.
fn integer(number: i64) -> Vec<u8> {
    if let Ok(small) = u8::try_from(number) {
        return vec![opcode::BININT1, small];
    }
    if let Ok(small) = i32::try_from(number) {
        return [&[opcode::BININT][..], &small.to_le_bytes()].concat();
    }
    [&[opcode::LONG1, 8][..], &number.to_le_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pickle: &[u8], expected: &[u8]) {
        let graph = Graph::read(pickle).expect("sound");
        assert_eq!(graph.in_protocol_2().expect("possible"), expected);
    }

    #[test]
    fn what_protocol_4_brought_is_spelled_as_before() {
        check(b"\x80\x04\x95\x04\0\0\0\0\0\0\0\x8c\x01a\x94.", b"\x80\x02X\x01\0\0\0aq\0.");
        check(b"\x80\x04\x8c\x01m\x8c\x01n\x93.", b"\x80\x02cm\nn\n.");
        check(
            b"\x80\x03C\x01\xff.",
            b"\x80\x02c_codecs\nencode\nX\x02\0\0\0\xc3\xbfX\x06\0\0\0latin1\x86R.",
        );
        check(b"\x80\x04\x8f\x94(K\x01\x90.", b"\x80\x02c__builtin__\nset\n](K\x01e\x85Rq\0.");
        check(b"\x80\x04\x8f.", b"\x80\x02c__builtin__\nset\n)R.");
        check(b"\x80\x04(K\x01\x91.", b"\x80\x02c__builtin__\nfrozenset\n](K\x01e\x85R.");
    }

    #[test]
    fn a_name_taken_from_a_global_is_still_there_for_a_later_fetch() {
        check(
            b"\x80\x04\x8c\x01m\x94\x8c\x01n\x94\x93h\0\x86.",
            b"\x80\x02cm\nn\nX\x01\0\0\0mq\0\x86.",
        );
    }

    #[test]
    fn a_name_with_a_line_break_cannot_be_spelled() {
        let graph = Graph::read(b"\x80\x04\x8c\x01m\x8c\x03n\nx\x93.").expect("sound");
        let message = graph.in_protocol_2().expect_err("two lines").to_string();
        assert_eq!(message, r#"protocol 2 cannot spell a line break in m."n\nx""#);
    }

    #[test]
    fn a_class_from_the_stack_may_take_keywords() {
        check(
            b"\x80\x04\x8c\x01m\x8c\x01n\x93)}\x92.",
            b"\x80\x02ccopy_reg\n__newobj_ex__\ncm\nn\n)}\x87R.",
        );
    }

    #[test]
    fn text_opcodes_become_binary_ones() {
        check(
            b"(lp0\nI01\naI-7\naF1.5\na.",
            b"](eq\0\x88aJ\xf9\xff\xff\xffaG\x3f\xf8\0\0\0\0\0\0a.",
        );
        check(
            b"L119547037146038801333356L\n.",
            b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.",
        );
        check(b"L-9223372036854775809L\n.", b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\x7f\xff.");
    }
}
