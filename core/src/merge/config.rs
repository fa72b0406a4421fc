//! `adapter_config.json`: what PEFT says of an adapter.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use regex::Regex;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// What the configuration of an adapter says of how it is merged.
#[derive(Clone, Debug, Default)]
pub struct AdapterConfig {
    rank: Option<u64>,
    alpha: Option<f64>,
    ranks: Vec<(Regex, u64)>,
    alphas: Vec<(Regex, f64)>,
    /// Scales are by the square root of the rank.
    is_rank_stabilised: bool,
    /// Weights are kept with their inputs first, where their shape does not say so.
    pub fan_in_fan_out: bool,
}

#[derive(Deserialize)]
struct Document {
    peft_type: Option<String>,
    r: Option<u64>,
    lora_alpha: Option<f64>,
    #[serde(default)]
    rank_pattern: Option<InOrder<u64>>,
    #[serde(default)]
    alpha_pattern: Option<InOrder<f64>>,
    #[serde(default)]
    use_rslora: Option<bool>,
    #[serde(default)]
    use_dora: Option<bool>,
    #[serde(default)]
    fan_in_fan_out: Option<bool>,
    target_parameters: Option<Value>,
    trainable_token_indices: Option<Value>,
    alora_invocation_tokens: Option<Value>,
    layer_replication: Option<Value>,
}

/// The entries of an object in their order, which decides between patterns.
struct InOrder<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for InOrder<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<InOrder<T>, D::Error> {
        deserializer.deserialize_map(InOrderVisitor(PhantomData))
    }
}

struct InOrderVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrderVisitor<T> {
    type Value = InOrder<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of patterns")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(InOrder(entries))
    }
}

impl AdapterConfig {
    /// What a number says that stands for `lora_alpha`.
    pub fn of_alpha(alpha: f64) -> AdapterConfig {
        AdapterConfig { alpha: Some(alpha), ..AdapterConfig::default() }
    }

    /// Reads the text of `adapter_config.json`, or of another file that gives `r` and `lora_alpha`.
    ///
    /// # Errors
    /// What is not such a text, and adapters of other kinds.
    pub fn from_json(text: &str) -> Result<AdapterConfig, String> {
        let document: Document = serde_json::from_str(text).map_err(|error| error.to_string())?;
        document.refuse_other_kinds()?;
        Ok(AdapterConfig {
            rank: document.r,
            alpha: document.lora_alpha,
            ranks: patterns(document.rank_pattern)?,
            alphas: patterns(document.alpha_pattern)?,
            is_rank_stabilised: document.use_rslora.unwrap_or(false),
            fan_in_fan_out: document.fan_in_fan_out.unwrap_or(false),
        })
    }

    /// What the product of a module's factors is multiplied by; `own` is what its tensors say.
    pub(super) fn scale(&self, module: &str, rank: u64, own: Option<f64>) -> Result<f64, String> {
        if let Some(said) = of_module(&self.ranks, module).or(self.rank)
            && said != rank
        {
            return Err(format!(
                "'{module}' has an adapter of rank {rank}, and the configuration says {said}"
            ));
        }
        let alpha = own.or_else(|| of_module(&self.alphas, module)).or(self.alpha);
        let alpha = alpha.ok_or("the configuration has no lora_alpha, and the adapter no alpha")?;
        let rank = rank as f64;
        // Rust's core has no square root.
        Ok(alpha / if self.is_rank_stabilised { libm::sqrt(rank) } else { rank })
    }
}

impl Document {
    fn refuse_other_kinds(&self) -> Result<(), String> {
        if let Some(kind) = self.peft_type.as_deref().filter(|kind| *kind != "LORA") {
            return Err(format!("an adapter of type {kind} is not merged; expected LORA"));
        }
        if self.use_dora == Some(true) {
            return Err("an adapter with magnitudes (DoRA) is not merged".to_string());
        }
        let others = [
            ("target_parameters", &self.target_parameters),
            ("trainable_token_indices", &self.trainable_token_indices),
            ("alora_invocation_tokens", &self.alora_invocation_tokens),
            ("layer_replication", &self.layer_replication),
        ];
        match others.into_iter().find(|(_, value)| value.as_ref().is_some_and(says_something)) {
            Some((name, _)) => Err(format!("an adapter with {name} is not merged")),
            None => Ok(()),
        }
    }
}

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(items) => !items.is_empty(),
        _ => true,
    }
}

/// Patterns as PEFT reads them: of the end of a module's name.
fn patterns<T>(given: Option<InOrder<T>>) -> Result<Vec<(Regex, T)>, String> {
    let given = given.map(|InOrder(entries)| entries).unwrap_or_default().into_iter();
    let read = |(text, value): (String, T)| {
        let pattern = Regex::new(&format!(r"^(?:.*\.)?(?:{text})$"));
        let pattern = pattern.map_err(|_| format!("'{text}' is not a pattern of modules"))?;
        Ok((pattern, value))
    };
    given.map(read).collect()
}

/// What the first pattern that matches says of a module.
fn of_module<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}
