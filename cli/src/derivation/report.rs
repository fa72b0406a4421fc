//! What `derive` found, as text: the recipe, and lines that say what is in it and what is not.

use statedict_core::{
    IndexMap,
    derive::{Arrangement, Axis, Side},
};

use crate::commands::derive::Answer;
use crate::commands::diff::Examined;
use crate::terminal::grouping::{Line, grouped};
use crate::terminal::text::{count, first_few, printable};
use statedict::jobs::recipe;

/// Keys that a line about an open one names; the rest is counted.
const NAMED: usize = 4;

/// The recipe, with what it cannot do in comments before it.
pub(crate) fn recipe(answer: &Answer) -> String {
    let stages = &answer.derivation.rules.stages;
    let recipe = recipe::to_text(stages).expect("rules that were derived are no plan");
    let mut text = format!("# {}\n", printable(&headline(answer)));
    for line in beyond(answer) {
        text += &format!("# {}\n", printable(&line));
    }
    if stages.is_empty() {
        text += "# no key has another name\n";
    }
    text + "\n" + &recipe
}

/// A line that counts, the renames, and what a recipe cannot say.
pub(crate) fn lines(answer: &Answer) -> Vec<String> {
    let derivation = &answer.derivation;
    let renamed = derivation.pairs.iter().filter(|(old, new)| old != new);
    let renamed = grouped(renamed.map(|(old, new)| (old.as_str(), Some(new.as_str()))));
    let mut lines = vec![headline(answer)];
    lines.extend(renamed.iter().map(|line| {
        format!("  {} -> {}{}", line.old, line.new.as_deref().unwrap_or_default(), keys_of(line))
    }));
    lines.extend(beyond(answer));
    lines.extend(casts(answer));
    lines
}

/// `a.pth -> b.pth: 100 of 120 keys found by their elements, 20 open`.
fn headline(answer: &Answer) -> String {
    let derivation = &answer.derivation;
    let (a, b) = (answer.a.name(), answer.b.name());
    let all = count(answer.b.state_dict.len(), "key");
    let counts = [
        (derivation.by_name.len(), "by name alone"),
        (derivation.rearranged.len(), "rearranged"),
        (derivation.portions.len(), "fused or taken apart"),
        (derivation.open.len(), "open"),
    ];
    let first = format!("{a} -> {b}: {} of {all} told by their elements", derivation.pairs.len());
    let some = counts.into_iter().filter(|(number, _)| *number > 0);
    some.fold(first, |text, (number, what)| format!("{text}, {number} {what}"))
}

/// What is not done by renaming keys.
fn beyond(answer: &Answer) -> Vec<String> {
    let derivation = &answer.derivation;
    let by_name = derivation.by_name.iter().map(|(a, b)| (a.as_str(), b.as_str()));
    let mut lines = described(by_name, |a, b| {
        format!("by name alone, the elements differ or cannot be compared: {a} -> {b}")
    });
    lines.extend(rearranged(answer));
    lines.extend(portions(answer));
    lines.extend(open(answer));
    let dropped = grouped(derivation.dropped.iter().map(|key| (key.as_str(), None)));
    lines.extend(
        dropped
            .iter()
            .map(|line| format!("dropped, b has no place for it: {}{}", line.old, keys_of(line))),
    );
    lines
}

fn rearranged(answer: &Answer) -> Vec<String> {
    let mut alike = IndexMap::<String, Vec<(&str, &str)>>::default();
    for it in &answer.derivation.rearranged {
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

fn portions(answer: &Answer) -> Vec<String> {
    let mut alike = IndexMap::<_, Vec<(&str, &str)>>::default();
    for it in &answer.derivation.portions {
        let lines = if it.lines == Axis::Rows { "rows" } else { "columns" };
        let turned = if it.is_transposed { ", transposed" } else { "" };
        let words = (it.owner == Side::A, format!("{lines} {}..{}", it.start, it.end), turned);
        alike.entry(words).or_default().push((&it.part, &it.whole));
    }
    let lines = alike.into_iter().map(|((of_a, range, turned), pairs)| {
        described(pairs, |part, whole| match of_a {
            true => format!("b's {part} is {range} of a's {whole}{turned}"),
            false => format!("{range} of b's {whole} are a's {part}{turned}"),
        })
    });
    lines.flatten().collect()
}

/// Keys that stay open, those that have the same elements in one line.
fn open(answer: &Answer) -> Vec<String> {
    let mut alike = IndexMap::<&[String], Vec<&str>>::default();
    for open in &answer.derivation.open {
        alike.entry(open.candidates.as_slice()).or_default().push(&open.key);
    }
    let named = |keys: &mut dyn Iterator<Item = &str>| {
        let lines = grouped(keys.map(|key| (key, None)));
        let lines: Vec<String> = lines.iter().map(|line| line.old.clone()).collect();
        first_few(&lines, NAMED)
    };
    let line = |(candidates, keys): (&[String], Vec<&str>)| {
        let all = count(keys.len(), "key");
        let keys = named(&mut keys.into_iter());
        match named(&mut candidates.iter().map(String::as_str)) {
            none if none.is_empty() => format!("open, a has no such elements: {keys}  ({all})"),
            these => format!("open, the elements are those of {these}: {keys}  ({all})"),
        }
    };
    alike.into_iter().map(line).collect()
}

/// Notes on casts, which a recipe does not make.
fn casts(answer: &Answer) -> Vec<String> {
    let dtype = |side: Examined<'_>, key: &str| {
        side.checkpoint.catalog().tensor(side.state_dict, key).map(|tensor| tensor.dtype.clone())
    };
    let mut counts = IndexMap::<(String, String), usize>::default();
    for (old, new) in &answer.derivation.pairs {
        if let (Some(from), Some(to)) = (dtype(answer.a, old), dtype(answer.b, new))
            && from != to
        {
            *counts.entry((from.to_string(), to.to_string())).or_default() += 1;
        }
    }
    let note = |((from, to), keys): ((String, String), usize)| {
        format!(
            "note: {} cast from {from} to {to} (apply --cast {})",
            count(keys, "key"),
            to.to_lowercase()
        )
    };
    counts.into_iter().map(note).collect()
}

/// A sentence for each group of pairs that differ only in numbers.
fn described<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    sentence: impl Fn(&str, &str) -> String,
) -> Vec<String> {
    let lines = grouped(pairs.into_iter().map(|(one, other)| (one, Some(other))));
    let text = |line: &Line| {
        let other = line.new.as_deref().unwrap_or_default();
        format!("{}{}", sentence(&line.old, other), keys_of(line))
    };
    lines.iter().map(text).collect()
}

fn keys_of(line: &Line) -> String {
    if line.keys == 1 { String::new() } else { format!("  ({} keys)", line.keys) }
}
