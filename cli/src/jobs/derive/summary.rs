//! What was derived, in lines: what the recipe does, and what renaming cannot do.

use statedict_core::{
    IndexMap, IndexSet,
    derive::{Arrangement, Axis, Derivation, Side},
};

use crate::jobs::derive::Outcome;
use crate::jobs::grouping::{first_grouped, grouped};
use crate::jobs::recipe;
use crate::jobs::words::{count, printable};

/// Keys that a line about an open one names; the rest is counted.
const NAMED: usize = 4;

impl Outcome {
    /// The recipe as TOML, with what it cannot do in comments before it.
    ///
    /// # Panics
    /// Never: rules that were derived are not a plan.
    pub fn recipe(&self) -> String {
        let mut text = format!("# {}\n", printable(&self.headline()));
        for line in self.beyond() {
            text += &format!("# {}\n", printable(&line));
        }
        if !self.has_stages() {
            text += "# no key has another name\n";
        }
        text + "\n" + &self.stages()
    }

    /// True if the recipe does anything.
    pub(super) fn has_stages(&self) -> bool {
        let Derivation { rules, tensor_rules, .. } = &self.derivation;
        !rules.stages.is_empty() || !tensor_rules.is_empty()
    }

    fn stages(&self) -> String {
        let derivation = &self.derivation;
        let sizes = derivation.sizes.iter();
        let beside = recipe::Beside {
            separators: derivation.separators,
            sizes: sizes.map(|it| (it.name.as_str(), it.expression.as_str())).collect(),
            rules: derivation.tensor_rules.iter().map(|rule| rule.text.as_str()).collect(),
        };
        let text = recipe::to_text_beside(&derivation.rules.stages, &beside);
        text.expect("rules that were derived are not a plan")
    }

    /// `a.pth -> b.pth: 100 of 120 keys matched by contents, 20 open`.
    pub fn headline(&self) -> String {
        let derivation = &self.derivation;
        let (a, b, all) = (self.a.name(), self.b.name(), count(self.b.keys, "key"));
        let counts = [
            (derivation.by_name.len(), "by name alone"),
            (self.by_rules(), "by rules that move elements"),
            (derivation.unruled.len(), "that no rule makes"),
            (derivation.open.len(), "open"),
        ];
        let pairs = derivation.pairs.len();
        let first = format!("{a} -> {b}: {pairs} of {all} matched by contents");
        let some = counts.into_iter().filter(|(number, _)| *number > 0);
        some.fold(first, |text, (number, what)| format!("{text}, {number} {what}"))
    }

    /// How many keys the rules for elements make, those apart that a rename would make as well.
    fn by_rules(&self) -> usize {
        let renamed: IndexSet<&str> =
            self.derivation.pairs.iter().map(|(_, new)| new.as_str()).collect();
        let made = self.derivation.tensor_rules.iter().flat_map(|rule| &rule.targets);
        made.filter(|key| !renamed.contains(key.as_str())).count()
    }

    /// A line for everything that the recipe does not do.
    pub fn beyond(&self) -> Vec<String> {
        let derivation = &self.derivation;
        let by_name = derivation.by_name.iter().map(|(a, b)| (a.as_str(), b.as_str()));
        let mut lines = described(by_name, |a, b| {
            format!("by name only, the elements differ or cannot be compared: {a} -> {b}")
        });
        lines.extend(rearranged(derivation));
        lines.extend(portions(derivation));
        lines.extend(unruled(derivation));
        lines.extend(open(derivation));
        let dropped = grouped(derivation.dropped.iter().map(|key| (key.as_str(), None)));
        lines.extend(dropped.iter().map(|line| {
            format!("dropped, b has no place for it: {}{}", line.old, line.number_of_keys())
        }));
        lines
    }
}

/// Keys that no rule makes although `a` has their elements.
fn unruled(derivation: &Derivation) -> Vec<String> {
    let mut alike = IndexMap::<String, Vec<&str>>::default();
    for it in &derivation.unruled {
        alike.entry(it.why.reason()).or_default().push(&it.key);
    }
    let lines = alike.into_iter().map(|(reason, keys)| {
        let all = count(keys.len(), "key");
        format!("no rule, {reason}: {}  ({all})", first_grouped(keys, NAMED))
    });
    lines.collect()
}

/// The keys of `b` that rules make.
fn made(derivation: &Derivation) -> IndexSet<&str> {
    derivation.tensor_rules.iter().flat_map(|rule| &rule.targets).map(String::as_str).collect()
}

fn rearranged(derivation: &Derivation) -> Vec<String> {
    let made = made(derivation);
    let mut alike = IndexMap::<String, Vec<(&str, &str)>>::default();
    for it in derivation.rearranged.iter().filter(|it| !made.contains(it.b.as_str())) {
        let words = match it.how {
            Arrangement::Transposed => "transposed".into(),
            Arrangement::Permuted(axes) => format!("with its dimensions in the order {axes:?}"),
            Arrangement::Reshaped => "in another shape".into(),
            Arrangement::RowsReordered => "with its rows in another order".into(),
        };
        alike.entry(words).or_default().push((&it.a, &it.b));
    }
    let lines = alike
        .into_iter()
        .map(|(words, pairs)| described(pairs, |a, b| format!("b's {b} is a's {a} {words}")));
    lines.flatten().collect()
}

fn portions(derivation: &Derivation) -> Vec<String> {
    let made = made(derivation);
    let mut alike = IndexMap::<_, Vec<(&str, &str)>>::default();
    for it in derivation.portions.iter().filter(|it| !made.contains(it.key_of_b().as_str())) {
        let lines = if it.lines == Axis::Rows { "rows" } else { "columns" };
        let turned = if it.is_transposed { ", transposed" } else { "" };
        let words = (it.owner == Side::A, format!("{lines} {}..{}", it.start, it.end), turned);
        alike.entry(words).or_default().push((&it.part, &it.whole));
    }
    let lines = alike.into_iter().map(|((of_a, range, turned), pairs)| {
        described(pairs, |part, whole| {
            if of_a {
                format!("b's {part} is {range} of a's {whole}{turned}")
            } else {
                format!("{range} of b's {whole} are a's {part}{turned}")
            }
        })
    });
    lines.flatten().collect()
}

/// Keys that stay open, those that have the same elements in one line.
fn open(derivation: &Derivation) -> Vec<String> {
    let mut alike = IndexMap::<&[String], Vec<&str>>::default();
    for open in &derivation.open {
        alike.entry(open.candidates.as_slice()).or_default().push(&open.key);
    }
    let lines = alike.into_iter().map(|(candidates, keys)| {
        let all = count(keys.len(), "key");
        let keys = first_grouped(keys, NAMED);
        match first_grouped(candidates.iter().map(String::as_str), NAMED) {
            none if none.is_empty() => format!("open, a has no such elements: {keys}  ({all})"),
            these => format!("open, the elements are those of {these}: {keys}  ({all})"),
        }
    });
    lines.collect()
}

/// A sentence for each group of pairs that differ only in numbers.
fn described<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    sentence: impl Fn(&str, &str) -> String,
) -> Vec<String> {
    let lines = grouped(pairs.into_iter().map(|(one, other)| (one, Some(other))));
    let texts = lines.iter().map(|line| {
        let other = line.new.as_deref().unwrap_or_default();
        format!("{}{}", sentence(&line.old, other), line.number_of_keys())
    });
    texts.collect()
}
