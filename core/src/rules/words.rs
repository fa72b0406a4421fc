//! What rules do, in words.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::rules::template::{Name, Template};
use crate::rules::tensor::{Dimensions, Filling, Place, TensorRule, Term, is_beyond};
use crate::sorting;
use crate::{Arithmetic, Operation, Remap, Rule};

impl Rule {
    /// What it does, in words: `splits rows into 3: q, k, v`.
    pub fn in_words(&self) -> String {
        match self {
            Rule::Remap(remap) => remap.in_words(),
            Rule::Unwrap(wrappers) => {
                format!("takes the segments {} out, wherever they are", wrappers.names().join(", "))
            }
            Rule::Rewrite(_) => "renames keys, and forgets a part of them".into(),
            Rule::Replace(_) => "replaces what the regular expression matches".into(),
            Rule::Tensor(rule) => rule.in_words(),
            Rule::Formula(rule) => rule.in_words(),
            Rule::Fates(fates) => format!("says what becomes of {} keys", fates.len()),
            Rule::FirstOf(rules) => {
                rules.iter().map(Rule::in_words).collect::<Vec<_>>().join("; or else ")
            }
        }
    }
}

impl Remap {
    fn in_words(&self) -> String {
        match self {
            Remap::Identity => "changes nothing".into(),
            Remap::Add(prefix) => format!("puts '{}' in front of keys", prefix.text()),
            Remap::Strip(prefix) => format!("takes '{}' off the start of keys", prefix.text()),
            Remap::Rename(_) => "renames keys".into(),
            Remap::Keep(_) => "keeps the keys that match, and drops the others".into(),
            Remap::Drop(_) => "drops the keys that match".into(),
            Remap::Table(table) => format!("renames {} keys one by one", table.pairs().count()),
            Remap::Then(first, second) => {
                format!("{}, then {}", first.in_words(), second.in_words())
            }
        }
    }
}

impl TensorRule {
    /// What it does, in words.
    pub fn in_words(&self) -> String {
        let mut steps = Vec::new();
        for name in &self.roles().spread {
            steps.push(self.spread_in_words(name));
        }
        steps.extend(self.sums_in_words());
        steps.extend(self.beyond_in_words());
        if let ([left], [right]) = (self.left(), self.right()) {
            steps.extend(moved(left, right, self));
        } else {
            steps.extend(several(self));
        }
        for name in &self.roles().gathered {
            steps.push(self.gathered_in_words(name));
        }
        for name in &self.roles().repeated {
            steps.push(format!("repeats what there is once, {name} times"));
        }
        for name in &self.roles().compared {
            steps.push(format!("takes one of each {name}, which must all be the same"));
        }
        for step in self.left().iter().chain(self.right()).flat_map(Term::steps) {
            steps.push(combined_in_words(step));
        }
        for tie in self.right().iter().flat_map(Term::ties) {
            steps.push(format!("gives the same tensor the key {tie} as well"));
        }
        if steps.is_empty() { "renames keys".into() } else { steps.join("; ") }
    }

    fn spread_in_words(&self, name: &Name) -> String {
        let words = list(self.right(), name);
        let place = self.left().iter().find_map(|term| position(term, name));
        match place {
            Some((at, Within::Part)) => {
                let axis = axis(at);
                match words {
                    Some(words) => {
                        format!("splits {axis} into {}: {}", words.len(), words.join(", "))
                    }
                    None => format!("splits {axis} into equal parts, one for each {name}"),
                }
            }
            _ => {
                let at = place.map_or(0, |(at, _)| at);
                let each = match words {
                    Some(words) => words.join(", "),
                    None => format!("each {name}"),
                };
                format!("unstacks the {} dimension: a tensor for {each}", ordinal(at))
            }
        }
    }

