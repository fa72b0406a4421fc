//! Sizes that shapes settle: each dimension with one unknown name is a linear equation.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::groups::{Counts, Group};
use super::layout::{Dimension, Sizes, dimensions, rest_name, size};
use crate::IndexMap;
use crate::rules::sizes::{Operation, SizeExpression};
use crate::rules::template::Name;
use crate::rules::tensor::{BEYOND, Dimensions, Place, TensorRule, Term, is_beyond};

/// Sizes that refer to each other deeper than this refer to themselves.
const MAX_DEPTH: usize = 32;

/// `(constant + factor × name) ÷ over`; without a name if it is known.
struct Linear {
    constant: i128,
    factor: i128,
    over: i128,
    name: Option<Name>,
}

/// That a dimension of a tensor has so many entries.
struct Equation<'a> {
    name: &'a str,
    shape: &'a [u64],
    dimension: Dimension<'a>,
    total: u64,
}

/// The sizes of all places of a group; adds the reasons and gives none if they are not to be had.
pub(super) fn solve(
    rule: &TensorRule,
    group: &Group,
    counts: &Counts,
    problems: &mut Vec<String>,
) -> Option<Sizes> {
    let before = problems.len();
    let mut solver = Solver::new(rule, counts);
    let mut equations = Vec::new();
    for (term, members) in rule.left().iter().zip(&group.members) {
        for member in members.values() {
            let (name, shape) = (&*member.source.name, member.source.shape());
            match equations_of(term.places(), (name, shape)) {
                Ok(own) => equations.extend(own),
                Err(why) => problems.push(why),
            }
        }
    }
    if problems.len() > before {
        return None;
    }
    solver.settle(&equations, problems);
    (problems.len() == before).then_some(solver.sizes)
}

/// Sizes of places, and how many dimensions `..` stands for.
pub(in crate::plan) struct Settled {
    sizes: Sizes,
    rest: usize,
}

impl Settled {
    /// The shape of a tensor with these places; none if a size is not known.
    pub(in crate::plan) fn shape(&self, places: Option<&Dimensions>) -> Option<Vec<u64>> {
        let dimensions = dimensions(places, self.rest).into_iter();
        dimensions.map(|dimension| dimension.size(&self.sizes)).collect()
    }
}

/// The sizes that one tensor of this name and shape settles, beside those that are known.
///
/// # Errors
/// Every reason why its shape is not that of the term.
pub(in crate::plan) fn sizes_of(
    term: Option<&Term>,
    source: Option<(&str, &[u64])>,
    (known, inline): (&IndexMap<Name, u64>, &IndexMap<Name, SizeExpression>),
) -> Result<Settled, Vec<String>> {
    let mut solver = Solver { inline, said: Vec::new(), sizes: known.clone() };
    let (mut problems, mut rest) = (Vec::new(), 0);
    let equations = match (term, source) {
        (Some(term), Some(source)) => {
            let equations = equations_of(term.places(), source).map_err(|why| [why].to_vec())?;
            let is_rest = |it: &&Equation| matches!(it.dimension, Dimension::Rest(_));
            rest = equations.iter().filter(is_rest).count();
            equations
        }
        _ => Vec::new(),
    };
    solver.settle(&equations, &mut problems);
    if problems.is_empty() { Ok(Settled { sizes: solver.sizes, rest }) } else { Err(problems) }
}

/// What the shape of a tensor says of its places.
fn equations_of<'a>(
    places: Option<&'a Dimensions>,
    (name, shape): (&'a str, &'a [u64]),
) -> Result<Vec<Equation<'a>>, String> {
    let rank = |count: usize| {
        if count == 1 { "1 dimension".into() } else { format!("{count} dimensions") }
    };
    let has_rest = places.is_none_or(Dimensions::has_rest);
    let named = places.map_or(0, |places| places.places().len() - usize::from(has_rest));
    if named > shape.len() || (named < shape.len() && !has_rest) {
        let most = if has_rest { "at least " } else { "" };
        let (has, wants) = (rank(shape.len()), rank(named));
        return Err(format!("'{name}' has {has}, and the rule names {most}{wants}"));
    }
    let dimensions = dimensions(places, shape.len() - named);
    let equations = dimensions.into_iter().zip(shape);
    let equation =
        |(dimension, total): (_, &u64)| Equation { name, shape, dimension, total: *total };
    Ok(equations.map(equation).collect())
}

struct Solver<'r> {
    inline: &'r IndexMap<Name, SizeExpression>,
    /// Places in parentheses whose size is said behind them.
    said: Vec<(&'r Place, &'r SizeExpression)>,
    sizes: Sizes,
}

