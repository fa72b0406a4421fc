//! What rules of tensors and formulas make of what a stage finds.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Content, Draft, Item};
use crate::plan::Regrouping;
use crate::plan::companions::{Companions, Moves};
use crate::plan::formulas::{self, Calculated, Found, FoundTensor};
use crate::plan::regroup::{self, Claim, Known, New, Source};
use crate::rules::formula::FormulaRule;
use crate::{DType, Data, Expression, IndexMap, Issue, Origination, Rule, StateDict, Tensor};

/// What a rule of tensors recognised in a stage.
#[derive(Default)]
pub(super) struct Claims {
    claims: Vec<Claim>,
    known: Known,
}

impl Claims {
    pub(super) fn add(&mut self, claim: Claim, is: Content, state_dict: &StateDict) {
        let name = claim.source.name.clone();
        let made = match is {
            Content::Made(made) => *made,
            Content::Key(number) => claim.source.under(state_dict.key(number).unwrap_or_default()),
        };
        self.known.insert(name, made);
        self.claims.push(claim);
    }
}

impl<'a> Draft<'a> {
    /// Takes a stage of formulas, which says nothing of the keys that it does not name.
    pub(super) fn calculate(
        &mut self,
        stage: &'a Rule,
        rule: &FormulaRule,
        hits: &mut [usize],
        issues: &mut Vec<Issue>,
    ) {
        let found = self.items.iter().enumerate().map(|(position, item)| {
            let tensor = self.tensor(item).ok();
            let tensor = tensor.map(|(made, dtype)| FoundTensor { made: made.into_owned(), dtype });
            (item.name.clone(), Found { position, tensor })
        });
        let calculated = formulas::calculate(rule, &found.collect());
        let Calculated { made, taken, checks, groups, example, problems } = calculated;
        hits[0] += groups;
        issues.extend(problems.into_iter().map(|problem| self.refusal(Some(stage), problem)));
        if let Some(example) = example {
            let (path, rule) = (self.state_dict.path.clone(), stage.to_string());
            let (from, to) = (taken.len(), made.len());
            self.regroupings.push(Regrouping { path, rule, groups, from, to, cut: 0, example });
        }
        self.checks.extend(checks);
        let items = core::mem::take(&mut self.items).into_iter().enumerate();
        let mut items: Vec<_> = items.filter(|(_, item)| !taken.contains(&*item.name)).collect();
        items.extend(made.into_iter().map(|New { position, name, made }| {
            let (name, is) = (name.into(), Content::Made(Box::new(made)));
            (position, Item { name, is, by: Some(stage) })
        }));
        self.replace(items, issues);
    }

