//! Sizes put into rules: `{last-i}` becomes `{11-i}`.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::rules::remap::{Rename, TemplatePair};
use crate::rules::sizes::{BadSizes, SizeReason, Sizes};
use crate::rules::template::{Name, Template};
use crate::{IndexSet, Remap, Rule};

impl Rule {
    /// The same with the sizes put in that it speaks of.
    ///
    /// # Errors
    /// A size in a key that is not known, or one that contradicts the rule.
    pub fn with_sizes(&self, sizes: &Sizes) -> Result<Rule, BadSizes> {
        Ok(match self {
            Rule::Remap(remap) => remap.with_sizes(sizes)?,
            Rule::Rewrite(pair) => pair.with_sizes(sizes)?.into(),
            Rule::Tensor(rule) => Rule::Tensor(Box::new(rule.with_sizes(sizes)?)),
            Rule::Formula(rule) => Rule::Formula(Box::new(rule.with_sizes(sizes)?)),
            Rule::FirstOf(rules) => Rule::FirstOf(
                rules.iter().map(|rule| rule.with_sizes(sizes)).collect::<Result<_, _>>()?,
            ),
            Rule::Unwrap(_) | Rule::Replace(_) | Rule::Fates(_) => self.clone(),
        })
    }

    /// The sizes in its keys that have no number yet.
    pub fn unbound_sizes(&self) -> IndexSet<Name> {
        let mut names: IndexSet<Name> =
            self.templates().into_iter().flat_map(Template::unbound_sizes).cloned().collect();
        if let Rule::Formula(rule) = self {
            names.extend(rule.wanted_sizes());
        }
        names
    }

    /// The names that are sizes in it, or may be: those in its keys, and its places.
    pub fn size_names(&self) -> IndexSet<Name> {
        let mut names = self.unbound_sizes();
        for rule in self.alternatives() {
            match rule {
                Rule::Tensor(rule) => names.extend(rule.size_names()),
                Rule::Formula(rule) => names.extend(rule.size_names()),
                _ => {}
            }
        }
        names
    }

    /// The entries of a configuration that say sizes of it where nobody else does, by the size.
    pub fn usual_sizes(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let usual = match self {
            Rule::Formula(rule) => rule.usual_sizes(),
            _ => &[],
        };
        usual.iter().copied()
    }

    fn templates(&self) -> Vec<&Template> {
        match self {
            Rule::Remap(remap) => remap.templates(),
            Rule::Rewrite(pair) => [pair.from(), pair.to()].into(),
            Rule::Tensor(rule) => rule.templates(),
            Rule::Formula(rule) => rule.templates(),
            Rule::FirstOf(rules) => rules.iter().flat_map(Rule::templates).collect(),
            Rule::Unwrap(_) | Rule::Replace(_) | Rule::Fates(_) => Vec::new(),
        }
    }
}

impl From<TemplatePair> for Rule {
    fn from(pair: TemplatePair) -> Rule {
        match Rename::new(pair.clone()) {
            Some(rename) => Rule::Remap(Remap::Rename(rename)),
            None => Rule::Rewrite(pair),
        }
    }
}

impl Remap {
    fn with_sizes(&self, sizes: &Sizes) -> Result<Rule, BadSizes> {
        let bound = |templates: &[Template]| {
            templates
                .iter()
                .map(|template| bound(template, sizes, self))
                .collect::<Result<Vec<_>, _>>()
        };
        Ok(match self {
            Remap::Rename(rename) => rename.pair().with_sizes(sizes)?.into(),
            Remap::Keep(templates) => Remap::Keep(bound(templates)?).into(),
            Remap::Drop(templates) => Remap::Drop(bound(templates)?).into(),
            Remap::Then(first, second) => {
                match (first.with_sizes(sizes)?, second.with_sizes(sizes)?) {
                    (Rule::Remap(first), Rule::Remap(second)) => {
                        Remap::Then(Box::new(first), Box::new(second)).into()
                    }
                    _ => self.clone().into(),
                }
            }
            other => other.clone().into(),
        })
    }

    fn templates(&self) -> Vec<&Template> {
        match self {
            Remap::Rename(rename) => [rename.pair().from(), rename.pair().to()].into(),
            Remap::Keep(templates) | Remap::Drop(templates) => templates.iter().collect(),
            Remap::Then(first, second) => {
                let mut all = first.templates();
                all.extend(second.templates());
                all
            }
            Remap::Identity | Remap::Add(_) | Remap::Strip(_) | Remap::Table(_) => Vec::new(),
        }
    }
}

/// The template with sizes put in, if all are known.
pub(super) fn bound(
    template: &Template,
    sizes: &Sizes,
    rule: &dyn ToString,
) -> Result<Template, BadSizes> {
    let bound = template.clone().with_sizes(|name| sizes.get(name));
    let unknown = bound.unbound_sizes().next().cloned();
    match unknown {
        None => Ok(bound),
        Some(name) => Err(BadSizes { rule: rule.to_string(), reason: SizeReason::Unknown(name) }),
    }
}

impl TemplatePair {
    fn with_sizes(&self, sizes: &Sizes) -> Result<TemplatePair, BadSizes> {
        self.map(|template| bound(template, sizes, self))
    }
}