impl<'r> Solver<'r> {
    fn new(rule: &'r TensorRule, counts: &Counts) -> Solver<'r> {
        let mut sizes = rule.sizes().clone();
        sizes.extend(counts.iter().map(|(name, count)| (name.clone(), *count)));
        for name in &rule.roles().spread {
            let words = rule.right().iter().find_map(|term| term.template().words(name));
            sizes.extend(words.map(|words| (name.clone(), words.len() as u64)));
        }
        let places = rule.left().iter().filter_map(Term::places).flat_map(Dimensions::leaves);
        let terms = rule.left().iter().chain(rule.right()).filter_map(Term::places);
        let said = terms.flat_map(Dimensions::places).flat_map(Place::said).collect();
        for place in places {
            if let Place::Number(number) = place {
                sizes.insert(format!("{number}").into(), *number);
            }
        }
        Solver { inline: rule.inline(), said, sizes }
    }

    /// Finds out all sizes that equations say; adds what is wrong.
    fn settle(&mut self, equations: &[Equation], problems: &mut Vec<String>) {
        let before = problems.len();
        loop {
            let known = self.sizes.len();
            while equations.iter().any(|equation| self.take(equation, problems)) {
                if problems.len() > before {
                    return;
                }
            }
            self.take_inline();
            self.take_said(problems);
            if problems.len() > before {
                return;
            }
            if self.sizes.len() == known {
                break;
            }
        }
        self.check_inline(problems);
        problems.extend(equations.iter().filter_map(|equation| self.problem(equation)));
    }

    /// Finds out sizes by those that are said behind parentheses.
    fn take_said(&mut self, problems: &mut Vec<String>) {
        for (place, said) in self.said.clone() {
            let sizes = &self.sizes;
            let total = match said.evaluate(&mut |name| Ok(sizes.get(name).copied())) {
                Ok(Some(total)) => total,
                Ok(None) => continue,
                Err(why) => {
                    problems.push(format!("the size of {place}: {why}"));
                    continue;
                }
            };
            if let Some(size) = size(place, &self.sizes) {
                if size != total {
                    problems.push(format!("{place} is {size}, and {place}={said} is {total}"));
                }
                continue;
            }
            let Some(Linear { constant, factor, over, name: Some(name) }) = self.linear(place, 0)
            else {
                continue;
            };
            let rest = i128::from(total).checked_mul(over).and_then(|it| it.checked_sub(constant));
            let found = rest.filter(|rest| factor != 0 && rest % factor == 0);
            match found.and_then(|rest| u64::try_from(rest / factor).ok()) {
                Some(size) => drop(self.sizes.insert(name, size)),
                None => problems.push(format!("{place} cannot have the size {total} ({said})")),
            }
        }
    }

    /// Finds out a size by an equation; true if one was found that was not known.
    fn take(&mut self, equation: &Equation, problems: &mut Vec<String>) -> bool {
        let Equation { name: tensor, dimension, total, .. } = equation;
        let place = match dimension {
            Dimension::Rest(number) => {
                let name = rest_name(*number);
                let is_new = !self.sizes.contains_key(&name);
                self.sizes.entry(name).or_insert(*total);
                return is_new;
            }
            Dimension::Place(place) => place,
        };
        let Some(Linear { constant, factor, over, name: Some(name) }) = self.linear(place, 0)
        else {
            return false;
        };
        let rest = i128::from(*total).checked_mul(over).and_then(|all| all.checked_sub(constant));
        let Some(rest) = rest.filter(|_| factor != 0) else { return false };
        let by = factor / over.max(1);
        let size = u64::try_from(rest / factor).ok().filter(|_| rest % factor == 0);
        match size {
            Some(size) => self.sizes.insert(name, size).is_none(),
            None => {
                let by = if by > 1 { format!(", by {by}") } else { String::new() };
                let problem =
                    format!("'{tensor}': {total} is not divisible as [{place}] wants{by}");
                problems.push(problem);
                true
            }
        }
    }

    /// Adds the sizes that are said in the places.
    fn take_inline(&mut self) {
        for _ in 0..MAX_DEPTH {
            let before = self.sizes.len();
            for (name, expression) in self.inline {
                if self.sizes.contains_key(name) {
                    continue;
                }
                let sizes = &self.sizes;
                let value = expression.evaluate(&mut |name| Ok(sizes.get(name).copied()));
                if let Ok(Some(value)) = value {
                    self.sizes.insert(name.clone(), value);
                }
            }
            if self.sizes.len() == before {
                break;
            }
        }
    }

    /// Holds the sizes that are said in the places against those that are known.
    fn check_inline(&self, problems: &mut Vec<String>) {
        for (name, expression) in self.inline {
            let sizes = &self.sizes;
            match expression.evaluate(&mut |name| Ok(sizes.get(name).copied())) {
                Ok(Some(value)) if sizes.get(name) != Some(&value) => {
                    let size = sizes.get(name).copied().unwrap_or_default();
                    let problem =
                        format!("'{name}' is {size}, and '{name}={expression}' is {value}");
                    problems.push(problem);
                }
                Ok(_) => {}
                Err(why) => problems.push(format!("the size '{name}': {why}")),
            }
        }
    }

    /// What is wrong with a dimension, now that all is known that can be.
    fn problem(&self, equation: &Equation) -> Option<String> {
        let Equation { name, shape, dimension, total } = equation;
        let place = match dimension {
            Dimension::Rest(number) => {
                let size = self.sizes.get(&rest_name(*number))?;
                return (size != total).then(|| {
                    format!("'{name}' has shape {shape:?}, unlike the others of its group")
                });
            }
            Dimension::Place(place) => place,
        };
        match size(place, &self.sizes) {
            Some(size) if size == *total => None,
            Some(size) => Some(format!("'{name}' has {total} where [{place}] is {size}")),
            None => {
                let unknown = self.unknown(place).join(" and ");
                let how = "--set NAME=N, or a config.json, says it";
                Some(format!(
                    "'{name}': the size of {unknown} in [{place}] is not known; {total} rows can be \
                     cut in several ways ({how})"
                ))
            }
        }
    }

    fn unknown(&self, place: &Place) -> Vec<String> {
        unknown_names(&place.names(), &self.sizes)
    }

    /// The size of a place by at most one name that is not known.
    fn linear(&self, place: &Place, depth: usize) -> Option<Linear> {
        match place {
            Place::Name(name) => self.linear_name(name, depth),
            Place::Number(number) => Some(Linear::constant(i128::from(*number))),
            Place::Beyond { name, .. } => self.linear_name(name, depth),
            Place::Sized(place, _) => self.linear(place, depth),
            Place::Product(places) => self.linear_product(places, depth),
            Place::Sum(parts) => {
                let mut parts = parts.iter().map(|part| self.linear_product(part, depth));
                parts.try_fold(Linear::constant(0), |all, part| all.plus(part?, 1))
            }
            Place::Rest | Place::Choice(_) => None,
        }
    }

    fn linear_product(&self, places: &[Place], depth: usize) -> Option<Linear> {
        let mut places = places.iter().map(|place| self.linear(place, depth));
        places.try_fold(Linear::constant(1), |all, place| all.times(place?))
    }

    fn linear_name(&self, name: &Name, depth: usize) -> Option<Linear> {
        if let Some(size) = self.sizes.get(name) {
            return Some(Linear::constant(i128::from(*size)));
        }
        match self.inline.get(name) {
            Some(_) if depth > MAX_DEPTH => None,
            Some(expression) => self.linear_expression(expression, depth + 1),
            None => Some(Linear { constant: 0, factor: 1, over: 1, name: Some(name.clone()) }),
        }
    }

    fn linear_expression(&self, expression: &SizeExpression, depth: usize) -> Option<Linear> {
        match expression {
            SizeExpression::Number(number) => Some(Linear::constant(i128::from(*number))),
            SizeExpression::Name(name) => self.linear_name(name, depth),
            SizeExpression::Both(a, operation, b) => {
                let (a, b) = (self.linear_expression(a, depth)?, self.linear_expression(b, depth)?);
                match operation {
                    Operation::Add => a.plus(b, 1),
                    Operation::Subtract => a.plus(b, -1),
                    Operation::Multiply => a.times(b),
                    Operation::Divide => a.over(b),
                }
            }
        }
    }
}

/// The names that have no size, as a rule writes them.
pub(super) fn unknown_names(names: &[Name], sizes: &Sizes) -> Vec<String> {
    let mut unknown = Vec::new();
    for name in names.iter().filter(|name| !sizes.contains_key(*name)) {
        let shown = if is_beyond(name) { BEYOND } else { &**name };
        if !unknown.iter().any(|known| *known == *shown) {
            unknown.push(String::from(shown));
        }
    }
    unknown
}

impl Linear {
    fn constant(constant: i128) -> Linear {
        Linear { constant, factor: 0, over: 1, name: None }
    }

