//! Few rules from many renamed keys.
//!
//! What a file's keys became, key by key, is hard to read and of no use for the next file.
//! Here the templates behind it are found again: `layers.{i}.attn.{rest..} ->
//! blocks.{i}.attention.{rest..}` instead of three hundred pairs.

mod choice;
mod dropping;
mod sketch;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::matching::generalise::choice::choose;
use crate::matching::generalise::dropping::patterns;
use crate::{
    Fate, IndexMap, IndexSet, Remap, Rename, Rule, SEPARATOR, Table, Template, TemplatePair,
    WRAPPERS, Wrappers,
};

/// What became of keys, as rules.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generalised {
    /// The rules, one stage after another: what is dropped, wrappers taken out, then renames, of
    /// which the first that recognises a key decides.
    ///
    /// No stage where there is nothing to do. Keys that no rule recognises keep their names.
    pub stages: Vec<Rule>,
    /// The pairs that no template explains; the rules name them one by one.
    pub literal: Vec<(String, String)>,
    /// Pairs that no rule can express: a key is empty, or occurs in two pairs.
    pub inexpressible: Vec<(String, String)>,
}

/// Finds few rules that send each old key to its new one, and drop the keys that are to go.
///
/// Together `pairs` and `dropped` are all keys of a file; those that keep their names are pairs too.
/// The rules do exactly that to them, and on keys of another file of the same kind (with more
/// layers, say) they do what they did here: the fewest and most general that are true of all keys.
/// A number is only captured where several of its values were seen to go along.
///
/// ```
/// use statedict_core::generalise::generalise;
///
/// let pair = |(old, new): (&str, &str)| (old.to_string(), new.to_string());
/// let pairs = [
///     ("layers.0.attn.w", "blocks.1.attn.w"),
///     ("layers.0.mlp.w", "blocks.1.mlp.w"),
///     ("layers.1.attn.w", "blocks.2.attn.w"),
///     ("layers.1.mlp.w", "blocks.2.mlp.w"),
/// ];
/// let found = generalise(&pairs.map(pair), &["head.w".to_string()]);
/// let stages: Vec<String> = found.stages.iter().map(ToString::to_string).collect();
/// assert_eq!(stages, ["drop:head.**", "rename:layers.{i}.{rest..} -> blocks.{i+1}.{rest..}"]);
/// ```
pub fn generalise(pairs: &[(String, String)], dropped: &[String]) -> Generalised {
    generalise_beside(pairs, dropped, &[])
}

/// The same beside rules that come first in the last stage, and take these other keys.
pub(crate) fn generalise_beside(
    pairs: &[(String, String)],
    dropped: &[String],
    others: &[&str],
) -> Generalised {
    let (pairs, inexpressible) = expressible(pairs);
    let mut found = Generalised { inexpressible, ..Generalised::default() };
    let own = pairs.iter().map(|(old, _)| *old);
    let kept: Vec<&str> = own.chain(others.iter().copied()).collect();
    if !dropped.is_empty() {
        found.stages.push(Remap::Drop(patterns(dropped, &kept)).into());
    }
    // The other rules know the keys as they are.
    let unwrapped = if others.is_empty() { unwrapped(&pairs) } else { None };
    let pairs = match &unwrapped {
        Some(names) => {
            found.stages.push(Rule::unwrap_all());
            names.iter().map(String::as_str).zip(pairs.iter().map(|(_, new)| *new)).collect()
        }
        None => pairs,
    };
    let (mut rules, literal) = choose(&pairs);
    let owned = literal.into_iter().map(|(old, new)| (old.to_string(), new.to_string()));
    // No table keeps an empty key from a rule that would take it along.
    let (literal, empty) = owned.partition(|(old, _)| !old.is_empty());
    found.literal = literal;
    found.inexpressible.extend::<Vec<_>>(empty);
    if !found.literal.is_empty() {
        let table = Table::new(found.literal.clone()).expect("no key is there twice or empty");
        rules.insert(0, Remap::Table(table).into());
    }
    match rules.len() {
        0 => {}
        1 => found.stages.append(&mut rules),
        _ => found.stages.push(Rule::FirstOf(rules)),
    }
    found
}

/// The most rules that a command has.
const MAX_TYPED: usize = 8;

/// The one rule that does this to all keys of a file, without anything being dropped; `None` if it
/// would be longer than anyone types, or there is nothing to rename.
pub(crate) fn renames(pairs: &[(String, String)]) -> Option<Rule> {
    let (pairs, inexpressible) = expressible(pairs);
    let (rules, literal) = choose(&pairs);
    if !inexpressible.is_empty() || literal.len() + rules.len() > MAX_TYPED {
        return None;
    }
    let mut all: Vec<Rule> = Vec::new();
    for (old, new) in literal {
        let [from, to] = [old, new].map(|key| Template::literal(key, SEPARATOR));
        all.push(Remap::Rename(Rename::new(TemplatePair::new(from, to).ok()?)?).into());
    }
    all.extend(rules);
    match all.len() {
        0 => None,
        1 => all.pop(),
        _ => Some(Rule::FirstOf(all)),
    }
}

/// Old names with new ones.
type Pairs<'a> = Vec<(&'a str, &'a str)>;

/// The pairs of which rules can speak, and the others.
fn expressible(pairs: &[(String, String)]) -> (Pairs<'_>, Vec<(String, String)>) {
    let (mut olds, mut news) = (IndexMap::<&str, usize>::default(), IndexMap::default());
    for (old, new) in pairs {
        *olds.entry(old).or_default() += 1;
        *news.entry(new.as_str()).or_insert(0usize) += 1;
    }
    let (plain, others): (Vec<_>, Vec<_>) = pairs.iter().partition(|(old, new)| {
        let once = olds[old.as_str()] == 1 && news[new.as_str()] == 1;
        once && (old == new || !old.is_empty() && !new.is_empty())
    });
    let plain = plain.into_iter().map(|(old, new)| (old.as_str(), new.as_str())).collect();
    (plain, others.into_iter().cloned().collect())
}

/// The old names without wrappers, if taking them out is part of what happened to all keys.
fn unwrapped(pairs: &Pairs) -> Option<Vec<String>> {
    let unwrap = Rule::Unwrap(Wrappers::usual());
    if !pairs.iter().any(|(old, _)| has_wrapper(old)) {
        return None;
    }
    let mut names = IndexSet::<String>::default();
    for (old, new) in pairs {
        let name = match unwrap.apply(old) {
            Fate::Becomes(name) => name,
            _ => old.to_string(),
        };
        let stays = name != *old && old == new;
        if stays || has_wrapper(new) || !names.insert(name) {
            return None;
        }
    }
    Some(names.into_iter().collect())
}

/// True if a wrapper put a segment into the key.
fn has_wrapper(key: &str) -> bool {
    key.split(SEPARATOR).any(|segment| WRAPPERS.contains(&segment))
}
