//! Names without what wrappers, adapters and parametrizations put into them.
//!
//! Both sides are named so, and what has one name then belongs together.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{IndexSet, SEPARATOR, WRAPPERS};

/// Names that frameworks have for the same parameter, with PyTorch's name after them.
const LEAVES: [(&str, &str); 9] = [
    ("w", "weight"),
    ("b", "bias"),
    ("g", "weight"),
    ("gamma", "weight"),
    ("beta", "bias"),
    ("scale", "weight"),
    ("kernel", "weight"),
    ("moving_mean", "running_mean"),
    ("moving_variance", "running_var"),
];

/// Names of the two matrices of a low-rank adapter, with PEFT's name after them.
const ADAPTERS: [(&str, &str); 2] = [("lora_down", "lora_A"), ("lora_up", "lora_B")];

/// The name that PEFT gives an adapter by default.
const DEFAULT: &str = "default";

/// What PEFT keeps of a module that it trains a copy of, and the copies.
const ORIGINAL: &str = "original_module";
const COPIES: &str = "modules_to_save";

/// The module that PEFT puts its adapters around.
const BASE: &str = "base_layer";

/// The key without wrappers, its last segment named as PyTorch would; `keys` are those of its side.
pub(super) fn plain(key: &str, keys: &IndexSet<&str>) -> String {
    let (path, leaf) = key.rsplit_once(SEPARATOR).unwrap_or(("", key));
    if let Some((module, own)) = leaf.rsplit_once('_').filter(|(_, own)| is_joined(own)) {
        // `nn.MultiheadAttention` has `in_proj_weight` where others have a module.
        let module = if path.is_empty() { module } else { &key[..path.len() + 1 + module.len()] };
        return plain(&[module, own].join(&SEPARATOR.to_string()), keys);
    }
    let mut segments = bare(key, path, keys);
    match parametrized(path, leaf, keys) {
        Some(own) => segments.extend(own),
        None => {
            let synonym = LEAVES.iter().find(|(other, _)| *other == leaf && !path.is_empty());
            segments.push(synonym.map_or(leaf, |(_, ours)| ours).to_string());
        }
    }
    segments.join(".")
}

/// True for names of parameters that may be joined to that of a module.
fn is_joined(leaf: &str) -> bool {
    ["weight", "bias"].contains(&leaf)
}

/// The segments of a path without those of wrappers, adapters with PEFT's names.
fn bare(key: &str, path: &str, keys: &IndexSet<&str>) -> Vec<String> {
    let all: Vec<&str> = path.split(SEPARATOR).filter(|_| key.contains(SEPARATOR)).collect();
    let replaces = has_copy(key, keys);
    let mut bare: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(segment) = all.get(at).copied() {
        let (next, is_last) = (all.get(at + 1).copied(), at + 1 == all.len());
        let before = bare.last().map_or("", String::as_str);
        at += 1;
        match segment {
            _ if WRAPPERS.contains(&segment) => {}
            // Others have modules of these names too, which hold more than parameters.
            BASE if is_last && !bare.is_empty() => {}
            ORIGINAL if is_last && !bare.is_empty() && !replaces => {}
            COPIES if next == Some(DEFAULT) => at += 1,
            COPIES if is_last && !bare.is_empty() => {}
            DEFAULT if before.starts_with("lora_") => {}
            "lora" if next.is_some_and(|next| ["down", "up"].contains(&next)) => {
                bare.push(adapter(&["lora_", all[at]].concat()));
                at += 1;
            }
            segment => bare.push(adapter(segment)),
        }
    }
    bare
}

/// PEFT's name for a matrix of an adapter.
fn adapter(segment: &str) -> String {
    let known = ADAPTERS.iter().find(|(other, _)| *other == segment);
    known.map_or(segment, |(_, ours)| ours).to_string()
}

/// True for a parameter of a module that a trained copy replaces.
fn has_copy(key: &str, keys: &IndexSet<&str>) -> bool {
    let Some((module, rest)) = key.split_once(ORIGINAL) else { return false };
    [alloc::format!("{module}{COPIES}{rest}"), alloc::format!("{module}{COPIES}.{DEFAULT}{rest}")]
        .iter()
        .any(|copy| keys.contains(copy.as_str()))
}

/// What `torch.nn.utils.parametrizations` calls a part of a weight that older functions of
/// `torch.nn.utils` kept beside it.
fn parametrized(path: &str, leaf: &str, keys: &IndexSet<&str>) -> Option<[String; 3]> {
    let (name, part) = leaf.rsplit_once('_').filter(|(name, _)| name.starts_with("weight"))?;
    let beside = |part: &str| {
        let leaf = alloc::format!("{name}_{part}");
        let key = if path.is_empty() { leaf } else { [path, &leaf].join(&SEPARATOR.to_string()) };
        keys.contains(key.as_str())
    };
    let part = match part {
        "orig" if beside("u") => "original",
        "u" if beside("orig") => "0._u",
        "v" if beside("orig") => "0._v",
        "g" if beside("v") => "original0",
        "v" if beside("g") => "original1",
        _ => return None,
    };
    Some(["parametrizations".into(), name.into(), part.into()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, others: &[&str], expected: &str) {
        let keys = others.iter().copied().chain([key]).collect();
        assert_eq!(plain(key, &keys), expected, "{key}");
    }

    #[test]
    fn wrappers_and_synonyms_go() {
        check("module.a.gamma", &[], "a.weight");
        check("a.in_proj_weight", &[], "a.in_proj.weight");
        check("a", &[], "a");
        check("w", &[], "w");
    }

    #[test]
    fn adapters_have_the_names_that_peft_saves() {
        check("a.base_layer.weight", &[], "a.weight");
        check("base_layer.0.weight", &[], "base_layer.0.weight");
        check("a.lora_A.default.weight", &[], "a.lora_A.weight");
        check("a.lora_down.weight", &[], "a.lora_A.weight");
        check("a.lora.up.weight", &[], "a.lora_B.weight");
        check("head.modules_to_save.default.weight", &[], "head.weight");
        check("head.modules_to_save.weight", &[], "head.weight");
        check("head.original_module.weight", &[], "head.weight");
        let copy = ["head.modules_to_save.default.weight"];
        check("head.original_module.weight", &copy, "head.original_module.weight");
    }

    #[test]
    fn parametrizations_have_their_new_names() {
        check("a.weight_g", &["a.weight_v"], "a.parametrizations.weight.original0");
        check("a.weight_v", &["a.weight_g"], "a.parametrizations.weight.original1");
        check("weight_hh_l0_g", &["weight_hh_l0_v"], "parametrizations.weight_hh_l0.original0");
        check("a.weight_orig", &["a.weight_u"], "a.parametrizations.weight.original");
        check("a.weight_v", &["a.weight_orig"], "a.parametrizations.weight.0._v");
        check("a.weight_v", &[], "a.weight_v");
    }
}
