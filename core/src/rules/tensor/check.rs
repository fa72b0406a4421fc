//! What must be so in every rule: the same parts on both sides, each once.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::rules::limits::{MAX_PARTS, MAX_TERMS};
use crate::rules::sizes::SizeExpression;
use crate::rules::template::{Affine, Form, Name};
use crate::rules::tensor::place::beyond_name;
use crate::rules::tensor::{
    BadTensorRule, Dimensions, Filling, Inline, Place, Problem, Roles, TensorRule, Term,
};
use crate::sorting;
use crate::{IndexMap, IndexSet};

/// What is wrong, and with which term.
type Refusal = (Option<String>, Problem);

impl TensorRule {
    /// The rule, if it can be, with what its names are.
    pub(super) fn checked(mut self) -> Result<TensorRule, BadTensorRule> {
        let rule = self.to_string().into();
        let refuse = |(term, problem): Refusal| BadTensorRule {
            rule,
            term: term.map(String::into),
            problem,
        };
        self.settle().map_err(refuse)?;
        Ok(self)
    }

    fn settle(&mut self) -> Result<(), Refusal> {
        if self.left.len().max(self.right.len()) > MAX_TERMS {
            return Err((None, Problem::limit("the number of terms", MAX_TERMS)));
        }
        if let Some(term) = self.left.iter().find(|term| !term.ties.is_empty()) {
            return Err((Some(term.to_string()), Problem::TieOnLeft));
        }
        for term in self.terms() {
            term.check().map_err(|problem| (Some(term.to_string()), problem))?;
        }
        if let Some(term) = self.right.iter().find(|term| term.fillings().any(|it| it.is_none())) {
            return Err((Some(term.to_string()), Problem::Unfilled));
        }
        for terms in [&self.left, &self.right] {
            let keys = terms.iter().map(|term| term.template.to_string());
            let mut seen = IndexSet::<String>::default();
            for key in keys {
                if let (_, false) = seen.insert_full(key.clone()) {
                    return Err((None, Problem::SameKey(key)));
                }
            }
        }
        check_sizes(&self.inline).map_err(|problem| (None, problem))?;
        check_captures(self)?;
        self.number_beyond();
        self.roles = roles(&self.left, &self.right)?;
        check_parts(self)?;
        self.take_numbers();
        Ok(())
    }

    /// Takes captures that are places, or have the form of numbers somewhere, for numbers.
    fn take_numbers(&mut self) {
        let affine = self.terms().flat_map(|term| term.template.affine_names());
        let numbers: IndexSet<Name> =
            affine.chain(&self.roles.gathered).chain(&self.roles.spread).cloned().collect();
        for term in self.left.iter_mut().chain(&mut self.right) {
            term.template = term.template.clone().with_numbers(&numbers);
            for tie in &mut term.ties {
                *tie = tie.clone().with_numbers(&numbers);
            }
        }
    }
}

impl Term {
    /// Refuses what cannot be in one term.
    fn check(&self) -> Result<(), Problem> {
        if self.templates().any(|template| template.has_wildcards()) {
            return Err(Problem::Wildcard);
        }
        self.check_beyond()?;
        let places = self.place_names();
        let key: IndexSet<&str> = self.templates().flat_map(|template| template.names()).collect();
        if let Some(name) = places.iter().find(|name| key.contains(&***name)) {
            return Err(Problem::KeyAndPlace((*name).clone()));
        }
        Ok(())
    }

    /// Refuses `_` where it is not one part of a sum that has others.
    fn check_beyond(&self) -> Result<(), Problem> {
        let places = self.places.iter().flat_map(Dimensions::places);
        let parts_beyond: Vec<usize> = places
            .flat_map(Place::sums)
            .map(|parts| parts.iter().filter(|part| Place::beyond(part).is_some()).count())
            .collect();
        let all = self.places.iter().flat_map(Dimensions::leaves);
        let all = all.filter(|place| matches!(place, Place::Beyond { .. })).count();
        if parts_beyond.iter().any(|count| *count > 1) {
            return Err(Problem::BeyondTwice);
        }
        if parts_beyond.iter().sum::<usize>() != all { Err(Problem::Beyond) } else { Ok(()) }
    }

