//! The tensors of a data file that were saved as one safetensors.

use statedict_core::{Container, Fault, Format, IndexMap, Source, Tensor};
use statedict_safetensors::SAFETENSORS;

/// Where the places of the chunks are written in the metadata.
const PLACES: &str = "DCP_SHARDING_INFO";

/// An opened safetensors.
pub(crate) struct Merged {
    container: Box<dyn Container>,
    /// The index of the first element of each.
    places: IndexMap<String, Vec<u64>>,
}

impl Merged {
    pub(crate) fn open(source: &dyn Source) -> Result<Merged, Fault> {
        let Some(container) = SAFETENSORS.open(source)? else {
            return Err(Fault::broken("it is neither an archive nor safetensors"));
        };
        let places = places(&container.metadata())?;
        Ok(Merged { container, places })
    }

    /// The chunk of a tensor that begins at an index.
    ///
    /// # Errors
    /// A name that is not there, and a chunk from another place: of two chunks of one tensor in one
    /// file the writer keeps one.
    pub(crate) fn tensor(&self, name: &str, at: &[u64]) -> Result<&Tensor, Fault> {
        let catalog = self.container.catalog();
        let root = catalog.state_dicts.first();
        let tensor = root.and_then(|root| catalog.tensor(root, name));
        let tensor = tensor.ok_or_else(|| Fault::broken("the file's safetensors lacks it"))?;
        match self.places.get(name) {
            Some(place) if place == at => Ok(tensor),
            Some(place) => {
                let what = format!("the chunk at {place:?} in the file, {at:?} in the metadata");
                Err(Fault::broken(what))
            }
            None => Err(Fault::broken(format!("{PLACES} does not say where it is"))),
        }
    }
}

/// Where each tensor of a safetensors file of a distributed checkpoint begins.
///
/// # Errors
/// Text of another form; none at all is none.
pub(crate) fn places(metadata: &[(String, String)]) -> Result<IndexMap<String, Vec<u64>>, Fault> {
    let Some((_, text)) = metadata.iter().find(|(name, _)| name == PLACES) else {
        return Ok(IndexMap::default());
    };
    let broken = || Fault::broken(format!("{PLACES} is not what torch writes"));
    let all: serde_json::Value = serde_json::from_str(text).map_err(|_| broken())?;
    let all = all.as_object().ok_or_else(broken)?;
    let place = |(name, info): (&String, &serde_json::Value)| {
        let place = info.get("saved_offsets")?.as_array()?;
        let place = place.iter().map(serde_json::Value::as_u64).collect::<Option<_>>()?;
        Some((name.clone(), place))
    };
    all.iter().map(place).collect::<Option<_>>().ok_or_else(broken)
}
