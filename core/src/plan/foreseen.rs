//! What a plan makes of a state dict, as a catalog of its own: so that it can be planned with again
//! before anything is written.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::draft::fates_beside;
use super::{Expression, Fates, Section};
use crate::catalog::tensor::count_of;
use crate::{Catalog, IndexMap, Key, StateDict, Storage, Tensor, TensorEntry};

/// What a section makes of a state dict.
pub struct Foreseen {
    /// A catalog with one state dict. Tensors that are computed have places in it that no file has.
    pub catalog: Catalog,
    /// What each of its tensors is made of.
    pub made: IndexMap<String, Expression>,
}

/// Where the places of computed tensors begin: beyond the end of any file.
const BEYOND_FILES: u64 = 1 << 62;

impl Section {
    /// What it makes of a state dict of this catalog, which it was planned for.
    pub fn foreseen(&self, catalog: &Catalog, state_dict: &StateDict) -> Foreseen {
        let tensor = |key: &str| catalog.tensor(state_dict, key);
        let mut made = IndexMap::<String, Expression>::default();
        if let Some(tensors) = self.tensors() {
            made.extend(tensors.iter().map(|(key, of)| (key.clone(), of.clone())));
        } else {
            for (old, new) in self.kept() {
                made.extend(tensor(old).map(|it| (new.to_string(), Expression::key(old, it))));
            }
        }
        let values = self.kept().filter(|(old, _)| tensor(old).is_none()).map(|(_, new)| new);
        let keys: Vec<Arc<str>> =
            made.keys().map(String::as_str).chain(values).map(Arc::from).collect();
        let mut foreseen = Catalog::default();
        let mut own = StateDict::of_keys(keys);
        let mut end = BEYOND_FILES;
        for (key, of) in &made {
            let found = match of {
                Expression::Key { key, .. } => tensor(key).cloned(),
                of => computed(of, &mut end, &tensor),
            };
            let Some(found) = found else { continue };
            own.set_row(key, foreseen.rows.len());
            let (path, key) = (Arc::default(), Key::Text(key.as_str().into()));
            foreseen.rows.push(TensorEntry { path, key, tensor: found });
        }
        foreseen.state_dicts.push(own);
        Foreseen { catalog: foreseen, made }
    }
}

/// A tensor as an expression makes it, with places of its own.
fn computed<'c>(
    of: &Expression,
    end: &mut u64,
    tensor: &impl Fn(&str) -> Option<&'c Tensor>,
) -> Option<Tensor> {
    let dtype = of.dtype(&|key| tensor(key).map(|it| it.dtype.clone()))?;
    let shape = of.shape();
    let bits = count_of(&shape)?.checked_mul(dtype.bits())?;
    let start = *end;
    *end = start.checked_add(bits.div_ceil(8))?;
    Tensor::dense(dtype, shape, 0, Arc::new(Storage::stored(start..*end))).ok()
}

impl Foreseen {
    /// A section that makes, of the state dict of the first one, what these expressions make of what
    /// that section makes.
    pub fn composed(
        &self,
        first: &Section,
        state_dict: &StateDict,
        tensors: &IndexMap<String, Expression>,
    ) -> Section {
        let over = |of: &Expression| of.over(&|key: &str| self.made.get(key));
        let tensors: IndexMap<String, Expression> =
            tensors.iter().map(|(key, of)| (key.clone(), over(of))).collect();
        let gone: Fates = state_dict.shared_keys().map(|key| (key.clone(), None)).collect();
        let fates = fates_beside(gone, &tensors).into();
        let (path, checks) = (first.path.clone(), first.checks.clone());
        Section { path, fates, tensors: Some(tensors), checks, ..Section::default() }
    }
}
