//! The library alone: requests are run in this process, and nothing is printed.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use statedict::checkpoint::{Checkpoint, WriteMethod};
use statedict::core::casting::{CastRule, Casting};
use statedict::core::explain::Cause;
use statedict::core::init::InitRule;
use statedict::core::{SEPARATOR, Verdict};
use statedict::jobs::explain::{self, Fix};
use statedict::jobs::recipe;
use statedict::jobs::rename::{Destination, Encoding};
use statedict::{
    Advice, Check, Convert, Derive, Diff, Error, ErrorKind, Explain, Fit, Input, List, Notice,
    Observer, Rename, Rules, checkpoint, silent,
};
use tempfile::TempDir;

/// A folder that goes when it is dropped.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    /// A folder with one file, which has these keys.
    fn with(name: &str, keys: &[&str]) -> Folder {
        Folder::new().and(name, keys)
    }

    fn and(self, name: &str, keys: &[&str]) -> Folder {
        fs::write(self.path(name), safetensors(keys)).expect("written");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).expect("a folder");
        let name = |entry: fs::DirEntry| entry.file_name().into_string().expect("UTF-8");
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }
}

/// Two F32 under each key, counting from 1.
fn safetensors(keys: &[&str]) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        let (start, end) = (8 * i, 8 * i + 8);
        format!(r#""{key}":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}"#)
    };
    let entries: Vec<String> = keys.iter().enumerate().map(entry).collect();
    let header = format!("{{{}}}", entries.join(","));
    let numbers = (1..=2 * keys.len()).flat_map(|number| (number as f32).to_le_bytes());
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), &numbers.collect::<Vec<u8>>()].concat()
}

fn keys(file: &Path) -> Vec<String> {
    let checkpoint = Checkpoint::open(file).expect("a checkpoint");
    let rows = checkpoint.catalog().rows.iter();
    rows.map(|row| row.key.as_str().to_string()).collect()
}

fn strip(file: PathBuf, destination: Destination) -> Rename {
    let rules = Rules::parse(["strip:module"]).expect("a rule");
    Rename { file, rules, destination, ..Rename::default() }
}

#[test]
fn a_rename_in_place_changes_the_file_and_says_what_it_did() {
    let folder = Folder::with("net.safetensors", &["module.a", "module.b", "c"]);
    let file = folder.path("net.safetensors");
    let outcome = strip(file.clone(), Destination::InPlace).run(&silent()).expect("done");
    let counts = outcome.counts();
    assert_eq!((counts.renamed, counts.unchanged, counts.dropped), (2, 1, 0));
    assert_eq!(outcome.replaced.expect("replaced").way, WriteMethod::InPlace);
    assert_eq!(outcome.output.as_deref(), Some(file.as_path()));
    assert_eq!(keys(&file), ["a", "b", "c"]);
    assert_eq!(folder.names(), ["net.safetensors"]);
}

#[test]
fn a_dry_run_says_the_same_and_writes_nothing() {
    let folder = Folder::with("net.safetensors", &["module.a", "c"]);
    let output = Destination::File(folder.path("out.pth"));
    for destination in [Destination::Nowhere, Destination::InPlace, output] {
        let rename = strip(folder.path("net.safetensors"), destination);
        let outcome = Rename { dry_run: true, ..rename }.run(&silent()).expect("it can be done");
        assert_eq!((outcome.counts().renamed, outcome.output), (1, None));
        assert_eq!(keys(&folder.path("net.safetensors")), ["module.a", "c"]);
        assert_eq!(folder.names(), ["net.safetensors"]);
    }
}

#[test]
fn rules_given_together_apply_at_once_as_those_of_the_command_do() {
    let folder = Folder::with("net.safetensors", &["a.w", "b.w"]);
    let texts = ["rename:a.{r..} -> b.{r..}", "rename:b.{r..} -> a.{r..}"];
    let rename = Rename {
        file: folder.path("net.safetensors"),
        rules: Rules::parse(texts).expect("rules"),
        destination: Destination::InPlace,
        ..Rename::default()
    };
    assert_eq!(rename.run(&silent()).expect("done").counts().renamed, 2);
    assert_eq!(keys(&folder.path("net.safetensors")), ["b.w", "a.w"]);
}

