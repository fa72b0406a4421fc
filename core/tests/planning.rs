//! What plans promise, held against a naive model that works on lists of segments.

mod generate;

use std::collections::HashSet;

use generate::{Dice, Scene, escaped, scenes};
use proptest::prelude::ProptestConfig;
use proptest::{prop_assert, prop_assert_eq, proptest};
use statedict_core::{
    Catalog, DuplicateKey, Issue, Plan, PlanError, Planned, Policy, Remap, Rule, Table, Undefined,
    Unmatched, WRAPPERS, plan, plan_stages,
};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() }
}

/// An operation as the model knows it.
#[derive(Clone, Debug)]
enum Naive {
    Strip(Vec<String>),
    Add(Vec<String>),
    Swap(Vec<String>, Vec<String>),
    Behead,
    Unwrap,
    Keep(Vec<String>),
    Drop(Vec<String>),
    Table(Vec<(String, String)>),
}

/// What the model makes of a key.
#[derive(Clone, Debug, PartialEq)]
enum Out {
    Becomes(Vec<String>),
    Dropped,
    Emptied,
    /// The operation does not recognise the key, and this is its result when alone.
    Unrecognised(Option<Vec<String>>),
    Undefined,
}

fn segments(key: &str) -> Vec<String> {
    key.split('.').map(String::from).collect()
}

fn named(segments: &[String]) -> Out {
    if segments.is_empty() || segments == [""] {
        return Out::Emptied;
    }
    Out::Becomes(segments.to_vec())
}

impl Naive {
    fn apply(&self, key: &[String]) -> Out {
        if key == [""] && !matches!(self, Naive::Keep(_) | Naive::Drop(_)) {
            return Out::Undefined;
        }
        match self {
            Naive::Add(prefix) => named(&[prefix, key].concat()),
            Naive::Strip(prefix) => match key.strip_prefix(prefix.as_slice()) {
                Some([]) | None => Out::Undefined,
                Some(rest) => named(rest),
            },
            Naive::Swap(old, new) => match key.strip_prefix(old.as_slice()) {
                Some(rest) => named(&[new, rest].concat()),
                None => Out::Undefined,
            },
            Naive::Behead if key[0].is_empty() => Out::Undefined,
            Naive::Behead => named(&key[1..]),
            Naive::Unwrap => {
                let (last, path) = key.split_last().expect("a key has a segment");
                let kept: Vec<_> =
                    path.iter().filter(|s| !WRAPPERS.contains(&s.as_str())).cloned().collect();
                match kept.len() == path.len() {
                    true => Out::Undefined,
                    false => named(&[kept, vec![last.clone()]].concat()),
                }
            }
            Naive::Keep(prefix) if key.starts_with(prefix) => Out::Becomes(key.to_vec()),
            Naive::Keep(_) => Out::Unrecognised(None),
            Naive::Drop(prefix) if key.starts_with(prefix) => Out::Dropped,
            Naive::Drop(_) => Out::Unrecognised(Some(key.to_vec())),
            Naive::Table(pairs) => match pairs.iter().find(|(old, _)| segments(old) == key) {
                Some((_, new)) => Out::Becomes(segments(new)),
                None => Out::Undefined,
            },
        }
    }

    fn rule(&self) -> Rule {
        let template = |prefix: &[String]| {
            prefix.iter().map(|segment| escaped(segment)).collect::<Vec<_>>().join(".")
        };
        let rename = |from: &str, to: &str| {
            let arrowless = |text: &str| text.replace("->", "-\\>").replace("re:", "r\\e:");
            Rule::rename(&format!("{} -> {}", arrowless(from), arrowless(to)), '.').expect("a rule")
        };
        let below = |prefix: &[String]| {
            let text = format!("{}.**", template(prefix));
            vec![statedict_core::Template::parse(&text, '.').expect("a template")]
        };
        match self {
            Naive::Strip(prefix) => Remap::strip(&slashed(prefix)).expect("a prefix").into(),
            Naive::Add(prefix) => Remap::add(&slashed(prefix)).expect("a prefix").into(),
            Naive::Swap(old, new) => {
                rename(&format!("{}.{{r..}}", template(old)), &format!("{}.{{r..}}", template(new)))
            }
            Naive::Behead => rename("{x}.{r..}", "{r..}"),
            Naive::Unwrap => Rule::unwrap_all(),
            Naive::Keep(prefix) => Remap::Keep(below(prefix)).into(),
            Naive::Drop(prefix) => Remap::Drop(below(prefix)).into(),
            Naive::Table(pairs) => Remap::Table(Table::new(pairs.clone()).expect("unique")).into(),
        }
    }
}

