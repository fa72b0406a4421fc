//! Keys that belong together: those with the same captures that both sides have.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Claim, MAX_MADE, Source};
use crate::IndexMap;
use crate::rules::template::{Held, Name, Value};
use crate::rules::tensor::{TensorRule, Term};
use crate::sorting;

/// How many keys a group may lack of which each is named; the rest is counted.
const MISSING_SHOWN: usize = 100;

/// How many entries each gathered name has.
pub(super) type Counts = IndexMap<Name, u64>;

/// The tensors of which a rule makes others, together.
pub(super) struct Group {
    /// What all of them have in common.
    pub(super) carried: Held,
    /// For each term on the left its tensors, by the values of the names that are gathered.
    pub(super) members: Vec<IndexMap<Vec<u64>, Member>>,
}

/// A tensor of a group.
pub(super) struct Member {
    pub(super) position: usize,
    pub(super) source: Source,
}

/// The names of a term's key that are gathered, in their order there.
pub(super) fn gathered<'r>(rule: &'r TensorRule, term: &Term) -> Vec<&'r Name> {
    let names = term.template().names();
    names.filter_map(|name| rule.roles().gathered.get(name)).collect()
}

/// The names of a term's key that several of its tensors differ by, in their order there.
pub(super) fn spread<'r>(rule: &'r TensorRule, term: &Term) -> Vec<&'r Name> {
    let names = term.template().names();
    names.filter_map(|name| rule.roles().spread.get(name)).collect()
}

/// How many entries the gathered names have: as many as their list has words, as a size says, or one
/// more than the largest number in any group.
pub(super) fn counts(rule: &TensorRule, claims: &[Claim]) -> Result<Counts, String> {
    let mut counts = Counts::default();
    for name in &rule.roles().gathered {
        let largest = claims.iter().filter_map(|claim| claim.held.get(name)?.index()).max();
        let words = rule.left().iter().find_map(|term| term.template().words(name));
        let words = words.map(|words| words.len() as u64);
        let size = rule.sizes().get(name).copied();
        let count = match (words, size) {
            (Some(words), Some(size)) if words != size => {
                return Err(format!("the size '{name}' is {size}, and its list has {words} words"));
            }
            (Some(known), _) | (None, Some(known)) => known,
            (None, None) => largest.map_or(0, |largest| largest.saturating_add(1)),
        };
        counts.insert(name.clone(), count);
    }
    Ok(counts)
}

/// The groups in the order of their first keys.
pub(super) fn groups(rule: &TensorRule, claims: Vec<Claim>) -> Vec<Group> {
    let own: Vec<Vec<&Name>> = rule.left().iter().map(|term| gathered(rule, term)).collect();
    let mut groups = IndexMap::<Held, Group>::default();
    for Claim { position, term, held, source, .. } in claims {
        let mut carried: Vec<(Name, Value)> = held
            .iter()
            .filter(|(name, _)| !rule.roles().gathered.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        sorting::sort_by(&mut carried, |a, b| a.0.cmp(&b.0));
        let values = own[term].iter().filter_map(|name| held.get(name)?.index()).collect();
        let carried: Held = carried.into_iter().collect();
        let group = groups.entry(carried).or_insert_with_key(|carried| Group {
            carried: carried.clone(),
            members: rule.left().iter().map(|_| IndexMap::default()).collect(),
        });
        group.members[term].insert(values, Member { position, source });
    }
    groups.into_values().collect()
}

impl Group {
    /// Adds what the group lacks, and what it has beyond what is counted.
    pub(super) fn check_members(
        &self,
        rule: &TensorRule,
        counts: &Counts,
        problems: &mut Vec<String>,
    ) {
        for (term, members) in rule.left().iter().zip(&self.members) {
            let own = gathered(rule, term);
            let sizes: Vec<u64> = own.iter().map(|name| counts[*name]).collect();
            self.check_missing(term, &own, &sizes, members, problems);
            for (values, member) in members {
                if values.iter().zip(&sizes).any(|(value, size)| value >= size) {
                    let place = place(&own, values, &sizes);
                    let name = &member.source.name;
                    problems.push(format!("'{name}' is beyond what the rule counts{place}"));
                } else if let Err(why) = &member.source.tensor {
                    problems.push(format!("'{}' {why}", member.source.name));
                }
            }
        }
    }

    fn check_missing(
        &self,
        term: &Term,
        own: &[&Name],
        sizes: &[u64],
        members: &IndexMap<Vec<u64>, Member>,
        problems: &mut Vec<String>,
    ) {
        let expected = sizes.iter().try_fold(1u64, |all, size| all.checked_mul(*size));
        let expected = expected.unwrap_or(u64::MAX);
        let in_range = |values: &&Vec<u64>| values.iter().zip(sizes).all(|(v, size)| v < size);
        let there = members.keys().filter(in_range).count() as u64;
        let mut missing = expected.saturating_sub(there);
        let mut values = alloc::vec![0u64; sizes.len()];
        for _ in 0..MISSING_SHOWN {
            if missing == 0 {
                return;
            }
            while members.contains_key(&values) {
                advance(&mut values, sizes);
            }
            let place = place(own, &values, sizes);
            problems.push(match term.template().fill(&self.held(own, &values)) {
                Ok(key) => format!("'{key}' is missing{place}"),
                Err(why) => format!("'{term}': {why}"),
            });
            advance(&mut values, sizes);
            missing -= 1;
        }
        if missing > 0 {
            problems.push(format!("{missing} more keys of '{}' are missing", term.template()));
        }
    }

    /// Its tensors, those of one term after those of another.
    pub(super) fn all(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().flat_map(IndexMap::values)
    }

    /// What is carried, with values of other names.
    pub(super) fn held(&self, names: &[&Name], values: &[u64]) -> Held {
        let mut held = self.carried.clone();
        for (name, value) in names.iter().zip(values) {
            held.set((*name).clone(), Value::Number(i128::from(*value)));
        }
        held
    }
}

/// The next of all combinations of values, the last counting fastest; after the last the first.
pub(super) fn advance(values: &mut [u64], sizes: &[u64]) {
    for (value, size) in values.iter_mut().zip(sizes).rev() {
        *value += 1;
        if *value < *size {
            return;
        }
        *value = 0;
    }
}

/// ` (e 17 of 64, p 0 of 2)`; nothing where nothing is counted.
fn place(names: &[&Name], values: &[u64], sizes: &[u64]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let places = names.iter().zip(values).zip(sizes);
    let places = places.map(|((name, value), size)| format!("{name} {value} of {size}"));
    format!(" ({})", places.collect::<Vec<_>>().join(", "))
}

/// How many combinations there are, if a rule may make so many tensors of a group.
pub(super) fn combinations(sizes: &[u64], of: &dyn ToString) -> Result<u64, String> {
    let all = sizes.iter().try_fold(1u64, |all, size| all.checked_mul(*size));
    let all = all.filter(|all| *all <= MAX_MADE);
    all.ok_or_else(|| {
        let of = of.to_string();
        format!("'{of}' would stand for more than {MAX_MADE} tensors")
    })
}
