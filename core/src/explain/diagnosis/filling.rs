//! Which tensors a fit is asked to initialise, and how.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::{IndexMap, SEPARATOR, Template, explain::Shapes};

/// Patterns of keys beyond which one pattern replaces all.
const MAX_PATTERNS: usize = 6;

/// Parts of names that embeddings have: their rows are words or places, and keep their meaning
/// where there are more of them.
const EMBEDDINGS: [&str; 6] = ["embed", "wte", "wpe", "lm_head", "shared", "tok_emb"];

/// True for a shape of which only the number of rows differs.
pub(super) fn has_other_rows(shapes: &Shapes) -> bool {
    let (a, b) = (&shapes.checkpoint, &shapes.model);
    !a.is_empty() && a.len() == b.len() && a[1..] == b[1..]
}

/// The only dimension of which the size differs, if it is not that of the rows.
pub(super) fn other_dimension(shapes: &Shapes) -> Option<usize> {
    let (a, b) = (&shapes.checkpoint, &shapes.model);
    let mut other = (0..a.len()).filter(|dim| a.get(*dim) != b.get(*dim));
    match (other.next(), other.next()) {
        (Some(dim @ 1..), None) if a.len() == b.len() => Some(dim),
        _ => None,
    }
}

/// True for rows that keep their meaning.
pub(super) fn is_embedding(shapes: &Shapes) -> bool {
    has_other_rows(shapes) && EMBEDDINGS.iter().any(|name| shapes.key.contains(name))
}

/// Few patterns that match these keys; those of one module share one.
pub(super) fn patterns<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut modules = IndexMap::<Option<&str>, Vec<&str>>::default();
    for key in keys {
        modules.entry(key.rsplit_once(SEPARATOR).map(|(path, _)| path)).or_default().push(key);
    }
    let literal = |text: &str| Template::literal(text, SEPARATOR).to_string();
    let mut patterns = Vec::new();
    for (module, keys) in modules {
        match module {
            Some(module) if keys.len() > 1 => {
                patterns.push(format!("{}{SEPARATOR}*", literal(module)));
            }
            _ => patterns.extend(keys.into_iter().map(literal)),
        }
    }
    if patterns.len() > MAX_PATTERNS { ["**".to_string()].into() } else { patterns }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_one_module_share_a_pattern() {
        assert_eq!(patterns(["a.w", "a.b", "c.w", "d"]), ["a.*", "c.w", "d"]);
        let many: Vec<String> = (0..9).map(|number| format!("a.{number}.w")).collect();
        assert_eq!(patterns(many.iter().map(String::as_str)), ["**"]);
    }

    #[test]
    fn one_dimension_beyond_the_rows_can_be_named() {
        let check = |checkpoint: &[u64], model: &[u64], expected| {
            let shapes = Shapes {
                key: "conv_in.weight".into(),
                checkpoint: checkpoint.into(),
                model: model.into(),
            };
            assert_eq!(other_dimension(&shapes), expected, "{checkpoint:?} {model:?}");
        };
        check(&[320, 4, 3, 3], &[320, 9, 3, 3], Some(1));
        check(&[1, 197, 768], &[1, 577, 768], Some(1));
        check(&[8, 4, 3, 3], &[8, 4, 3, 5], Some(3));
        check(&[8, 4], &[9, 4], None);
        check(&[8, 4], &[9, 5], None);
        check(&[8, 4], &[8, 4, 1], None);
        check(&[], &[], None);
    }

    #[test]
    fn rows_of_embeddings_are_words() {
        let shapes = |key: &str, checkpoint: &[u64], model: &[u64]| Shapes {
            key: key.into(),
            checkpoint: checkpoint.into(),
            model: model.into(),
        };
        assert!(is_embedding(&shapes("tok_embeddings.weight", &[10, 4], &[12, 4])));
        assert!(!is_embedding(&shapes("fc.weight", &[10, 4], &[12, 4])));
        assert!(!is_embedding(&shapes("pos_embed", &[1, 10, 4], &[1, 12, 4])));
    }
}
