//! Along which dimension the tensors of a model were cut, which no file says.

use statedict_core::{Joint, Opening};

/// How a tensor was cut over the ranks of tensor parallelism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cutting {
    /// Along this dimension.
    Along(usize),
    /// Along the first, after two halves were put together in each rank: gate and up.
    Gated,
    /// Not at all; every rank has a copy.
    Copied,
}

impl Cutting {
    /// How shares of these shapes make a whole.
    ///
    /// # Errors
    /// Why they do not.
    pub(crate) fn joint(self, shapes: &[&[u64]]) -> Result<Joint, String> {
        match self {
            Cutting::Along(dimension) => Joint::along(dimension, shapes),
            Cutting::Gated => Joint::halves(0, shapes),
            Cutting::Copied => {
                let shape = shapes.first().ok_or("no rank has it")?;
                Ok(Joint::copied(shape, shapes.len()))
            }
        }
    }
}

/// The ends of keys that are cut along the first dimension in GPT, BERT and T5 models, of
/// Megatron-Core and before: column-parallel layers, and what has a row for each word.
const ROWS: [&str; 27] = [
    "word_embeddings.weight",
    "output_layer.weight",
    "output_layer.bias",
    "linear_qkv.weight",
    "linear_qkv.bias",
    "linear_q.weight",
    "linear_q.bias",
    "linear_kv.weight",
    "linear_kv.bias",
    "linear_q_proj.weight",
    "linear_q_up_proj.weight",
    "linear_kv_up_proj.weight",
    "linear_fc1.weight",
    "linear_fc1.bias",
    "eh_proj.weight",
    "query_key_value.weight",
    "query_key_value.bias",
    "inter_attention.query.weight",
    "inter_attention.query.bias",
    "inter_attention.key_value.weight",
    "inter_attention.key_value.bias",
    "dense_h_to_4h.weight",
    "dense_h_to_4h.bias",
    "lm_head.weight",
    "lm_head.bias",
    "word_embeddings_for_head.weight",
    "softmax_offset",
];

/// The same along the second: row-parallel layers, whose biases are not cut.
const COLUMNS: [&str; 6] = [
    "linear_proj.weight",
    "linear_fc2.weight",
    "attention.dense.weight",
    "self_attention.dense.weight",
    "inter_attention.dense.weight",
    "dense_4h_to_h.weight",
];

/// The ends of keys that hold two halves in models with gated units.
const GATED: [&str; 4] =
    ["linear_fc1.weight", "linear_fc1.bias", "dense_h_to_4h.weight", "dense_h_to_4h.bias"];

/// True if a key ends with these segments; those of several experts in one layer have numbers.
fn ends_so(key: &str, end: &str) -> bool {
    let key = match key.trim_end_matches(|letter: char| letter.is_ascii_digit()) {
        numbered if key.contains(".experts.") => numbered,
        _ => key,
    };
    key.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// How a tensor was cut: as the user says, else as the known models are.
pub(crate) fn cutting(key: &str, opening: &Opening, is_gated: bool) -> Cutting {
    if let Some(dimension) = opening.cut(key) {
        return Cutting::Along(dimension);
    }
    let is_one = |ends: &[&str]| ends.iter().any(|end| ends_so(key, end));
    if is_gated && is_one(&GATED) {
        Cutting::Gated
    } else if is_one(&ROWS) {
        Cutting::Along(0)
    } else if is_one(&COLUMNS) {
        Cutting::Along(1)
    } else {
        Cutting::Copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::{Cut, Template};

    #[test]
    fn the_user_knows_better_than_the_table_and_what_neither_knows_is_copied() {
        let pattern = Template::parse("**.my_proj.weight", '.').expect("a template");
        let cuts = [Cut { pattern, dimension: 1 }].into();
        let opening = Opening { cuts, ..Opening::default() };
        let check = |key: &str, is_gated: bool, expected: Cutting| {
            assert_eq!(cutting(key, &opening, is_gated), expected, "{key}");
        };
        check("decoder.layers.0.mlp.linear_fc1.weight", false, Cutting::Along(0));
        check("decoder.layers.0.mlp.linear_fc1.weight", true, Cutting::Gated);
        check("decoder.layers.0.mlp.linear_fc2.weight", true, Cutting::Along(1));
        check("decoder.layers.0.my_proj.weight", false, Cutting::Along(1));
        check("decoder.final_layernorm.weight", false, Cutting::Copied);
        check("decoder.layers.0.mlp.not_linear_fc1.weight", false, Cutting::Copied);
        check("decoder.layers.0.mlp.experts.linear_fc1.weight3", true, Cutting::Gated);
        check("decoder.layers.0.mlp.experts.linear_fc2.weight12", false, Cutting::Along(1));
    }

    #[test]
    fn models_from_before_megatron_core_have_names_of_their_own() {
        let opening = Opening::default();
        let check =
            |key: &str, expected: Cutting| assert_eq!(cutting(key, &opening, false), expected);
        let layer = "language_model.encoder.layers.0.self_attention";
        check(&format!("{layer}.query_key_value.bias"), Cutting::Along(0));
        check(&format!("{layer}.dense.weight"), Cutting::Along(1));
        check(&format!("{layer}.dense.bias"), Cutting::Copied);
        let decoder = "language_model.decoder.layers.0.inter_attention";
        check(&format!("{decoder}.key_value.weight"), Cutting::Along(0));
        check(&format!("{decoder}.dense.weight"), Cutting::Along(1));
        check("lm_head.bias", Cutting::Along(0));
        check("lm_head.dense.weight", Cutting::Copied);
        check("language_model.pooler.dense.weight", Cutting::Copied);
        check("language_model.embedding.position_embeddings.weight", Cutting::Copied);
    }
}
