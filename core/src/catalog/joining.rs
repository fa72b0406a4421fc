//! One state dict made of several: of mappings that are nested in each other, as Megatron's are, or of
//! any that are named.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::iter;

use crate::catalog::selection::{ancestors, is_of_a_model, is_of_training, is_within};
use crate::{
    Catalog, DuplicateKey, IndexMap, IndexSet, Key, NotSelected, SEPARATOR, Section, StateDict,
};

/// Why the keys of a joined state dict cannot be renamed.
const JOINED: &str = "they are joined from mappings in mappings; 'convert' extracts the state dict \
                      into a file of its own";

/// A key that tensors of several state dicts would have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The key.
    pub key: String,
    /// The paths of the state dicts, each as often as it has such a tensor.
    pub paths: Vec<String>,
}

impl Catalog {
    /// Adds a state dict at the root that holds the tensors of others, under the keys that the
    /// sections of these give them; what is no tensor is not in it.
    ///
    /// # Errors
    /// Every key that several tensors would have.
    pub fn put_together(&mut self, sections: &[Section]) -> Result<(), Vec<Collision>> {
        let mut found = IndexMap::<&str, Vec<(usize, &str)>>::default();
        let mut joined = StateDict { fixed: Some(JOINED.into()), ..StateDict::default() };
        for section in sections {
            let Some(state_dict) = self.state_dict_at(section.path()) else { continue };
            for (old, new) in section.kept() {
                if let Some(row) = state_dict.row(old) {
                    found.entry(new).or_default().push((row, section.path()));
                }
            }
            let (modules, unknown) = section.versions(&state_dict.modules);
            let known = modules.into_iter().map(|(path, version)| (path, Some(version)));
            joined.modules.extend(known.chain(unknown.into_iter().map(|path| (path, None))));
        }
        let mut collisions = Vec::new();
        for (key, tensors) in found {
            if tensors.len() > 1 {
                let paths = tensors.iter().map(|(_, path)| path.to_string()).collect();
                collisions.push(Collision { key: key.to_string(), paths });
            }
            let _ = joined.insert(key, Some(tensors[0].0));
        }
        if collisions.is_empty() {
            self.state_dicts.push(joined);
            return Ok(());
        }
        Err(collisions)
    }

    /// All tensors below a path as one state dict, whose keys are their paths from there, joined by
    /// dots: `encoder.layers.0.weight` for `weight` in `model/encoder/layers/0` and `model`.
    ///
    /// `None` where the path leads to a state dict or to nothing, where fewer than two mappings with
    /// tensors are below it, where one of them is an optimizer's or the like, and where tensors lie
    /// in lists or under keys that are not strings, which have no dotted key that would be clear.
    ///
    /// # Errors
    /// Two tensors that would have one key.
    pub fn join(&self, at: &str) -> Result<Option<StateDict>, DuplicateKey> {
        let at = at.trim_matches('/');
        if !matches!(self.select(Some(at)), Err(NotSelected::Nowhere { .. })) {
            return Ok(None);
        }
        let parts: Vec<&StateDict> =
            self.state_dicts.iter().filter(|it| is_within(&it.path, at)).collect();
        let is_model = |part: &&StateDict| !part.path.to_lowercase().split('/').any(is_of_training);
        if parts.len() < 2 || !parts.iter().all(is_model) {
            return Ok(None);
        }
        let mut joined = StateDict { path: at.to_string(), ..StateDict::default() };
        let paths: IndexSet<&str> = parts.iter().flat_map(|part| paths(part)).collect();
        let around: IndexSet<&str> = paths.iter().flat_map(|path| ancestors(path)).collect();
        for (row, held) in self.rows.iter().enumerate() {
            if *held.path != *at && !is_within(&held.path, at) {
                continue;
            }
            match &held.key {
                Key::Text(key) if paths.contains(&*held.path) => {
                    joined.insert(dotted(at, &held.path, key), Some(row))?;
                }
                _ => return Ok(None),
            }
        }
        for part in &parts {
            for key in part.keys().filter(|key| self.tensor(part, key).is_none()) {
                let path = alloc::format!("{}/{key}", part.path);
                if !paths.contains(path.as_str()) && !around.contains(path.as_str()) {
                    joined.insert(dotted(at, &part.path, key), None)?;
                }
            }
            let modules = part.modules.iter();
            joined.modules.extend(modules.map(|(path, version)| (under(at, part, path), *version)));
        }
        joined.fixed = Some(JOINED.into());
        Ok(Some(joined))
    }

