//! `recipes`: what the library holds.

pub(crate) mod args;
mod json;

use std::io::Write;

use statedict::jobs::library::{self, LibraryRecipe};
use statedict::jobs::recipe::Direction;

use crate::commands::recipes::json::Detail;
use crate::failure::Failure;
use crate::terminal::text::say;
use crate::terminal::{OutputFormat, Verbosity};

/// Which recipes to show, and how.
pub(crate) struct RecipesRequest {
    pub(crate) name: Option<String>,
    pub(crate) output_format: OutputFormat,
    pub(crate) verbosity: Verbosity,
}

pub(crate) fn run(request: &RecipesRequest, out: &mut dyn Write) -> Result<(), Failure> {
    let Some(name) = &request.name else { return list(request.output_format, out) };
    let found = library::find(name).map_err(unknown)?;
    let recipe = found.recipe;
    if request.output_format == OutputFormat::Json {
        return json::recipes([recipe].into_iter(), Detail::Text, out);
    }
    out.write_all(recipe.text.as_bytes())?;
    if found.direction == Direction::Inverse && request.verbosity == Verbosity::All {
        out.flush()?;
        say(&format!("note: {name} applies {} backwards", recipe.name));
    }
    Ok(())
}

/// The error of a name that no recipe has.
pub(crate) fn unknown(unknown: library::Unknown) -> Failure {
    let failure = Failure::could_not(&unknown);
    match unknown.meant {
        Some(meant) => failure.hint(format!("did you mean {meant}?")),
        None => failure.hint("`statedict recipes` lists them".to_string()),
    }
}

fn list(output_format: OutputFormat, out: &mut dyn Write) -> Result<(), Failure> {
    let recipes = library::recipes();
    if output_format == OutputFormat::Json {
        return json::recipes(recipes.iter(), Detail::Summary, out);
    }
    for recipe in recipes {
        writeln!(out, "{}", lines(recipe))?;
    }
    Ok(())
}

/// The name, what it does, and below it what it is for and what undoes it.
fn lines(recipe: &LibraryRecipe) -> String {
    let families = recipe.header.families.join(", ");
    let back = match &recipe.inverse {
        Some(inverse) => format!("back: {inverse}"),
        None => "one way".into(),
    };
    format!("{}\n    {}\n    for {families}; {back}", recipe.name, recipe.header.title)
}
