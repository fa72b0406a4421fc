//! The laws of rules of tensors, on random rules: each is held to its definition, element by element.
//!
//! A side of a rule sends assignments of its names to addresses, a key and an index; a rule sends what
//! the left side has under an assignment to where the right side has it. The oracle here knows this and
//! nothing else.

mod regrouping;
mod stored;

use std::collections::BTreeMap;

use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use regrouping::{File, RandomRule, moved, planned, planned_back};
use statedict_core::Rule;

fn config() -> ProptestConfig {
    ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() }
}

fn rules() -> impl Strategy<Value = RandomRule> {
    any::<u64>().prop_map(RandomRule::new)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_element_goes_where_the_definition_says(random in rules()) {
        let file = random.file();
        let expected = random.expected(&file);
        let found = moved(&file, &planned(&[random.rule()], &file)?);
        prop_assert_eq!(found, expected, "{}", random.text);
    }

    #[test]
    fn a_plan_and_its_inverse_give_every_element_back(random in rules()) {
        let file = random.file();
        let plan = planned(&[random.rule()], &file)?;
        let there = moved(&file, &plan);
        let inverse = plan.invert().map_err(|why| regrouping::failed(&random.text, &why))?;
        let back = moved(&there, &inverse);
        prop_assert_eq!(back, file, "{}", random.text);
    }

    #[test]
    fn exchanging_the_sides_is_the_inverse(random in rules()) {
        let file = random.file();
        let there = moved(&file, &planned(&[random.rule()], &file)?);
        let back = moved(&there, &planned_back(&[random.rule()], &there)?);
        prop_assert_eq!(back, file, "{}", random.text);
    }

    #[test]
    fn the_inverse_of_a_chain_is_the_chain_of_inverses(first in rules(), second in any::<u64>()) {
        let file = first.file();
        let middle = moved(&file, &planned(&[first.rule()], &file)?);
        let second = RandomRule::after(second, &middle);
        let stages = [first.rule(), second.rule()];
        let both = planned(&stages, &file)?;
        let there = moved(&file, &both);
        let second_alone = planned(&[second.rule()], &middle)?;
        prop_assert_eq!(&there, &moved(&middle, &second_alone), "{} ; {}", &first.text, &second.text);
        let undone = planned_back(&stages, &there)?;
        prop_assert_eq!(&moved(&there, &undone), &file, "{} ; {}", &first.text, &second.text);
        // The plan's own inverse may refuse what was cut after it was put together, and is never wrong.
        if let Ok(inverse) = both.invert() {
            prop_assert_eq!(&moved(&there, &inverse), &file, "{} ; {}", &first.text, &second.text);
        }
    }

    #[test]
    fn parts_are_disjoint_and_leave_nothing_out(random in rules()) {
        let file = random.file();
        let there = moved(&file, &planned(&[random.rule()], &file)?);
        let mut seen: Vec<u64> = there.0.values().flat_map(|(_, elements)| elements.clone()).collect();
        seen.sort_unstable();
        prop_assert!(seen.iter().copied().eq(0..seen.len() as u64), "{}", random.text);
        prop_assert_eq!(seen.len() as u64, file.count());
    }

    #[test]
    fn a_group_does_not_depend_on_others(random in rules()) {
        let file = random.file();
        let there = moved(&file, &planned(&[random.rule()], &file)?);
        let one: BTreeMap<_, _> =
            file.0.clone().into_iter().filter(|(key, _)| key.starts_with("g0.")).collect();
        let alone = moved(&File(one.clone()), &planned(&[random.rule()], &File(one))?);
        for (key, made) in &alone.0 {
            prop_assert_eq!(Some(made), there.0.get(key), "{}", random.text);
        }
    }

    #[test]
    fn renaming_the_names_changes_nothing(random in rules()) {
        let file = random.file();
        let other: Rule = random.renamed();
        let there = moved(&file, &planned(&[random.rule()], &file)?);
        prop_assert_eq!(there, moved(&file, &planned(&[other], &file)?), "{}", random.text);
    }

    #[test]
    fn rules_that_recognise_no_key_together_may_stand_in_any_order(random in rules()) {
        let mut file = random.file();
        for (key, shape) in [("w.0", [2, 3]), ("w.1", [3, 1]), ("other.x", [1, 2])] {
            file.add(key.to_string(), shape.to_vec());
        }
        let rule = |text: &str| Rule::rename(text, '.').expect("a rule");
        let mut rules =
            vec![random.rule(), rule("w.{k}[x y] -> v.{k}[y x]"), rule("other.{r..} -> {r..}")];
        let there = moved(&file, &planned(&[Rule::FirstOf(rules.clone())], &file)?);
        rules.reverse();
        let other = moved(&file, &planned(&[Rule::FirstOf(rules)], &file)?);
        prop_assert_eq!(there, other, "{}", random.text);
    }

    #[test]
    fn a_rule_without_places_is_a_rename(random in rules()) {
        let file = random.file();
        let rule = |text: &str| Rule::rename(text, '.').expect("a rule");
        let plain = planned(&[rule("g{i}.{r..} -> h{i}.{r..}")], &file)?;
        let tensors = planned(&[rule("g{i}.{r..}[..] -> h{i}.{r..}[..]")], &file)?;
        prop_assert!(tensors.is_renaming());
        prop_assert_eq!(plain, tensors);
    }
}
