//! Which sizes a rule must say, because no shape settles them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::matching::derive::families::Digit;
use crate::matching::derive::forms::Form;
use crate::matching::derive::layouts::{Layout, OfKey};

/// A size with a name, which a configuration beside the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSize {
    /// The name of the places that are of this size: `heads`.
    pub name: String,
    /// What says it: `num_attention_heads`.
    pub expression: String,
    /// The size.
    pub size: u64,
    /// Words in keys of tensors that have this size rather than another that is as large.
    pub words: &'static [&'static str],
}

/// How a size is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pin {
    Number(u64),
    /// That which is known by a name, by its position among these.
    Known(usize),
    /// So many times that of another class.
    Multiple {
        of: usize,
        by: u64,
    },
}

/// For each class of places its size, where it has to be said; none if it would have to be and is not
/// the same in all of the forms, of which `sizes` has those of each.
pub(super) fn pins(form: &Form, sizes: &[&[u64]], known: &[KnownSize]) -> Option<Vec<Option<Pin>>> {
    let mut pins: Vec<Option<Pin>> = alloc::vec![None; form.sizes.len()];
    let mut is_known: Vec<bool> =
        form.digits.iter().map(|digit| is_counted(form, *digit)).collect();
    let dimensions: Vec<(&Layout, Vec<usize>)> = form
        .left
        .iter()
        .filter_map(|term| term.dimensions.as_ref())
        .flatten()
        .map(|layout| {
            let mut classes = Vec::new();
            layout.classes(&mut classes);
            (layout, classes)
        })
        .collect();
    loop {
        let unknown = |classes: &[usize], is_known: &[bool]| {
            let mut unknown: Vec<usize> =
                classes.iter().copied().filter(|class| !is_known[*class]).collect();
            unknown.dedup();
            unknown
        };
        let mut open: Option<(&Layout, Vec<usize>)> = None;
        let mut has_changed = false;
        for (layout, classes) in &dimensions {
            // A class of which others are multiples stands for them.
            let free: Vec<usize> = unknown(classes, &is_known)
                .into_iter()
                .filter(|class| !matches!(pins[*class], Some(Pin::Multiple { .. })))
                .collect();
            match free.as_slice() {
                [] => {
                    for class in unknown(classes, &is_known) {
                        is_known[class] = true;
                        has_changed = true;
                    }
                }
                [one] => {
                    is_known[*one] = true;
                    has_changed = true;
                }
                _ if open.is_none() => open = Some((layout, free)),
                _ => {}
            }
        }
        if has_changed {
            continue;
        }
        let Some((layout, free)) = open else {
            name(form, &mut pins, known);
            return Some(pins);
        };
        let (class, pin) = next(layout, &free, sizes)?;
        pins[class] = Some(pin);
        is_known[class] |= matches!(pin, Pin::Number(_));
    }
}

/// Gives numbers that a configuration says its names: those that come first in a dimension that is
/// regrouped, as heads do.
fn name(form: &Form, pins: &mut [Option<Pin>], known: &[KnownSize]) {
    let mut outermost = Vec::new();
    for layout in form.left.iter().filter_map(|term| term.dimensions.as_ref()).flatten() {
        if let Layout::Product(all) = layout {
            let mut classes = Vec::new();
            all.iter().for_each(|layout| layout.classes(&mut classes));
            outermost.extend(
                classes.into_iter().find(|class| matches!(pins[*class], Some(Pin::Number(_)))),
            );
        }
    }
    let mut taken: Vec<usize> = Vec::new();
    for class in outermost {
        let Some(Pin::Number(size)) = pins[class] else { continue };
        let fits = |at: &usize| known[*at].size == size && !taken.contains(at);
        let is_named = |at: &usize| form.says_one_of(known[*at].words);
        let mut all = (0..known.len()).filter(fits);
        let named = (0..known.len()).filter(fits).find(is_named);
        if let Some(at) = named.or_else(|| all.next()) {
            pins[class] = Some(Pin::Known(at));
            taken.push(at);
        }
    }
}

/// True for a digit whose values the keys count.
fn is_counted(form: &Form, digit: Option<OfKey>) -> bool {
    match digit {
        None => false,
        Some(OfKey::Left { .. }) => true,
        Some(OfKey::Right { term, digit }) => {
            matches!(form.right[term].digits[digit], Digit::Words(_))
        }
    }
}

/// The size to say next, of those in a dimension.
fn next(layout: &Layout, free: &[usize], sizes: &[&[u64]]) -> Option<(usize, Pin)> {
    let is_same = |class: usize| sizes.iter().all(|own| own[class] == sizes[0][class]);
    let mut parts = Vec::new();
    last_of_parts(layout, &mut parts);
    if !parts.is_empty() {
        // What the parts of a sum are counted in, or are within, comes first.
        if let Some(class) = free.iter().find(|class| !parts.contains(class)) {
            return is_same(*class).then_some((*class, Pin::Number(sizes[0][*class])));
        }
        let least = *free.iter().min_by_key(|class| sizes[0][**class])?;
        let multiple = |class: usize| {
            let by = sizes[0][class] / sizes[0][least];
            let holds = sizes.iter().all(|own| own[class] == by * own[least]);
            (class != least && holds).then_some((class, Pin::Multiple { of: least, by }))
        };
        if let Some(found) = free.iter().find_map(|class| multiple(*class)) {
            return Some(found);
        }
    }
    // The largest that does not come first stays to be found out: of heads it is what a head has.
    let mut classes = Vec::new();
    layout.classes(&mut classes);
    let comes_first = |class: usize| classes.first() == Some(&class);
    let rest = free.iter().enumerate().filter(|(_, class)| !comes_first(**class));
    let last = rest.max_by_key(|(at, class)| (sizes[0][**class], usize::MAX - at));
    let last = last.map_or(0, |(at, _)| at);
    let choices = (0..free.len()).filter(|at| *at != last).chain([last]);
    let class = choices.map(|at| free[at]).find(|class| is_same(*class))?;
    Some((class, Pin::Number(sizes[0][class])))
}

/// The fastest class of each part of the sums in a layout.
fn last_of_parts(layout: &Layout, into: &mut Vec<usize>) {
    match layout {
        Layout::One | Layout::Axis(_) => {}
        Layout::Product(all) => all.iter().for_each(|layout| last_of_parts(layout, into)),
        Layout::Sum(all) => {
            for layout in all {
                let mut classes = Vec::new();
                layout.classes(&mut classes);
                into.extend(classes.last());
                last_of_parts(layout, into);
            }
        }
    }
}