/// The prefix as it is typed, with its separator, so that a last empty segment is not lost.
fn slashed(prefix: &[String]) -> String {
    format!("{}.", prefix.join("."))
}

fn naive_rule(dice: &mut Dice, keys: &[String]) -> Naive {
    let prefix = |dice: &mut Dice| segments(dice.prefix(keys, '.').text());
    match dice.throw(9) {
        0 | 1 => Naive::Strip(prefix(dice)),
        2 => Naive::Add(prefix(dice)),
        3 => Naive::Swap(prefix(dice), prefix(dice)),
        4 => Naive::Behead,
        5 => Naive::Unwrap,
        6 => Naive::Keep(prefix(dice)),
        7 => Naive::Drop(prefix(dice)),
        _ => {
            let (old, new) = (dice.key_of(keys), dice.key_of(keys));
            let pairs = vec![(old, new)];
            Naive::Table(
                pairs.into_iter().filter(|(a, b)| !a.is_empty() && !b.is_empty()).collect(),
            )
        }
    }
}

fn naive_stages(dice: &mut Dice, keys: &[String]) -> Vec<Vec<Naive>> {
    let count = 1 + dice.throw(3);
    (0..count).map(|_| (0..1 + dice.throw(2)).map(|_| naive_rule(dice, keys)).collect()).collect()
}

fn policy(dice: &mut Dice) -> Policy {
    let undefined = [Undefined::Keep, Undefined::Keep, Undefined::Refuse, Undefined::Drop];
    let unmatched = [Unmatched::Refuse, Unmatched::Allow];
    Policy { undefined: undefined[dice.throw(4)], unmatched: unmatched[dice.throw(2)] }
}

/// What the model makes of all keys; `None` where it refuses.
fn modelled(
    stages: &[Vec<Naive>],
    keys: &[String],
    policy: Policy,
) -> Option<Vec<(String, Option<String>)>> {
    let mut names: Vec<Option<Vec<String>>> = keys.iter().map(|k| Some(segments(k))).collect();
    let mut recognised = 0;
    for stage in stages {
        for name in &mut names {
            let Some(old) = name.clone() else { continue };
            let mut outs = stage.iter().map(|rule| rule.apply(&old));
            let hit = outs.clone().find(|o| !matches!(o, Out::Undefined | Out::Unrecognised(_)));
            recognised += usize::from(hit.is_some());
            let alone = match (stage.len(), outs.next_back()) {
                (1, Some(Out::Unrecognised(fate))) => Some(fate),
                _ => None,
            };
            *name = match (hit, alone, policy.undefined) {
                (Some(Out::Becomes(new)), ..) => Some(new),
                (Some(Out::Dropped), ..) => None,
                (Some(_), ..) => return None,
                (None, Some(fate), _) => fate,
                (None, None, Undefined::Keep) => Some(old),
                (None, None, Undefined::Drop) => None,
                (None, None, Undefined::Refuse) => return None,
            };
        }
        let mut taken = HashSet::new();
        if !names.iter().flatten().all(|name| taken.insert(name)) {
            return None;
        }
    }
    if recognised == 0 && policy.unmatched == Unmatched::Refuse {
        return None;
    }
    let names = names.into_iter().map(|name| name.map(|segments| segments.join(".")));
    Some(keys.iter().cloned().zip(names).collect())
}

fn planned(stages: &[Rule], keys: &[String], policy: Policy) -> Result<Planned, PlanError> {
    let catalog = Catalog::of_keys(keys).expect("keys are unique");
    plan_stages(stages, &catalog, &catalog.select(None).expect("one state dict"), policy)
}

fn rules(stages: &[Vec<Naive>]) -> Vec<Rule> {
    let rule = |stage: &Vec<Naive>| match stage.as_slice() {
        [single] => single.rule(),
        several => Rule::FirstOf(several.iter().map(Naive::rule).collect()),
    };
    stages.iter().map(rule).collect()
}

/// What a plan says of every key.
fn fates(plan: &Plan) -> Vec<(String, Option<String>)> {
    let section = plan.section("").expect("the root");
    section.fates().map(|(old, new)| (old.to_string(), new.map(String::from))).collect()
}

