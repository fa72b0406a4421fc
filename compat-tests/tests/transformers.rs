//! Model folders that `transformers` saved, converted either way: it loads what is written, tensor
//! by tensor what it was.
//!
//! `STATEDICT_TRANSFORMERS_PYTHON` names a Python that has it; without, the tests' own is tried.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use compat_tests::{Tally, python, statedict, statedict_reading};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A way to write a folder: the options, and the type of the tensors that are then expected.
const WAYS: [(&[&str], Option<&str>); 8] = [
    (&[], None),
    (&["--format", "safetensors"], None),
    (&["--format", "pth"], None),
    (&["--shard-size", "2KB"], None),
    (&["--shard-size", "2KB", "--format", "pth"], None),
    (&["--cast", "bf16"], Some("bfloat16")),
    (&["--cast", "bf16", "--format", "pth"], Some("bfloat16")),
    (&["--cast", "float16", "--shard-size", "1KB"], Some("float16")),
];

/// What the script ends with where its libraries are missing.
const MISSING: i32 = 77;

/// The script, run by a Python that may have `transformers`.
fn hub(words: &[&Path]) -> Command {
    let mut command = match env::var_os("STATEDICT_TRANSFORMERS_PYTHON") {
        Some(named) => Command::new(named),
        None => python(),
    };
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("python/hub.py")).args(words);
    command
}

/// Model folders, made once for all tests.
struct Models {
    folder: TempDir,
    /// Their paths in it.
    names: Vec<String>,
}

/// The model folders; none, with a word about it, where there is no `transformers`.
fn models() -> Option<&'static Models> {
    static MADE: OnceLock<Option<Models>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let output = hub(&[Path::new("make"), folder.path()]).output().expect("the script runs");
        if output.status.code() == Some(MISSING) {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        let names = serde_json::from_slice(&output.stdout).expect("names in JSON");
        Some(Models { folder, names })
    });
    if made.is_none() {
        println!(
            "skipped: no Python with transformers (STATEDICT_TRANSFORMERS_PYTHON can name one)"
        );
    }
    made.as_ref()
}

/// Which model a folder holds: `gpt2` for `gpt2-bin` and in `models--me--gpt2/snapshots`.
fn architecture(name: &str) -> &str {
    let name = name.trim_start_matches("models--me--");
    name.split(['-', '/']).next().unwrap_or(name)
}

/// What it finds wrong with each conversion.
fn judge(questions: &[Value]) -> Vec<Value> {
    let mut command = hub(&[Path::new("judge")]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the script runs");
    let mut input = child.stdin.take().expect("the input is piped");
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let asking = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    asking.join().expect("writing does not panic").expect("all of it is read");
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn transformers_loads_the_folders_that_are_written() {
    let Some(Models { folder: source, names }) = models() else { return };
    assert_eq!(names.len(), 15);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut tally = Tally::new();
    let (mut cases, mut questions) = (Vec::new(), Vec::new());
    for model in names {
        let input = source.path().join(model);
        for (i, (options, cast)) in WAYS.iter().enumerate() {
            let output = folder.path().join(format!("out-{i}-{}", model.replace('/', "-")));
            let words = [Path::new("convert"), &input, Path::new("-o"), &output];
            let run = statedict(words.into_iter().chain(options.iter().map(Path::new)));
            let case = format!("{model} {options:?}");
            if run.status != Some(0) {
                tally.note(case, Some(run.stderr));
                continue;
            }
            cases.push(case);
            let model = architecture(model);
            questions
                .push(json!({ "model": model, "input": input, "output": output, "cast": cast }));
        }
    }
    let answers = judge(&questions);
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.into_iter().zip(answers) {
        tally.note(case, answer.as_str().map(String::from));
    }
    tally.close("folders that transformers loads");
}

/// The files of a folder, with their contents.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path());
    let mut all: Vec<_> =
        entries.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect();
    all.sort();
    all
}

/// Runs a command that is to succeed, with an output if there is one.
fn succeed(words: &[&str], input: &Path, output: Option<&Path>) {
    let output = output.iter().flat_map(|output| [Path::new("-o"), output]);
    let words = words.iter().map(Path::new).chain([input]).chain(output);
    let run = statedict(words);
    assert_eq!(run.status, Some(0), "{}", run.stderr);
}

#[test]
fn a_cache_of_the_hub_is_read_and_its_blobs_are_not_changed() {
    let Some(Models { folder: source, names }) = models() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let cached: Vec<_> = names.iter().filter(|name| name.starts_with("models--")).collect();
    assert_eq!(cached.len(), 3);
    for name in cached {
        let model = Path::new(name).iter().next().expect("a first part");
        let mut copying = Command::new("cp");
        let copied = copying.arg("-a").arg(source.path().join(model)).arg(folder.path()).status();
        assert!(copied.is_ok_and(|status| status.success()));
        let (snapshot, blobs) = (folder.path().join(name), folder.path().join(model).join("blobs"));
        let before = contents(&blobs);
        let run = statedict(["ls".as_ref(), "--json".as_ref(), snapshot.as_os_str()]);
        assert_eq!(run.json()["format"], "safetensors-sharded");
        let renamed = folder.path().join("renamed");
        succeed(&["add", "m"], &snapshot, Some(&renamed));
        let is_link = |entry: fs::DirEntry| entry.path().is_symlink();
        assert!(!fs::read_dir(&renamed).expect("a folder").flatten().any(is_link));
        fs::remove_dir_all(renamed).expect("it can be removed");
        succeed(&["add", "m", "-i"], &snapshot, None);
        assert_eq!(contents(&blobs), before);
    }
}

#[test]
fn metadata_that_explain_puts_in_are_what_accelerate_asks_for() {
    let Some(Models { folder: source, names }) = models() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = |name: &str| folder.path().join(name);
    let (bare, mended) = (file("bare.safetensors"), file("mended.safetensors"));
    // A program's own metadata, without a word of the framework.
    let edits = ["rename", "--drop-metadata", "format", "--metadata", "author=me"];
    succeed(&edits, &source.path().join(&names[0]).join("model.safetensors"), Some(&bare));
    let ask = |file: &Path| judge(&[json!({ "file": file })])[0].as_str().map(String::from);
    let refused = ask(&bare).expect("accelerate asks for the framework");
    if refused.starts_with("skipped") {
        println!("{refused}");
        return;
    }
    let words = ["explain".as_ref(), "-q".as_ref(), bare.as_os_str()];
    let run = statedict_reading(refused.as_bytes(), words);
    assert_eq!(run.status, Some(0), "{}{}", run.stdout, run.stderr);
    let expected = format!("statedict rename {} --metadata format=pt -o ", bare.display());
    assert!(run.stdout.starts_with(&expected), "{}", run.stdout);
    succeed(&["rename", "--metadata", "format=pt"], &bare, Some(&mended));
    assert_eq!(ask(&mended), None);
}
