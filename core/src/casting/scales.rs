//! Which tensors of a state dict are quantized weights, or the scales that belong to them.
//!
//! Cast alone such a weight is another number, since what it means is its value times the scale
//! beside it, and kernels want it in the type it has.
//! Scales are recognised by the names quantizers give them, and only where what they
//! scale is beside them: `logit_scale` and the `scale` of a norm are parameters like any other.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::{Catalog, DType, IndexSet, SEPARATOR, StateDict};

/// What is appended to a tensor's name for its scale: compressed-tensors, ModelOpt, DeepSeek.
const SCALE_SUFFIXES: [&str; 6] =
    ["_scale", "_scale_inv", "_scale_2", "_scale2", "_global_scale", "_scale_shift"];

/// What is appended to a tensor's name for its packed elements: compressed-tensors, torchao.
const PACKED_SUFFIXES: [&str; 5] = ["_packed", "_qdata", "_quantized", "_data", "_blocks"];

/// Names of a module's scales beside its `weight`: ComfyUI, compressed-tensors, LLM.int8.
const BESIDE_WEIGHT: [&str; 7] = [
    "scale_weight",
    "scale_input",
    "input_scale",
    "output_scale",
    "activation_scale",
    "weight_scale",
    "SCB",
];

/// Names of scales of activations and caches, which are beside no weight of their own.
const BESIDE_NONE: [&str; 8] = [
    "k_scale",
    "v_scale",
    "q_scale",
    "kv_scale",
    "prob_scale",
    "input_scale",
    "output_scale",
    "input_global_scale",
];

/// Names of a module's scales beside packed integers: GPTQ and AWQ, HQQ.
const BESIDE_PACKED: [(&str, &str); 3] = [("scales", "qweight"), ("scale", "W_q"), ("zero", "W_q")];

/// Names of what packed integers have beside them that is no scale: zero points, orders of columns.
const OF_PACKED: [(&str, &str); 4] = [
    ("qzeros", "qweight"),
    ("g_idx", "qweight"),
    ("weight_zero_point", "weight_packed"),
    ("weight_g_idx", "weight_packed"),
];

/// What bitsandbytes appends to a weight's key for the state it needs.
const STATE_OF_WEIGHT: [&str; 5] =
    ["absmax", "nested_absmax", "quant_map", "nested_quant_map", "quant_state"];

/// The name of ComfyUI's tensor that says that all scales are to be applied.
const MARKER: &str = "scaled_fp8";

/// The name of the text in `__metadata__` that lists quantized layers.
const LAYERS: &str = "_quantization_metadata";

/// The keys of quantized weights and of their scales.
pub(super) fn scaled(
    catalog: &Catalog,
    state_dict: &StateDict,
    metadata: &[(String, String)],
) -> IndexSet<String> {
    let mut found = IndexSet::default();
    for key in state_dict.keys() {
        let (above, last) = split(key);
        if last == MARKER {
            found.insert(key.to_string());
        }
        let weights = Weights { catalog, state_dict, above };
        match weights.of(key, last) {
            Some(Scaled::Weight(weight)) => found.extend([key.to_string(), weight]),
            Some(Scaled::Packed) => found.extend([key.to_string()]),
            None => {}
        }
    }
    found.extend(listed(state_dict, metadata));
    if !found.is_empty() {
        let keys = state_dict.keys().filter(|key| BESIDE_NONE.contains(&split(key).1));
        found.extend(keys.map(String::from));
    }
    found
}

/// Keys of quantized weights, each with a key of what belongs to it.
pub(crate) fn companions(catalog: &Catalog, state_dict: &StateDict) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for key in state_dict.keys() {
        let (above, last) = split(key);
        let weights = Weights { catalog, state_dict, above };
        let of = match weights.of(key, last) {
            Some(Scaled::Weight(weight)) => Some(weight),
            Some(Scaled::Packed) => weights.packed(last),
            None => weights.beside_packed(last),
        };
        found.extend(of.map(|weight| (weight, key.to_string())));
    }
    found
}

/// What a key is the scale of.
enum Scaled {
    /// The weight with this key.
    Weight(String),
    /// Packed integers, which no cast concerns.
    Packed,
}

