//! What a module does in a transformer's layer, as the names say that models usually give it.
//!
//! Known is only what holds for all who use such names: `q_lin` and `query` are one projection, and
//! the norm before the attention is the first of two. A name with a word that is not known here, or
//! with words that contradict each other, says nothing.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::fit::likeness::{likeness, words};
use crate::matching::numbered::Numbered;
use crate::{IndexMap, SEPARATOR};

/// What a module does, and in which layer.
pub(super) struct Part<'n> {
    /// The path up to and with the last number.
    layer: &'n str,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Projection(Word, Attention),
    /// The projection beside the gate that is not gated.
    Up,
    /// The gated projection of a feed-forward block.
    Gate,
    /// The norm that goes with an attention.
    AttentionNorm(Attention),
    /// The norm that goes with the feed-forward block.
    FeedForwardNorm,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attention {
    Own,
    Cross,
}

/// What a word of a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Query,
    Key,
    Value,
    Output,
    Projection,
    Attention,
    Cross,
    Norm,
    Before,
    After,
    Last,
    FeedForward,
    Gate,
    Up,
    Stop,
}

/// What a name says by itself, or together with those beside it.
enum Said<'n> {
    Role(Role),
    /// The norm, or the weight `w`, of this number, and the name without it.
    Numbered(Word, &'n str, u64),
}

/// What each of several modules is, so far as all of their names say.
pub(super) fn parts<'n>(names: &[&'n str]) -> Vec<Option<Part<'n>>> {
    let said: Vec<_> = names.iter().map(|name| said(name)).collect();
    let mut numbers = IndexMap::<(&str, &str), Vec<u64>>::default();
    for (layer, said) in said.iter().flatten() {
        if let Said::Numbered(_, stem, number) = said {
            numbers.entry((*layer, *stem)).or_default().push(*number);
        }
    }
    numbers.values_mut().for_each(|all| all.sort_unstable());
    let parts = said.into_iter().map(|said| {
        let (layer, said) = said?;
        let role = match said {
            Said::Role(role) => Some(role),
            Said::Numbered(word, stem, number) => counted(word, &numbers[&(layer, stem)], number),
        };
        Some(Part { layer, role: role? })
    });
    parts.collect()
}

/// How much speaks for two parts being the same; 0 if they are not.
pub(super) fn sameness(a: Option<&Part>, b: Option<&Part>) -> usize {
    match (a, b) {
        (Some(a), Some(b)) if a.role == b.role && digits(a.layer) == digits(b.layer) => {
            1 + likeness(&words(a.layer), &words(b.layer))
        }
        _ => 0,
    }
}

/// The layer and what is said of the module in it.
fn said(name: &str) -> Option<(&str, Said<'_>)> {
    let (layer, inner) = layer(name);
    let own = inner.rsplit(SEPARATOR).find(|segment| !is_bare(segment))?;
    let known: Vec<Word> = words(inner).iter().map(|word| Word::of(word)).collect::<Option<_>>()?;
    let numbered = Numbered::of(own);
    if let (Some(number), "") = (numbered.number, numbered.after) {
        let stem = &name[..name.len() - number.to_string().len()];
        let is_plain = name.ends_with(own) && !known.contains(&Word::Attention);
        let word = match numbered.before {
            "w" => Word::Stop,
            _ if known.contains(&Word::Norm) => Word::Norm,
            _ => return None,
        };
        return is_plain.then_some((layer, Said::Numbered(word, stem, number)));
    }
    let role = role(&known, layer, own)?;
    Some((layer, Said::Role(role)))
}

fn role(known: &[Word], layer: &str, own: &str) -> Option<Role> {
    let has = |word: Word| known.contains(&word);
    let only = |allowed: &[Word]| known.iter().all(|word| allowed.contains(word));
    let attention = if has(Word::Cross) { Attention::Cross } else { Attention::Own };
    if has(Word::Norm) {
        return norm(known, own).filter(|_| !layer.is_empty());
    }
    let around = [Word::Attention, Word::Cross, Word::Projection, Word::Stop];
    let projections = [Word::Query, Word::Key, Word::Value];
    if let Some(projection) = projections.into_iter().find(|it| has(*it)) {
        let is_all = only(&[&around[..], &[projection]].concat());
        return is_all.then_some(Role::Projection(projection, attention));
    }
    let is_out = has(Word::Attention) && (has(Word::Output) || has(Word::Projection));
    if is_out && only(&[&around[..], &[Word::Output]].concat()) {
        return Some(Role::Projection(Word::Output, attention));
    }
    let within = [Word::FeedForward, Word::Projection, Word::Stop];
    match (has(Word::Gate), has(Word::Up)) {
        (true, false) if only(&[&within[..], &[Word::Gate]].concat()) => Some(Role::Gate),
        (false, true) if only(&[&within[..], &[Word::Up]].concat()) => Some(Role::Up),
        _ => None,
    }
}

