//! A rule is the same as text, in a recipe and as arguments, there and back.

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any};
use proptest::sample::select;
use proptest::{prop_assert_eq, prop_oneof, proptest};
use statedict::core::{Fate, Remap, Rule, Words};

use super::*;
use crate::hints::command_line::{joined, words_of_rule};

/// Parts of words: what real ones are made of, and what breaks careless code.
const PARTS: [&str; 26] = [
    "a", "module", "layers.0", ".", "w", "/", " ", ";", " ; ", ";;", "|", " | ", "\"", "'", "\n",
    "\\\\", "\\*", "-", "=", "é", "\u{202e}", "identity", ":", "[", "#", "-\\>",
];

fn text() -> impl Strategy<Value = String> {
    vec(select(&PARTS[..]), 1..5).prop_map(|parts| parts.concat())
}

fn rename() -> impl Strategy<Value = String> {
    prop_oneof![
        (text(), text()).prop_map(|(from, to)| format!("{from} -> {to}")),
        (text(), text()).prop_map(|(from, to)| format!("{from}.{{i}} -> {to}.{{i+1}}")),
        (text(), text()).prop_map(|(from, to)| format!("{from}.{{r..}} -> {to}")),
        (select(&PARTS[..6]), text()).prop_map(|(from, to)| format!("re:{from} -> {to}")),
    ]
}

fn filling() -> impl Strategy<Value = String> {
    prop_oneof![
        text().prop_map(|key| format!("{key}[2 n=3] = constant(-1.5) F32")),
        (text(), text())
            .prop_map(|(from, to)| format!("{from}.{{i}}[o d] -> {to}.{{i}}[o] = zeros")),
        (text(), text())
            .prop_map(|(from, to)| format!("{from}.{{r..}} -> {to}.{{r..}} = ones I64")),
        text().prop_map(|key| format!("a.{{i}} -> b.{{i}}.{key}[1 n n] = triangle BOOL")),
    ]
}

/// A kind, and words of the form that it takes.
fn words() -> impl Strategy<Value = (RuleKind, Vec<String>)> {
    select(&RuleKind::ALL[..]).prop_flat_map(|kind| {
        let words = match kind.words() {
            Words::Prefix => vec(text(), 1).boxed(),
            Words::Segments => vec(text(), 0..3).boxed(),
            Words::Renames => vec(rename(), 1..4).boxed(),
            Words::Patterns => vec(prop_oneof![text(), Just("a.**".into())], 1..4).boxed(),
            Words::Types => vec(select(&["bf16", "f32", "a.**=f16", "x y.*=f64"][..]), 1..4)
                .prop_map(|words| words.into_iter().map(String::from).collect())
                .boxed(),
            Words::AnyPatterns => vec(prop_oneof![text(), Just("a.**".into())], 0..4).boxed(),
            Words::Fillings => vec(filling(), 1..4).boxed(),
            Words::Pairs => vec((text(), text()), 1..4)
                .prop_map(|pairs| pairs.into_iter().flat_map(|(a, b)| [a, b]).collect())
                .boxed(),
        };
        (Just(kind), words)
    })
}

/// The rules that a command line asks for.
fn typed(rule: &Rule) -> Rules {
    let (name, mut words, options) = words_of_rule(rule).expect("each kind has a command");
    words.push("net.pth".into());
    let line = [vec!["statedict".into()], joined(name, words, options)].concat();
    let words: Vec<OsString> = line.iter().map(OsString::from).collect();
    let args = parse(&words).unwrap_or_else(|error| panic!("{line:?}: {error}"));
    match args.task() {
        Ok(Task::Rename(several)) => several.requests[0].job.rules.clone(),
        Ok(_) => panic!("{line:?} renames nothing"),
        Err(_) => panic!("{line:?} asks for no rule"),
    }
}

/// What the rules of a command line make of a key.
fn fate(rules: &Rules, key: &str) -> Fate {
    match rules {
        Rules::Stages(stages) => stages[0].apply(key),
        Rules::Recipe(_) | Rules::Undone(_) | Rules::Saved(_) | Rules::Merge(_) => panic!("stages"),
    }
}