#[test]
fn a_plan_that_is_saved_is_read_back_and_inverted() {
    let folder = Folder::with("net.safetensors", &["module.a", "c"]);
    let (file, plan) = (folder.path("net.safetensors"), folder.path("plan.json"));
    let rename = strip(file.clone(), Destination::InPlace);
    Rename { save_plan: Some(plan.clone()), ..rename }.run(&silent()).expect("done");
    let rules = recipe::read(&plan, recipe::Direction::Inverse, None).expect("a plan");
    let back = Rename {
        file: file.clone(),
        rules,
        destination: Destination::InPlace,
        ..Rename::default()
    };
    back.run(&silent()).expect("done");
    assert_eq!(keys(&file), ["module.a", "c"]);
}

#[test]
fn a_refusal_lists_every_problem_and_what_would_help() {
    let folder = Folder::with("net.safetensors", &["module.a", "a"]);
    let file = folder.path("net.safetensors");
    let error = strip(file, Destination::InPlace).run(&silent()).err().expect("refused");
    assert_eq!((error.kind(), error.problems().len()), (ErrorKind::Refused, 1));
    assert_eq!(error.plan_error().expect("the plan is impossible").issues.len(), 1);
    let rename = Rename {
        file: folder.path("net.safetensors"),
        rules: Rules::parse(["strip:modul"]).expect("a rule"),
        ..Rename::default()
    };
    let error = rename.run(&silent()).err().expect("refused");
    assert_eq!(error.advice()[0], Advice::Meant("module".into()), "{error}");
}

#[test]
fn a_conversion_casts_and_says_what_it_left_out() {
    let folder = Folder::with("net.safetensors", &["a", "b"]);
    let casting = Casting { rules: vec![CastRule::parse("f16", SEPARATOR).expect("a rule")] };
    let convert = Convert {
        file: folder.path("net.safetensors"),
        output: Some(folder.path("net.npz")),
        encoding: Encoding { casting, ..Encoding::default() },
        ..Convert::default()
    };
    let outcome = convert.run(&silent()).expect("done");
    assert_eq!(outcome.casts().count(), 2);
    let conversion = outcome.conversion.expect("another format");
    assert_eq!((conversion.to.name(), conversion.omitted.is_empty()), ("npz", true));
    let listed = List { file: folder.path("net.npz"), ..List::default() };
    let listed = listed.run(&silent()).expect("listed");
    let types: Vec<_> =
        listed.tensors().map(|it| it.entry.tensor.dtype.name().to_string()).collect();
    assert_eq!(types, ["F16", "F16"]);
    let error = convert.run(&silent()).err().expect("the file exists");
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Failed, &[Advice::ReplaceExisting][..]));
}

#[test]
fn a_fit_says_what_is_missing_and_fills_it_where_it_knows_how() {
    let folder =
        Folder::with("a.safetensors", &["module.fc.w"]).and("b.safetensors", &["fc.w", "n"]);
    let fit = Fit {
        source: Input::file(folder.path("a.safetensors")),
        target: Input::file(folder.path("b.safetensors")),
        output: Some(folder.path("out.safetensors")),
        ..Fit::default()
    };
    let outcome = fit.run(&silent()).expect("it is known");
    assert_eq!((outcome.fit.missing.len(), outcome.output), (1, None));
    assert_eq!(outcome.result.err().expect("it does not fit").len(), 1);
    let mut filled = fit.clone();
    filled.fill.initialiser.rules = vec![InitRule::parse("n=zeros", SEPARATOR).expect("a rule")];
    let outcome = filled.run(&silent()).expect("it is known");
    assert_eq!(outcome.result.expect("it fits").made.len(), 1);
    assert_eq!(keys(&folder.path("out.safetensors")), ["fc.w", "n"]);
}

