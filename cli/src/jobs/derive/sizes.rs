//! Sizes that a configuration beside the first file says.

use std::path::Path;

use serde_json::Value;
use statedict_core::derive::KnownSize;

use crate::jobs::text_file::{self, CONFIGURATION};

/// Names that configurations have for the number of attention heads,
const HEADS: [&str; 8] = [
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "encoder_attention_heads",
    "attention_heads",
    "decoder_attention_heads",
    "num_query_heads",
];

/// for that of the heads of keys and values,
const KEY_VALUE_HEADS: [&str; 5] =
    ["num_key_value_heads", "n_kv_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"];

/// and for the size of a head.
const HEAD_SIZES: [&str; 4] = ["head_dim", "d_kv", "attention_head_dim", "kv_channels"];

/// In the keys of tensors that have as many heads as keys and values do.
const OF_KEYS_AND_VALUES: &[&str] = &["k", "v", "wk", "wv", "key", "value", "kv", "qkv"];

/// In the keys of tensors that have all heads.
const OF_ALL: &[&str] = &["q", "o", "wq", "wo", "query", "out", "dense", "proj"];

/// The sizes of heads in the `config.json` beside a file, if there is one that can be read.
pub(super) fn beside(file: &Path) -> Vec<KnownSize> {
    let config = read(&text_file::folder_of(file).join("config.json"));
    config.map(|config| known(&config)).unwrap_or_default()
}

fn read(path: &Path) -> Option<Value> {
    serde_json::from_slice(&text_file::bytes(path, &CONFIGURATION).ok()?).ok()
}

fn known(config: &Value) -> Vec<KnownSize> {
    let first = |names: &[&'static str]| {
        let numbers = names.iter().map(|name| (*name, config.get(name).and_then(Value::as_u64)));
        numbers.into_iter().find_map(|(name, number)| Some((name, number.filter(|n| *n > 1)?)))
    };
    let (heads, kv) = (first(&HEADS), first(&KEY_VALUE_HEADS));
    let size = |name: &str, expression: &str, size, words| KnownSize {
        name: name.into(),
        expression: expression.into(),
        size,
        words,
    };
    let mut known = Vec::new();
    known.extend(heads.map(|(name, number)| size("heads", name, number, OF_ALL)));
    known.extend(kv.map(|(name, number)| size("kv", name, number, OF_KEYS_AND_VALUES)));
    if let (Some((all, heads)), Some((own, kv))) = (heads, kv)
        && heads.is_multiple_of(kv)
        && heads > kv
    {
        known.push(size("queries", &format!("{all} / {own}"), heads / kv, &[]));
    }
    known.extend(first(&HEAD_SIZES).map(|(name, number)| size("head", name, number, &[])));
    known
}
