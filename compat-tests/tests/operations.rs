//! Every command on every file gives what the same operation in Python gives.
//!
//! Where the input loads with `weights_only=True`, the output must too, also with `mmap=True`; and
//! it must be the same tensor by tensor and payload by payload, `_metadata`, order, ties and views,
//! `Parameter` and `requires_grad` included. Where Python's model says that the plan cannot be, the
//! command must say so with exit status 1.

use std::fs;
use std::path::Path;

use compat_tests::{Entry, Run, Tally, Zoo, oracle, statedict};
use serde_json::{Value, json};

/// A command line without its file, and the same as stages for the model.
struct Operation {
    arguments: Vec<String>,
    stages: Value,
    undefined: &'static str,
}

fn operation(arguments: &[&str], stages: Value) -> Operation {
    let arguments: Vec<String> = arguments.iter().map(|word| word.to_string()).collect();
    let given = |flag: &str| arguments.iter().any(|word| word == flag);
    let undefined = match (given("--strict"), given("--only")) {
        (true, _) => "strict",
        (_, true) => "only",
        _ => "keep",
    };
    Operation { arguments, stages, undefined }
}

fn rename(rules: &[&str]) -> Operation {
    operation(&[&["rename"], rules].concat(), json!([{ "rename": rules }]))
}

/// Writes a recipe, and gives the operation that applies it.
fn recipe(folder: &Path, name: &str, text: &str, stages: Value) -> Operation {
    let path = folder.join(name);
    fs::write(&path, text).expect("a recipe can be written");
    operation(&["apply", path.to_str().expect("a plain path")], stages)
}

fn operations(folder: &Path) -> Vec<Operation> {
    let strip = |prefix: &str| json!([{ "strip": prefix }]);
    let blocks = [
        "module.stem.{r..} -> module.entry.{r..}",
        "module.layers.{i}.{r..} -> module.b.{i+1}.{r..}",
    ];
    let recipe_text = "[[stage]]\nstrip = \"module\"\n\n[[stage]]\ndrop = [\"**.bias\"]\n\n[[stage]]\nadd = \"net\"\n";
    let swap_text =
        "[[stage]]\nrename = [\"{r..}.weight -> {r..}.bias\", \"{r..}.bias -> {r..}.weight\"]\n";
    let table_text =
        "[[stage]]\nunwrap = true\n[[stage]]\n[stage.table]\n\"head.weight\" = \"top.w\"\n";
    vec![
        operation(&["strip", "module"], strip("module")),
        operation(&["strip", "module.", "--only"], strip("module")),
        operation(&["strip", "module", "--strict"], strip("module")),
        operation(&["strip", "module.module"], strip("module.module")),
        operation(&["strip", "_orig_mod"], strip("_orig_mod")),
        operation(&["add", "module"], json!([{ "add": "module" }])),
        operation(&["add", "a.b."], json!([{ "add": "a.b" }])),
        operation(&["unwrap"], json!([{ "unwrap": true }])),
        operation(
            &["keep", "module.**", "n_averaged"],
            json!([{ "keep": ["module.**", "n_averaged"] }]),
        ),
        operation(&["keep", "**.weight"], json!([{ "keep": ["**.weight"] }])),
        operation(
            &["drop", "**.bias", "*.layer1*.*"],
            json!([{ "drop": ["**.bias", "*.layer1*.*"] }]),
        ),
        operation(&["drop", "module.**"], json!([{ "drop": ["module.**"] }])),
        rename(&["module.{r..} -> net.{r..}"]),
        rename(&blocks),
        rename(&["{x}.{r..} -> {r..}"]),
        rename(&["re:weight$ -> kernel"]),
        rename(&["re:^module\\.(\\w) -> a.$1"]),
        recipe(
            folder,
            "recipe.toml",
            recipe_text,
            json!([{ "strip": "module" }, { "drop": ["**.bias"] }, { "add": "net" }]),
        ),
        recipe(
            folder,
            "swap.toml",
            swap_text,
            json!([{ "rename": ["{r..}.weight -> {r..}.bias", "{r..}.bias -> {r..}.weight"] }]),
        ),
        recipe(
            folder,
            "table.toml",
            table_text,
            json!([{ "unwrap": true }, { "table": { "head.weight": "top.w" } }]),
        ),
    ]
}

/// How many operations to skip between two: comparing thousands of keys takes Python a second.
fn stride(entry: &Entry) -> usize {
    if entry.name.contains("0_keys") || entry.name.contains("1001_keys") { 4 } else { 1 }
}