/// A plan of generated rules, if they can be planned at all.
fn some_plan(scene: &mut Scene) -> Option<Plan> {
    let Scene { keys, dice } = scene;
    let stages: Vec<Rule> = (0..1 + dice.throw(2)).map(|_| dice.rule(keys)).collect();
    let policy = Policy { unmatched: Unmatched::Allow, ..policy(dice) };
    planned(&stages, keys, policy).ok().map(|planned| planned.plan)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_plan_is_what_the_model_says_and_is_refused_when_the_model_refuses(mut scene in scenes()) {
        let stages = naive_stages(&mut scene.dice, &scene.keys);
        let policy = policy(&mut scene.dice);
        let planned = planned(&rules(&stages), &scene.keys, policy);
        let expected = modelled(&stages, &scene.keys, policy);
        let found = planned.as_ref().ok().map(|planned| fates(&planned.plan));
        prop_assert_eq!(found, expected, "{:?} {:?}\n{:?}", stages, policy, planned.err());
    }

    #[test]
    fn no_two_keys_get_one_name_and_order_is_kept(mut scene in scenes()) {
        let Some(plan) = some_plan(&mut scene) else { return Ok(()) };
        let fates = fates(&plan);
        let mut taken = HashSet::new();
        prop_assert!(fates.iter().filter_map(|(_, new)| new.clone()).all(|new| taken.insert(new)));
        let order: Vec<String> = fates.into_iter().map(|(old, _)| old).collect();
        prop_assert_eq!(order, scene.keys);
    }

    #[test]
    fn a_plan_and_its_inverse_restore_every_key_in_order(mut scene in scenes()) {
        let Some(plan) = some_plan(&mut scene) else { return Ok(()) };
        let section = plan.section("").expect("the root");
        let before: Vec<(String, ())> = section.kept().map(|(old, _)| (old.into(), ())).collect();
        let renamed: Vec<(String, ())> = plan.rename(scene.keys.iter().map(|key| (key, ()))).expect("unique");
        let restored: Vec<(String, ())> = plan.invert().expect("names").rename(renamed.clone()).expect("unique");
        prop_assert_eq!(&restored, &before);
        let there_and_back = plan.invert().and_then(|back| back.invert()).expect("names").rename::<(), Vec<_>>(restored);
        prop_assert_eq!(there_and_back, Ok(renamed));
    }

    #[test]
    fn a_plan_can_be_saved_and_resolved_again(mut scene in scenes()) {
        let Some(plan) = some_plan(&mut scene) else { return Ok(()) };
        let read = Plan::from_json(&plan.to_json()).expect("what was written");
        prop_assert_eq!(&read, &plan);
        let catalog = Catalog::of_keys(&scene.keys).expect("keys are unique");
        let strict = Policy { undefined: Undefined::Refuse, unmatched: Unmatched::Refuse };
        let resolved = read.resolve(&catalog, strict).map(|planned| planned.plan);
        prop_assert_eq!(resolved, Ok(plan));
    }

    #[test]
    fn the_inverse_of_a_plan_resolves_against_the_new_keys(mut scene in scenes()) {
        let Some(plan) = some_plan(&mut scene) else { return Ok(()) };
        let section = plan.section("").expect("the root");
        let catalog = Catalog::of_keys(section.kept().map(|(_, new)| new)).expect("unique");
        let strict = Policy { undefined: Undefined::Refuse, unmatched: Unmatched::Refuse };
        let resolved = plan.invert().expect("names").resolve(&catalog, strict).map(|planned| planned.plan);
        prop_assert_eq!(resolved, Ok(plan.invert().expect("names")));
    }

    #[test]
    fn unwrapping_a_plan_twice_changes_nothing_more(scene in scenes()) {
        let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
        let Ok(once) = planned(&[Rule::unwrap_all()], &scene.keys, policy) else { return Ok(()) };
        let twice = planned(&[Rule::unwrap_all(), Rule::unwrap_all()], &scene.keys, policy);
        prop_assert_eq!(twice.map(|planned| planned.plan), Ok(once.plan));
    }
}

