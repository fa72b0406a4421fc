//! A section in the making: what becomes of a state dict, stage by stage.

mod section;
mod tensors;

pub(super) use section::fates_beside;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::plan::companions::Companions;
use crate::plan::regroup::{Claim, Form};
use crate::plan::{Regrouping, Undefined};
use crate::rules::remap::Step;
use crate::rules::template::Held;
use crate::sorting;
use crate::{Catalog, Expression, IndexMap, IndexSet, Issue, Rule, Section, StateDict, Tensor};
use tensors::Claims;

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
        self.replace(items, issues);
    }

    /// Takes these for what there is, in the order of their positions.
    fn replace(&mut self, mut items: Vec<(usize, Item<'a>)>, issues: &mut Vec<Issue>) {
        sorting::sort_by_key(&mut items, |(position, _)| *position);
        self.items = items.into_iter().map(|(_, item)| item).collect();
        issues.extend(self.collisions());
    }

    /// Names that several have.
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