/// The ways to say which state dicts of a file are meant, each with those that are.
fn selections(entry: &Entry) -> Vec<(Vec<&str>, Vec<&str>)> {
    let all: Vec<&str> = entry.at.iter().map(String::as_str).collect();
    if let [_] = all.as_slice() {
        return vec![(Vec::new(), all)];
    }
    let nested = all.iter().any(|at| at.is_empty());
    let one_by_one = all.iter().map(|at| (vec!["--at", *at], vec![*at]));
    // Renaming a mapping moves the mappings in it, so all at once has no single way back.
    let together = (!nested).then(|| (vec!["--at", "*"], all.clone()));
    one_by_one.chain(together).collect()
}

fn run(operation: &[String], entry: &Entry, more: &[&str]) -> Run {
    let path = entry.path.to_str().expect("a plain path");
    let words = operation.iter().map(String::as_str).chain([path]).chain(more.iter().copied());
    statedict(words)
}

/// What Python says of the outcome.
fn judged(question: Value, run: &Run, output: &Path) -> Option<String> {
    let question =
        with(question, json!({ "do": "operation", "status": run.status, "output": output }));
    let problem = match oracle(question) {
        Value::Null => None,
        problem => Some(format!("{problem} {}", run.stderr.trim())),
    };
    problem.or_else(|| misplaced(run, output))
}

/// A refusal writes nothing and says why; a success leaves no litter.
fn misplaced(run: &Run, output: &Path) -> Option<String> {
    if run.status == Some(1) {
        return run.impolite(1).or_else(|| output.exists().then(|| "refused, yet written".into()));
    }
    let folder = output.parent().expect("an output has a folder");
    let count = fs::read_dir(folder).expect("the folder is there").count();
    (count != 1).then(|| format!("{count} files beside the output"))
}

/// Files with texts that are keys beside the state dict, which nothing says are names of keys.
const NAMES_ELSEWHERE: [&str; 3] =
    ["trainer.pth.tar", "shared_string_below.pth", "odd_order.safetensors"];

/// True if an operation is refused for names that would not follow it, which Python knows nothing of.
fn refuses_names_elsewhere(entry: &Entry, operation: &Operation, run: &Run) -> bool {
    operation.undefined == "strict"
        && NAMES_ELSEWHERE.contains(&entry.name.as_str())
        && run.stderr.contains("not followed: ")
}

fn with(mut question: Value, more: Value) -> Value {
    let (Value::Object(question_fields), Value::Object(more)) = (&mut question, more) else {
        panic!("questions are objects");
    };
    question_fields.extend(more);
    question
}

fn question(entry: &Entry, at: &[&str], operation: &Operation) -> Value {
    let (stages, undefined) = (&operation.stages, operation.undefined);
    json!({ "input": entry.path, "at": at, "stages": stages, "undefined": undefined })
}

#[test]
fn every_command_on_every_file_gives_what_python_gives() {
    let (zoo, recipes) = (Zoo::new(), tempfile::tempdir().expect("a folder"));
    let operations = operations(recipes.path());
    let mut tally = Tally::new();
    for entry in zoo.renamable() {
        for (flags, at) in selections(entry) {
            for operation in operations.iter().step_by(stride(entry)) {
                let output = zoo.output(&entry.name);
                let to = ["-o", output.to_str().expect("a plain path")];
                let run = run(&operation.arguments, entry, &[flags.as_slice(), &to].concat());
                let case = format!("{} {flags:?} {:?}", entry.name, operation.arguments);
                let problem = if refuses_names_elsewhere(entry, operation, &run) {
                    misplaced(&run, &output)
                } else {
                    judged(question(entry, &at, operation), &run, &output)
                };
                tally.note(case, problem);
            }
        }
    }
    tally.close("operations as in Python");
}

#[test]
fn a_saved_plan_leads_back() {
    let (zoo, folder) = (Zoo::new(), tempfile::tempdir().expect("a folder"));
    let operations = operations(folder.path());
    let plan = folder.path().join("plan.json");
    let plan_text = plan.to_str().expect("a plain path");
    let mut tally = Tally::new();
    for entry in zoo.renamable() {
        for (flags, at) in selections(entry) {
            for operation in operations.iter().step_by(3 * stride(entry)) {
                let there = folder.path().join(&entry.name);
                let to = [
                    "-o",
                    there.to_str().expect("a plain path"),
                    "--save-plan",
                    plan_text,
                    "--force",
                ];
                let run = run(&operation.arguments, entry, &[flags.as_slice(), &to].concat());
                if run.status == Some(1) {
                    continue;
                }
                let back = zoo.output(&entry.name);
                let words = ["apply", plan_text, "--inverse", to[1], "-o"];
                let run = statedict(words.iter().map(AsRef::as_ref).chain([back.as_os_str()]));
                let question = with(question(entry, &at, operation), json!({ "back": true }));
                let case = format!("{} {flags:?} {:?} and back", entry.name, operation.arguments);
                tally.note(case, judged(question, &run, &back));
            }
        }
    }
    tally.close("plans led back");
}

