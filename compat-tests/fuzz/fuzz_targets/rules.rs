//! Any text as a rule: read, printed, read again, held against keys, sizes put in, led back.
#![no_main]

use statedict_core::sizes::{SizeExpression, Sizes};
use statedict_core::{Fate, Rule};

const KEYS: [&str; 5] = ["a.b.0.w", "a", "", "x_1_2.y.z", "layers.11.attn.q.weight"];

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(expression) = SizeExpression::parse(&text) {
        let again = SizeExpression::parse(&expression.to_string());
        assert_eq!(again, Ok(expression), "{text}");
    }
    let Ok(rule) = Rule::rename(&text, '.') else { return };
    let words = rule.renames().expect("a rename has words");
    let again: Vec<Rule> = words.iter().map(|word| reread(word)).collect();
    assert_eq!(Rule::at_once(again), rule, "{text} is printed as {words:?}");
    let sizes: Sizes = rule.size_names().into_iter().map(|name| (name, 3)).collect();
    let rule = rule.with_sizes(&sizes).unwrap_or(rule);
    let _ = rule.in_words();
    let inverse = rule.invert();
    for key in KEYS.into_iter().chain([&*text]) {
        if let (Fate::Becomes(name), Some(inverse)) = (rule.apply(key), &inverse) {
            assert_eq!(inverse.apply(&name), Fate::Becomes(key.into()), "{text} on {key}");
        }
        for rule in rule.alternatives() {
            if let Rule::Tensor(rule) = rule
                && let Some((term, held)) = rule.recognise(key)
            {
                assert_eq!(rule.left()[term].template().fill(&held).as_deref(), Ok(key), "{text}");
            }
        }
    }
});

fn reread(word: &str) -> Rule {
    Rule::rename(word, '.').unwrap_or_else(|error| panic!("{word}: {error}"))
}
