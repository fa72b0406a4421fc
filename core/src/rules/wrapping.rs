//! Which wrappers a model was saved under, as its keys show.

use alloc::string::String;
use alloc::vec::Vec;

use crate::{SEPARATOR, WRAPPERS};

/// The wrappers in these keys, the outermost first, by their segments.
///
/// ```
/// use statedict_core::wrapping;
///
/// assert_eq!(wrapping(["module._orig_mod.fc.weight"]), ["module", "_orig_mod"]);
/// assert!(wrapping(["mlp_module.weight"]).is_empty());
/// ```
pub fn wrapping<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<&'static str> {
    let mut found: Vec<&'static str> = Vec::new();
    for key in keys {
        let layers: Vec<_> = layers(key).collect();
        let is_known = layers.iter().all(|layer| found.contains(layer));
        match (is_known, found.is_empty()) {
            (true, _) if layers.len() <= found.len() => {}
            (_, true) | (true, _) => found = layers,
            // Wrappers of a part, which are in other keys than those of the whole.
            _ => found.extend(
                layers.into_iter().filter(|layer| !found.contains(layer)).collect::<Vec<_>>(),
            ),
        }
    }
    found
}

/// The wrapper segments of a key; the last segment is the tensor's own name.
fn layers(key: &str) -> impl Iterator<Item = &'static str> {
    let path = key.rsplit_once(SEPARATOR).map_or("", |(path, _)| path);
    path.split(SEPARATOR).filter_map(|segment| WRAPPERS.into_iter().find(|name| *name == segment))
}

/// What puts a wrapper segment into keys: `DataParallel` for `module`.
pub fn wrapper_name(segment: &str) -> &str {
    match segment {
        "module" => "DataParallel",
        "_orig_mod" => "torch.compile",
        "_fsdp_wrapped_module" => "FSDP",
        "_checkpoint_wrapped_module" => "activation checkpointing",
        "_forward_module" => "DeepSpeed",
        other => other,
    }
}

/// `DataParallel, then torch.compile`.
pub fn wrapper_names(segments: &[&str]) -> String {
    segments.iter().map(|segment| wrapper_name(segment)).collect::<Vec<_>>().join(", then ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_named_from_the_outside() {
        let check = |keys: &[&str], expected: &str| {
            assert_eq!(wrapper_names(&wrapping(keys.iter().copied())), expected, "{keys:?}");
        };
        check(&["a.b"], "");
        check(&["module.a"], "DataParallel");
        check(&["_orig_mod.module.a", "_orig_mod.module.b"], "torch.compile, then DataParallel");
        check(&["module.module.a"], "DataParallel, then DataParallel");
        check(&["a.module.b", "c"], "DataParallel");
        let inner = ["module.a", "module.b._checkpoint_wrapped_module.w"];
        check(&inner, "DataParallel, then activation checkpointing");
        check(&["a.module", "mlp_module.b"], "");
    }
}
