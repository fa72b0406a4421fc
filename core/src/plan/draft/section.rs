//! The section that a draft comes to.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Content, Draft};
use crate::plan::Fates;
use crate::{Expression, IndexMap, Section};

impl Draft<'_> {
    /// The section that the stages come to.
    pub(in crate::plan) fn finish(mut self) -> Section {
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
pub(in crate::plan) fn fates_beside(fates: Fates, tensors: &IndexMap<String, Expression>) -> Fates {
    let mut uses = IndexMap::<&str, Use>::default();
    for (new, made) in tensors {
        let sources = made.source_keys();
        let is_alone = sources.iter().all(|source| *source == sources[0]);
        let is_whole = matches!(made, Expression::Key { .. });
        for source in sources {
            let found = uses.entry(source).or_insert(Use { by: new, is_alone, whole: None });
            found.is_alone &= found.by == new;
            if is_whole {
                found.whole.get_or_insert(new);
            }
        }
    }
    let fates = fates.iter().filter_map(|(key, fate)| {
        let fate = match uses.get(&**key) {
            None => fate.clone(),
            Some(Use { by, is_alone: true, .. }) => Some((*by).into()),
            Some(used) => Some(used.whole?.into()),
        };
        Some((key.clone(), fate))
    });
    fates.collect()
}

/// What is made of a tensor.
struct Use<'a> {
    /// The first that is made of it.
    by: &'a str,
    /// That it is the only one, and is made of nothing else.
    is_alone: bool,
    /// The first that it is as it is there.
    whole: Option<&'a str>,
}
