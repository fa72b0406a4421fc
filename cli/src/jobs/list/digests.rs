//! The digests that `ls --hash` shows, each taken once.

use std::collections::HashMap;

use statedict_checkpoint::Checkpoint;
use statedict_core::{Data, Elements, Tensor, TensorEntry};

use crate::jobs::error::Error;

/// How many times the file's length all digests together may be over: views may overlap, and a
/// small file can have more of them than would ever be read.
const MAX_REPETITION: u64 = 1024;

/// What all digests may be over whatever the file's length, in bytes.
const MAX_SMALL: u64 = 1 << 30;

/// Takes digests of a checkpoint's tensors.
pub(super) struct Digests<'a> {
    checkpoint: &'a Checkpoint,
    /// The digests of tensors that others may share, by their place.
    known: HashMap<String, Option<String>>,
}

impl<'a> Digests<'a> {
    /// The digest of each of these rows in hexadecimal; none of those without plain elements.
    pub(super) fn all(
        checkpoint: &'a Checkpoint,
        rows: &[usize],
    ) -> Result<Vec<Option<String>>, Error> {
        let rows: Vec<&TensorEntry> =
            rows.iter().map(|row| &checkpoint.catalog().rows[*row]).collect();
        let mut digests = Digests::new(checkpoint, &rows)?;
        rows.iter().map(|row| digests.of(&row.tensor)).collect()
    }

    /// None taken yet, of tensors that are in proportion to the file together.
    fn new(checkpoint: &'a Checkpoint, rows: &[&TensorEntry]) -> Result<Digests<'a>, Error> {
        let tensors = rows.iter().map(|row| &row.tensor).filter(|tensor| is_proportionate(tensor));
        let places: HashMap<String, u64> =
            tensors.filter_map(|tensor| Some((place(tensor)?, tensor.byte_len()))).collect();
        let bytes = places.into_values().fold(0, u64::saturating_add);
        if bytes > limit(checkpoint.len()) {
            return Err(Error::failed(format_args!(
                "{}: its tensors overlap, and have over {MAX_REPETITION} times the file's bytes \
                 together, the limit of digests",
                checkpoint.path().display()
            )));
        }
        Ok(Digests { checkpoint, known: HashMap::new() })
    }

    /// The digest of a tensor in hexadecimal; none if it has no plain elements.
    fn of(&mut self, tensor: &Tensor) -> Result<Option<String>, Error> {
        let place = place(tensor);
        if let Some(digest) = place.as_ref().and_then(|place| self.known.get(place)) {
            return Ok(digest.clone());
        }
        let digest = self.checkpoint.sha256(tensor)?.map(|bytes| hexadecimal(&bytes));
        self.known.extend(place.map(|place| (place, digest.clone())));
        Ok(digest)
    }
}

/// How many bytes may be digested of so many.
fn limit(bytes: u64) -> u64 {
    bytes.saturating_mul(MAX_REPETITION).max(MAX_SMALL)
}

/// True for a tensor that alone does not repeat its storage beyond the limit; one that does has no
/// digest.
fn is_proportionate(tensor: &Tensor) -> bool {
    match &tensor.data {
        Data::View(view) => tensor.byte_len() <= limit(view.storage().len()),
        Data::Blocks(blocks) => blocks.parts().iter().all(|part| is_proportionate(&part.tensor)),
        Data::Unlocated | Data::Opaque { .. } => false,
    }
}

/// What is the same for tensors that are the same elements; none for those without any.
fn place(tensor: &Tensor) -> Option<String> {
    let elements = Elements::new(tensor.clone(), None).ok()?;
    elements.place().map(|place| format!("{place:?}"))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
