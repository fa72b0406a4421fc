//! `check`, as it is typed and read.

mod folder;

use std::fs;
use std::path::Path;
use std::process::Output;

/// A pickle that calls `posix.system`, and one that calls nothing.
const HARM: &[u8] = b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.";
const GOOD: &[u8] = b"\x80\x02}X\x01\0\0\0aK\x01s.";

fn check(folder: &Path, words: &[&str]) -> Output {
    let mut command = folder::statedict();
    command.current_dir(folder).arg("check").args(words).output().expect("the command runs")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes);
    for (name, bytes) in [("bad.pkl", HARM), ("good.pkl", GOOD), ("cut.safetensors", b"\x09\0")] {
        write(name, bytes).expect("writable");
    }
    folder
}

#[test]
fn a_report_names_file_place_call_and_reason() {
    let output = check(folder().path(), &["bad.pkl", "good.pkl"]);
    let expected = "\
bad.pkl: dangerous
  GLOBAL at byte 2, REDUCE at byte 26: calls posix.system(\"true\")
      it runs a command of the file's choosing
good.pkl: safe
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_exit_status_tells_the_worst_answer() {
    let folder = folder();
    let status = |words: &[&str]| check(folder.path(), words).status.code();
    assert_eq!(status(&["good.pkl"]), Some(0));
    assert_eq!(status(&["good.pkl", "bad.pkl", "cut.safetensors"]), Some(1));
    assert_eq!(status(&["cut.safetensors", "good.pkl"]), Some(2));
    assert_eq!(status(&["missing.pth"]), Some(2));
    assert_eq!(status(&["-q", "."]), Some(1));
}

#[test]
fn json_is_one_object_a_line() {
    let output = check(folder().path(), &["--json", "."]);
    let text = String::from_utf8_lossy(&output.stdout);
    let reports: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let verdicts: Vec<_> = reports.iter().map(|report| report["verdict"].clone()).collect();
    assert_eq!(verdicts, ["dangerous", "malformed", "safe"]);
    assert_eq!(reports[0]["findings"][0]["what"], "calls posix.system(\"true\")");
    assert_eq!(reports[2]["findings"].as_array().map(Vec::len), Some(0));
}
