//! Rules found behind renamed keys.

mod generate;

use std::collections::HashSet;

use generate::scenes;
use proptest::prelude::ProptestConfig;
use proptest::proptest;
use statedict_core::{
    Fate, Rule,
    generalise::{Generalised, generalise},
};

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(old, new)| (old.to_string(), new.to_string())).collect()
}

/// What the stages make of a key, as a plan would: what no rule recognises keeps its name.
fn applied(stages: &[Rule], key: &str) -> Option<String> {
    stages.iter().try_fold(key.to_string(), |name, stage| match stage.apply(&name) {
        Fate::Becomes(name) => Some(name),
        Fate::Undefined => Some(name),
        Fate::Dropped => None,
    })
}

/// The rules for these pairs, once they were seen to do what the pairs say.
fn found(pairs: &[(String, String)], dropped: &[&str]) -> Generalised {
    let dropped: Vec<String> = dropped.iter().map(ToString::to_string).collect();
    let found = generalise(pairs, &dropped);
    for (old, new) in pairs.iter().filter(|pair| !found.inexpressible.contains(pair)) {
        assert_eq!(applied(&found.stages, old).as_ref(), Some(new), "{:?}", found.stages);
    }
    for key in dropped {
        assert_eq!(applied(&found.stages, &key), None, "{:?}", found.stages);
    }
    found
}

fn rules(found: &Generalised) -> Vec<String> {
    found.stages.iter().flat_map(Rule::alternatives).map(ToString::to_string).collect()
}

fn check(pairs: &[(&str, &str)], dropped: &[&str], expected: &[&str]) {
    assert_eq!(rules(&found(&owned(pairs), dropped)), expected);
}

/// The pairs for every layer, `#` standing for its number on the left, `@` for that on the right.
fn layers(
    numbers: std::ops::Range<u64>,
    shift: i64,
    pairs: &[(&str, &str)],
) -> Vec<(String, String)> {
    let layer = |number: u64| {
        let new = number.checked_add_signed(shift).expect("no layer before the first").to_string();
        let number = number.to_string();
        pairs.iter().map(move |(a, b)| (a.replace('#', &number), b.replace('@', &new)))
    };
    numbers.flat_map(layer).collect()
}

#[test]
fn a_prefix_is_one_rule() {
    check(
        &[("encoder.a.w", "backbone.a.w"), ("encoder.b.w", "backbone.b.w")],
        &[],
        &["rename:encoder.{rest..} -> backbone.{rest..}"],
    );
    check(&[("a.w", "net.a.w"), ("b.w", "net.b.w")], &[], &["rename:{rest..} -> net.{rest..}"]);
}

#[test]
fn wrappers_are_taken_out_where_all_are() {
    check(&[("module.a.w", "a.w"), ("b.module.w", "b.w")], &[], &["unwrap"]);
    check(
        &[("module.a.w", "module.a.w"), ("c.w", "d.w"), ("c.b", "d.b")],
        &[],
        &["rename:c.{rest..} -> d.{rest..}"],
    );
}

#[test]
fn numbers_that_go_along_are_captured() {
    let block = [
        ("layers.#.attn.qkv.weight", "blocks.@.attention.qkv.weight"),
        ("layers.#.attn.proj.weight", "blocks.@.attention.proj.weight"),
        ("layers.#.norm.weight", "blocks.@.norm.weight"),
        ("layers.#.mlp.fc1.weight", "blocks.@.mlp.fc1.weight"),
        ("layers.#.mlp.fc2.weight", "blocks.@.mlp.fc2.weight"),
    ];
    let expected = |shift: &str| {
        [
            format!(
                "rename:layers.{{i}}.attn.{{rest..}} -> blocks.{{i{shift}}}.attention.{{rest..}}"
            ),
            format!("rename:layers.{{i}}.{{rest..}} -> blocks.{{i{shift}}}.{{rest..}}"),
        ]
    };
    assert_eq!(rules(&found(&layers(0..3, 1, &block), &[])), expected("+1"));
    assert_eq!(rules(&found(&layers(5..8, -5, &block), &[])), expected("-5"));
}

#[test]
fn rules_hold_for_more_layers_than_were_seen() {
    let block = [("layer#.bn.gamma", "res@.norm.weight"), ("layer#.conv.w", "res@.conv.w")];
    let stages = found(&layers(1..5, 1, &block), &[]).stages;
    assert_eq!(applied(&stages, "layer40.bn.gamma").as_deref(), Some("res41.norm.weight"));
    assert_eq!(applied(&stages, "layer40.conv.w").as_deref(), Some("res41.conv.w"));
}

