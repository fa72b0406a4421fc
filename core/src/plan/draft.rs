//! A section in the making: what becomes of a state dict, stage by stage.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::plan::companions::{Companions, Moves};
use crate::plan::formulas::{self, Calculated, Found, FoundTensor};
use crate::plan::regroup::{self, Claim, Form, New, Source};
use crate::plan::{Fates, Regrouping, Undefined};
use crate::rules::formula::FormulaRule;
use crate::rules::remap::Step;
use crate::rules::template::Held;
use crate::{
    Catalog, Data, Expression, IndexMap, IndexSet, Issue, Rule, Section, StateDict, Tensor,
};

/// What a state dict holds after the stages so far.
pub(super) struct Draft<'a> {
    catalog: &'a Catalog,
    state_dict: &'a StateDict,
    items: Vec<Item<'a>>,
    unmatched_keys: IndexSet<usize>,
    regroupings: Vec<Regrouping>,
    checks: Vec<(Expression, Expression)>,
    /// What belongs to the weights of the file, once a stage has asked for it.
    companions: Option<Companions>,
}

/// A key with the name it has so far, or a tensor that was made of others.
pub(super) struct Item<'a> {
    name: Arc<str>,
    is: Content,
    /// The rule that last gave it another name.
    by: Option<&'a Rule>,
}

/// What is under a name.
pub(super) enum Content {
    /// The value under this key of the file, by its number.
    Key(usize),
    /// A tensor over those of the file; apart, so that keys, of which there may be very many, are small.
    Made(Box<Expression>),
}

/// What a rule of tensors recognised in a stage.
#[derive(Default)]
struct Claims {
    claims: Vec<Claim>,
    /// The numbers of the file's keys that are as they were, by the names that the stage found.
    numbers: IndexMap<Arc<str>, usize>,
    /// What each tensor is made of, by the same names.
    known: IndexMap<Arc<str>, Expression>,
}

impl Claims {
    fn add(&mut self, claim: Claim, is: Content, state_dict: &StateDict) {
        let name = claim.source.name.clone();
        let made = match is {
            Content::Made(made) => *made,
            Content::Key(number) => {
                self.numbers.insert(name.clone(), number);
                claim.source.under(state_dict.key(number).unwrap_or_default())
            }
        };
        self.known.insert(name, made);
        self.claims.push(claim);
    }
}