/// The tensors beside a key.
struct Weights<'a> {
    catalog: &'a Catalog,
    state_dict: &'a StateDict,
    /// The module's path, with a separator behind it.
    above: &'a str,
}

impl Weights<'_> {
    /// What a key is the scale of, if it is one.
    fn of(&self, key: &str, last: &str) -> Option<Scaled> {
        for suffix in SCALE_SUFFIXES {
            let Some(base) = last.strip_suffix(suffix).filter(|base| !base.is_empty()) else {
                continue;
            };
            if let Some(weight) = self.beside(base) {
                return Some(Scaled::Weight(weight));
            }
            if PACKED_SUFFIXES.iter().any(|packed| self.has(&[base, packed].concat())) {
                return Some(Scaled::Packed);
            }
        }
        if BESIDE_WEIGHT.contains(&last)
            && let Some(weight) = self.beside("weight")
        {
            return Some(Scaled::Weight(weight));
        }
        // A norm has a `scale` as well; only beside an 8-bit weight is it one of quantization.
        if last == "scale"
            && let Some(weight) = self.beside("weight").filter(|weight| self.is_8_bit(weight))
        {
            return Some(Scaled::Weight(weight));
        }
        if BESIDE_PACKED.iter().any(|(scale, packed)| last == *scale && self.has(packed)) {
            return Some(Scaled::Packed);
        }
        self.state_of_weight(key)
    }

    /// For `fc.weight.absmax` and `fc.weight.quant_state.bitsandbytes__nf4` the key `fc.weight`.
    fn state_of_weight(&self, key: &str) -> Option<Scaled> {
        let (path, last) = key.rsplit_once(SEPARATOR)?;
        let weight =
            if STATE_OF_WEIGHT.contains(&last) { path } else { path.strip_suffix(".quant_state")? };
        self.state_dict.contains(weight).then(|| Scaled::Weight(weight.to_string()))
    }

    /// The packed elements that a scale is for.
    fn packed(&self, last: &str) -> Option<String> {
        let bases = SCALE_SUFFIXES.iter().filter_map(|suffix| last.strip_suffix(suffix));
        let packed = bases.flat_map(|base| {
            PACKED_SUFFIXES.iter().filter_map(move |packed| self.beside(&[base, packed].concat()))
        });
        let named = BESIDE_PACKED.iter().filter(|(scale, _)| *scale == last);
        packed.chain(named.filter_map(|(_, packed)| self.beside(packed))).next()
    }

    /// The packed elements that something else than a scale is for.
    fn beside_packed(&self, last: &str) -> Option<String> {
        let all = OF_PACKED.iter().filter(|(name, _)| *name == last);
        all.filter_map(|(_, packed)| self.beside(packed)).next()
    }

    fn beside(&self, name: &str) -> Option<String> {
        let key = [self.above, name].concat();
        self.state_dict.contains(&key).then_some(key)
    }

    fn has(&self, name: &str) -> bool {
        self.beside(name).is_some()
    }

    fn is_8_bit(&self, key: &str) -> bool {
        let tensor = self.catalog.tensor(self.state_dict, key);
        tensor.is_some_and(|tensor| tensor.dtype.bits() == 8 && tensor.dtype != DType::Bool)
    }
}

/// The path in front of a key's last segment, with its separator, and that segment.
fn split(key: &str) -> (&str, &str) {
    match key.rfind(SEPARATOR) {
        Some(at) => key.split_at(at + SEPARATOR.len_utf8()),
        None => ("", key),
    }
}

/// The weights and scales of the layers that `_quantization_metadata` lists.
fn listed(state_dict: &StateDict, metadata: &[(String, String)]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Quantization {
        layers: BTreeMap<String, IgnoredAny>,
    }
    let text = metadata.iter().find(|(key, _)| key == LAYERS).map(|(_, text)| text.as_str());
    let Some(text) = text else { return Vec::new() };
    let Ok(Quantization { layers }) = serde_json::from_str(text) else { return Vec::new() };
    let listed = state_dict.keys().filter(|key| {
        let (above, last) = split(key);
        let layer = above.strip_suffix(SEPARATOR).unwrap_or(above);
        layers.contains_key(layer) && (last == "weight" || last.contains("scale"))
    });
    listed.map(String::from).collect()
}
