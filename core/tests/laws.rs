//! The laws of the algebra: remaps are partial injections, and form an inverse monoid.

mod generate;

use generate::{Dice, Scene, becomes, images, scenes};
use proptest::prelude::{ProptestConfig, Strategy};
use proptest::test_runner::TestRunner;
use proptest::{prop_assert, prop_assert_eq, proptest};
use statedict_core::{Fate, Remap, Rule};

fn config() -> ProptestConfig {
    ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() }
}

/// Keys worth asking a remap and its relatives about: the scene's, their images, and new ones.
fn probes(keys: &[String], remaps: &[&Remap], dice: &mut Dice) -> Vec<String> {
    let mut probes = keys.to_vec();
    for remap in remaps {
        probes.extend(images(remap, &probes));
        probes.extend(images(&remap.invert(), &probes));
        probes.dedup();
        probes.truncate(200);
    }
    probes.extend((0..3).map(|_| dice.key()));
    probes
}

/// What two remaps say about the same keys.
fn said<'a>(remap: &'a Remap, keys: &'a [String]) -> Vec<(&'a String, Fate)> {
    keys.iter().map(|key| (key, remap.apply(key))).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn strip_undoes_add(mut scene in scenes()) {
        let separator = scene.dice.separator();
        let prefix = scene.dice.prefix(&scene.keys, separator);
        let there_and_back = Remap::Add(prefix.clone()).then(Remap::Strip(prefix));
        for key in scene.keys.iter().filter(|key| !key.is_empty()) {
            prop_assert_eq!(there_and_back.apply(key), Fate::Becomes(key.clone()));
        }
    }

    #[test]
    fn add_undoes_strip_where_strip_is_defined(mut scene in scenes()) {
        let separator = scene.dice.separator();
        let prefix = scene.dice.prefix(&scene.keys, separator);
        let strip = Remap::Strip(prefix.clone());
        let there_and_back = strip.clone().then(Remap::Add(prefix));
        for key in &scene.keys {
            match strip.apply(key) {
                Fate::Becomes(_) => {
                    prop_assert_eq!(there_and_back.apply(key), Fate::Becomes(key.clone()));
                }
                other => prop_assert_eq!(other, Fate::Undefined),
            }
        }
    }

    #[test]
    fn identity_changes_nothing_on_either_side(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        let probes = probes(&scene.keys, &[&f], &mut scene.dice);
        let before = Remap::Identity.then(f.clone());
        let after = f.clone().then(Remap::Identity);
        prop_assert_eq!(said(&f, &probes), said(&before, &probes));
        prop_assert_eq!(said(&f, &probes), said(&after, &probes));
    }

    #[test]
    fn then_is_associative(mut scene in scenes()) {
        let Scene { keys, dice } = &mut scene;
        let f = dice.remap(keys);
        let g = dice.remap(&images(&f, keys));
        let h = dice.remap(&images(&g, &images(&f, keys)));
        let probes = probes(keys, &[&f, &g, &h], dice);
        let left = f.clone().then(g.clone()).then(h.clone());
        let right = f.then(g.then(h));
        prop_assert_eq!(said(&left, &probes), said(&right, &probes));
    }

    #[test]
    fn the_inverse_of_a_chain_is_the_chain_of_inverses(mut scene in scenes()) {
        let Scene { keys, dice } = &mut scene;
        let f = dice.remap(keys);
        let g = dice.remap(&images(&f, keys));
        let probes = probes(keys, &[&f, &g], dice);
        let whole = f.clone().then(g.clone()).invert();
        let parts = g.invert().then(f.invert());
        prop_assert_eq!(said(&whole, &probes), said(&parts, &probes));
    }

    #[test]
    fn inverting_twice_changes_nothing(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        prop_assert_eq!(f.invert().invert(), f);
    }

    #[test]
    fn there_back_and_there_again_is_there(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        let probes = probes(&scene.keys, &[&f], &mut scene.dice);
        let again = f.clone().then(f.invert()).then(f.clone());
        prop_assert_eq!(said(&f, &probes), said(&again, &probes));
    }

    #[test]
    fn the_inverse_leads_back_to_the_key(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        let probes = probes(&scene.keys, &[&f], &mut scene.dice);
        for key in &probes {
            if let Fate::Becomes(new) = f.apply(key) {
                prop_assert_eq!(f.invert().apply(&new), Fate::Becomes(key.clone()), "{}", new);
            }
        }
    }

    #[test]
    fn two_keys_never_get_one_name(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        let mut probes = probes(&scene.keys, &[&f], &mut scene.dice);
        probes.sort();
        probes.dedup();
        let mut names = images(&f, &probes);
        let count = names.len();
        names.sort();
        names.dedup();
        prop_assert_eq!(names.len(), count);
    }

    #[test]
    fn no_key_becomes_empty(mut scene in scenes()) {
        let rule = scene.dice.rule(&scene.keys);
        for key in scene.keys.iter().filter(|key| !key.is_empty()) {
            prop_assert!(rule.apply(key) != Fate::Becomes(String::new()), "{}", key);
        }
    }

    #[test]
    fn printing_and_parsing_a_leaf_gives_the_leaf(mut scene in scenes()) {
        let leaf = scene.dice.leaf(&scene.keys);
        let text = leaf.to_string();
        prop_assert_eq!(text.parse::<Remap>(), Ok(leaf), "{}", text);
    }

    #[test]
    fn printing_and_parsing_a_remap_gives_its_equal(mut scene in scenes()) {
        let f = scene.dice.remap(&scene.keys);
        let probes = probes(&scene.keys, &[&f], &mut scene.dice);
        let text = f.to_string();
        let parsed = text.parse::<Remap>();
        prop_assert!(parsed.is_ok(), "{}: {:?}", text, parsed);
        let parsed = parsed.expect("just seen");
        prop_assert_eq!(said(&f, &probes), said(&parsed, &probes), "{}", text);
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn printing_and_parsing_a_rule_gives_its_equal(mut scene in scenes()) {
        let rule = scene.dice.rule(&scene.keys);
        let text = rule.to_string();
        let parsed = text.parse::<Rule>();
        prop_assert!(parsed.is_ok(), "{}: {:?}", text, parsed);
        let parsed = parsed.expect("just seen");
        for key in &scene.keys {
            prop_assert_eq!(rule.apply(key), parsed.apply(key), "{} on {}", text, key);
        }
        prop_assert_eq!(parsed.to_string(), text);
    }

    #[test]
    fn a_spelling_is_one_line(mut scene in scenes()) {
        let text = scene.dice.rule(&scene.keys).to_string();
        prop_assert!(!text.contains('\n'), "{:?}", text);
    }

    #[test]
    fn unwrapping_twice_is_unwrapping(scene in scenes()) {
        let unwrap = Rule::unwrap_all();
        for key in &scene.keys {
            if let Fate::Becomes(new) = unwrap.apply(key) {
                prop_assert_eq!(unwrap.apply(&new), Fate::Undefined, "{} from {}", new, key);
            }
        }
    }

    #[test]
    fn an_inverted_rule_leads_back(mut scene in scenes()) {
        let rule = scene.dice.rule(&scene.keys);
        let inverse = rule.invert();
        for key in &scene.keys {
            if let (Some(new), Some(inverse)) = (becomes(rule.apply(key)), &inverse) {
                prop_assert_eq!(inverse.apply(&new), Fate::Becomes(key.clone()));
            }
        }
    }
}

/// Laws hold for remaps that apply to nothing; this shows that ours mostly apply to something.
#[test]
fn the_remaps_of_these_tests_bite() {
    let mut runner = TestRunner::deterministic();
    let changes = |scene: &mut Scene| {
        let f = scene.dice.remap(&scene.keys);
        scene.keys.iter().any(|key| becomes(f.apply(key)).is_some_and(|new| new != *key))
    };
    let biting = (0..1000)
        .filter(|_| {
            let tree = scenes().new_tree(&mut runner).expect("scenes are never rejected");
            changes(&mut proptest::strategy::ValueTree::current(&tree))
        })
        .count();
    assert!(biting > 400, "only {biting} of 1000 remaps rename something");
}
