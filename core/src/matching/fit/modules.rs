//! Modules and families of modules: those that differ in numbers alone.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

use crate::matching::fit::matcher::{Item, is_counter, kind};
use crate::matching::fit::prefixes::is_usual;
use crate::matching::numbered::Numbered;
use crate::sorting;
use crate::{IndexMap, IndexSet, SEPARATOR};

/// The open parameters of one module, counters excepted.
#[derive(Clone)]
pub(super) struct Module<'b> {
    pub(super) path: &'b str,
    /// The last segments, with the items they are of; in order of the segments.
    pub(super) parts: Vec<(&'b str, usize)>,
}

/// Which numbers of a path distinguish members of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// All of them: `layer3.1.conv2`.
    All,
    /// Those that are segments of their own: the 3 of `layers.3.w1`.
    Bare,
    /// None; each module is a family.
    None,
}

/// Modules that differ in numbers alone, with the same parameters.
pub(super) struct Family<'b> {
    /// Their path with a mark for each number.
    pub(super) form: String,
    /// In order of their numbers.
    pub(super) members: Vec<(Vec<u64>, Module<'b>)>,
}

impl<'b> Module<'b> {
    /// The modules of these items, in order.
    pub(super) fn of<'a: 'b>(
        items: impl Iterator<Item = (usize, &'b Item<'a>)>,
    ) -> Vec<Module<'b>> {
        let mut modules = IndexMap::<&str, Module>::default();
        for (at, item) in items.filter(|(_, item)| !is_counter(item)) {
            let (path, leaf) = match item.name.rsplit_once(SEPARATOR) {
                Some((path, leaf)) if is_usual(leaf) => (path, leaf),
                _ => (item.name.as_str(), ""),
            };
            let module = modules.entry(path).or_insert_with(|| Module { path, parts: Vec::new() });
            module.parts.push((leaf, at));
        }
        let mut modules: Vec<_> = modules.into_values().collect();
        modules.iter_mut().for_each(|module| module.parts.sort_unstable());
        modules
    }

    /// The first of its items in the file.
    pub(super) fn first(&self) -> usize {
        self.parts.iter().map(|(_, at)| *at).min().unwrap_or(0)
    }

    /// The last of its items in the file.
    pub(super) fn last(&self) -> usize {
        self.parts.iter().map(|(_, at)| *at).max().unwrap_or(0)
    }

    /// The keys of its parameters.
    pub(super) fn keys(&self, items: &[Item]) -> impl Iterator<Item = String> {
        self.parts.iter().map(|(_, at)| items[*at].key.to_string())
    }

    /// Names, shapes and types of its parameters, as text.
    pub(super) fn signature(&self, items: &[Item]) -> String {
        let mut text = String::new();
        let is_alone = self.parts.len() == 1;
        for (leaf, at) in &self.parts {
            // A parameter may have a module around it on one side and none on the other.
            let leaf = if is_alone && *leaf == "weight" { "" } else { *leaf };
            let tensor = items[*at].tensor;
            let _ = write!(text, "{leaf}{:?}{};", tensor.shape, kind(&tensor.dtype));
        }
        text
    }

    /// The most dimensions that a parameter has: the more there are, the more its shape says.
    pub(super) fn dimensions(&self, items: &[Item]) -> usize {
        self.parts.iter().map(|(_, at)| items[*at].tensor.shape.len()).max().unwrap_or(0)
    }
}

impl<'b> Family<'b> {
    /// Sorts modules into families.
    pub(super) fn of(modules: Vec<Module<'b>>, depth: Depth) -> Vec<Family<'b>> {
        let mut families = IndexMap::<(String, Vec<&str>), Family>::default();
        for module in modules {
            let (form, numbers) = form(module.path, depth);
            let leaves = module.parts.iter().map(|(leaf, _)| *leaf).collect();
            let family = families
                .entry((form.clone(), leaves))
                .or_insert_with(|| Family { form, members: Vec::new() });
            family.members.push((numbers, module));
        }
        let mut families: Vec<_> = families.into_values().collect();
        for family in &mut families {
            sorting::sort_by(&mut family.members, |(a, _), (b, _)| a.cmp(b));
        }
        families
    }

    /// Places among the numbers that differ from member to member.
    pub(super) fn varied(&self) -> Vec<usize> {
        let first = &self.members[0].0;
        let places = 0..first.len();
        places.filter(|at| self.members.iter().any(|(it, _)| it[*at] != first[*at])).collect()
    }

    /// The smallest number at a place.
    pub(super) fn lowest(&self, at: usize) -> u64 {
        self.members.iter().map(|(numbers, _)| numbers[at]).min().unwrap_or(0)
    }

    /// What families have in common whose members could be each other's: how the numbers lie
    /// beside one another, and the parameters of each.
    pub(super) fn signature(&self, items: &[Item]) -> String {
        let varied: Vec<(usize, u64)> =
            self.varied().into_iter().map(|at| (at, self.lowest(at))).collect();
        let mut text = String::new();
        for (numbers, module) in &self.members {
            for (at, lowest) in &varied {
                let _ = write!(text, "{},", numbers[*at] - lowest);
            }
            text += &module.signature(items);
            text.push('|');
        }
        text
    }

    /// True if there are several members, and each differs from the others in its parameters.
    pub(super) fn are_all_different(&self, items: &[Item]) -> bool {
        let all: IndexSet<String> =
            self.members.iter().map(|(_, module)| module.signature(items)).collect();
        self.members.len() > 1 && all.len() == self.members.len()
    }

    /// The form up to and with each of its numbers.
    pub(super) fn stems(&self) -> Vec<&str> {
        self.form.match_indices('\u{0}').map(|(at, _)| &self.form[..at]).collect()
    }
}

/// A path with a mark for each number that counts, and these numbers.
pub(super) fn form(path: &str, depth: Depth) -> (String, Vec<u64>) {
    let (mut form, mut numbers) = (String::new(), Vec::new());
    for (i, segment) in path.split(SEPARATOR).enumerate() {
        if i > 0 {
            form.push(SEPARATOR);
        }
        let parts = Numbered::of(segment);
        let counts = match depth {
            Depth::All => true,
            Depth::Bare => parts.is_bare(),
            Depth::None => false,
        };
        match parts.number.filter(|_| counts) {
            Some(number) => {
                form += &parts.to_string();
                numbers.push(number);
            }
            None => form += segment,
        }
    }
    (form, numbers)
}