#[test]
fn leaves_are_renamed_wherever_they_are() {
    check(
        &[
            ("a.norm.gamma", "a.norm.weight"),
            ("a.norm.beta", "a.norm.bias"),
            ("b.c.norm.gamma", "b.c.norm.weight"),
            ("b.c.norm.beta", "b.c.norm.bias"),
            ("a.fc.weight", "a.fc.weight"),
        ],
        &[],
        &["rename:{rest..}.gamma -> {rest..}.weight", "rename:{rest..}.beta -> {rest..}.bias"],
    );
}

#[test]
fn exceptions_come_before_the_rule() {
    check(
        &[
            ("a.w", "net.a.w"),
            ("b.w", "net.b.w"),
            ("c.w", "net.c.w"),
            ("head.fc.w", "classifier.w"),
            ("pos", "pos"),
        ],
        &[],
        &["table:head.fc.w -> classifier.w ; pos -> pos", "rename:{rest..} -> net.{rest..}"],
    );
}

#[test]
fn a_range_of_layers_may_go_elsewhere() {
    let first = layers(0..6, 0, &[("layers.#.w", "enc.@.w"), ("layers.#.b", "enc.@.b")]);
    let last = layers(6..12, -6, &[("layers.#.w", "dec.@.w"), ("layers.#.b", "dec.@.b")]);
    let found = found(&[first, last].concat(), &[]);
    let expected = [
        "rename:layers.{i}.{rest..} -> dec.{i-6}.{rest..}",
        "rename:layers.{rest..} -> enc.{rest..}",
    ];
    assert_eq!(rules(&found), expected);
}

#[test]
fn names_that_change_places_do() {
    check(
        &[("a.w", "b.w"), ("a.b", "b.b"), ("b.w", "a.w"), ("b.b", "a.b")],
        &[],
        &["rename:b.{rest..} -> a.{rest..}", "rename:a.{rest..} -> b.{rest..}"],
    );
}

#[test]
fn what_follows_no_rule_is_listed() {
    let pairs = [("features.0.w", "c1.w"), ("features.3.w", "c2.w"), ("features.4.w", "c9.w")];
    let found = found(&owned(&pairs), &[]);
    assert_eq!(found.literal, owned(&pairs));
}

#[test]
fn keys_that_go_are_dropped_before_the_others_are_renamed() {
    check(
        &[("module.a.w", "a.w"), ("module.b.w", "b.w")],
        &["module.fc.w", "module.fc.b", "epoch"],
        &["drop:module.fc.** epoch", "unwrap"],
    );
}

#[test]
fn nothing_to_do_is_not_a_stage() {
    check(&[("a", "a"), ("", "")], &[], &[]);
    check(&[], &[], &[]);
}

#[test]
fn what_no_rule_can_say_is_reported() {
    let pairs = owned(&[("", "a"), ("b", "c"), ("b", "d")]);
    assert_eq!(found(&pairs, &[]).inexpressible, pairs);
}

#[test]
fn odd_names_are_taken_literally() {
    let pairs = [
        ("a{i}.*.w", "b{i}.**.w"),
        ("a{i}.*.b", "b{i}.**.b"),
        ("x -> y.007.w", "x.-> 7.w"),
        ("re:^.\\.é\n", "\u{0}"),
        ("a..b", ".a.."),
    ];
    found(&owned(&pairs), &["{", "a{i}.*"]);
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    /// Some keys are renamed by rules, some by chance, some go: the rules do all of it.
    #[test]
    fn rules_do_exactly_what_the_pairs_say(mut scene in scenes()) {
        let rules = [scene.dice.rule(&scene.keys), scene.dice.rule(&scene.keys)];
        let (mut pairs, mut dropped, mut taken) = (Vec::new(), Vec::new(), HashSet::new());
        for key in &scene.keys {
            let new = match scene.dice.throw(8) {
                7 => scene.dice.key(),
                i => match rules[i % 2].apply(key) {
                    Fate::Becomes(new) => new,
                    Fate::Undefined => key.clone(),
                    Fate::Dropped => {
                        dropped.push(key.as_str());
                        continue;
                    }
                },
            };
            if taken.insert(new.clone()) {
                pairs.push((key.clone(), new));
            }
        }
        found(&pairs, &dropped);
    }
}