fn check(kind: RuleKind, words: &[&str]) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_string()).collect();
    let rule = kind.rule(&words, '.').expect("a rule");
    assert_eq!(rule.words(), Some((kind, words)), "{rule}");
    let read = Rules::Stages(vec![rule.clone()]);
    let recipe = recipe::to_text(std::slice::from_ref(&rule)).expect("a recipe");
    assert_eq!(recipe::parse(&recipe, None), Ok(read.clone()), "{recipe}");
    assert_eq!(rule.to_string().parse(), Ok(rule.clone()), "{rule}");
    match &rule {
        Rule::Remap(Remap::Table(table)) => {
            for (old, new) in table.pairs() {
                assert_eq!(fate(&typed(&rule), old), Fate::Becomes(new.into()), "{old}");
            }
        }
        rule => assert_eq!(typed(rule), read, "{rule}"),
    }
}

#[test]
fn each_kind_of_rule_is_text_a_recipe_and_a_command() {
    for kind in RuleKind::ALL {
        match kind.words() {
            Words::Prefix => check(kind, &["a.b"]),
            Words::Segments => {
                check(kind, &[]);
                check(kind, &["module", "x"]);
            }
            Words::Renames => {
                check(kind, &["a.{r..} -> b.{r..}"]);
                check(kind, &["re:a$ -> b"]);
                check(kind, &["a -> b", r"re:^a\.(\w+) -> b.$1", "b ; c -> a"]);
            }
            Words::Patterns => {
                check(kind, &["a.**", "*.b"]);
                // A blank before a sign and a number is escaped already, and is so once.
                check(kind, &[r"a\ + 1", r"b\ - 2.c"]);
            }
            Words::Pairs => check(kind, &["a", "b", "b.c", "a"]),
            Words::Types => {
                check(kind, &["bf16"]);
                check(kind, &["a.**=f32", "f16"]);
            }
            Words::AnyPatterns => {
                check(kind, &[]);
                check(kind, &["a.**", "*.b"]);
            }
            Words::Fillings => {
                check(kind, &["mask[1 1 n n] = triangle BOOL"]);
                check(
                    kind,
                    &["h.{i}.k.weight[o d] -> h.{i}.{k,v}.bias[o] = zeros", "p[8] = arange I64"],
                );
            }
        }
    }
}

#[test]
fn the_help_of_apply_names_each_kind_of_rule() {
    let args = command();
    let apply = args.find_subcommand("apply").expect("a command");
    let help = apply.get_long_about().expect("a long help").to_string();
    for kind in RuleKind::ALL {
        assert!(help.contains(kind.name()), "{}", kind.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_rule_is_the_same_on_every_surface((kind, words) in words(), slash in any::<bool>()) {
        let separator = if slash { '/' } else { '.' };
        let Ok(rule) = kind.rule(&words, separator) else { return Ok(()) };
        let (same_kind, same_words) = rule.words().expect("it was made of words");
        prop_assert_eq!(same_kind, kind);
        prop_assert_eq!(&kind.rule(&same_words, separator), &Ok(rule.clone()));

        let text = rule.to_string();
        prop_assert_eq!(text.parse::<Rule>(), Ok(rule.clone()), "{}", text);

        let stages = vec![rule.clone()];
        let recipe = recipe::to_text(&stages).expect("a recipe");
        prop_assert_eq!(recipe::parse(&recipe, None), Ok(Rules::Stages(stages)), "{}", recipe);

        let typed = typed(&rule);
        match &rule {
            Rule::Remap(Remap::Table(table)) => {
                for (old, new) in table.pairs() {
                    prop_assert_eq!(fate(&typed, old), Fate::Becomes(new.into()), "{}", rule);
                }
            }
            rule => prop_assert_eq!(typed, Rules::Stages(vec![rule.clone()])),
        }
    }
}
