//! One array by itself: an `.npy` file, or a member of an archive.

use statedict_core::{Fault, Source};

use crate::element::Form;
use crate::header::{Header, MAX_TEXT_LEN, Preamble};

/// As much of a header as says how long it is, in bytes.
const PREAMBLE_LEN: u64 = 16;

/// What the header of an array says of its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Array {
    /// Where the data starts.
    pub data: u64,
    /// Where it ends; a pickle says itself where it does.
    pub end: Option<u64>,
}

impl Array {
    /// Reads the header at the front of a source, and sees that the data has the bytes it needs;
    /// `None` if the source does not begin as an array does.
    ///
    /// # Errors
    /// A header that NumPy would refuse, data that is too short.
    pub fn read(source: &dyn Source) -> Result<Option<Array>, Fault> {
        Array::read_front(source, source.len())
    }

    /// The same where the source has only the front of `len` bytes.
    ///
    /// # Errors
    /// As [`Array::read`]; a header that is longer than the front.
    pub fn read_front(front: &dyn Source, len: u64) -> Result<Option<Array>, Fault> {
        let broken = |what: String| Fault::malformed(0, what);
        let preamble = front.bytes(0..front.len().min(PREAMBLE_LEN))?;
        let Some(preamble) = Preamble::parse(&preamble).map_err(broken)? else { return Ok(None) };
        let text = preamble.text.clone();
        if text.end - text.start > MAX_TEXT_LEN {
            let what = format!("an array header of over {MAX_TEXT_LEN} bytes");
            return Err(Fault::too_large(0, what));
        }
        let header = Header::parse(&preamble, &front.bytes(text.clone())?).map_err(broken)?;
        if header.repeats {
            return Err(broken("duplicate key in the header of an array".into()));
        }
        if header.element.form == Form::Pickled {
            return Ok(Some(Array { data: text.end, end: None }));
        }
        let count = header.shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
        let bits = count.and_then(|count| count.checked_mul(header.element.dtype.bits()));
        let end = bits.and_then(|bits| text.end.checked_add(bits.div_ceil(8)));
        match end.filter(|end| *end <= len) {
            Some(end) => Ok(Some(Array { data: text.end, end: Some(end) })),
            None => {
                let room = len.saturating_sub(text.end);
                let shape = &header.shape;
                Err(broken(format!("an array of shape {shape:?} in {room} bytes")))
            }
        }
    }
}
