//! State dicts in memory, so far as plans need to know them.

use std::collections::HashMap;
use std::sync::Arc;

use pyo3::prelude::*;
use statedict::core::{Catalog, DType, Data, Key, StateDict, Storage, Tensor, TensorEntry};

use crate::error::Raised;

/// A value under a key; none for what is no tensor.
#[derive(FromPyObject)]
pub(crate) struct Value(String, Option<Known>);

/// A tensor: its type, the bits of an element, its shape, and where its elements are, if that is
/// known.
#[derive(FromPyObject)]
pub(crate) struct Known(String, u32, Vec<u64>, Option<Place>);

/// What tells a storage from others, its length in bytes, and offset and strides in elements; none
/// for elements side by side.
#[derive(FromPyObject)]
struct Place(u64, u64, u64, Option<Vec<u64>>);

/// A state dict with what is known of its tensors.
pub(crate) fn catalog(
    values: Vec<Value>,
    modules: Vec<(String, Option<u64>)>,
) -> Result<Catalog, Raised> {
    let (mut catalog, mut state_dict) = (Catalog::default(), StateDict::default());
    let mut storages = Storages::default();
    for Value(key, known) in values {
        let key = Arc::<str>::from(key);
        let row = known.is_some().then_some(catalog.rows.len());
        state_dict.insert(key.clone(), row).map_err(Raised::from)?;
        if let Some(known) = known {
            let tensor = storages.tensor(known);
            catalog.rows.push(TensorEntry { path: Arc::default(), key: Key::Text(key), tensor });
        }
    }
    state_dict.modules.extend(modules);
    catalog.state_dicts.push(state_dict);
    Ok(catalog)
}

/// Storages in an address space of their own, one after another.
#[derive(Default)]
struct Storages {
    known: HashMap<u64, Arc<Storage>>,
    end: u64,
}

impl Storages {
    fn tensor(&mut self, Known(name, bits, shape, place): Known) -> Tensor {
        let dtype = DType::named(&name).unwrap_or_else(|| DType::other(&name, bits));
        let (name, shown) = (dtype.clone(), shape.clone());
        let made = match place {
            Some(Place(id, len, offset, Some(strides))) => {
                Tensor::view(dtype, shape, strides, offset, self.storage(id, len))
            }
            Some(Place(id, len, offset, None)) => {
                Tensor::dense(dtype, shape, offset, self.storage(id, len))
            }
            None => {
                let count = shape.iter().copied().fold(1u64, u64::saturating_mul);
                let len = count.saturating_mul(dtype.bits()).div_ceil(8);
                let storage = self.new_storage(len);
                Tensor::dense(dtype, shape, 0, storage)
            }
        };
        made.unwrap_or_else(|_| {
            let data = Data::Opaque { layout: "memory".into(), bytes: 0 };
            Tensor { dtype: name, shape: shown, data }
        })
    }

    fn storage(&mut self, id: u64, len: u64) -> Arc<Storage> {
        if let Some(known) = self.known.get(&id).filter(|known| known.len() == len) {
            return known.clone();
        }
        let storage = self.new_storage(len);
        self.known.insert(id, storage.clone());
        storage
    }

    fn new_storage(&mut self, len: u64) -> Arc<Storage> {
        let start = self.end;
        self.end = start.saturating_add(len);
        Arc::new(Storage::stored(start..self.end))
    }
}
