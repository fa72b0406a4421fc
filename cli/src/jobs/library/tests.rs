use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

#[test]
fn every_recipe_of_the_folder_is_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("recipes");
    let mut files = BTreeSet::new();
    for family in fs::read_dir(&folder).expect("the folder of recipes").flatten() {
        if !family.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(family.path()).expect("a family").flatten() {
            let (family, file) = (family.file_name(), file.file_name());
            let name = file.to_string_lossy().trim_end_matches(".toml").to_owned();
            files.insert(format!("{name}:{}", family.to_string_lossy()));
        }
    }
    let embedded: BTreeSet<_> = recipes().iter().map(|recipe| recipe.name.clone()).collect();
    assert_eq!(embedded, files);
}

#[test]
fn no_name_means_two_recipes() {
    let mut seen = std::collections::BTreeMap::new();
    for recipe in recipes() {
        let names: BTreeSet<_> = recipe.names().map(|(name, _)| name).collect();
        for name in names {
            let other = seen.insert(name.clone(), recipe.name.clone());
            assert_eq!(other, None, "{name} means {} as well", recipe.name);
        }
    }
}

#[test]
fn a_recipe_is_found_by_its_name_its_inverse_and_its_families() {
    let found = |name: &str| find(name).map(|found| (found.recipe.name.as_str(), found.direction));
    assert_eq!(found("meta-to-hf:llama"), Ok(("meta-to-hf:llama", Direction::Forward)));
    assert_eq!(found("hf-to-meta:llama"), Ok(("meta-to-hf:llama", Direction::Inverse)));
    assert_eq!(found("hf-to-meta:mistral"), Ok(("meta-to-hf:llama", Direction::Inverse)));
    assert_eq!(found("diffusers-to-kohya:lora").expect_err("it is one-way").meant, None);
}

#[test]
fn a_name_that_is_near_is_suggested() {
    let meant = |name: &str| find(name).expect_err(name).meant;
    assert_eq!(meant("meta-to-hf:lama").as_deref(), Some("meta-to-hf:llama"));
    assert_eq!(meant("something else"), None);
}

#[test]
fn the_page_of_the_docs_lists_every_recipe() {
    let page = include_str!("../../../docs/recipes.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| `")).collect();
    let rows: Vec<String> = recipes().iter().map(row).collect();
    assert_eq!(listed, rows);
}

fn row(recipe: &LibraryRecipe) -> String {
    let LibraryRecipe { name, inverse, header, .. } = recipe;
    let back = inverse.as_ref().map_or("–".into(), |inverse| format!("`{inverse}`"));
    format!("| `{name}` | {back} | {} | {} |", header.families.join(", "), header.title)
}

#[test]
fn every_recipe_is_read() {
    for recipe in recipes() {
        let read = crate::jobs::recipe::Recipe::parse(recipe.text, None);
        let read = read.unwrap_or_else(|error| panic!("{}: {error}", recipe.name));
        assert_eq!(read.title.as_deref(), Some(recipe.header.title.as_str()));
        assert_eq!(read.to.as_deref(), Some(recipe.header.to.as_str()));
        assert!(!read.expect.is_empty(), "{} says what is not there before", recipe.name);
    }
}
