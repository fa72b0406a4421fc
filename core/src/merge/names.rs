//! What the tensors of an adapter are by their names: PEFT's, diffusers' and kohya's.

use alloc::format;
use alloc::string::{String, ToString};

/// What PEFT puts in front of the names of the model it wraps.
const WRAPPED: &str = "base_model.model.";

/// A tensor by its name: the module it belongs to, and what it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) module: String,
    pub(super) role: Role,
}

/// What a tensor of an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The factor that the inputs meet.
    Down { is_embedding: bool },
    /// The factor that gives the outputs.
    Up,
    /// A number that both are scaled by.
    Alpha,
    /// A tensor of the model itself.
    Whole,
    /// A part of an adapter of another kind, which is named.
    Other(&'static str),
}

/// The ends of names, each with what it says; `*` is the name of an adapter.
const ENDS: [(&str, Role); 24] = [
    (".lora_A.weight", Role::Down { is_embedding: false }),
    (".lora_B.weight", Role::Up),
    (".lora_A.*.weight", Role::Down { is_embedding: false }),
    (".lora_B.*.weight", Role::Up),
    (".lora_embedding_A", Role::Down { is_embedding: true }),
    (".lora_embedding_B", Role::Up),
    (".lora_embedding_A.*", Role::Down { is_embedding: true }),
    (".lora_embedding_B.*", Role::Up),
    (".lora_down.weight", Role::Down { is_embedding: false }),
    (".lora_up.weight", Role::Up),
    (".lora.down.weight", Role::Down { is_embedding: false }),
    (".lora.up.weight", Role::Up),
    (".lora_linear_layer.down.weight", Role::Down { is_embedding: false }),
    (".lora_linear_layer.up.weight", Role::Up),
    (".alpha", Role::Alpha),
    (".lora_magnitude_vector", DORA),
    (".lora_magnitude_vector.*", DORA),
    (".lora_magnitude_vector.*.weight", DORA),
    (".dora_scale", DORA),
    (".lora_mid.weight", Role::Other("an adapter of three factors (Tucker)")),
    (".lora_A.bias", BIAS),
    (".lora_B.bias", BIAS),
    (".lora_A.*.bias", BIAS),
    (".lora_B.*.bias", BIAS),
];

const DORA: Role = Role::Other("an adapter with magnitudes (DoRA)");
const BIAS: Role = Role::Other("an adapter with a bias of its own (lora_bias)");

/// Beginnings of last segments that adapters of other kinds have.
const OTHERS: [(&str, &str); 12] = [
    ("hada_", "an adapter of products (LoHa)"),
    ("lokr_", "an adapter of Kronecker products (LoKr)"),
    ("lora_E", "an adapter of singular values (AdaLoRA)"),
    ("ranknum", "an adapter of singular values (AdaLoRA)"),
    ("ia3_l", "an adapter of factors (IA³)"),
    ("vera_lambda", "an adapter of shared factors (VeRA)"),
    ("oft_", "an adapter of rotations (OFT)"),
    ("boft_", "an adapter of rotations (BOFT)"),
    ("prompt_embeddings", "a tuned prompt"),
    ("diff", "a difference of whole weights"),
    ("w_norm", "a difference of norms"),
    ("b_norm", "a difference of norms"),
];

impl Piece {
    pub(super) fn of(key: &str) -> Piece {
        for (end, role) in ENDS {
            if let Some(module) = before(key, end) {
                return Piece { module: unwrapped(module), role };
            }
        }
        let mut last = key.rsplit('.');
        let names = [last.next(), last.next()];
        let others = OTHERS
            .iter()
            .filter(|(start, _)| names.iter().flatten().any(|name| name.starts_with(start)));
        let role = match others.map(|(_, what)| *what).next() {
            Some(what) => Role::Other(what),
            None => Role::Whole,
        };
        Piece { module: key.to_string(), role }
    }
}

/// What comes before the end of a key.
fn before<'a>(key: &'a str, end: &str) -> Option<&'a str> {
    let Some((start, rest)) = end.split_once('*') else { return key.strip_suffix(end) };
    let (module, name) = key.strip_suffix(rest)?.rsplit_once(start)?;
    (!name.is_empty() && !name.contains('.')).then_some(module)
}

/// The name that a tensor or a module had before PEFT wrapped the model.
pub(super) fn unwrapped(name: &str) -> String {
    let name = name.strip_prefix(WRAPPED).unwrap_or(name);
    let name = name.replace(".base_layer.", ".");
    match name.split_once(".modules_to_save.") {
        Some((module, rest)) => match rest.split_once('.') {
            Some((_, own)) => format!("{module}.{own}"),
            None => format!("{module}.{rest}"),
        },
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_tensor_is() {
        let check = |key: &str, module: &str, role: Role| {
            assert_eq!(Piece::of(key), Piece { module: module.into(), role }, "{key}");
        };
        let down = Role::Down { is_embedding: false };
        check("base_model.model.h.0.attn.lora_A.weight", "h.0.attn", down);
        check("base_model.model.h.0.attn.lora_B.default.weight", "h.0.attn", Role::Up);
        check("wte.lora_embedding_A", "wte", Role::Down { is_embedding: true });
        check("wte.lora_embedding_B.default", "wte", Role::Up);
        check("lora_unet_mid_to_q.lora_down.weight", "lora_unet_mid_to_q", down);
        check("lora_unet_mid_to_q.alpha", "lora_unet_mid_to_q", Role::Alpha);
        check("unet.mid.to_q.lora.up.weight", "unet.mid.to_q", Role::Up);
        check("a.lora_magnitude_vector.default.weight", "a", DORA);
        check("a.lora_B.bias", "a", BIAS);
        check("score.weight", "score.weight", Role::Whole);
        let loha = Role::Other("an adapter of products (LoHa)");
        check("lora_unet_a.hada_w1_a", "lora_unet_a.hada_w1_a", loha);
    }

    #[test]
    fn wrapped_names_are_those_of_before() {
        let check = |name: &str, expected: &str| assert_eq!(unwrapped(name), expected);
        check("base_model.model.a.base_layer.weight", "a.weight");
        check("base_model.model.score.modules_to_save.default.weight", "score.weight");
        check("score.modules_to_save.weight", "score.weight");
        check("a.bias", "a.bias");
    }
}