    /// What is filled in at each `_`.
    fn fillings(&self) -> impl Iterator<Item = Option<Filling>> {
        let leaves = self.places.iter().flat_map(Dimensions::leaves);
        leaves.filter_map(|place| match place {
            Place::Beyond { filled, .. } => Some(*filled),
            _ => None,
        })
    }
}

impl TensorRule {
    /// True if rows are cut off of which nobody says what they hold.
    pub(crate) fn forgets(&self) -> bool {
        self.left.iter().flat_map(Term::fillings).any(|filled| filled.is_none())
    }

    /// Gives each `_` a name of its own, which no rule can write.
    fn number_beyond(&mut self) {
        let mut count = 0;
        for term in self.left.iter_mut().chain(&mut self.right) {
            term.places = term.places.take().map(|places| {
                places.map(&mut |place| match place {
                    Place::Beyond { filled, .. } => {
                        count += 1;
                        Place::Beyond { name: beyond_name(count), filled }
                    }
                    place => place,
                })
            });
        }
    }

    /// The names of its places.
    pub(crate) fn place_names(&self) -> IndexSet<Name> {
        self.terms().flat_map(Term::place_names).collect()
    }
}

impl Term {
    /// The names among its places.
    pub(crate) fn place_names(&self) -> IndexSet<Name> {
        let leaves = self.places.iter().flat_map(Dimensions::leaves);
        let names = leaves.filter_map(|place| match place {
            Place::Name(name) => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }
}

/// Refuses sizes that are said by themselves, or by what is no name of a rule.
fn check_sizes(inline: &Inline) -> Result<(), Problem> {
    for (name, size) in inline {
        if let Some(path) = size.names().into_iter().find(|name| name.contains('.')) {
            return Err(Problem::SizeName(path.clone()));
        }
        let mut open: Vec<&SizeExpression> = [size].into();
        let mut seen = IndexSet::<&Name>::default();
        while let Some(size) = open.pop() {
            for used in size.names() {
                if used == name {
                    return Err(Problem::Circle(name.clone()));
                }
                if seen.insert(used) {
                    open.extend(inline.get(used));
                }
            }
        }
    }
    Ok(())
}

/// Refuses captures that differ in kind between keys.
fn check_captures(rule: &TensorRule) -> Result<(), Refusal> {
    let templates =
        rule.terms().flat_map(|term| term.templates().map(move |template| (term, template)));
    let mut lists = IndexMap::<&Name, usize>::default();
    let mut texts = IndexSet::<&Name>::default();
    let mut singles = IndexSet::<&Name>::default();
    let mut rests = IndexSet::<&Name>::default();
    for (term, template) in templates {
        rests.extend(template.rest_names());
        for capture in template.captures() {
            singles.insert(&capture.name);
            match &capture.form {
                Form::Words(words) => {
                    let known = *lists.entry(&capture.name).or_insert(words.len());
                    if known != words.len() {
                        let (name, a, b) = (capture.name.clone(), known, words.len());
                        return Err((Some(term.to_string()), Problem::ListLengths { name, a, b }));
                    }
                }
                Form::Text | Form::Digits => {
                    texts.insert(&capture.name);
                }
                Form::Affine(Affine { .. }) => {}
            }
        }
    }
    if let Some(name) = texts.into_iter().find(|name| lists.contains_key(*name)) {
        return Err((None, Problem::ListAgainstText(name.clone())));
    }
    if let Some(name) = singles.into_iter().find(|name| rests.contains(*name)) {
        return Err((None, Problem::Kind(name.clone())));
    }
    let places = rule.place_names();
    if let Some(name) = rests.into_iter().find(|name| places.contains(*name)) {
        return Err((None, Problem::RestAsPlace(name.clone())));
    }
    for (name, words) in lists {
        match rule.inline.get(name) {
            Some(SizeExpression::Number(size)) if u64::try_from(words) != Ok(*size) => {
                let (name, size) = (name.clone(), *size);
                return Err((None, Problem::ListSize { name, size, words }));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What each name is, if that is clear.
fn roles(left: &[Term], right: &[Term]) -> Result<Roles, Refusal> {
    let captured = |terms: &[Term]| -> IndexSet<Name> {
        let names = terms.iter().flat_map(|term| term.template.names().map(Name::from));
        names.collect()
    };
    let placed =
        |terms: &[Term]| -> IndexSet<Name> { terms.iter().flat_map(Term::place_names).collect() };
    let (left_keys, right_keys) = (captured(left), captured(right));
    let (left_places, right_places) = (placed(left), placed(right));
    let mut roles = Roles::default();
    for name in left_keys.iter().chain(&right_keys) {
        let (on_left, on_right) = (left_keys.contains(name), right_keys.contains(name));
        let is_place = left_places.contains(name) || right_places.contains(name);
        if on_left && on_right {
            if is_place {
                return Err((None, Problem::CarriedAndPlace(name.clone())));
            }
            roles.carried.insert(name.clone());
        } else if on_left && right_places.contains(name) {
            roles.gathered.insert(name.clone());
        } else if on_right && left_places.contains(name) {
            roles.spread.insert(name.clone());
        } else {
            return Err((None, Problem::Forgotten(name.clone())));
        }
    }
    roles.repeated = once_elsewhere(&right_places, (&left_places, left), &left_keys);
    roles.compared = once_elsewhere(&left_places, (&right_places, right), &right_keys);
    for term in left.iter().chain(right) {
        for template in term.templates() {
            let own: IndexSet<&str> = template.names().collect();
            // A second key must tell apart what the first does.
            let first = term.template.names().filter(|name| !roles.carried.contains(*name));
            let mut needed = roles.carried.iter().map(|name| &**name).chain(first);
            if let Some(name) = needed.find(|name| !own.contains(name)) {
                return Err((Some(term.to_string()), Problem::NotEverywhere(name.into())));
            }
            if let Some(name) = own.into_iter().find(|name| !is_captured(&term.template, name)) {
                return Err((Some(term.to_string()), Problem::Forgotten(name.into())));
            }
        }
    }
    Ok(roles)
}

/// The places that one side alone has, if the other has as many dimensions of one element.
fn once_elsewhere(
    own: &IndexSet<Name>,
    (other, terms): (&IndexSet<Name>, &[Term]),
    keys: &IndexSet<Name>,
) -> IndexSet<Name> {
    let alone = own.iter().filter(|name| !other.contains(*name) && !keys.contains(*name));
    let alone: IndexSet<Name> = alone.cloned().collect();
    let leaves = terms.iter().filter_map(|term| term.places.as_ref()).map(Dimensions::leaves);
    let ones = leaves.map(|places| places.iter().filter(|it| ***it == Place::Number(1)).count());
    if ones.min().unwrap_or(0) >= alone.len() { alone } else { IndexSet::default() }
}

fn is_captured(template: &crate::Template, name: &str) -> bool {
    template.names().any(|own| own == name)
}

/// The names of a part, sorted.
type Part = Vec<Name>;

/// Refuses rules in which a part of the tensors on one side is not once on the other.
fn check_parts(rule: &TensorRule) -> Result<(), Refusal> {
    let left = parts(&rule.left, &rule.roles)?;
    let right = parts(&rule.right, &rule.roles)?;
    for (own, other) in [(&left, &right), (&right, &left)] {
        let known: IndexSet<&Name> = other.keys().flatten().collect();
        for (part, term) in own {
            if let Some(name) = part.iter().find(|name| !known.contains(name)) {
                return Err((Some(term.to_string()), Problem::OneSided(name.clone())));
            }
        }
    }
    for (own, other) in [(&left, &right), (&right, &left)] {
        if let Some((part, term)) = own.iter().find(|(part, _)| !other.contains_key(*part)) {
            let (part, term) = (shown(part), term.to_string());
            return Err((None, Problem::Nowhere { part, term }));
        }
    }
    Ok(())
}

/// The parts of all tensors of a side, each with the term it is in.
fn parts<'t>(terms: &'t [Term], roles: &Roles) -> Result<IndexMap<Part, &'t Term>, Refusal> {
    let count = terms.iter().map(|term| term.places.as_ref().map_or(1, |it| product_count(&it.0)));
    if count.fold(0, u64::saturating_add) > MAX_PARTS {
        let limit = usize::try_from(MAX_PARTS).unwrap_or(usize::MAX);
        return Err((None, Problem::limit("the number of parts of a side", limit)));
    }
    let mut all = IndexMap::<Part, &Term>::default();
    for term in terms {
        let key = term.template.names().map(Name::from);
        let key: Vec<Name> = key.filter(|name| !roles.carried.contains(name)).collect();
        let products = match &term.places {
            Some(places) => products(&places.0),
            None => products(&[Place::Rest]),
        };
        let is_alone = |name: &Name| roles.repeated.contains(name) || roles.compared.contains(name);
        for mut part in products {
            part.retain(|name| !is_alone(name));
            part.extend(key.iter().cloned());
            sorting::sort(&mut part);
            if let Some(pair) = part.windows(2).find(|pair| pair[0] == pair[1]) {
                let name = pair[0].clone();
                let is_number = name.starts_with(|c: char| c.is_ascii_digit());
                let problem =
                    if is_number { Problem::NumberTwice(name) } else { Problem::NameTwice(name) };
                return Err((Some(term.to_string()), problem));
            }
            match all.insert(part.clone(), term) {
                None => {}
                Some(other) if core::ptr::eq(other, term) => {
                    return Err((Some(term.to_string()), Problem::PartTwice(shown(&part))));
                }
                Some(other) => {
                    let (a, b) = (other.template.to_string(), term.template.to_string());
                    return Err((None, Problem::Same { a, b, part: shown(&part) }));
                }
            }
        }
    }
    Ok(all)
}

fn shown(part: &Part) -> String {
    part.iter().map(|name| &**name).collect::<Vec<_>>().join(" ")
}

/// How many parts places make.
fn product_count(places: &[Place]) -> u64 {
    let counts = places.iter().map(|place| match place {
        Place::Product(places) => product_count(places),
        Place::Sum(parts) => {
            parts.iter().map(|part| product_count(part)).fold(0, u64::saturating_add)
        }
        Place::Sized(place, _) => product_count(core::slice::from_ref(place)),
        _ => 1,
    });
    counts.fold(1, u64::saturating_mul)
}

/// The names of each part that places make.
fn products(places: &[Place]) -> Vec<Part> {
    let mut all: Vec<Part> = Vec::from([Vec::new()]);
    for place in places {
        let own: Vec<Part> = match place {
            Place::Product(places) => products(places),
            Place::Sum(parts) => {
                let parts = parts.iter().filter(|part| Place::beyond(part).is_none());
                parts.flat_map(|part| products(part)).collect()
            }
            Place::Sized(place, _) => products(core::slice::from_ref(place)),
            leaf => Vec::from([leaf.name().into_iter().collect()]),
        };
        let with_each = |part: Part| {
            own.iter()
                .map(move |more| part.iter().chain(more).cloned().collect())
                .collect::<Vec<_>>()
        };
        all = all.into_iter().flat_map(with_each).collect();
    }
    all
}
