//! The library's recipes, as JSON.

use std::io::Write;

use serde::Serialize;
use statedict::jobs::library::LibraryRecipe;

use crate::failure::Failure;
use crate::json::{SCHEMA_VERSION, put};

#[derive(Serialize)]
struct Object<'a> {
    schema_version: u32,
    recipes: Vec<Recipe<'a>>,
}

#[derive(Serialize)]
struct Recipe<'a> {
    name: &'a str,
    inverse: Option<&'a str>,
    title: &'a str,
    families: &'a [String],
    from: &'a str,
    to: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
}

/// What to say of a recipe.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// What it is for.
    Summary,
    /// Its rules as well.
    Text,
}

/// One object with these recipes.
pub(super) fn recipes<'a>(
    recipes: impl Iterator<Item = &'a LibraryRecipe>,
    detail: Detail,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let recipes = recipes.map(|recipe| Recipe::of(recipe, detail)).collect();
    put(&Object { schema_version: SCHEMA_VERSION, recipes }, out)?;
    Ok(writeln!(out)?)
}

impl<'a> Recipe<'a> {
    fn of(recipe: &'a LibraryRecipe, detail: Detail) -> Recipe<'a> {
        let LibraryRecipe { name, inverse, header, text } = recipe;
        Recipe {
            name,
            inverse: inverse.as_deref(),
            title: &header.title,
            families: &header.families,
            from: &header.from,
            to: &header.to,
            text: (detail == Detail::Text).then_some(*text),
        }
    }
}