fn check_refused(rules: &[&str], keys: &[&str], expected: &[&str]) {
    let keys: Vec<String> = keys.iter().map(|key| key.to_string()).collect();
    let stages: Vec<Rule> = rules.iter().map(|rule| rule.parse().expect("a rule")).collect();
    let refused = planned(&stages, &keys, Policy::default()).expect_err("must be refused");
    let found: Vec<String> = refused.issues.iter().map(Issue::to_string).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_refusal_lists_every_offence_with_the_rule_behind_it() {
    check_refused(
        &["strip:module"],
        &["module.a", "a", "module.b", "b", "module."],
        &[
            "rule 'strip:module.' would make key 'module.' empty",
            "2 keys would become 'a': 'module.a' by 'strip:module.', 'a', which keeps its name \
             (different tensors)",
            "2 keys would become 'b': 'module.b' by 'strip:module.', 'b', which keeps its name \
             (different tensors)",
        ],
    );
    check_refused(
        &["strip:x", "add:y | strip:z"],
        &["a"],
        &["no key matches 'strip:x.', 'add:y. | strip:z.'"],
    );
    check_refused(
        &["rename:{n+1}.{r..} -> {r..}"],
        &["1"],
        &["rule 'rename:{n+1}.{r..} -> {r..}' would make key '1' empty"],
    );
}

#[test]
fn a_key_that_an_earlier_stage_renamed_does_not_keep_its_name() {
    check_refused(
        &["strip:module", "rename:c -> a"],
        &["module.a", "c", "b"],
        &["2 keys would become 'a': 'module.a' by 'strip:module.', 'c' by 'rename:c -> a' \
           (different tensors)"],
    );
    check_refused(
        &["keep:**", "strip:module"],
        &["a", "module.a"],
        &["2 keys would become 'a': 'a', which keeps its name, 'module.a' by 'strip:module.' \
           (different tensors)"],
    );
}

#[test]
fn a_plan_gives_no_two_entries_of_a_map_one_name() {
    let keys = ["module.a", "b"].map(String::from);
    let plan = planned(&["strip:module".parse().expect("a rule")], &keys, Policy::default());
    let plan = plan.expect("a plan").plan;
    let rename = |keys: &[&'static str]| plan.rename::<_, Vec<_>>(keys.iter().map(|k| (k, ())));
    assert_eq!(rename(&["module.a", "a"]), Err(DuplicateKey("a".into())));
    assert_eq!(rename(&["c", "c"]), Err(DuplicateKey("c".into())));
    assert_eq!(rename(&["module.a", "c"]), Ok(vec![("a".into(), ()), ("c".into(), ())]));
}

#[test]
fn plans_that_contradict_themselves_are_not_read() {
    let message = |state_dicts: &str| {
        let json = format!(r#"{{"statedict_plan": 1, "state_dicts": [{state_dicts}]}}"#);
        Plan::from_json(&json).expect_err("bad").to_string()
    };
    let at = |at: &str, keys: &str| format!(r#"{{"at": "{at}", "keys": [{keys}]}}"#);
    assert_eq!(message(&at("", r#"["a", "x"], ["b", "x"]"#)), "the plan names 'x' twice");
    assert_eq!(message(&at("", r#"["a", "x"], ["a", "y"]"#)), "the plan names 'a' twice");
    let twice = format!("{}, {}", at("m", ""), at("m", ""));
    assert_eq!(message(&twice), "the plan names 'm' twice");
}

#[test]
fn a_saved_plan_cannot_make_an_empty_key() {
    let json = r#"{"statedict_plan": 1, "state_dicts": [{"at": "", "keys": [["a", ""]]}]}"#;
    let plan = Plan::from_json(json).expect("a plan");
    let catalog = Catalog::of_keys(["a"]).expect("unique");
    let refused = plan.resolve(&catalog, Policy::default()).expect_err("must be refused");
    assert!(matches!(refused.issues.as_slice(), [Issue::Emptied { .. }]), "{refused}");
}

#[test]
fn rules_given_together_see_the_original_keys_and_stages_those_before_them() {
    let catalog = Catalog::of_keys(["a.w", "b.w"]).expect("keys are unique");
    let selected = catalog.select(None).expect("one state dict");
    let rules = ["rename:a.{r..} -> b.{r..}", "rename:b.{r..} -> a.{r..}"];
    let rules = rules.map(|rule| rule.parse::<Rule>().expect("a rule"));
    let together = plan(&rules, &catalog, &selected, Policy::default()).expect("they swap");
    let kept: Vec<_> = together.plan.sections()[0].kept().collect();
    assert_eq!(kept, [("a.w", "b.w"), ("b.w", "a.w")]);
    let one_after_another = plan_stages(&rules, &catalog, &selected, Policy::default());
    assert_eq!(one_after_another.expect_err("two keys on one name").issues.len(), 1);
}
