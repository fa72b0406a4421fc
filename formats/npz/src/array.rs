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
    /// True if the data is a pickle of objects.
    pub is_pickled: bool,
}

impl Array {
    /// Reads the header at the front of a source, and sees that the data has the bytes it needs;
    /// `None` if the source does not begin as an array does.
    ///
    /// # Errors
    /// A header that NumPy would refuse, data that is too short.
    pub fn read(source: &dyn Source) -> Result<Option<Array>, Fault> {
        let broken = |what: String| Fault::malformed(0, what);
        let front = source.bytes(0..source.len().min(PREAMBLE_LEN))?;
        let Some(preamble) = Preamble::parse(&front).map_err(broken)? else { return Ok(None) };
        let text = preamble.text.clone();
        if text.end - text.start > MAX_TEXT_LEN {
            let what = format!("an array header of over {MAX_TEXT_LEN} bytes");
            return Err(Fault::too_large(0, what));
        }
        let header = Header::parse(&preamble, &source.bytes(text.clone())?).map_err(broken)?;
        let is_pickled = header.element.form == Form::Pickled;
        let count = header.shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
        let bits = count.and_then(|count| count.checked_mul(header.element.dtype.bits()));
        let room = source.len().saturating_sub(text.end);
        match bits.map(|bits| bits.div_ceil(8)) {
            Some(bytes) if is_pickled || bytes <= room => {
                Ok(Some(Array { data: text.end, is_pickled }))
            }
            Some(bytes) => Err(broken(format!("an array of {bytes} bytes in {room}"))),
            None => Err(broken("an array of more elements than 64 bits count".into())),
        }
    }
}
