//! The guide to rules of tensors: each of its examples is run, and does what is written beside it.

mod folder;

use folder::Folder;
use serde_json::Value;
use statedict::core::Rule;

const GUIDE: &str = include_str!("../../docs/tensor-rules.md");

/// A key and a shape.
type Entry = (String, Vec<u64>);

struct Example {
    rule: String,
    in_words: String,
    /// What a row of its table has before and afterwards.
    rows: Vec<(Vec<Entry>, Vec<Entry>)>,
}

fn examples() -> Vec<Example> {
    let mut examples = Vec::new();
    for part in GUIDE.split("```rule\n").skip(1) {
        let (rule, rest) = part.split_once("\n```").expect("a block ends");
        let rest = rest.split("\n#").next().unwrap_or(rest);
        let line = |start: &str| rest.lines().find_map(|line| line.strip_prefix(start));
        let rows = rest.lines().filter_map(|line| line.strip_prefix("| `")).map(row);
        examples.push(Example {
            rule: rule.to_string(),
            in_words: line("In words: ").expect("words").to_string(),
            rows: rows.collect(),
        });
    }
    examples
}

fn row(line: &str) -> (Vec<Entry>, Vec<Entry>) {
    let (before, after) = line.trim_end_matches(" |").split_once(" | ").expect("two cells");
    (entries(before), entries(after))
}

/// `key` 2×4, `key` 3
fn entries(cell: &str) -> Vec<Entry> {
    let entry = |text: &str| {
        let (key, shape) = text.trim_matches('`').split_once("` ").expect("a shape");
        let shape = shape.split('×').map(|size| size.parse().expect("a number")).collect();
        (key.to_string(), shape)
    };
    cell.split(", ").map(entry).collect()
}

/// A file of these tensors, whose elements are numbered.
fn safetensors(entries: &[Entry]) -> Vec<u8> {
    let (mut header, mut at) = (Vec::new(), 0);
    for (key, shape) in entries {
        let end = at + 4 * shape.iter().product::<u64>();
        header.push(format!(
            r#""{key}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{at},{end}]}}"#
        ));
        at = end;
    }
    // What is encoded anew says this, and the two files are to be the same.
    let header = format!(r#"{{"__metadata__":{{"format":"pt"}},{}}}"#, header.join(","));
    let data: Vec<u8> = (0..at / 4).flat_map(|i| (i as f32).to_le_bytes()).collect();
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()
}

fn shapes(folder: &Folder, file: &str) -> Vec<Entry> {
    let listed = folder.typed(&format!("ls --json {file}"));
    let listed: Value = serde_json::from_str(&listed.out).expect("JSON");
    let rows = listed["tensors"].as_array().expect("a list").iter();
    let entry = |row: &Value| {
        let shape = row["shape"].as_array().expect("a shape").iter();
        let shape = shape.map(|size| size.as_u64().expect("a number")).collect();
        (row["key"].as_str().expect("text").to_string(), shape)
    };
    rows.map(entry).collect()
}

#[test]
fn every_example_of_the_guide_does_what_it_says() {
    let examples = examples();
    assert_eq!(examples.len(), 6);
    for Example { rule, in_words, rows } in examples {
        assert_eq!(Rule::rename(&rule, '.').expect(&rule).in_words(), in_words, "{rule}");
        assert!(!rows.is_empty(), "{rule}");
        let before: Vec<Entry> = rows.iter().flat_map(|(before, _)| before.clone()).collect();
        let mut after: Vec<Entry> = rows.into_iter().flat_map(|(_, after)| after).collect();
        let folder = Folder::of([("a.safetensors", safetensors(&before))]);
        let mut args = vec!["rename", &rule, "a.safetensors", "-o", "b.safetensors"];
        if rule.contains("heads") {
            args.extend(["--set", "heads=2"]);
        }
        args.extend(["--save-plan", "plan.json"]);
        let ran = folder.run(&args);
        assert_eq!(ran.status, 0, "{rule}: {}{}", ran.out, ran.err);
        let mut made = shapes(&folder, "b.safetensors");
        made.sort();
        after.sort();
        assert_eq!(made, after, "{rule}");
        let ran = folder.typed("apply --inverse plan.json b.safetensors -o c.safetensors");
        assert_eq!(ran.status, 0, "{rule}: {}{}", ran.out, ran.err);
        let ran = folder.typed("diff a.safetensors c.safetensors");
        assert_eq!(ran.status, 0, "{rule}: {}{}", ran.out, ran.err);
    }
}

#[test]
fn a_wrong_rule_is_refused_with_its_reason() {
    let folder = Folder::of([("a.safetensors", safetensors(&[("a".into(), vec![2, 2])]))]);
    let ran = folder.run(&["rename", "a[x y] -> b[x]", "a.safetensors"]);
    assert_eq!(ran.status, 2, "{}", ran.err);
    let said = "rule 'a[x y] -> b[x]': in 'a[x y]': the place 'y' is on one side of '->' only";
    assert!(ran.err.contains(said), "{}", ran.err);
}