impl<'a> Draft<'a> {
    pub(super) fn new(catalog: &'a Catalog, state_dict: &'a StateDict) -> Draft<'a> {
        let keys = state_dict.shared_keys().cloned().enumerate();
        let items = keys.map(|(key, name)| Item { name, is: Content::Key(key), by: None });
        Draft {
            catalog,
            state_dict,
            items: items.collect(),
            unmatched_keys: IndexSet::default(),
            regroupings: Vec::new(),
            checks: Vec::new(),
            companions: None,
        }
    }

    /// What a section makes of a state dict.
    pub(super) fn after(
        section: &Section,
        catalog: &'a Catalog,
        state_dict: &'a StateDict,
    ) -> Draft<'a> {
        let mut draft = Draft::new(catalog, state_dict);
        let made = section.tensors();
        let mut items = Vec::new();
        for (new, made) in made.into_iter().flatten() {
            items.push(Item {
                name: new.as_str().into(),
                is: Content::Made(Box::new(made.clone())),
                by: None,
            });
        }
        for Item { name: old, is, .. } in draft.items {
            let new = section.fate(&old).flatten();
            let is_value = made.is_none() || catalog.tensor(state_dict, &old).is_none();
            items.extend(new.filter(|_| is_value).map(|new| Item {
                name: new.into(),
                is,
                by: None,
            }));
        }
        draft.items = items;
        draft.checks.extend(section.checks().iter().cloned());
        draft
    }

    /// What rules of tensors made, stage by stage.
    pub(super) fn take_regroupings(&mut self) -> Vec<Regrouping> {
        core::mem::take(&mut self.regroupings)
    }

    /// How many keys some stage said nothing about.
    pub(super) fn unmatched_keys(&self) -> usize {
        self.unmatched_keys.len()
    }

    /// Takes a stage, and counts for each of its rules what it recognised.
    pub(super) fn advance(
        &mut self,
        stage: &'a Rule,
        undefined: Undefined,
        hits: &mut [usize],
        issues: &mut Vec<Issue>,
    ) {
        if let Rule::Formula(rule) = stage {
            return self.calculate(stage, rule, hits, issues);
        }
        let path = &self.state_dict.path;
        let mut claims = IndexMap::<usize, Claims>::default();
        let mut items = Vec::with_capacity(self.items.len());
        for (position, mut item) in core::mem::take(&mut self.items).into_iter().enumerate() {
            let old = &item.name;
            let decision = decide(stage, old);
            let by = decision.by();
            if let Some(by) = by {
                hits[by] += 1;
            }
            let step = match decision {
                Decision::Step(step, _) => step,
                Decision::Claimed { by, term, held, form } => {
                    let source = self.source(&item);
                    let claims = claims.entry(by).or_default();
                    let claim = Claim { position, term, held, form, source };
                    claims.add(claim, item.is, self.state_dict);
                    continue;
                }
            };
            match (step, undefined) {
                (Step::Becomes(new), _) => {
                    if *new != **old {
                        item.by = by.map(|by| &stage.alternatives()[by]);
                        item.name = new.into();
                    }
                    items.push((position, item));
                }
                (Step::Dropped, _) | (Step::Undefined, Undefined::Drop) => {}
                (Step::Undefined, Undefined::Keep) => {
                    if let Content::Key(key) = item.is {
                        self.unmatched_keys.insert(key);
                    }
                    items.push((position, item));
                }
                (Step::Undefined, Undefined::Refuse) => {
                    issues.push(Issue::Undefined { path: path.clone(), key: old.to_string() });
                }
                (Step::Emptied, _) => {
                    let rule = by.map(|by| stage.alternatives()[by].to_string());
                    let rule = rule.unwrap_or_default();
                    issues.push(Issue::Emptied { path: path.clone(), key: old.to_string(), rule });
                }
            }
        }
        self.regroup_all(stage, claims, &mut items, issues);
        items.sort_by_key(|(position, _)| *position);
        self.items = items.into_iter().map(|(_, item)| item).collect();
        issues.extend(self.collisions());
    }

    /// Takes a stage of formulas, which says nothing of the keys that it does not name.
    fn calculate(
        &mut self,
        stage: &'a Rule,
        rule: &FormulaRule,
        hits: &mut [usize],
        issues: &mut Vec<Issue>,
    ) {
        let found = self.items.iter().enumerate().map(|(position, item)| {
            let tensor = self.tensor(item).ok();
            (item.name.clone(), Found { position, tensor })
        });
        let calculated = formulas::calculate(rule, &found.collect());
        let Calculated { made, taken, checks, groups, example, problems } = calculated;
        hits[0] += groups;
        let (path, text) = (&self.state_dict.path, stage.to_string());
        issues.extend(problems.into_iter().map(|problem| Issue::Regrouping {
            path: path.clone(),
            rule: text.clone(),
            problem,
        }));
        if let Some(example) = example {
            let (path, from, to) = (path.clone(), taken.len(), made.len());
            let rule = text;
            self.regroupings.push(Regrouping { path, rule, groups, from, to, cut: 0, example });
        }
        self.checks.extend(checks);
        let items = core::mem::take(&mut self.items).into_iter().enumerate();
        let mut items: Vec<_> = items.filter(|(_, item)| !taken.contains(&*item.name)).collect();
        items.extend(made.into_iter().map(|New { position, name, made }| {
            let (name, is) = (name.into(), Content::Made(Box::new(made)));
            (position, Item { name, is, by: Some(stage) })
        }));
        items.sort_by_key(|(position, _)| *position);
        self.items = items.into_iter().map(|(_, item)| item).collect();
        issues.extend(self.collisions());
    }

    /// What an item is made of, and its type; why it has no plain elements.
    fn tensor(&self, item: &Item) -> Result<FoundTensor, String> {
        let tensor = |key: &str| self.catalog.tensor(self.state_dict, key);
        match &item.is {
            Content::Key(number) => {
                let key = self.state_dict.key(*number).unwrap_or_default();
                match tensor(key) {
                    None => Err("is not a tensor".to_string()),
                    Some(Tensor { data: Data::Opaque { layout, .. }, .. }) => {
                        Err(alloc::format!("has no plain elements, its layout is {layout}"))
                    }
                    Some(plain) => Ok(FoundTensor {
                        made: Expression::key(key, plain),
                        dtype: plain.dtype.clone(),
                    }),
                }
            }
            Content::Made(made) => {
                let dtype_of = |key: &str| tensor(key).map(|tensor| tensor.dtype.clone());
                // What an adapter has in place of a tensor is of its type.
                let dtype = made.dtype(&dtype_of).or_else(|| dtype_of(&item.name));
                let dtype = dtype.ok_or_else(|| "is not a tensor".to_string())?;
                Ok(FoundTensor { made: made.as_ref().clone(), dtype })
            }
        }
    }

    /// Adds what the rules of a stage make of the keys that they recognised.
    fn regroup_all(
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
        let path = &self.state_dict.path;
        for (name, problem) in companions.problems(&moves, count) {
            let rule = rules.get(name).map(|rule| rule.to_string()).unwrap_or_default();
            issues.push(Issue::Regrouping { path: path.clone(), rule, problem });
        }
    }

    /// The tensor under a key of the file; none for another value.
    fn own_expression(&self, number: usize) -> Option<Expression> {
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
        Claims { claims, numbers, known }: Claims,
        items: &mut Vec<(usize, Item<'a>)>,
        issues: &mut Vec<Issue>,
    ) {
        let Rule::Tensor(tensor_rule) = rule else { return };
        let from = claims.len();
        let made = regroup::regroup(tensor_rule, claims);
        let (path, text) = (&self.state_dict.path, rule.to_string());
        issues.extend(made.problems.into_iter().map(|problem| Issue::Regrouping {
            path: path.clone(),
            rule: text.clone(),
            problem,
        }));
        if let Some(example) = made.example {
            let (path, to) = (path.clone(), made.made.len());
            let (rule, groups, cut) = (text, made.groups, made.cut);
            self.regroupings.push(Regrouping { path, rule, groups, from, to, cut, example });
        }
        let pairs = made.same.iter().filter_map(|(a, b)| Some((known.get(a)?, known.get(b)?)));
        self.checks.extend(pairs.map(|(a, b)| (a.clone(), b.clone())));
        let over_file = |part: Expression| part.over(&|name| known.get(name));
        let checks = made.checks.into_iter().map(|(a, b)| (over_file(a), over_file(b)));
        self.checks.extend(checks);
        for New { position, name, made } in made.made {
            let number = match &made {
                Expression::Key { key, .. } => numbers.get(key.as_str()),
                _ => None,
            };
            let is = match number {
                // A tensor that only gets another name stays what it is.
                Some(number) => Content::Key(*number),
                None => Content::Made(Box::new(made.over(&|name| known.get(name)))),
            };
            issues.extend(self.packed(&name, &is).map(|problem| Issue::Regrouping {
                path: self.state_dict.path.clone(),
                rule: rule.to_string(),
                problem,
            }));
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
    fn source(&self, item: &Item) -> Source {
        let tensor = self.tensor(item).map(|found| (found.made.shape(), found.dtype));
        Source { name: item.name.clone(), tensor }
    }

    fn collisions(&self) -> Vec<Issue> {
        let mut takers = IndexMap::<&str, usize>::default();
        let mut shared = IndexMap::<&str, Vec<usize>>::default();
        for (i, item) in self.items.iter().enumerate() {
            if let Some(first) = takers.get(&*item.name) {
                shared.entry(&*item.name).or_insert_with(|| [*first].into()).push(i);
            } else {
                takers.insert(&*item.name, i);
            }
        }
        let collisions = shared.into_iter().map(|(to, takers)| {
            let takers: Vec<&Item> = takers.into_iter().map(|i| &self.items[i]).collect();
            let tensors = takers.iter().map(|item| self.plain(item));
            let tensors: Option<Vec<&Tensor>> = tensors.collect();
            let same_place =
                tensors.is_some_and(|t| t.windows(2).all(|pair| pair[0].is_same_place(pair[1])));
            let from = takers
                .iter()
                .map(|item| (self.first_key(item).to_string(), item.by.map(Rule::to_string)));
            let (path, to, from) = (self.state_dict.path.clone(), to.to_string(), from.collect());
            Issue::Collision { path, to, from, same_place }
        });
        collisions.collect()
    }

    /// The tensor of the file that an item is, if it is one as it is there.
    fn plain(&self, item: &Item) -> Option<&'a Tensor> {
        match item.is {
            Content::Key(key) => self.catalog.tensor(self.state_dict, self.state_dict.key(key)?),
            Content::Made(_) => None,
        }
    }

    /// The key of the file that an item is, or the first of those that it is made of.
    fn first_key<'i>(&'i self, item: &'i Item) -> &'i str {
        let key = match &item.is {
            Content::Key(key) => self.state_dict.key(*key),
            Content::Made(made) => made.first_source(),
        };
        key.unwrap_or_default()
    }

    /// The section that the stages come to.
    pub(super) fn finish(mut self) -> Section {
        let keys: Vec<Arc<str>> = self.state_dict.shared_keys().cloned().collect();
        let mut fates: Vec<Option<Arc<str>>> = alloc::vec![None; keys.len()];
        let mut computes = false;
        for item in &self.items {
            match &item.is {
                Content::Key(key) => {
                    computes |= fates[*key].is_some();
                    fates[*key].get_or_insert_with(|| item.name.clone());
                }
                Content::Made(_) => computes = true,
            }
        }
        let path = self.state_dict.path.clone();
        let fates: Fates = keys.iter().cloned().zip(fates).collect();
        if !computes {
            return Section {
                path,
                fates: fates.into(),
                checks: self.checks,
                ..Section::default()
            };
        }
        let mut tensors = IndexMap::default();
        for item in core::mem::take(&mut self.items) {
            let made = match item.is {
                Content::Made(made) => Some(*made),
                Content::Key(number) => self.own_expression(number),
            };
            tensors.extend(made.map(|made| (item.name.to_string(), made)));
        }
        let (fates, checks) = (fates_beside(fates, &tensors).into(), self.checks);
        Section { path, fates, tensors: Some(tensors), checks, ..Section::default() }
    }
}

/// What becomes of each key beside tensors that are made of them: those of which one new tensor is made
/// that is made of nothing else have its name, and those of which several are made have none, but for
/// a tensor that is there under several keys.
pub(super) fn fates_beside(fates: Fates, tensors: &IndexMap<String, Expression>) -> Fates {
    let mut uses = IndexMap::<&str, Vec<(&str, bool)>>::default();
    for (new, made) in tensors {
        let sources: IndexSet<&str> = made.source_keys().into_iter().collect();
        for source in &sources {
            uses.entry(*source).or_default().push((new.as_str(), sources.len() == 1));
        }
    }
    let is_whole = |new: &str| matches!(tensors.get(new), Some(Expression::Key { .. }));
    let fates = fates.iter().filter_map(|(key, fate)| {
        let fate = match uses.get(&**key).map(Vec::as_slice) {
            None => fate.clone(),
            Some([(new, true)]) => Some((*new).into()),
            Some(news) => Some(news.iter().find(|(new, _)| is_whole(new))?.0.into()),
        };
        Some((key.clone(), fate))
    });
    fates.collect()
}

/// What a stage makes of a name.
enum Decision {
    /// Another name, or none, and which of its rules recognised it.
    Step(Step, Option<usize>),
    /// A rule of tensors recognised it, as one of its terms.
    Claimed { by: usize, term: usize, held: Held, form: Form },
}

impl Decision {
    fn by(&self) -> Option<usize> {
        match self {
            Decision::Step(_, by) => *by,
            Decision::Claimed { by, .. } => Some(*by),
        }
    }
}

fn decide(stage: &Rule, name: &str) -> Decision {
    let mut unrecognised = Step::Undefined;
    for (by, rule) in stage.alternatives().iter().enumerate() {
        if let Rule::Tensor(rule) = rule {
            if let Some((term, held)) = rule.recognise(name) {
                return Decision::Claimed { by, term, held, form: Form::Own };
            }
            if let Some((term, held)) = rule.recognise_tie(name) {
                return Decision::Claimed { by, term, held, form: Form::Tie };
            }
            continue;
        }
        let (step, recognised) = rule.step(name);
        if recognised {
            return Decision::Step(step, Some(by));
        }
        unrecognised = step;
    }
    // `keep` and `drop` alone in their stage have a say on the keys they do not recognise.
    match stage.alternatives() {
        [_] => Decision::Step(unrecognised, None),
        _ => Decision::Step(Step::Undefined, None),
    }
}
