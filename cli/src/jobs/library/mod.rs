//! Recipes that come with the program: published conversions between names and layouts of models,
//! each held to what the official converter makes of a model.
//!
//! A recipe is called `FROM-to-TO:FAMILY`. Where it leads back, `TO-to-FROM:FAMILY` is its inverse.

use std::fmt;
use std::path::Path;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::jobs::error::Error;
use crate::jobs::nearest::nearest;
use crate::jobs::recipe::{self, Direction, Way};
use crate::jobs::rules::Rules;

/// A list of `"family" / "name"` with the text of each file.
macro_rules! embedded {
    ($($family:literal / $name:literal),* $(,)?) => {
        &[$((
            $family,
            $name,
            include_str!(concat!("../../../recipes/", $family, "/", $name, ".toml")),
        )),*]
    };
}

mod conventions;
mod embedded;

pub(crate) use conventions::Conventions;
pub use conventions::{Recognised, leading, recognise};

/// One recipe of the library.
#[derive(Clone, Debug)]
pub struct LibraryRecipe {
    /// `meta-to-hf:llama`.
    pub name: String,
    /// What undoes it: `hf-to-meta:llama`; none for what loses something.
    pub inverse: Option<String>,
    /// What it says of itself.
    pub header: Header,
    /// The recipe, as `statedict apply` takes it from a file.
    pub text: &'static str,
}

/// What a recipe says of itself, beside its rules.
#[derive(Clone, Debug, Deserialize)]
pub struct Header {
    /// What it does, in a line.
    pub title: String,
    /// The families of models it is for; each of them may stand in its name.
    pub families: Vec<String>,
    /// The convention it starts from.
    pub from: String,
    /// The convention it leads to.
    pub to: String,
    /// Whether it leads back.
    #[serde(default)]
    pub way: Way,
}

/// A recipe found by its name, and which way the name means.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The recipe.
    pub recipe: &'static LibraryRecipe,
    /// Backwards for the name of an inverse.
    pub direction: Direction,
}

/// A name that no recipe has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The name.
    pub name: String,
    /// A name that is near.
    pub meant: Option<String>,
}

/// Every recipe, in the order of their names' families.
pub fn recipes() -> &'static [LibraryRecipe] {
    static RECIPES: LazyLock<Vec<LibraryRecipe>> = LazyLock::new(|| {
        embedded::RECIPES.iter().map(|(family, name, text)| read(family, name, text)).collect()
    });
    &RECIPES
}

/// The recipe of a name, also by the name of its inverse and by any of its families.
///
/// # Errors
/// The name, and one that is near.
pub fn find(name: &str) -> Result<Found, Unknown> {
    named(name, Direction::Forward).or_else(|| named(name, Direction::Inverse)).ok_or_else(|| {
        let names = recipes().iter().flat_map(LibraryRecipe::names);
        let names: Vec<String> = names.map(|(name, _)| name).collect();
        let meant = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        Unknown { name: name.to_owned(), meant }
    })
}

fn named(name: &str, direction: Direction) -> Option<Found> {
    let is_meant = |recipe: &&LibraryRecipe| {
        recipe.names().any(|(own, leads)| own == name && leads == direction)
    };
    recipes().iter().find(is_meant).map(|recipe| Found { recipe, direction })
}

impl LibraryRecipe {
    /// Every name it answers to, and which way that name means.
    pub fn names(&self) -> impl Iterator<Item = (String, Direction)> {
        let family = |name: &String| name.split_once(':').map(|(ends, _)| ends.to_owned());
        let forward = family(&self.name).map(|ends| (ends, Direction::Forward));
        let back = self.inverse.as_ref().and_then(family).map(|ends| (ends, Direction::Inverse));
        let own = [(self.name.clone(), Direction::Forward)].into_iter();
        let own = own.chain(self.inverse.clone().map(|name| (name, Direction::Inverse)));
        own.chain([forward, back].into_iter().flatten().flat_map(|(ends, direction)| {
            let families = self.header.families.iter();
            families.map(move |family| (format!("{ends}:{family}"), direction))
        }))
    }
}

impl Found {
    /// The rules, in the direction that the name means or, turned round, in the other.
    ///
    /// # Errors
    /// The inverse of a recipe that has none.
    pub fn rules(&self, turned: Direction) -> Result<Rules, Error> {
        let name = Path::new(&self.recipe.name);
        let direction =
            if self.direction == turned { Direction::Forward } else { Direction::Inverse };
        recipe::from_text(self.recipe.text, name, direction, None)
    }
}

/// The recipe of an embedded text.
fn read(family: &str, name: &str, text: &'static str) -> LibraryRecipe {
    // What it says of itself stands before its first table.
    let head = text.split("\n[").next().unwrap_or_default();
    let header: Header = toml::from_str(head).expect("a test reads every text of the library");
    let inverse = match (header.way, name.split_once("-to-")) {
        (Way::Both, Some((from, to))) => Some(format!("{to}-to-{from}:{family}")),
        _ => None,
    };
    LibraryRecipe { name: format!("{name}:{family}"), inverse, header, text }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no recipe of the library is called '{}'", self.name)
    }
}

#[cfg(test)]
mod tests;