#[test]
fn a_diff_names_renames_and_the_rule_behind_them() {
    let folder =
        Folder::with("a.safetensors", &["module.a", "module.b"]).and("b.safetensors", &["a", "b"]);
    let diff = |a, b| Diff {
        a: Input::file(folder.path(a)),
        b: Input::file(folder.path(b)),
        ..Diff::default()
    };
    let outcome = diff("a.safetensors", "b.safetensors").run(&silent()).expect("compared");
    assert_eq!((outcome.diff.is_same(), outcome.diff.renamed.len()), (false, 2));
    assert_eq!(outcome.renaming.expect("a rule").to_string(), "strip:module.");
    let same = diff("a.safetensors", "a.safetensors").run(&silent()).expect("compared");
    assert!(same.diff.is_same());
}

#[test]
fn a_derived_recipe_is_read_back() {
    let folder = Folder::with("a.safetensors", &["layers.0.w", "layers.1.w"])
        .and("b.safetensors", &["blocks.1.w", "blocks.2.w"]);
    let saved = folder.path("recipe.toml");
    let derive = Derive {
        a: Input::file(folder.path("a.safetensors")),
        b: Input::file(folder.path("b.safetensors")),
        save_recipe: Some(saved.clone()),
        ..Derive::default()
    };
    assert!(derive.run(&silent()).expect("compared").derivation.is_complete());
    let rules = recipe::read(&saved, recipe::Direction::Forward, None).expect("a recipe");
    let file = folder.path("a.safetensors");
    let destination = Destination::InPlace;
    let rename = Rename { file: file.clone(), rules, destination, ..Rename::default() };
    rename.run(&silent()).expect("done");
    assert_eq!(keys(&file), ["blocks.1.w", "blocks.2.w"]);
}

#[test]
fn an_error_is_explained_and_its_fix_is_a_job_that_was_tried() {
    let folder = Folder::with("net.safetensors", &["module.a"]);
    let text =
        r#"Missing key(s) in state_dict: "a". Unexpected key(s) in state_dict: "module.a". "#;
    let file = Some(folder.path("net.safetensors"));
    let explain = Explain { text: text.into(), file, ..Explain::default() };
    let outcome = explain.run(&silent()).expect("it is known");
    assert_eq!(outcome.diagnosis.cause, Cause::Wrapped);
    assert_eq!(outcome.verdict, explain::Verdict::Verified);
    assert_eq!(folder.names(), ["net.safetensors"]);
    let Some(Fix::Rename(rename)) = outcome.fix else { panic!("a renaming") };
    let written = rename.run(&silent()).expect("done").output.expect("written");
    assert_eq!(keys(&written), ["a"]);
}

#[test]
fn a_check_says_what_is_wrong_with_each_file() {
    let folder = Folder::with("good.safetensors", &["a"]);
    let bytes = safetensors(&["a", "b"]);
    fs::write(folder.path("cut.safetensors"), &bytes[..bytes.len() - 4]).expect("written");
    let check = |name| Check { paths: vec![folder.path(name)], ..Check::default() };
    let verdict = |name| check(name).run(&silent()).expect("checked").verdict();
    assert_eq!(verdict("good.safetensors"), Verdict::Safe);
    assert_eq!(verdict("cut.safetensors"), Verdict::Malformed);
    assert_eq!(verdict("."), Verdict::Malformed);
    assert_eq!(check(".").run(&silent()).expect("checked").results.len(), 2);
}

/// Lets so many steps of writing happen, and records what is reported to it.
struct Watcher {
    steps_left: AtomicU64,
    seen: Mutex<Vec<String>>,
}

impl Watcher {
    fn stopping_after(steps: u64) -> Arc<Watcher> {
        let (steps_left, seen) = (AtomicU64::new(steps), Mutex::default());
        Arc::new(Watcher { steps_left, seen })
    }

    fn note(&self, what: String) {
        self.seen.lock().expect("no panic").push(what);
    }
}

