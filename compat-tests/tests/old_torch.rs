//! An old PyTorch (Debian's `python3-torch`, 1.13) loads what is written, wherever it loads the input.
//!
//! `STATEDICT_OLD_PYTHON` names a Python that has one; without it the system's is tried.

use std::env;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use compat_tests::{Tally, Zoo, statedict, text};
use serde_json::{Value, json};

/// What the old PyTorch says of each file, its version first; none if there is no old PyTorch.
fn old(paths: &[PathBuf]) -> Option<Vec<Value>> {
    let python = env::var("STATEDICT_OLD_PYTHON").unwrap_or_else(|_| "/usr/bin/python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/old.py");
    let mut command = Command::new(python);
    command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let names: String = paths.iter().map(|path| format!("{}\n", path.display())).collect();
    let mut questions = child.stdin.take().expect("the input is piped");
    let asking = std::thread::spawn(move || questions.write_all(names.as_bytes()));
    let output = child.wait_with_output().expect("a child can be waited for");
    // A Python without PyTorch ends before it reads anything.
    let _ = asking.join();
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let answers: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    (!answers.is_empty()).then_some(answers)
}

/// What `ls` says of a file, in the old script's form.
fn listed(path: &Path) -> Value {
    let run = statedict(["ls".as_ref(), "--json".as_ref(), "--hash".as_ref(), path.as_os_str()]);
    let listing = run.json();
    let rows = listing["tensors"].as_array().expect("tensors").iter();
    rows.map(|row| json!([row["at"], row["key"], row["shape"], row["sha256"]])).collect()
}

fn run(words: &[&str], input: &Path, output: &Path) -> bool {
    let words = words.iter().map(Path::new).chain([input, Path::new("-o"), output]);
    statedict(words).status == Some(0)
}

#[test]
fn an_old_pytorch_loads_what_is_written() {
    let zoo = Zoo::new();
    let out = tempfile::tempdir().expect("a temporary folder can be made");
    let inputs: Vec<PathBuf> = zoo.entries.iter().map(|entry| entry.path.clone()).collect();
    let Some(loaded) = old(&inputs) else {
        println!("skipped: no Python with an old PyTorch (Debian: apt-get install python3-torch)");
        return;
    };
    println!("PyTorch {}", text(&loaded[0]["version"]));
    let mut written = Vec::new();
    for (i, (input, loaded)) in inputs.iter().zip(&loaded[1..]).enumerate() {
        let to = |what: &str| out.path().join(format!("{what}-{i}.pth"));
        if !loaded["rows"].is_null() {
            let drop = ["drop", "**.bias", "--at", "*"];
            let outputs =
                [(&["add", "a.b", "--at", "*"][..], to("added")), (&drop[..], to("dropped"))];
            let done = outputs.into_iter().filter(|(words, output)| run(words, input, output));
            written.extend(done.map(|(_, output)| output));
        } else if ["npz", "safetensors"].iter().any(|end| input.extension() == Some(end.as_ref())) {
            let converted = to("converted");
            let words = [Path::new("convert"), input, &converted];
            written.extend((statedict(words).status == Some(0)).then_some(converted));
        }
    }
    let answers = old(&written).expect("it was there a moment ago");
    let mut tally = Tally::new();
    for (path, answer) in written.iter().zip(&answers[1..]) {
        let unknown = text(&answer["error"]);
        // Types that PyTorch learned later.
        if unknown.contains("has no attribute") || unknown.contains("Can't get attribute") {
            continue;
        }
        let expected = listed(path);
        let problem =
            (answer["rows"] != expected).then(|| format!("{answer}\nexpected {expected}"));
        tally.note(path.to_string_lossy(), problem);
    }
    tally.close("files loaded by an old PyTorch");
}
