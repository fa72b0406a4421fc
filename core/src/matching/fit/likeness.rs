//! How alike the words of two names are.

use alloc::string::String;
use alloc::vec::Vec;

/// Letters of a word, from which on it may be part of another: `norm` in `layernorm`.
const MIN_WITHIN: usize = 4;

/// The words of a name, in small letters: `SelfAttention_1` has `self` and `attention`.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = Vec::from([String::new()]);
    let mut was_lower = false;
    for c in name.chars() {
        let starts = c.is_uppercase() && was_lower;
        was_lower = c.is_lowercase();
        if !c.is_alphabetic() || starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphabetic()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.iter_mut().for_each(spell_out);
    words
}

/// Puts the whole word in the place of what is short for it.
fn spell_out(word: &mut String) {
    match word.as_str() {
        "bn" => *word = "batchnorm".into(),
        "ln" => *word = "layernorm".into(),
        _ => {}
    }
}

/// How many words of one name are words of the other, or begin one, or are part of one.
pub(super) fn likeness(a: &[String], b: &[String]) -> usize {
    a.iter().filter(|word| b.iter().any(|other| words_alike(word, other))).count()
}

fn words_alike(a: &str, b: &str) -> bool {
    a.starts_with(b)
        || b.starts_with(a)
        || a.len() >= MIN_WITHIN && b.contains(a)
        || b.len() >= MIN_WITHIN && a.contains(b)
}
