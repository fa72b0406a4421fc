//! What a file in a model's folder is, by its name.

use statedict_core::Store;

use crate::registry::FORMATS;

/// Endings of weights that are not read here.
const FOREIGN: [&str; 13] = [
    "distcp", "ggml", "gguf", "h5", "keras", "mlmodel", "msgpack", "npy", "onnx", "ot", "pb",
    "pdparams", "tflite",
];

/// What trainers write beside a model; it is not the model.
const COMPANIONS: [&str; 6] =
    ["optimizer", "random_states", "rng_state", "scaler", "scheduler", "training_args"];

/// What a file in a model's folder is that leads to no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Weights that can be read.
    Weights,
    /// Weights of formats that are not read, such as ONNX.
    ForeignWeights,
    /// Everything else.
    Side,
}

impl Role {
    /// What a file is by its name.
    pub(crate) fn of(name: &str) -> Role {
        let name = name.to_ascii_lowercase();
        if FOREIGN.iter().any(|ending| has_ending(&name, ending)) {
            return Role::ForeignWeights;
        }
        let mut endings = FORMATS.iter().flat_map(|format| format.facts().extensions);
        let is_companion = COMPANIONS.iter().any(|companion| name.starts_with(companion));
        if !is_companion && endings.any(|ending| has_ending(&name, ending)) {
            Role::Weights
        } else {
            Role::Side
        }
    }
}

/// True for a name with an ending, which is not all of it.
fn has_ending(name: &str, ending: &str) -> bool {
    name.strip_suffix(ending).and_then(|stem| stem.strip_suffix('.')).is_some()
}

/// Weights in a folder that are not part of the checkpoint in it, by name.
pub(crate) fn strays(store: &dyn Store, is_part: impl Fn(&str) -> bool) -> Vec<String> {
    let names = store.list().unwrap_or_default().into_iter();
    names.filter(|name| Role::of(name) == Role::Weights && !is_part(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_distinguished_by_their_names() {
        let check = |role, names: &[&str]| {
            names.iter().for_each(|name| assert_eq!(Role::of(name), role, "{name}"));
        };
        check(Role::Weights, &["model.safetensors", "pytorch_model.bin", "a.PTH", "x.pth.tar"]);
        check(Role::ForeignWeights, &["tf_model.h5", "flax_model.msgpack", "model.onnx"]);
        check(Role::Side, &["config.json", "spiece.model", "vocab.txt", "README.md", "LICENSE"]);
        check(Role::Side, &["training_args.bin", "optimizer.pt", "rng_state_0.pth"]);
        check(Role::Side, &["model.safetensors.index.json"]);
    }
}
