//! Sizes put into rules of tensors.

use alloc::string::ToString;
use alloc::vec::Vec;

use crate::IndexSet;
use crate::rules::binding::bound;
use crate::rules::sizes::{BadSize, BadSizes, SizeReason, Sizes};
use crate::rules::template::{Form, Name, Template};
use crate::rules::tensor::{Dimensions, Place, TensorRule, Term};

impl TensorRule {
    /// The same with the sizes put in that it speaks of: in its keys, and as the sizes of its
    /// places.
    ///
    /// # Errors
    /// A size in a key that is not known, or one that contradicts what the rule says of a place.
    pub fn with_sizes(&self, sizes: &Sizes) -> Result<TensorRule, BadSizes> {
        let mut rule = self.clone();
        for term in rule.left.iter_mut().chain(&mut rule.right) {
            term.template = bound(&term.template, sizes, self)?;
            for tie in &mut term.ties {
                *tie = bound(tie, sizes, self)?;
            }
        }
        let known = self.size_names().into_iter();
        rule.sizes = known.filter_map(|name| Some((name.clone(), sizes.get(&name)?))).collect();
        let refuse = |reason| BadSizes { rule: self.to_string(), reason };
        match rule.contradicted() {
            Ok(None) => Ok(rule),
            Ok(Some(reason)) => Err(refuse(reason)),
            Err(bad) => Err(refuse(bad.into())),
        }
    }

    /// A size that is not what the rule says.
    fn contradicted(&self) -> Result<Option<SizeReason>, BadSize> {
        for (name, own) in &self.inline {
            let value = own.evaluate(&mut |name| Ok(self.sizes.get(name).copied()))?;
            match (value, self.sizes.get(name)) {
                (Some(value), Some(size)) if value != *size => {
                    let (name, own, size) = (name.clone(), own.to_string(), *size);
                    return Ok(Some(SizeReason::Contradicted { name, own, size }));
                }
                _ => {}
            }
        }
        for capture in self.templates().into_iter().flat_map(Template::captures) {
            let (Form::Words(words), Some(size)) = (&capture.form, self.sizes.get(&capture.name))
            else {
                continue;
            };
            if u64::try_from(words.len()) != Ok(*size) {
                let (name, size) = (capture.name.clone(), *size);
                let own = alloc::format!("a list of {}", words.len());
                return Ok(Some(SizeReason::Contradicted { name, own, size }));
            }
        }
        Ok(None)
    }

    /// The names of its places, of captures that are places, and of what sizes are made of.
    pub(crate) fn size_names(&self) -> IndexSet<Name> {
        let mut names = self.place_names();
        names.extend(self.roles.gathered.iter().chain(&self.roles.spread).cloned());
        names.extend(self.inline.values().flat_map(|size| size.names()).cloned());
        let places = self.terms().filter_map(Term::places).flat_map(Dimensions::places);
        let said = places.flat_map(Place::said).flat_map(|(_, size)| size.names());
        names.extend(said.cloned());
        names
    }

    pub(crate) fn templates(&self) -> Vec<&Template> {
        self.terms().flat_map(Term::templates).collect()
    }
}
