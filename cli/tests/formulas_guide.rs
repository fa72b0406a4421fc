//! The guide to formulas: each of its recipes is run, and does what is written beside it.

mod folder;

use folder::Folder;
use serde_json::Value;
use statedict::Rules;
use statedict::jobs::recipe;

const GUIDE: &str = include_str!("../../docs/formulas.md");

/// A key, a type and a shape.
type Entry = (String, String, Vec<u64>);

struct Example {
    recipe: String,
    in_words: String,
    before: Vec<Entry>,
    after: Vec<Entry>,
}

/// The recipes with a table of what they make.
fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for part in GUIDE.split("```toml\n").skip(1) {
        let (recipe, rest) = part.split_once("\n```").expect("a block ends");
        let rest = rest.split("\n#").next().unwrap_or(rest);
        let line = |start: &str| rest.lines().find_map(|line| line.strip_prefix(start));
        let Some(row) = line("| `") else { continue };
        let (before, after) = row.trim_end_matches(" |").split_once(" | ").expect("two cells");
        examples.push(Example {
            recipe: recipe.to_string(),
            in_words: line("In words: ").expect("words").to_string(),
            before: entries(before),
            after: entries(after),
        });
    }
    examples
}

/// `key` 2×4, `key` BF16 3
fn entries(cell: &str) -> Vec<Entry> {
    let entry = |text: &str| {
        let (key, rest) = text.trim_matches('`').split_once("` ").expect("a shape");
        let (dtype, shape) = rest.split_once(' ').unwrap_or(("F32", rest));
        let shape = shape.split('×').map(|size| size.parse().expect("a number")).collect();
        (key.to_string(), dtype.to_string(), shape)
    };
    cell.split(", ").map(entry).collect()
}

/// A file of these tensors, all zeros, which are in every table of the guide what it says.
fn safetensors(entries: &[Entry]) -> Vec<u8> {
    let (mut header, mut end) = (Vec::new(), 0);
    for (key, dtype, shape) in entries {
        let width = if dtype == "F32" { 4 } else { 1 };
        let begin = end;
        end += width * shape.iter().product::<u64>();
        header.push(format!(
            r#""{key}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", header.join(","));
    let data = vec![0; usize::try_from(end).expect("few")];
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

#[test]
fn every_recipe_of_the_guide_does_what_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 6);
    for Example { recipe: text, in_words, before, mut after } in examples {
        let rules = match recipe::parse(&text, None).expect(&text) {
            Rules::Stages(stages) => stages,
            Rules::Recipe(recipe) => recipe.rules().cloned().collect(),
            _ => panic!("{text}"),
        };
        assert_eq!(rules[0].in_words(), in_words, "{text}");
        let folder =
            Folder::of([("a.safetensors", safetensors(&before)), ("r.toml", text.clone().into())]);
        let ran = folder.typed("apply r.toml a.safetensors -o b.safetensors");
        assert_eq!(ran.status, 0, "{text}: {}", ran.err);
        let listed = folder.typed("ls --json b.safetensors");
        let listed: Value = serde_json::from_str(&listed.out).expect("JSON");
        let rows = listed["tensors"].as_array().expect("a list").iter();
        let made = rows.map(|row| {
            let shape = row["shape"].as_array().expect("a shape").iter();
            let shape = shape.map(|size| size.as_u64().expect("a number")).collect();
            let text = |field: &str| row[field].as_str().expect("text").to_string();
            (text("key"), text("dtype"), shape)
        });
        let mut made: Vec<Entry> = made.collect();
        made.sort();
        after.sort();
        assert_eq!(made, after, "{text}");
    }
}

#[test]
fn the_recipe_that_merges_is_read() {
    let part = GUIDE.split("merge-lora").nth(1).expect("it is in the guide");
    let text = format!("[[stage]]\nmerge-lora{}", part.split("\n```").next().expect("a block"));
    assert!(matches!(recipe::parse(&text, None), Ok(Rules::Recipe(it)) if it.merge.is_some()));
}
