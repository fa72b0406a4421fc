//! Which naming convention the keys of a file follow.
//!
//! A key is looked up by its fingerprint, in which all numbers look the same; so most keys cost one
//! pass over their bytes, whatever the number of conventions.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::jobs::library::LibraryRecipe;

/// What a file's keys say, if they say one thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recognised {
    /// The conventions: one, or several that have the same names.
    pub conventions: Vec<&'static str>,
    /// The names of the recipes that start from them.
    pub recipes: Vec<String>,
}

/// The convention that these keys follow; nothing where several could be meant.
pub fn recognise<'a>(keys: impl IntoIterator<Item = &'a str>) -> Recognised {
    Conventions::known().recognise(keys)
}

/// The conventions that are known, read.
pub(crate) struct Conventions(&'static Table);

impl Conventions {
    /// Reads them, unless that was done before.
    pub(crate) fn known() -> Conventions {
        Conventions(&TABLE)
    }

    /// The one that these keys follow; nothing where several could be meant.
    pub(crate) fn recognise<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Recognised {
        recognised(&self.0.followed(keys))
    }
}

fn recognised(followed: &[&'static Convention]) -> Recognised {
    let Some(first) = followed.first() else { return Recognised::default() };
    if followed.iter().any(|other| !first.shares_names(other)) {
        return Recognised::default();
    }
    let mut conventions: Vec<&str> = followed.iter().map(|it| it.name.as_str()).collect();
    conventions.dedup();
    let starting = super::recipes().iter().flat_map(|recipe| from(recipe, &conventions));
    Recognised { recipes: starting.collect(), conventions }
}

/// The recipes that lead from the one to the other.
pub fn leading(from: &Recognised, to: &Recognised) -> Vec<String> {
    let is_one_of = |all: &Recognised, name: &str| all.conventions.contains(&name);
    let found = super::recipes().iter().filter_map(|recipe| {
        let (start, end) = (recipe.header.from.as_str(), recipe.header.to.as_str());
        if is_one_of(from, start) && is_one_of(to, end) {
            return Some(recipe.name.clone());
        }
        recipe.inverse.clone().filter(|_| is_one_of(from, end) && is_one_of(to, start))
    });
    found.collect()
}

/// The names of a recipe that starts from one of these conventions, forwards or backwards.
fn from(recipe: &LibraryRecipe, conventions: &[&str]) -> impl Iterator<Item = String> {
    let starts = |end: &String| conventions.contains(&end.as_str());
    let forward = starts(&recipe.header.from).then(|| recipe.name.clone());
    let back = recipe.inverse.clone().filter(|_| starts(&recipe.header.to));
    [forward, back].into_iter().flatten()
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let text = include_str!("../../../recipes/conventions.toml");
    let document: Document = toml::from_str(text).expect("a test reads the conventions");
    Table::of(document.convention)
});

#[derive(Deserialize)]
struct Document {
    convention: Vec<Convention>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Convention {
    name: String,
    has: Vec<Pattern>,
    #[serde(default)]
    lacks: Vec<Pattern>,
}

impl Convention {
    /// True if the same keys show both, so that a file cannot tell them apart.
    fn shares_names(&self, other: &Convention) -> bool {
        let texts = |it: &Convention| -> HashSet<String> {
            it.has.iter().map(|pattern| pattern.text.clone()).collect()
        };
        self.name == other.name || texts(self) == texts(other)
    }
}

/// A key in which `{i}` stands for a number.
#[derive(Deserialize)]
#[serde(from = "String")]
struct Pattern {
    text: String,
    /// What stands before, between and after the numbers.
    between: Vec<String>,
}

impl From<String> for Pattern {
    fn from(text: String) -> Pattern {
        let mut between = Vec::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            between.push(before.to_owned());
            rest = after.split_once('}').map_or("", |(_, after)| after);
        }
        between.push(rest.to_owned());
        Pattern { text, between }
    }
}

impl Pattern {
    fn matches(&self, key: &str) -> bool {
        let (first, others) = self.between.split_first().expect("a text has a part");
        let Some(mut rest) = key.strip_prefix(first.as_str()) else { return false };
        for part in others {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let Some(next) = after.strip_prefix(part.as_str()) else { return false };
            if after.len() == rest.len() {
                return false;
            }
            rest = next;
        }
        rest.is_empty()
    }

    /// The fingerprint of every key that it matches.
    fn fingerprint(&self) -> u64 {
        fingerprint(&self.between.join("0"))
    }
}

/// A hash (FNV-1a) of a key in which every run of digits is one zero.
fn fingerprint(key: &str) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut in_number = false;
    for byte in key.bytes() {
        let is_digit = byte.is_ascii_digit();
        if is_digit && in_number {
            continue;
        }
        in_number = is_digit;
        let byte = if is_digit { b'0' } else { byte };
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash
}

/// Where a pattern stands: its convention, and its place in `has`, or after that in `lacks`.
type Place = (usize, usize);

struct Table {
    conventions: Vec<Convention>,
    places: HashMap<u64, Vec<Place>>,
}

impl Table {
    fn of(conventions: Vec<Convention>) -> Table {
        let mut places = HashMap::<u64, Vec<Place>>::new();
        for (number, convention) in conventions.iter().enumerate() {
            let patterns = convention.has.iter().chain(&convention.lacks);
            for (place, pattern) in patterns.enumerate() {
                places.entry(pattern.fingerprint()).or_default().push((number, place));
            }
        }
        Table { conventions, places }
    }

    fn pattern(&self, (number, place): Place) -> &Pattern {
        let Convention { has, lacks, .. } = &self.conventions[number];
        has.get(place).unwrap_or_else(|| &lacks[place - has.len()])
    }

    fn followed<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Vec<&Convention> {
        let mut seen = HashSet::<Place>::new();
        for key in keys {
            let Some(places) = self.places.get(&fingerprint(key)) else { continue };
            for place in places {
                if !seen.contains(place) && self.pattern(*place).matches(key) {
                    seen.insert(*place);
                }
            }
        }
        let is_followed = |(number, convention): &(usize, &Convention)| {
            let Convention { has, lacks, .. } = convention;
            let mut wanted = 0..has.len();
            let mut unwanted = has.len()..has.len() + lacks.len();
            wanted.all(|place| seen.contains(&(*number, place)))
                && !unwanted.any(|place| seen.contains(&(*number, place)))
        };
        let numbered = self.conventions.iter().enumerate().filter(is_followed);
        numbered.map(|(_, convention)| convention).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_matches_digits_and_nothing_else() {
        let pattern = Pattern::from("layers.{i}.fc1.weight".to_owned());
        for (key, expected) in [
            ("layers.0.fc1.weight", true),
            ("layers.12.fc1.weight", true),
            ("layers..fc1.weight", false),
            ("layers.a.fc1.weight", false),
            ("layers.0.fc2.weight", false),
            ("layers.0.fc1.weight_scale", false),
        ] {
            assert_eq!(pattern.matches(key), expected, "{key}");
        }
    }

    #[test]
    fn patterns_and_their_keys_have_one_fingerprint() {
        let pattern = Pattern::from("a{i}b.{j}.1".to_owned());
        assert_eq!(pattern.fingerprint(), fingerprint("a12b.3.1"));
        assert_ne!(pattern.fingerprint(), fingerprint("a12b.3.x"));
    }

    #[test]
    fn nothing_is_recognised_in_other_keys() {
        assert_eq!(recognise([]), Recognised::default());
        assert_eq!(recognise(["layer1.0.conv1.weight", "fc.bias"]), Recognised::default());
    }

    #[test]
    fn every_convention_begins_or_ends_a_recipe() {
        for convention in &TABLE.conventions {
            let name = &convention.name;
            let is_meant = |it: &LibraryRecipe| it.header.from == *name || it.header.to == *name;
            assert!(super::super::recipes().iter().any(is_meant), "{name}");
        }
    }

    #[test]
    fn conventions_name_the_recipes_that_start_from_them() {
        let names = ["tok_embeddings", "norm", "output", "layers.0.attention.wq"];
        let more = ["layers.0.attention.wk", "layers.0.attention_norm", "layers.0.feed_forward.w1"];
        let keys: Vec<String> =
            names.iter().chain(&more).map(|name| format!("{name}.weight")).collect();
        let found = recognise(keys.iter().map(String::as_str));
        assert_eq!(found.conventions, ["Llama, Meta"]);
        assert_eq!(found.recipes, ["meta-to-hf:llama"]);
    }
}
