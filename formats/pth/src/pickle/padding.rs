//! A pickle brought to a length by opcodes that change nothing.
//!
//! What is on top of the stack right before `STOP` is put into the memo again and again: nothing
//! fetches it any more. Both are opcodes that every loader knows, weights-only loading too, and no
//! pickler writes two such puts in a row, so they are found again.

use statedict_core::Fault;

use super::graph::{Graph, OpPlace};
use super::opcode;
use super::patch::Patch;

/// A put with the memo's first id, in its two lengths.
const SHORT: [u8; 2] = [opcode::BINPUT, 0];
const LONG: [u8; 5] = [opcode::LONG_BINPUT, 0, 0, 0, 0];

impl Graph<'_> {
    /// The pickle without padding.
    pub(crate) fn bare(&self) -> Result<Vec<u8>, Fault> {
        let mut first = None;
        for (place, op) in self.opcodes().take_while(|(place, _)| *place < self.stop()) {
            match op.code {
                opcode::BINPUT | opcode::LONG_BINPUT => drop(first.get_or_insert(place)),
                _ => first = None,
            }
        }
        let padding = first.map(|first| self.after(first)..self.stop());
        let Some(padding) = padding.filter(|padding| !padding.is_empty()) else {
            return Ok(self.pickle.to_vec());
        };
        let mut patch = Patch::default();
        patch.remove(padding);
        patch.apply(self)
    }

    /// The pickle with this many bytes more; `None` where no opcodes come to that.
    pub(crate) fn filled(&self, bytes: usize) -> Result<Option<Vec<u8>>, Fault> {
        let mut patch = Patch::default();
        let mut left = bytes;
        if matches!(bytes, 1 | 3) {
            let Some(number) = self.short_number() else { return Ok(None) };
            patch.respell(number, self.longer(number));
            left -= 1;
        }
        patch.insert_before(self.stop(), &padding(left));
        patch.apply(self).map(Some)
    }

    /// A number of one byte, which there is in every pickle with a tensor.
    fn short_number(&self) -> Option<OpPlace> {
        self.opcodes().find(|(_, op)| op.code == opcode::BININT1).map(|(place, _)| place)
    }

    /// The same number in one byte more.
    fn longer(&self, number: OpPlace) -> Vec<u8> {
        let argument = self.op(number).argument.of(&self.pickle);
        [&[opcode::BININT2], argument, &[0]].concat()
    }
}

/// Puts of this many bytes together, which is neither 1 nor 3.
fn padding(bytes: usize) -> Vec<u8> {
    // Long ones come first, as far as short ones can make up the rest.
    let short = (0..5).find(|short| bytes.checked_sub(2 * short).is_some_and(|rest| rest % 5 == 0));
    let short = short.unwrap_or(0);
    [LONG.repeat((bytes - 2 * short) / LONG.len()), SHORT.repeat(short)].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PICKLE: &[u8] = b"\x80\x02}q\0X\x01\0\0\0aK\x07s.";

    fn filled(pickle: &[u8], bytes: usize) -> Option<Vec<u8>> {
        Graph::read(pickle).expect("sound").filled(bytes).expect("applies")
    }

    fn bare(pickle: &[u8]) -> Vec<u8> {
        Graph::read(pickle).expect("sound").bare().expect("applies")
    }

    #[test]
    fn every_length_is_reached() {
        for bytes in 0..100 {
            let longer = filled(PICKLE, bytes).expect("there is a number");
            assert_eq!(longer.len(), PICKLE.len() + bytes);
            assert!(Graph::read(&longer).is_ok());
        }
    }

    #[test]
    fn without_a_number_two_lengths_are_out_of_reach() {
        let reached = (0..8).filter(|bytes| filled(b"}.", *bytes).is_some());
        assert_eq!(reached.collect::<Vec<_>>(), [0, 2, 4, 5, 6, 7]);
    }

    #[test]
    fn filler_is_taken_out_again() {
        let longer = filled(PICKLE, 1000).expect("there is a number");
        // One put may be the pickler's own.
        assert_eq!(bare(&longer).len(), PICKLE.len() + LONG.len());
        assert_eq!(bare(&bare(&longer)), bare(&longer));
        assert_eq!(bare(b"}q\0."), b"}q\0.");
    }

    #[test]
    fn a_frame_grows_with_its_filler() {
        let pickle = b"\x80\x04\x95\x08\0\0\0\0\0\0\0}\x8c\x01aK\x01s.";
        let longer = filled(pickle, 4).expect("there is a number");
        assert_eq!(longer, b"\x80\x04\x95\x0c\0\0\0\0\0\0\0}\x8c\x01aK\x01sq\0q\0.");
    }
}