    fn gathered_in_words(&self, name: &Name) -> String {
        let what = match list(self.left(), name) {
            Some(words) => words.join(", "),
            None => format!("the tensors of all {name}"),
        };
        match self.right().iter().find_map(|term| position(term, name)) {
            Some((at, Within::Part)) => format!("joins {what} along {}", axis(at)),
            place => {
                let at = place.map_or(0, |(at, _)| at);
                format!("stacks {what} along a new {} dimension", ordinal(at))
            }
        }
    }

    /// What is cut off, and what is filled in.
    fn beyond_in_words(&self) -> Vec<String> {
        let mut steps = Vec::new();
        for (at, filled) in beyond(self.left()) {
            let axis = axis(at);
            steps.push(match filled {
                Some(number) => format!("cuts off {axis} that are all {}", number.number()),
                None => format!("cuts off {axis}, which are lost"),
            });
        }
        for (at, number) in beyond(self.right()) {
            let number = number.map(Filling::number).unwrap_or_default();
            steps.push(format!("fills {} up with {number}", axis(at)));
        }
        steps
    }

    /// Parts of unequal size that become tensors, or come from tensors.
    fn sums_in_words(&self) -> Option<String> {
        let (left, right) = (sum(self.left()), sum(self.right()));
        match (left, right) {
            (Some((at, parts)), None) => {
                Some(format!("splits {} into {}: {}", axis(at), parts.len(), parts.join(", ")))
            }
            (None, Some((at, parts))) => {
                Some(format!("joins {} along {}", parts.join(", "), axis(at)))
            }
            (Some((at, before)), Some((_, after))) if before != after => Some(format!(
                "puts the parts of {} in another order: {} become {}",
                axis(at),
                before.join(", "),
                after.join(", ")
            )),
            _ => None,
        }
    }
}

/// What a constant does to every element.
fn combined_in_words(step: &Arithmetic) -> String {
    let constant = step.constant();
    match step.operation() {
        Operation::Add if constant < 0.0 => format!("takes {} off every element", -constant),
        Operation::Add => format!("adds {constant} to every element"),
        Operation::Multiply => format!("multiplies every element by {constant}"),
        Operation::Divide => format!("divides every element by {constant}"),
    }
}

/// Where in a dimension a name is.
#[derive(Clone, Copy, PartialEq)]
enum Within {
    /// It is all of it.
    Whole,
    /// It is one of several names.
    Part,
}

/// The dimension that a name is in.
fn position(term: &Term, name: &Name) -> Option<(usize, Within)> {
    let places = term.places()?.places();
    places.iter().enumerate().find_map(|(at, place)| match place {
        Place::Name(own) if own == name => Some((at, Within::Whole)),
        place => place.names().contains(name).then_some((at, Within::Part)),
    })
}

/// The words of a capture in one of these keys.
fn list<'t>(terms: &'t [Term], name: &Name) -> Option<&'t [String]> {
    terms.iter().find_map(|term| term.template().words(name))
}

/// The first sum among places: its dimension, and its parts by their names.
fn sum(terms: &[Term]) -> Option<(usize, Vec<String>)> {
    let places = terms.iter().filter_map(Term::places).map(Dimensions::places);
    places.flat_map(|places| places.iter().enumerate()).find_map(|(at, place)| {
        let parts = place.sum()?;
        let text =
            |part: &Vec<Place>| part.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let parts = parts.iter().filter(|part| Place::beyond(part).is_none());
        let parts: Vec<String> = parts.map(text).collect();
        (parts.len() > 1).then_some((at, parts))
    })
}

/// What is cut off or filled in among places: its dimension, and with which number.
fn beyond(terms: &[Term]) -> Vec<(usize, Option<Filling>)> {
    let places = terms.iter().filter_map(Term::places).map(Dimensions::places);
    let all = places.flat_map(|places| places.iter().enumerate());
    let parts = all.flat_map(|(at, place)| {
        place.sums().into_iter().flatten().map(move |part| (at, Place::beyond(part)))
    });
    parts.filter_map(|(at, found)| Some((at, found?.1))).collect()
}

