//! Whether the configuration beside a model's weights still says what type of numbers they have.

use statedict_checkpoint::Checkpoint;
use statedict_core::{DType, IndexMap, Plan};

/// A configuration that says something else than the weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleDtype {
    /// What the configuration says: `float32`.
    pub declared: String,
    /// What most of the weights have.
    pub written: &'static str,
}

/// The type that the configuration declares, if a plan casts most of the weights to another.
pub(crate) fn stale_dtype(checkpoint: &Checkpoint, plan: &Plan) -> Option<StaleDtype> {
    if !plan.casts() {
        return None;
    }
    let written = most_common(checkpoint, plan)?;
    let declared = checkpoint.declared_dtype().filter(|declared| declared != written)?;
    Some(StaleDtype { declared, written })
}

/// The floating-point type that most elements have after a plan.
fn most_common(checkpoint: &Checkpoint, plan: &Plan) -> Option<&'static str> {
    let catalog = checkpoint.catalog();
    let mut elements = IndexMap::<&'static str, u64>::default();
    for section in plan.sections() {
        let Some(state_dict) = catalog.state_dict_at(section.path()) else {
            continue;
        };
        for (key, _) in section.kept() {
            let Some(tensor) = catalog.tensor(state_dict, key) else { continue };
            let dtype = section.cast(key).unwrap_or(&tensor.dtype);
            let Some(name) = torch_name(dtype) else { continue };
            let count = tensor.shape.iter().fold(1u64, |all, size| all.saturating_mul(*size));
            let so_far = elements.entry(name).or_default();
            *so_far = so_far.saturating_add(count);
        }
    }
    elements.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name)
}

/// PyTorch's name of a floating-point type that weights are cast to.
fn torch_name(dtype: &DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F16 => "float16",
        DType::Bf16 => "bfloat16",
        DType::F32 => "float32",
        DType::F64 => "float64",
        _ => return None,
    })
}