    fn plus(self, other: Linear, sign: i128) -> Option<Linear> {
        let name = one_name(self.name, other.name)?;
        let sum = |a: i128, b: i128| {
            let b = b.checked_mul(self.over)?.checked_mul(sign)?;
            a.checked_mul(other.over)?.checked_add(b)
        };
        let (constant, factor) =
            (sum(self.constant, other.constant)?, sum(self.factor, other.factor)?);
        Some(Linear { constant, factor, over: self.over.checked_mul(other.over)?, name })
    }

    fn times(self, other: Linear) -> Option<Linear> {
        let (linear, scale) = match (&self.name, &other.name) {
            (_, None) => (self, other),
            (None, _) => (other, self),
            (Some(_), Some(_)) => return None,
        };
        Some(Linear {
            constant: linear.constant.checked_mul(scale.constant)?,
            factor: linear.factor.checked_mul(scale.constant)?,
            over: linear.over.checked_mul(scale.over)?,
            name: linear.name,
        })
    }

    fn over(self, other: Linear) -> Option<Linear> {
        if other.name.is_some() || other.constant <= 0 {
            return None;
        }
        self.times(Linear { constant: other.over, over: other.constant, ..other })
    }
}

/// The name that is in one of two, or in both; none at all if they differ.
fn one_name(a: Option<Name>, b: Option<Name>) -> Option<Option<Name>> {
    match (a, b) {
        (Some(a), Some(b)) if a != b => None,
        (a, b) => Some(a.or(b)),
    }
}