impl checkpoint::Observer for Watcher {
    fn advance(&self, _bytes: u64) -> ControlFlow<()> {
        let left = self
            .steps_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if left.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Observer for Watcher {
    fn begin_writing(&self, bytes: u64) {
        self.note(format!("writing {bytes}"));
    }

    fn notice(&self, notice: &Notice) {
        self.note(format!("{notice:?}"));
    }
}

#[test]
fn a_job_that_is_stopped_leaves_everything_as_it_was() {
    let folder = Folder::with("net.safetensors", &["module.a", "module.b"]);
    let file = folder.path("net.safetensors");
    let before = fs::read(&file).expect("there");
    let destinations = [
        Destination::InPlace,
        Destination::File(folder.path("out.safetensors")),
        Destination::File(folder.path("out.pth")),
        Destination::File(folder.path("out.npz")),
    ];
    for destination in destinations {
        let rename = Rename {
            save_plan: Some(folder.path("plan.json")),
            ..strip(file.clone(), destination.clone())
        };
        let observer: Arc<dyn Observer> = Watcher::stopping_after(0);
        let error = rename.run(&observer).err().expect("stopped");
        assert_eq!(error.kind(), ErrorKind::Stopped, "{destination:?}: {error}");
        assert_eq!(fs::read(&file).expect("there"), before, "{destination:?}");
        assert_eq!(folder.names(), ["net.safetensors"], "{destination:?}");
    }
}

#[test]
fn an_observer_learns_how_much_is_written_and_what_was_noticed() {
    let folder = Folder::with("net.safetensors", &["module.a"]).and("b.safetensors", &["a"]);
    let watcher = Watcher::stopping_after(u64::MAX);
    let observer: Arc<dyn Observer> = watcher.clone();
    let output = Destination::File(folder.path("out.safetensors"));
    let outcome = strip(folder.path("net.safetensors"), output).run(&observer).expect("done");
    let fit = Fit {
        source: Input::file(folder.path("net.safetensors")),
        target: Input::file(folder.path("b.safetensors")),
        drop: vec![statedict::core::Template::parse("modul.**", SEPARATOR).expect("a template")],
        ..Fit::default()
    };
    fit.run(&observer).expect("it is known");
    let seen = watcher.seen.lock().expect("no panic");
    let (read, seen): (Vec<&String>, Vec<&String>) =
        seen.iter().partition(|it| it.starts_with("Read"));
    assert!(!read.is_empty(), "{seen:?}");
    assert_eq!(*seen[0], format!("writing {}", outcome.bytes));
    assert!(seen[1].contains("UnusedPattern") && seen[1].contains("module.**"), "{seen:?}");
}

/// Lets so many reads happen.
struct Reader(AtomicU64);

impl checkpoint::Observer for Reader {
    fn advance(&self, _bytes: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn read(&self, _bytes: u64) -> ControlFlow<()> {
        let fewer = |left: u64| left.checked_sub(1);
        let left = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer);
        if left.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

impl Observer for Reader {}

/// Stops a job at its first read, at its second, and so on until it is done.
fn stop_at_every_read(job: impl Fn(&Arc<dyn Observer>) -> Result<(), Error>) {
    let mut reads = 0;
    loop {
        let observer: Arc<dyn Observer> = Arc::new(Reader(AtomicU64::new(reads)));
        match job(&observer) {
            Ok(()) => break,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{reads}: {error}"),
        }
        reads += 1;
    }
    assert!(reads > 1, "there was nothing to stop");
}

#[test]
fn reading_is_stopped_at_any_read() {
    let folder = Folder::with("a.safetensors", &["a", "b"]).and("b.safetensors", &["a", "c"]);
    let (a, b) = (folder.path("a.safetensors"), folder.path("b.safetensors"));
    let check = Check { paths: vec![a.clone(), b.clone()], ..Check::default() };
    stop_at_every_read(|observer| check.run(observer).map(drop));
    let list = List { file: a.clone(), hash: true, ..List::default() };
    stop_at_every_read(|observer| list.run(observer).map(drop));
    let (a, b) = (Input::file(a), Input::file(b));
    let diff = Diff { a: a.clone(), b: b.clone(), ..Diff::default() };
    stop_at_every_read(|observer| diff.run(observer).map(drop));
    let derive = Derive { a, b, ..Derive::default() };
    stop_at_every_read(|observer| derive.run(observer).map(drop));
}