    /// What an item is made of, and its type; why it has no plain elements.
    fn tensor<'i>(&self, item: &'i Item) -> Result<(Cow<'i, Expression>, DType), String> {
        let tensor = |key: &str| self.catalog.tensor(self.state_dict, key);
        match &item.is {
            Content::Key(number) => {
                let key = self.state_dict.key(*number).unwrap_or_default();
                match tensor(key) {
                    None => Err("is not a tensor".to_string()),
                    Some(Tensor { data: Data::Opaque { layout, .. }, .. }) => {
                        Err(alloc::format!("has no plain elements, its layout is {layout}"))
                    }
                    Some(plain) => {
                        Ok((Cow::Owned(Expression::key(key, plain)), plain.dtype.clone()))
                    }
                }
            }
            Content::Made(made) => {
                let dtype_of = |key: &str| tensor(key).map(|tensor| tensor.dtype.clone());
                // What an adapter has in place of a tensor is of its type.
                let dtype = made.dtype(&dtype_of).or_else(|| dtype_of(&item.name));
                let dtype = dtype.ok_or_else(|| "is not a tensor".to_string())?;
                Ok((Cow::Borrowed(made.as_ref()), dtype))
            }
        }
    }

    /// Adds what the rules of a stage make of the keys that they recognised.
    pub(super) fn regroup_all(
        &mut self,
        stage: &'a Rule,
        claims: IndexMap<usize, Claims>,
        items: &mut Vec<(usize, Item<'a>)>,
        issues: &mut Vec<Issue>,
    ) {
        if claims.is_empty() {
            return;
        }
        let companions = self.companions.take();
        let companions =
            companions.unwrap_or_else(|| Companions::of(self.catalog, self.state_dict));
        let moves = self.regroup_each(stage, claims, &companions, items, issues);
        if !moves.made.is_empty() && issues.is_empty() {
            self.hold_companions(&companions, moves, items, issues);
        }
        self.companions = Some(companions);
    }

    /// The same for one rule after another; gives what becomes of weights, if anything belongs to them.
    fn regroup_each(
        &mut self,
        stage: &'a Rule,
        claims: IndexMap<usize, Claims>,
        companions: &Companions,
        items: &mut Vec<(usize, Item<'a>)>,
        issues: &mut Vec<Issue>,
    ) -> Moves {
        let mut moves = Moves::default();
        for (by, claims) in claims {
            let rule = &stage.alternatives()[by];
            let is_rename = matches!(rule, Rule::Tensor(rule) if regroup::is_rename(rule));
            let sources = claims.known.values().flat_map(Expression::source_keys);
            if !companions.is_empty() && !is_rename {
                moves.regrouped.extend(sources.map(String::from));
            }
            let before = items.len();
            self.regroup(rule, claims, items, issues);
            if companions.is_empty() || is_rename {
                continue;
            }
            for (_, Item { name, is, .. }) in &items[before..] {
                let made = match is {
                    Content::Made(made) => Some(made.as_ref().clone()),
                    Content::Key(number) => self.own_expression(*number),
                };
                moves.made.extend(made.map(|made| (name.to_string(), made)));
            }
        }
        moves
    }

    /// Refuses what leaves behind, or takes apart, what belongs to weights.
    fn hold_companions(
        &self,
        companions: &Companions,
        mut moves: Moves,
        items: &[(usize, Item<'a>)],
        issues: &mut Vec<Issue>,
    ) {
        let all = items.iter().flat_map(|(_, item)| self.sources_of(item));
        moves.others = all.map(String::from).collect();
        let count = |key: &str| self.catalog.tensor(self.state_dict, key).map_or(0, Tensor::count);
        let rules: IndexMap<&str, &Rule> =
            items.iter().filter_map(|(_, item)| Some((&*item.name, item.by?))).collect();
        for (name, problem) in companions.problems(&moves, count) {
            issues.push(self.refusal(rules.get(name).copied(), problem));
        }
    }

    /// The tensor under a key of the file; none for another value.
    pub(super) fn own_expression(&self, number: usize) -> Option<Expression> {
        let key = self.state_dict.key(number)?;
        self.catalog.tensor(self.state_dict, key).map(|tensor| Expression::key(key, tensor))
    }

    /// The keys of the file that an item is made of.
    fn sources_of<'i>(&'i self, item: &'i Item) -> Vec<&'i str> {
        match &item.is {
            Content::Key(number) => self.state_dict.key(*number).into_iter().collect(),
            Content::Made(made) => made.source_keys(),
        }
    }

    /// Adds what a rule makes of the keys that it recognised.
    fn regroup(
        &mut self,
        rule: &'a Rule,
        Claims { claims, known }: Claims,
        items: &mut Vec<(usize, Item<'a>)>,
        issues: &mut Vec<Issue>,
    ) {
        let Rule::Tensor(tensor_rule) = rule else { return };
        let from = claims.len();
        let made = regroup::regroup(tensor_rule, claims, &known);
        issues.extend(made.problems.into_iter().map(|problem| self.refusal(Some(rule), problem)));
        if let Some(example) = made.example {
            let (path, rule) = (self.state_dict.path.clone(), rule.to_string());
            let (groups, to, cut) = (made.groups, made.made.len(), made.cut);
            self.regroupings.push(Regrouping { path, rule, groups, from, to, cut, example });
        }
        let pairs = made.same.iter().filter_map(|(a, b)| Some((known.get(a)?, known.get(b)?)));
        self.checks.extend(pairs.map(|(a, b)| (a.clone(), b.clone())));
        self.checks.extend(made.checks);
        for New { position, name, made } in made.made {
            let number = match &made {
                Expression::Key { of: Origination::Source, key, .. } => self.state_dict.number(key),
                _ => None,
            };
            let is = match number {
                // A tensor that only gets another name stays what it is.
                Some(number) => Content::Key(number),
                None => Content::Made(Box::new(made)),
            };
            let problem = self.packed(&name, &is);
            issues.extend(problem.map(|problem| self.refusal(Some(rule), problem)));
            items.push((position, Item { name: name.into(), is, by: Some(rule) }));
        }
    }

    /// Why elements smaller than a byte cannot be put together so, if they cannot.
    fn packed(&self, name: &str, is: &Content) -> Option<String> {
        let Content::Made(made) = is else { return None };
        let tensor = |key: &str| self.catalog.tensor(self.state_dict, key);
        let first = made.first_source().and_then(tensor)?;
        if first.dtype.bits().is_multiple_of(8) {
            return None;
        }
        let elements = made.evaluate(&|_, key| tensor(key));
        elements.err().map(|why| alloc::format!("'{name}': {why}"))
    }

    /// A tensor as a rule finds it.
    pub(super) fn source(&self, item: &Item) -> Source {
        let tensor = self.tensor(item).map(|(made, dtype)| (made.shape(), dtype));
        Source { name: item.name.clone(), tensor }
    }

    /// That tensors cannot be made as a rule asks.
    fn refusal(&self, rule: Option<&Rule>, problem: String) -> Issue {
        let rule = rule.map(Rule::to_string).unwrap_or_default();
        Issue::Regrouping { path: self.state_dict.path.clone(), rule, problem }
    }
}
