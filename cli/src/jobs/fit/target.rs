//! What a checkpoint is to fit into: another checkpoint, or what `ls --json` printed of one.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use statedict_checkpoint::{Checkpoint, FORMATS, Kind};
use statedict_core::{Catalog, DType, Data, Format, IndexMap, Key, StateDict, Tensor, TensorEntry};

use crate::jobs::error::{Advice, Error};
use crate::jobs::observer::Observer;
use crate::jobs::opening::noticed;

/// The largest listing that is read, in bytes; one of a hundred thousand keys has a tenth of that.
const MAX_LISTING: u64 = 256 << 20;

/// Something with keys, types and shapes.
pub(crate) enum Target {
    /// With elements, too.
    Checkpoint(Box<Checkpoint>),
    /// With elements that lie after those of the source.
    Appended { catalog: Catalog, format: &'static dyn Format },
    /// Without elements.
    Listing { catalog: Catalog, format: String },
}

/// What `ls --json` prints, as far as it matters here.
#[derive(Deserialize)]
struct Listing {
    format: String,
    tensors: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    at: String,
    key: String,
    dtype: String,
    shape: Vec<u64>,
}

impl Target {
    /// Opens a checkpoint, or reads a listing.
    pub(crate) fn open(path: &Path, observer: &Arc<dyn Observer>) -> Result<Target, Error> {
        let error = match Checkpoint::open(path) {
            Ok(checkpoint) => {
                return Ok(Target::Checkpoint(Box::new(noticed(checkpoint, observer))));
            }
            Err(error) => error,
        };
        let is_short = fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= MAX_LISTING);
        if error.kind() != Kind::Foreign || !is_short {
            return Err(error.into());
        }
        let text = fs::read_to_string(path).unwrap_or_default();
        if !text.trim_start().starts_with('{') {
            return Err(error.into());
        }
        let refused = |why: String| Error::in_file(path, why).advise(Advice::TargetKinds);
        let listing = serde_json::from_str(&text).map_err(|error| refused(error.to_string()))?;
        listed(listing).map_err(refused)
    }

    /// Lays its elements, if there are any, after those of the source.
    pub(crate) fn appended_to(self, source: &mut Checkpoint) -> Target {
        match self {
            Target::Checkpoint(checkpoint) => {
                let format = checkpoint.format();
                Target::Appended { catalog: source.append_sources(*checkpoint), format }
            }
            other => other,
        }
    }

    /// True if its elements lie after those of the source.
    pub(crate) fn is_appended(&self) -> bool {
        matches!(self, Target::Appended { .. })
    }

    /// What it holds.
    pub(crate) fn catalog(&self) -> &Catalog {
        match self {
            Target::Checkpoint(checkpoint) => checkpoint.catalog(),
            Target::Appended { catalog, .. } | Target::Listing { catalog, .. } => catalog,
        }
    }

    /// True if the order of its keys means something.
    pub(crate) fn orders_keys(&self) -> bool {
        match self {
            Target::Checkpoint(checkpoint) => checkpoint.format().facts().orders_keys,
            Target::Appended { format, .. } => format.facts().orders_keys,
            // Kinds begin with the name of their format; TorchScript is read by that of pickles.
            Target::Listing { format, .. } => !FORMATS
                .iter()
                .any(|known| !known.facts().orders_keys && format.starts_with(known.name())),
        }
    }
}

fn listed(listing: Listing) -> Result<Target, String> {
    let mut catalog = Catalog::default();
    let mut state_dicts = IndexMap::<String, StateDict>::default();
    for Listed { at, key, dtype, shape } in listing.tensors {
        let dtype = DType::named(&dtype).unwrap_or_else(|| DType::other(&dtype, 8));
        let data = Data::Opaque { layout: "listed".into(), bytes: 0 };
        let state_dict = state_dicts.entry(at.clone()).or_insert_with_key(|at| {
            let mut state_dict = StateDict::default();
            state_dict.path.clone_from(at);
            state_dict
        });
        let key = Arc::<str>::from(key);
        state_dict
            .insert(key.clone(), Some(catalog.rows.len()))
            .map_err(|error| error.to_string())?;
        catalog.rows.push(TensorEntry {
            path: at.into(),
            key: Key::Text(key),
            tensor: Tensor { dtype, shape, data },
        });
    }
    catalog.state_dicts = state_dicts.into_values().collect();
    Ok(Target::Listing { catalog, format: listing.format })
}
