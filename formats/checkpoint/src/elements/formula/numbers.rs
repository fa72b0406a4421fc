//! Elements as `f64`, and `f64` rounded to elements.

use std::io;

use statedict_core::{DType, Elements, Fault, Origin, Source};

use crate::elements::cast::Cast;
use crate::elements::numbers::floats;
use crate::elements::{Sink, StreamError, item, stream_counting};

/// Numbers that are calculated at once: 2 MiB of them.
const CHUNK: usize = 256 << 10;

/// Numbers that are rounded at once.
const ROUNDED: usize = 32 << 10;

/// Takes numbers as they come, and may change them.
pub(super) type Deliver<'a> = dyn FnMut(&mut [f64]) -> Result<(), StreamError> + 'a;

/// Delivers the elements as numbers in row-major order, some at a time; what a formula gives is not
/// rounded.
pub(super) fn deliver(
    source: &dyn Source,
    elements: &Elements,
    deliver: &mut Deliver<'_>,
) -> Result<(), StreamError> {
    if let Origin::Computed(computed) = elements.origin() {
        return super::calculate(source, computed, deliver);
    }
    let dtype = elements.dtype();
    if !(dtype.is_float() || matches!(dtype, DType::I8 | DType::U8)) {
        return Err(Fault::Unsupported(format!("{dtype} is not calculated with")).into());
    }
    let most = CHUNK * usize::try_from(item(dtype)).expect("16 bytes at most");
    let (mut numbers, mut failed) = (Vec::new(), None);
    let streamed = stream_counting(source, elements, &mut |bytes| {
        for piece in bytes.chunks(most) {
            floats(dtype, piece, &mut numbers);
            if let Err(error) = deliver(&mut numbers) {
                failed = Some(error);
                return Err(io::ErrorKind::Other.into());
            }
        }
        Ok(())
    });
    match failed {
        Some(error) => Err(error),
        None => streamed.map(drop),
    }
}

/// All of the elements as numbers.
pub(super) fn all(source: &dyn Source, elements: &Elements) -> Result<Vec<f64>, StreamError> {
    let mut numbers = Vec::new();
    deliver(source, elements, &mut |some| {
        numbers.extend_from_slice(some);
        Ok(())
    })?;
    Ok(numbers)
}

/// Rounds numbers to elements of one type, as `.to()` does.
pub(super) struct Rounding {
    /// None for `F64`, which needs none.
    cast: Option<Cast>,
    bytes: Vec<u8>,
    out: Vec<u8>,
}

impl Rounding {
    pub(super) fn to(dtype: &DType) -> Result<Rounding, Fault> {
        let cast = match dtype {
            DType::F64 => None,
            other => Some(Cast::new(&DType::F64, other).ok_or_else(|| {
                Fault::Unsupported(format!("no cast from {} to {other} is known", DType::F64))
            })?),
        };
        Ok(Rounding { cast, bytes: Vec::new(), out: Vec::new() })
    }

    /// How many finite numbers there was no room for.
    pub(super) fn overflows(&self) -> u64 {
        self.cast.as_ref().map_or(0, Cast::overflows)
    }

    pub(super) fn round(&mut self, numbers: &[f64], sink: &mut Sink<'_>) -> io::Result<()> {
        for some in numbers.chunks(ROUNDED) {
            self.bytes.clear();
            self.bytes.extend(some.iter().flat_map(|number| number.to_le_bytes()));
            match &mut self.cast {
                None => sink(&self.bytes)?,
                Some(cast) => {
                    cast.apply(&self.bytes, &mut self.out);
                    sink(&self.out)?;
                }
            }
        }
        Ok(())
    }
}
