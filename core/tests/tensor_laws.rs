//! Laws of rules of tensors: printing and parsing are inverses, and names mean nothing.

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, Strategy, any};
use proptest::{prop_assert, prop_assert_eq, proptest};
use statedict_core::tensor::TensorRule;
use statedict_core::{Captured, Rule};

/// Throws of dice; all zeros once they are used up.
struct Dice(std::vec::IntoIter<u8>);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % sides
    }

    /// The names in an order of their own.
    fn shuffled(&mut self, mut names: Vec<String>) -> Vec<String> {
        let mut out = Vec::new();
        while !names.is_empty() {
            out.push(names.remove(self.throw(names.len())));
        }
        out
    }

    /// The places in some order, some of them in one dimension.
    fn places(&mut self, names: Vec<String>) -> String {
        let mut out: Vec<String> = Vec::new();
        for name in self.shuffled(names) {
            match (self.throw(3), out.last_mut()) {
                (2, Some(last)) if last != ".." && name != ".." => {
                    *last = format!("({} {name})", last.trim_matches(['(', ')']));
                }
                _ => out.push(name),
            }
        }
        out.join(" ")
    }

    /// A rule whose two sides have the same names.
    fn rule(&mut self) -> String {
        let count = 1 + self.throw(4);
        let mut names: Vec<String> = (0..count).map(|n| format!("n{n}")).collect();
        if self.throw(2) == 1 {
            names.push("..".into());
        }
        if self.throw(3) == 1 {
            names.push("3".into());
        }
        let carried = ["", ".{i}", ".{i+1}", ".{last-i}", ".{k=a,b.c}", ".{r..}"][self.throw(6)];
        let word = if self.throw(2) == 1 { ".{n0=x,y}" } else { ".{n0}" };
        let one = |dice: &mut Dice, key: &str| {
            let places = dice
                .places(names.iter().filter(|n| key.is_empty() || *n != "n0").cloned().collect());
            format!("t{key}{carried}[{places}]")
        };
        match self.throw(4) {
            0 => format!("{} -> {}", one(self, ""), one(self, "")),
            1 => format!("{} -> {}", one(self, word), one(self, "")),
            2 => format!("{} -> {}", one(self, ""), one(self, word)),
            _ => {
                let sum = ["(a | b=a)", "(a | b=2*a+1)", "(a | 1)"][self.throw(3)];
                let right = if sum.ends_with("1)") && !sum.contains("b=") {
                    format!("x{carried}[1 ..], y{carried}[a ..]")
                } else {
                    format!("x{carried}[b ..], y{carried}[a ..] = z{carried}")
                };
                format!("t{carried}[{sum} ..] -> {right}")
            }
        }
    }
}

fn rules() -> impl Strategy<Value = String> {
    vec(any::<u8>(), 0..40).prop_map(|throws| Dice(throws.into_iter()).rule())
}

fn parsed(text: &str) -> Box<TensorRule> {
    match Rule::rename(text, '.') {
        Ok(Rule::Tensor(rule)) => rule,
        other => panic!("{text}: {other:?}"),
    }
}

/// Texts that are like rules.
fn texts() -> impl Strategy<Value = String> {
    const PARTS: [&str; 32] = [
        "a",
        "b.c",
        "{i}",
        "{p=x,y}",
        "{q,k}",
        "{last-i}",
        "{i:02}",
        "{2i+1}",
        "{r..}",
        "[",
        "]",
        "(",
        ")",
        " | ",
        " ",
        "..",
        " -> ",
        ", ",
        " = ",
        "=",
        "x",
        "y",
        "2",
        "1",
        "*",
        "\\",
        "->",
        "{",
        "}",
        "_",
        "é",
        "99999999999999999999",
    ];
    vec(any::<u8>(), 0..40)
        .prop_map(|throws| throws.iter().map(|n| PARTS[usize::from(*n) % PARTS.len()]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printing_and_parsing_gives_the_rule(text in rules()) {
        let rule = parsed(&text);
        let printed = rule.to_string();
        prop_assert_eq!(&parsed(&printed), &rule, "{}", printed);
        let rule = Rule::Tensor(rule);
        prop_assert_eq!(rule.to_string().parse(), Ok(rule), "{}", printed);
    }

    #[test]
    fn the_sides_can_be_exchanged(text in rules()) {
        let rule = parsed(&text);
        if let Some(inverse) = rule.invert() {
            prop_assert_eq!(&inverse.invert(), &Some((*rule).clone()));
            let (left, right) = text.split_once(" -> ").expect("an arrow");
            let swapped = Rule::rename(&format!("{right} -> {left}"), '.');
            prop_assert!(matches!(swapped, Ok(Rule::Tensor(swapped)) if swapped.left() == inverse.left()));
        }
    }

    #[test]
    fn names_mean_nothing(text in rules()) {
        let renamed = text.replace("n0", "first").replace("n1", "w").replace("{i", "{layer");
        let renamed = renamed.replace("-i}", "-layer}");
        let (rule, other) = (parsed(&text), parsed(&renamed));
        for key in ["t.x.3.w", "t.x.0", "t.b.c", "t.4", "t", "t.y.a.b", "t.7.7"] {
            let values = |rule: &TensorRule| {
                let (term, held) = rule.recognise(key)?;
                Some((term, held.iter().map(|(_, value)| value.clone()).collect::<Vec<Captured>>()))
            };
            prop_assert_eq!(values(&rule), values(&other), "{} and {} on {}", text, renamed, key);
        }
        prop_assert_eq!(rule.roles().carried.len(), other.roles().carried.len());
        prop_assert_eq!(rule.roles().gathered.len(), other.roles().gathered.len());
    }

    #[test]
    fn a_key_is_made_again_of_what_its_captures_hold(text in rules()) {
        let rule = parsed(&text);
        for key in ["t.x.3", "t.x.0.w", "t.b.c", "t.4", "t", "t.y.a", "t.7.7", "t.2.b.c"] {
            if let Some((term, held)) = rule.recognise(key) {
                let made = rule.left()[term].template().fill(&held);
                prop_assert_eq!(made.as_deref(), Ok(key), "{}", text);
            }
        }
    }

    #[test]
    fn what_is_like_a_rule_is_one_or_is_refused(text in texts()) {
        if let Ok(rule) = Rule::rename(&text, '.') {
            let words = rule.renames().expect("words");
            let again = words.iter().map(|word| Rule::rename(word, '.'));
            let again: Result<Vec<Rule>, _> = again.collect();
            let again = again.map(|rules| rules.iter().flat_map(|rule| rule.alternatives().to_vec()).collect::<Vec<_>>());
            prop_assert_eq!(again.as_deref(), Ok(rule.alternatives()), "{} printed as {:?}", text, words);
            let _ = rule.apply("a.b.c");
        }
    }
}
