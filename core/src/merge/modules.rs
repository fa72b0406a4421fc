//! Which weight an adapter belongs to.
//!
//! Names with dots are the base's own, perhaps with other segments in front. In kohya's names an
//! underscore stands for a dot or for itself, so they are held against the base's names written so.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::IndexMap;

/// What kohya's names begin with, which says what part of a pipeline they are of.
const KOHYA: [&str; 9] = [
    "lora_unet_",
    "lora_te1_",
    "lora_te2_",
    "lora_te3_",
    "lora_te_",
    "lora_transformer_",
    "lora_prior_unet_",
    "lora_prior_te_",
    "lora_",
];

/// The tensors of a base by their new names and by the modules they belong to.
pub(super) struct Modules<'a> {
    /// New names with old keys.
    names: IndexMap<String, &'a str>,
    /// New names by old keys.
    olds: IndexMap<&'a str, String>,
    /// The new names of weights by the ends of their modules' names, which begin at a segment.
    ends: IndexMap<String, Vec<usize>>,
    /// The same with underscores for dots.
    flat: IndexMap<String, Vec<usize>>,
}

impl<'a> Modules<'a> {
    pub(super) fn new(names: Vec<(String, &'a str)>) -> Modules<'a> {
        let olds = names.iter().map(|(new, old)| (*old, new.clone())).collect();
        let names: IndexMap<String, &str> = names.into_iter().collect();
        let mut modules =
            Modules { names, olds, ends: IndexMap::default(), flat: IndexMap::default() };
        for (at, name) in modules.names.keys().enumerate() {
            let Some(module) = name.strip_suffix(".weight") else { continue };
            for end in ends(module) {
                modules.ends.entry(end.to_string()).or_default().push(at);
                modules.flat.entry(end.replace('.', "_")).or_default().push(at);
            }
        }
        modules
    }

    /// The new name of an old key.
    pub(super) fn name_of(&self, old: &str) -> Option<&str> {
        self.olds.get(old).map(String::as_str)
    }

    /// The weight of an adapted module: its new name and its old key.
    pub(super) fn weight(&self, module: &str) -> Result<(&str, &'a str), String> {
        if let Some(flat) = flat_name(module) {
            return self.only(&self.flat, flat, |name| name.replace('.', "_"));
        }
        let direct = self.only(&self.ends, module, str::to_string);
        match (direct, module.split_once('.')) {
            // The adapter's names may have one segment in front of the base's.
            (Err(_), Some((_, rest))) if self.names.contains_key(&format!("{rest}.weight")) => {
                self.key(&format!("{rest}.weight"))
            }
            (found, _) => found,
        }
    }

    /// A tensor of the base by its name, or by the end of its name.
    pub(super) fn key(&self, name: &str) -> Result<(&str, &'a str), String> {
        let inner = name.split_once('.').map_or("", |(_, inner)| inner);
        for name in [name, inner] {
            if let Some((new, old)) = self.names.get_key_value(name) {
                return Ok((new, old));
            }
        }
        let ends = self.names.iter().filter(|(known, _)| ends(known).any(|end| end == name));
        match ends.collect::<Vec<_>>().as_slice() {
            [(new, old)] => Ok((new, old)),
            [] => Err("belongs to no tensor of the base".to_string()),
            several => Err(ambiguous(several.iter().map(|(new, _)| new.as_str()))),
        }
    }

    /// The one weight whose module has this name, or the only one whose module ends in it.
    fn only(
        &self,
        known: &IndexMap<String, Vec<usize>>,
        name: &str,
        spelled: impl Fn(&str) -> String,
    ) -> Result<(&str, &'a str), String> {
        let found = known.get(name).map(Vec::as_slice).unwrap_or_default();
        let found: Vec<_> = found.iter().filter_map(|at| self.names.get_index(*at)).collect();
        let is_whole =
            |new: &str| new.strip_suffix(".weight").is_some_and(|it| spelled(it) == name);
        let whole: Vec<_> = found.iter().filter(|(new, _)| is_whole(new)).copied().collect();
        match if whole.is_empty() { found } else { whole }.as_slice() {
            [(new, old)] => Ok((new, old)),
            [] => Err("belongs to no weight of the base".to_string()),
            several => Err(ambiguous(several.iter().map(|(new, _)| new.as_str()))),
        }
    }
}

/// A name of kohya's without what it begins with.
fn flat_name(module: &str) -> Option<&str> {
    if module.contains('.') {
        return None;
    }
    KOHYA.iter().find_map(|start| module.strip_prefix(start))
}

/// A name and all of its ends that begin at a segment.
fn ends(name: &str) -> impl Iterator<Item = &str> {
    let dots = name.match_indices('.').map(|(at, _)| &name[at + 1..]);
    core::iter::once(name).chain(dots)
}

fn ambiguous<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<String> = names.take(4).map(|name| format!("'{name}'")).collect();
    format!("could belong to {}", names.join(" or "))
}