/// What becomes of the dimensions of one tensor that becomes one, apart from what is split or joined.
fn moved(left: &Term, right: &Term, rule: &TensorRule) -> Vec<String> {
    let (before, after) = (dimensions(left, rule), dimensions(right, rule));
    let flat = |dims: &[Vec<Name>]| dims.concat();
    let mut steps = Vec::new();
    let ones = |term: &Term| {
        let places = term.places().map_or(&[][..], Dimensions::places);
        places.iter().filter(|place| **place == Place::Number(1)).count()
    };
    let repeats = !rule.roles().repeated.is_empty() || !rule.roles().compared.is_empty();
    if repeats {
        return steps;
    }
    if ones(left) > ones(right) {
        steps.push("takes dimensions of one element out".into());
    }
    if ones(left) < ones(right) {
        steps.push("adds dimensions of one element".into());
    }
    if sum(rule.left()).is_some() || sum(rule.right()).is_some() || before == after {
        return steps;
    }
    let shown = |dims: &[Vec<Name>]| {
        let dims = dims.iter().map(|dim| match dim.as_slice() {
            [one] => one.to_string(),
            several => format!("({})", several.join(" ")),
        });
        dims.collect::<Vec<_>>().join(" ")
    };
    if flat(&before) == flat(&after) {
        steps.push(format!("reshapes {} to {}", shown(&before), shown(&after)));
        return steps;
    }
    let same_sets = before.len() == after.len()
        && before.iter().zip(&after).all(|(a, b)| sorted(a) == sorted(b));
    let is_swap =
        before.len() == 2 && after.len() == 2 && before[0] == after[1] && before[1] == after[0];
    steps.push(match (is_swap, same_sets) {
        (true, _) => "transposes".into(),
        (_, true) => {
            format!("reorders within dimensions: {} becomes {}", shown(&before), shown(&after))
        }
        _ => format!("permutes dimensions: {} becomes {}", shown(&before), shown(&after)),
    });
    steps
}

fn sorted(names: &[Name]) -> Vec<&Name> {
    let mut names: Vec<&Name> = names.iter().collect();
    sorting::sort(&mut names);
    names
}

/// The names of each dimension, without those that are parts of keys on the other side.
fn dimensions(term: &Term, rule: &TensorRule) -> Vec<Vec<Name>> {
    let roles = rule.roles();
    let places = term.places().map_or(&[][..], Dimensions::places);
    let stays = |name: &Name| {
        let moves = [&roles.gathered, &roles.spread, &roles.repeated, &roles.compared];
        !moves.iter().any(|names| names.contains(name)) && !is_beyond(name)
    };
    let dims = places.iter().map(|place| place.names().into_iter().filter(stays).collect());
    dims.filter(|names: &Vec<Name>| !names.is_empty()).collect()
}

/// What becomes of the dimensions where there are several terms.
fn several(rule: &TensorRule) -> Option<String> {
    let count = |terms: &[Term]| terms.len();
    if sum(rule.left()).is_some() || sum(rule.right()).is_some() {
        return None;
    }
    let keys = |terms: &[Term]| {
        terms.iter().map(Term::template).map(Template::to_string).collect::<Vec<_>>().join(", ")
    };
    Some(format!(
        "makes {} tensors of {}: {}",
        count(rule.right()),
        count(rule.left()),
        keys(rule.right())
    ))
}

/// `rows`, `columns`, `the third dimension`.
fn axis(at: usize) -> String {
    match at {
        0 => "rows".into(),
        1 => "columns".into(),
        at => format!("the {} dimension", ordinal(at)),
    }
}

fn ordinal(at: usize) -> String {
    match at {
        0 => "first".into(),
        1 => "second".into(),
        2 => "third".into(),
        at => format!("{}th", at + 1),
    }
}