/// Which norm of a layer it is; one within the attention is neither.
fn norm(known: &[Word], own: &str) -> Option<Role> {
    let has = |word: Word| known.contains(&word);
    let of_attention =
        |words: &[Word]| words.contains(&Word::Attention) || words.contains(&Word::Cross);
    let own: Vec<Word> = words(own).iter().filter_map(|word| Word::of(word)).collect();
    let attention = if has(Word::Cross) { Attention::Cross } else { Attention::Own };
    if [Word::Query, Word::Key, Word::Value, Word::Gate, Word::Up].into_iter().any(has) {
        return None;
    }
    if has(Word::After) || has(Word::FeedForward) {
        return Some(Role::FeedForwardNorm);
    }
    if of_attention(known) {
        let is_beside = of_attention(&own) || has(Word::Output);
        return is_beside.then_some(Role::AttentionNorm(attention));
    }
    match (has(Word::Before), has(Word::Last) || has(Word::Output)) {
        (true, false) => Some(Role::AttentionNorm(Attention::Own)),
        (false, true) => Some(Role::FeedForwardNorm),
        _ => None,
    }
}

/// What the number means among all that there are.
fn counted(word: Word, all: &[u64], number: u64) -> Option<Role> {
    let place = all.iter().position(|other| *other == number)?;
    let own = Role::AttentionNorm(Attention::Own);
    match (word, all, place) {
        (Word::Norm, [0, 1] | [1, 2] | [0, 1, 2] | [1, 2, 3], 0) => Some(own),
        (Word::Norm, [0, 1] | [1, 2], 1) | (Word::Norm, [0, 1, 2] | [1, 2, 3], 2) => {
            Some(Role::FeedForwardNorm)
        }
        (Word::Norm, [0, 1, 2] | [1, 2, 3], 1) => Some(Role::AttentionNorm(Attention::Cross)),
        // The second has another shape, and so is not among them.
        (Word::Stop, [1, 3], 0) => Some(Role::Gate),
        (Word::Stop, [1, 3], 1) => Some(Role::Up),
        _ => None,
    }
}

impl Word {
    /// What a word means; none if it is not known.
    fn of(word: &str) -> Option<Word> {
        Some(match word {
            "q" | "query" | "wq" => Word::Query,
            "k" | "key" | "wk" => Word::Key,
            "v" | "value" | "wv" => Word::Value,
            "o" | "wo" | "out" | "output" => Word::Output,
            "proj" | "projection" | "dense" => Word::Projection,
            "attn" | "attention" | "sa" | "mha" => Word::Attention,
            "cross" | "enc" | "encoder" | "multihead" => Word::Cross,
            "norm" | "layernorm" | "rmsnorm" => Word::Norm,
            "pre" | "before" | "input" => Word::Before,
            "post" | "after" => Word::After,
            "final" => Word::Last,
            "ffn" | "mlp" | "ff" | "feed" | "forward" | "feedforward" => Word::FeedForward,
            "gate" => Word::Gate,
            "up" => Word::Up,
            "self" | "layer" | "lin" | "linear" | "c" | "w" | "to" | "dec" => Word::Stop,
            _ => return None,
        })
    }
}

/// A path up to and with its last number before the module's own name, and what follows.
fn layer(name: &str) -> (&str, &str) {
    let (mut start, mut layer_end) = (0, 0);
    let mut pending = 0;
    for segment in name.split(SEPARATOR) {
        let end = start + segment.len();
        if !is_bare(segment) {
            layer_end = pending;
        }
        if is_bare(segment) || Numbered::of(segment).number.is_some() {
            pending = end;
        }
        start = end + SEPARATOR.len_utf8();
    }
    let inner = &name[layer_end..];
    (&name[..layer_end], inner.strip_prefix(SEPARATOR).unwrap_or(inner))
}

