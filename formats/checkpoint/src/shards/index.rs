//! The index of a sharded checkpoint: which file holds which key.
//!
//! ```json
//! {"metadata": {"total_size": 123}, "weight_map": {"fc.weight": "model-00001-of-00002.safetensors"}}
//! ```
//! Source: `split_torch_state_dict_into_shards` and its callers in huggingface_hub.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use statedict_core::{Fault, IndexMap, IndexSet, Manifest};

use crate::disk::stays_inside;
use crate::shards::totals::Totals;

/// The longest index that is read, in bytes; a million keys take about a hundred.
pub(crate) const MAX_INDEX: u64 = 256 << 20;

/// What an index counts, and nobody else says.
pub(crate) const TOTALS: [&str; 2] = ["total_size", "total_parameters"];

/// Keys with the names of their files, and what else the index says.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Index {
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
    pub(crate) weight_map: WeightMap,
    /// Fields beside those two, kept as they are.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// Keys with the names of their files, in order; no key occurs twice.
#[derive(Clone, Debug, Default)]
pub(crate) struct WeightMap(pub(crate) IndexMap<String, String>);

/// True for `model.safetensors.index.json`, and with a variant, `….index.fp16.json`.
pub(crate) fn is_index(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".json") && name.contains(".index.")
}

impl Index {
    /// Reads an index; the files it names are in its own folder or below.
    pub(crate) fn parse(text: &[u8]) -> Result<Index, Fault> {
        let index: Index = serde_json::from_slice(text)
            .map_err(|error| Fault::broken(format!("no index of shards: {error}")))?;
        match index.weight_map.0.iter().find(|(_, file)| !stays_inside(file)) {
            Some((key, file)) => {
                let what = format!("key '{key}' is in '{file}', outside the index's folder");
                Err(Fault::broken(what))
            }
            None => Ok(index),
        }
    }

    /// The files, in the order in which the index first names them.
    pub(crate) fn files(&self) -> Vec<&str> {
        let files: IndexSet<&str> = self.weight_map.0.values().map(String::as_str).collect();
        files.into_iter().collect()
    }

    /// Says that files are called otherwise: all of them at once, since there may be as many as keys.
    fn move_keys(&mut self, names: &HashMap<String, String>) {
        for place in self.weight_map.0.values_mut() {
            if let Some(name) = names.get(place) {
                place.clone_from(name);
            }
        }
    }

    /// The index as it is written: two spaces a level, as Hugging Face writes it.
    pub(crate) fn to_json(&self) -> Vec<u8> {
        let mut text = serde_json::to_vec_pretty(self).expect("texts and numbers serialise");
        text.push(b'\n');
        text
    }

    /// Says how many bytes the tensors have, and elements where the index counted those.
    pub(crate) fn set_totals(&mut self, Totals { bytes, elements }: Totals) {
        self.metadata.insert("total_size".into(), bytes.into());
        if let Some(parameters) = self.metadata.get_mut("total_parameters") {
            *parameters = elements.into();
        }
    }
}

/// An index under its name.
#[derive(Clone, Debug)]
pub(crate) struct NamedIndex {
    name: String,
    index: Index,
    /// What files are called that have another name than the one in the index.
    moved: HashMap<String, String>,
}

impl NamedIndex {
    /// What leads to new files.
    pub(crate) fn boxed(name: String, index: Index) -> Box<dyn Manifest> {
        Box::new(NamedIndex { name, index, moved: HashMap::new() })
    }
}

impl Manifest for NamedIndex {
    fn name(&self) -> &str {
        &self.name
    }

    fn rename_file(&mut self, from: &str, to: &str) {
        self.moved.insert(from.to_string(), to.to_string());
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut index = self.index.clone();
        index.move_keys(&self.moved);
        index.to_json()
    }

    fn boxed(&self) -> Box<dyn Manifest> {
        Box::new(self.clone())
    }
}

impl<'de> Deserialize<'de> for WeightMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WeightMap, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = WeightMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from keys to file names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WeightMap, A::Error> {
                let mut pairs = IndexMap::default();
                while let Some((key, file)) = map.next_entry::<String, String>()? {
                    if pairs.insert(key.clone(), file).is_some() {
                        return Err(de::Error::custom(format_args!("key '{key}' occurs twice")));
                    }
                }
                Ok(WeightMap(pairs))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl Serialize for WeightMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_keeps_its_order_and_what_it_does_not_know() {
        let text = br#"{"metadata":{"total_size":8.0,"x":[1]},"weight_map":{"b":"1.bin","a":"sub/2.bin"},"y":2}"#;
        let index = Index::parse(text).expect("an index");
        assert_eq!(index.files(), ["1.bin", "sub/2.bin"]);
        let again = String::from_utf8(index.to_json()).expect("text");
        assert!(
            again.contains("\"x\": [\n      1\n    ]") && again.contains("\"y\": 2"),
            "{again}"
        );
        assert!(again.find("\"b\"") < again.find("\"a\""), "{again}");
    }

    #[test]
    fn each_bad_index_says_what_is_wrong() {
        let check = |text: &str, expected: &str| {
            let message = Index::parse(text.as_bytes()).expect_err("bad").to_string();
            assert!(message.contains(expected), "{message}");
        };
        check(r#"{"weight_map":{"a":"1","a":"2"}}"#, "key 'a' occurs twice");
        check(r#"{"weight_map":{"a":"../1"}}"#, "key 'a' is in '../1', outside the index's folder");
        check(r#"{"weight_map":{"a":"/etc/x"}}"#, "outside the index's folder");
        check(r#"{"weight_map":{"a":""}}"#, "outside the index's folder");
        check(r#"{"weight_map":{"a":"x\u0000"}}"#, "outside the index's folder");
        check(r#"{"weight_map":[]}"#, "a map from keys to file names");
        check("{}", "missing field `weight_map`");
    }
}