#[test]
fn in_place_and_onto_itself_give_the_same_file() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for name in ["lenet_dataparallel.pth", "network.safetensors", "network.npz", "trainer.pth.tar"]
    {
        let entry = zoo.entry(name);
        for (word, more) in [("-i", Vec::new()), ("-o", vec!["--force"])] {
            let copy = zoo.output(name);
            fs::copy(&entry.path, &copy).expect("a file can be copied");
            let path = copy.to_str().expect("a plain path");
            let onto = if word == "-o" { vec!["-o", path] } else { vec!["-i"] };
            let run = statedict([&["strip", "module", path], onto.as_slice(), &more].concat());
            let strip = operation(&["strip", "module"], json!([{ "strip": "module" }]));
            let at: Vec<&str> = entry.at.iter().map(String::as_str).collect();
            tally.note(format!("{name} {word}"), judged(question(entry, &at, &strip), &run, &copy));
        }
    }
    tally.close("files replaced");
}

#[test]
fn without_a_place_to_write_nothing_is_written() {
    let zoo = Zoo::new();
    let entry = zoo.entry("lenet_dataparallel.pth");
    let before = fs::read(&entry.path).expect("the file is there");
    let run = run(&["strip".into(), "module".into()], entry, &[]);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
    assert!(run.stdout.contains("conv{1..2}.weight"), "the plan is shown: {}", run.stdout);
    assert_eq!(fs::read(&entry.path).expect("the file is there"), before);
}

#[test]
fn several_state_dicts_are_listed_and_never_guessed() {
    let zoo = Zoo::new();
    let run = run(&["unwrap".into()], zoo.entry("two_state_dicts.pth"), &[]);
    assert_eq!(run.impolite(2).or(run.impolite(1).filter(|_| run.status == Some(1))), None);
    assert!(run.stderr.contains("model_ema") && run.stderr.contains("--at"), "{}", run.stderr);
}

#[test]
fn renaming_nothing_changes_no_byte() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for entry in zoo.renamable() {
        let output = zoo.output(&entry.name);
        let words = ["strip", "nowhere", "--allow-unchanged", "--at", "*", "-o"].map(String::from);
        let to = output.to_str().expect("a plain path").to_string();
        let run = run(&[words.as_slice(), &[to]].concat(), entry, &[]);
        let same = run.status == Some(0) && fs::read(&entry.path).ok() == fs::read(&output).ok();
        tally.note(&entry.name, (!same).then(|| format!("{:?} {}", run.status, run.stderr)));
    }
    tally.close("files unchanged");
}

#[test]
fn keys_that_code_refers_to_cannot_be_renamed_and_the_reason_is_said() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    for name in
        ["whole_module.pth", "whole_module_inside.pth", "whole_module_legacy.pth", "scripted.pt"]
    {
        let entry = zoo.entry(name);
        let output = zoo.output(name);
        let run = run(&["unwrap".into(), "-o".into(), output.display().to_string()], entry, &[]);
        let unsaid = (!run.stderr.contains("convert")).then(|| run.stderr.clone());
        tally.note(name, run.impolite(1).or(unsaid));
    }
    tally.close("renamings refused with the reason");
}

#[test]
fn protocols_that_pytorch_refuses_are_rewritten_as_2() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    let later = ["protocol4", "protocol5", "protocol1.pth", "legacy_protocol4", "legacy_protocol1"];
    for entry in
        zoo.renamable().filter(|entry| later.iter().any(|name| entry.name.starts_with(name)))
    {
        let output = zoo.output(&entry.name);
        let to = ["--protocol", "2", "-o", output.to_str().expect("a plain path")];
        let strip = operation(&["strip", "module"], json!([{ "strip": "module" }]));
        let run = run(&strip.arguments, entry, &to);
        let at: Vec<&str> = entry.at.iter().map(String::as_str).collect();
        let whole = !entry.name.contains("trainer");
        let question = with(question(entry, &at, &strip), json!({ "must_load": whole }));
        tally.note(&entry.name, judged(question, &run, &output));
    }
    tally.close("pickles rewritten");
}