    /// The path below which all of these mappings lie, if they could be one state dict.
    pub fn joint(&self, paths: &[(String, usize)]) -> Option<String> {
        let (first, _) = paths.first()?;
        let holds_all = |at: &&str| paths.iter().all(|(path, _)| is_within(path, at));
        let at = ancestors(first).find(holds_all)?;
        let others = paths.iter().map(|(path, _)| path[at.len()..].trim_start_matches('/'));
        let mut named = others.filter_map(|path| path.split('/').next());
        let is_plain = named.all(|part| !is_of_a_model(part));
        let joined = self.join(at).ok().flatten().filter(|_| is_plain)?;
        Some(joined.path)
    }
}

/// The paths that lead to a mapping.
fn paths(part: &StateDict) -> impl Iterator<Item = &str> {
    iter::once(&part.path).chain(&part.aliases).map(String::as_str)
}

/// A key with the path to its mapping in front, from where the joined state dict is.
fn dotted(at: &str, path: &str, key: &str) -> String {
    let path = path[at.len()..].trim_start_matches('/');
    match path {
        "" => key.to_string(),
        path => alloc::format!("{}{SEPARATOR}{key}", path.replace('/', &SEPARATOR.to_string())),
    }
}

/// The path of a module of a part.
fn under(at: &str, part: &StateDict, module: &str) -> String {
    let path = dotted(at, &part.path, module);
    path.strip_suffix(SEPARATOR).map(String::from).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DType, Payload, Storage, Tensor, TensorEntry};
    use alloc::sync::Arc;
    use alloc::vec;

    /// A catalog of tensors by their paths; the last part is the key.
    fn catalog(paths: &[&str]) -> Catalog {
        let mut catalog = Catalog::default();
        for path in paths {
            let (at, key) = path.rsplit_once('/').unwrap_or(("", path));
            let storage = Arc::new(Storage::stored(0..16));
            let tensor = Tensor::dense(DType::F32, vec![2, 2], 0, storage).expect("within");
            let row = catalog.rows.len();
            catalog.rows.push(TensorEntry { path: at.into(), key: Key::Text(key.into()), tensor });
            let place = catalog.state_dicts.iter().position(|it| it.path == at);
            let place = place.unwrap_or_else(|| {
                let state_dict = StateDict { path: at.into(), ..StateDict::default() };
                catalog.state_dicts.push(state_dict);
                catalog.state_dicts.len() - 1
            });
            catalog.state_dicts[place].insert(key, Some(row)).expect("unique");
        }
        catalog
    }

    fn check(paths: &[&str], at: &str, expected: Option<&[&str]>) {
        let joined = catalog(paths).join(at).expect("no key twice");
        let keys = joined.as_ref().map(|joined| joined.keys().collect::<Vec<_>>());
        assert_eq!(keys.as_deref(), expected, "{paths:?} at {at}");
    }

    const MEGATRON: [&str; 4] =
        ["model/lm/embedding/word/weight", "model/lm/encoder/0.w", "model/lm/encoder/0.b", "x/w"];

    #[test]
    fn keys_are_paths_joined_by_dots() {
        let keys = ["lm.embedding.word.weight", "lm.encoder.0.w", "lm.encoder.0.b"];
        check(&MEGATRON, "model", Some(&keys));
        check(&MEGATRON, "/model/", Some(&keys));
        check(&MEGATRON, "model/lm/encoder", None);
        check(&MEGATRON, "mod", None);
        check(&["a/w", "a/b/w", "c/w"], "/", Some(&["a.w", "a.b.w", "c.w"]));
    }

    #[test]
    fn an_optimizer_is_not_a_part_and_one_mapping_is_not_joined() {
        check(&["model/w", "optimizer/exp_avg"], "/", None);
        check(&["model/state_dict/w", "other/w"], "model", None);
    }

    #[test]
    fn what_has_no_dotted_key_is_not_joined() {
        let mut catalog = catalog(&MEGATRON);
        let tensor = catalog.rows[0].tensor.clone();
        let row = |at: &str, key| TensorEntry { path: at.into(), key, tensor: tensor.clone() };
        for row in [
            row("model/lm/encoder", Key::Other("5".into())),
            row("model/list", Key::Other("0".into())),
        ] {
            catalog.rows.push(row);
            assert_eq!(catalog.join("model"), Ok(None));
            catalog.rows.pop();
        }
        catalog.rows.push(row("model/tied", Key::Text("0.w".into())));
        catalog.state_dicts[1].aliases.push("model/tied".into());
        let joined = catalog.join("model").expect("no key twice").expect("joined");
        assert!(joined.contains("tied.0.w") && joined.tensors() == 4);
    }

    #[test]
    fn two_tensors_on_one_key_are_refused() {
        let twice = catalog(&["a/b/c", "a.b/c"]).join("/");
        assert_eq!(twice.map(|_| ()), Err(DuplicateKey("a.b.c".into())));
    }

    #[test]
    fn state_dicts_are_put_together_under_the_keys_that_sections_give() {
        let mut two = catalog(&["a/w", "b/w", "b/v", "c/w"]);
        let section = |catalog: &Catalog, path: &str, prefix: &str| {
            let rule: crate::Rule = alloc::format!("add:{prefix}").parse().expect("a rule");
            let selected = catalog.select(Some(path)).expect("there");
            let planned = crate::plan(&[rule], catalog, &selected, crate::Policy::default());
            planned.expect("planned").plan.sections()[0].clone()
        };
        let sections = [section(&two, "a", "x"), section(&two, "b", "y")];
        assert_eq!(two.put_together(&sections), Ok(()));
        let joined = two.state_dict_at("/").expect("at the root");
        assert_eq!(joined.keys().collect::<Vec<_>>(), ["x.w", "y.w", "y.v"]);
        assert_eq!(joined.row("y.v"), Some(2));
        let same = [section(&two, "a", "x"), section(&two, "b", "x")];
        let collision = Collision { key: "x.w".into(), paths: ["a".into(), "b".into()].into() };
        assert_eq!(two.put_together(&same), Err([collision].into()));
    }

    #[test]
    fn what_is_joined_is_not_left_behind() {
        let mut catalog = catalog(&MEGATRON);
        for at in ["model", "model/lm", "model/lm/encoder", "model/version", "x"] {
            catalog.payload.push(Payload { path: at.into(), kind: "dict".into() });
        }
        let joined = catalog.join("model").expect("unique").expect("joined");
        let left: Vec<_> = catalog.beside(&joined).into_iter().map(|(path, _)| path).collect();
        assert_eq!(left, ["model/version", "x"]);
    }

    #[test]
    fn a_path_is_suggested_where_no_part_has_a_models_name() {
        let joint = |paths: &[&str]| {
            let catalog = catalog(paths);
            let all: Vec<_> = catalog.state_dicts.iter().map(|it| (it.path.clone(), 1)).collect();
            catalog.joint(&all)
        };
        assert_eq!(joint(&MEGATRON[..3]), Some("model/lm".into()));
        assert_eq!(joint(&["encoder/w", "decoder/w"]), Some("".into()));
        assert_eq!(joint(&["model/w", "model_ema/w"]), None);
    }
}