/// True for a number, or the placeholder for one.
fn is_bare(segment: &str) -> bool {
    segment == "\u{0}" || Numbered::of(segment).is_bare()
}

fn digits(path: &str) -> String {
    path.chars().filter(char::is_ascii_digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Holds the parts of both sides against each other; `-` where a name says nothing.
    fn check(sources: &[&str], targets: &[&str]) {
        let (own, theirs) = (parts(sources), parts(targets));
        for (a, (name, part)) in sources.iter().zip(&own).enumerate() {
            for (b, (other, its)) in targets.iter().zip(&theirs).enumerate() {
                let is_same = sameness(part.as_ref(), its.as_ref()) > 0;
                assert_eq!(is_same, a == b, "{name} and {other}");
            }
        }
    }

    #[test]
    fn projections_of_attention_are_known_in_all_spellings() {
        let theirs = ["self.query", "self.key", "self.value", "output.dense"];
        let theirs = theirs.map(|it| ["h.\u{0}.attention.", it].concat());
        let theirs: Vec<&str> = theirs.iter().map(String::as_str).collect();
        for names in [
            ["attention.wq", "attention.wk", "attention.wv", "attention.wo"],
            ["attn.q_lin", "attn.k_lin", "attn.v_lin", "attn.out_lin"],
            ["attn.to_q", "attn.to_k", "attn.to_v", "attn.to_out.\u{0}"],
            ["SelfAttention.q", "SelfAttention.k", "SelfAttention.v", "SelfAttention.o"],
            ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.dense"],
        ] {
            check(
                &names.map(|it| ["l.\u{0}.", it].concat()).each_ref().map(|it| it.as_str()),
                &theirs,
            );
        }
    }

    #[test]
    fn norms_go_with_what_they_are_for() {
        let pairs = |names: &[&str]| names.iter().map(|it| ["l.\u{0}.", it].concat()).collect();
        let two: [Vec<String>; 7] = [
            pairs(&["norm1", "norm2"]),
            pairs(&["ln_1", "ln_2"]),
            pairs(&["layernorm_before", "layernorm_after"]),
            pairs(&["attention_norm", "ffn_norm"]),
            pairs(&["input_layernorm", "post_attention_layernorm"]),
            pairs(&["self_attn_layer_norm", "final_layer_norm"]),
            pairs(&["attention.output.LayerNorm", "output.LayerNorm"]),
        ];
        let three: [Vec<String>; 3] = [
            pairs(&["norm1", "norm2", "norm3"]),
            pairs(&["attn_ln", "cross_attn_ln", "mlp_ln"]),
            pairs(&["self_attn_layer_norm", "encoder_attn_layer_norm", "final_layer_norm"]),
        ];
        for (own, theirs) in two
            .iter()
            .flat_map(|own| two.iter().map(move |it| (own, it)))
            .chain(three.iter().flat_map(|own| three.iter().map(move |it| (own, it))))
        {
            let texts = |names: &'_ [String]| names.to_vec();
            let (own, theirs) = (texts(own), texts(theirs));
            let own: Vec<&str> = own.iter().map(String::as_str).collect();
            check(&own, &theirs.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }

    #[test]
    fn what_is_not_known_says_nothing() {
        let names = [
            "l.\u{0}.attn.qkv",
            "l.\u{0}.attn.in_proj_weight",
            "l.\u{0}.attention.query_key_value",
            "l.\u{0}.attn.norm",
            "l.\u{0}.attn.q_norm",
            "l.\u{0}.mlp.gate_up_proj",
            "l.\u{0}.output.dense",
            "l.\u{0}.ffn.w1",
            "model.final_layer_norm",
            "norm",
        ];
        for (name, part) in names.iter().zip(parts(&names)) {
            assert!(part.is_none(), "{name}");
        }
    }

    #[test]
    fn gates_are_first_among_three() {
        check(
            &["l.\u{0}.ff.w1", "l.\u{0}.ff.w3"],
            &["m.\u{0}.mlp.gate_proj", "m.\u{0}.mlp.up_proj"],
        );
    }
}
