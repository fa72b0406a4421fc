//! Real renamings, which conversion scripts do by hand, found without being given a rule.

use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};

use compat_tests::{oracle, statedict, text};
use serde_json::{Value, json};

/// A model under two naming schemes.
struct Model {
    name: String,
    source: String,
    target: String,
    /// Source keys, target keys that come from them, and what is made of the tensor.
    truth: BTreeSet<(String, String, String)>,
}

/// How many of a model's keys were found, and what is wrong with any.
#[derive(Default)]
struct Score {
    right: usize,
    open: usize,
    wrong: Vec<String>,
}

/// A target key and the source key it was found to come from.
struct Found {
    from: String,
    to: String,
    /// What is made of the tensor; none where that is not known.
    how: Option<String>,
}

impl Model {
    /// All of them, there and back, written by PyTorch into a folder.
    fn all(folder: &tempfile::TempDir) -> Vec<Model> {
        let written = oracle(json!({ "do": "renamings", "folder": folder.path() }));
        written.as_array().expect("a list").iter().flat_map(Model::of).collect()
    }

    fn of(written: &Value) -> [Model; 2] {
        let truth = written["truth"].as_object().expect("an object").iter();
        let truth = truth.map(|(key, it)| (text(&it["from"]), key.clone(), text(&it["how"])));
        let there = Model {
            name: text(&written["name"]),
            source: text(&written["source"]),
            target: text(&written["target"]),
            truth: truth.collect(),
        };
        let back =
            there.truth.iter().map(|(from, to, how)| (to.clone(), from.clone(), how.clone()));
        let back = Model {
            name: format!("{}, backwards", there.name),
            source: there.target.clone(),
            target: there.source.clone(),
            truth: back.collect(),
        };
        [there, back]
    }

    /// The target keys that come from a source key.
    fn targets(&self) -> BTreeSet<&str> {
        self.truth.iter().map(|(_, to, _)| to.as_str()).collect()
    }

    /// Holds what was found against the truth; what was not found is open.
    fn score(&self, found: &[Found]) -> Score {
        let (mut wrong, mut right) = (Vec::new(), BTreeSet::new());
        for Found { from, to, how } in found {
            let is_true = |(source, target, made): &(String, String, String)| {
                source == from && target == to && how.as_ref().is_none_or(|how| how == made)
            };
            if self.truth.iter().any(is_true) {
                right.insert(to);
            } else {
                let how = how.as_deref().unwrap_or("by name");
                wrong.push(format!("{}: {to} from {from} ({how})", self.name));
            }
        }
        Score { right: right.len(), open: self.targets().len() - right.len(), wrong }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} right, {} wrong, {} left open", self.right, self.wrong.len(), self.open)
    }
}

/// Prints the counts past the capture of test output, and fails if anything is wrong.
fn print_scores(what: &str, scores: &[(&Model, Score)]) {
    let mut output = io::stderr();
    for (model, score) in scores {
        let _ = writeln!(output, "{what} {}: {score}", model.name);
    }
    let sum = |of: fn(&Score) -> usize| scores.iter().map(|(_, score)| of(score)).sum::<usize>();
    let (right, open) = (sum(|score| score.right), sum(|score| score.open));
    let wrong: Vec<String> = scores.iter().flat_map(|(_, score)| score.wrong.clone()).collect();
    let count = wrong.len();
    let _ = writeln!(output, "{what} in all: {right} right, {count} wrong, {open} left open");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(right > 0, "nothing was found");
}

fn list<'a>(found: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    found[name].as_array().expect("a list").iter()
}

/// What `derive` says of a model.
fn derived(model: &Model) -> (Value, Vec<Found>) {
    let run = statedict(["derive", "--json", "-q", &model.source, &model.target]);
    assert!(matches!(run.status, Some(0 | 1)), "{}: {}", model.name, run.stderr);
    let found = run.json();
    let both = |it: &Value, how: String| Found {
        from: text(&it["from"]),
        to: text(&it["to"]),
        how: Some(how),
    };
    let pairs = list(&found, "pairs").map(|it| both(it, "same".into()));
    let rearranged = list(&found, "rearranged").map(|it| both(it, text(&it["how"])));
    let portions = list(&found, "portions").map(|it| {
        let how = format!("{} {}..{}", text(&it["lines"]), it["start"], it["end"]);
        let is_fused = it["whole_in"] == "b";
        let [from, to] = if is_fused { ["part", "whole"] } else { ["whole", "part"] };
        Found { from: text(&it[from]), to: text(&it[to]), how: Some(how) }
    });
    let all = pairs.chain(rearranged).chain(portions).collect();
    (found, all)
}

#[test]
fn derive_finds_real_renamings_from_the_values() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = Model::all(&folder);
    let scores: Vec<_> =
        models.iter().map(|model| (model, model.score(&derived(model).1))).collect();
    print_scores("derive", &scores);
    for (model, score) in &scores {
        let is_untrained = model.name.starts_with("untrained");
        assert!(is_untrained || score.open < 2, "{}: {score}", model.name);
    }
}

/// Names and shapes alone say which tensor goes where, and never what is to be made of it: a square
/// one that is transposed in between counts as found.
#[test]
fn fit_finds_real_renamings_from_names_and_shapes() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = Model::all(&folder);
    let fitted = |model: &Model| {
        let run = statedict(["fit", "--json", "-q", &model.source, "--to", &model.target]);
        assert!(matches!(run.status, Some(0 | 1)), "{}: {}", model.name, run.stderr);
        let pair = |it: &Value| Found { from: text(&it["from"]), to: text(&it["to"]), how: None };
        model.score(&list(&run.json(), "pairs").map(pair).collect::<Vec<_>>())
    };
    print_scores("fit", &models.iter().map(|model| (model, fitted(model))).collect::<Vec<_>>());
}

/// The recipe, applied to the source, gives the keys that were found to be renamed, and no other
/// key of the target.
#[test]
fn a_derived_recipe_does_what_was_found() {
    let folder = tempfile::tempdir().expect("a folder");
    for model in Model::all(&folder) {
        let (found, _) = derived(&model);
        let recipe = folder.path().join("recipe.toml").display().to_string();
        std::fs::write(&recipe, text(&found["recipe"])).expect("writable");
        let output = format!("{}.renamed.pth", model.source);
        let run = statedict(["apply", &recipe, &model.source, "-o", &output, "--force"]);
        assert_eq!(run.status, Some(0), "{}: {}", model.name, run.stderr);
        let held = statedict(["diff", "--json", &output, &model.target]).json();
        let keys = |name: &str| list(&held, name).map(text).collect::<Vec<_>>();
        let renamed = list(&found, "pairs").map(|it| text(&it["to"])).collect::<Vec<_>>();
        let added = keys("added");
        assert!(renamed.iter().all(|key| !added.contains(key)), "{}: {added:?}", model.name);
        let by_name: Vec<String> = list(&found, "by_name").map(|it| text(&it["to"])).collect();
        let differ: Vec<String> = list(&held, "values").map(|it| text(&it["key"])).collect();
        let excused = list(&found, "rearranged").map(|it| text(&it["to"])).chain(by_name);
        let excused: Vec<String> = excused.collect();
        assert!(differ.iter().all(|key| excused.contains(key)), "{}: {differ:?}", model.name);
    }
}
