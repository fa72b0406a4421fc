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
fn the_exit_status_is_the_worst_answer() {
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

/// A pickle of two classes that nothing here knows.
const ODD: &[u8] = b"\x80\x02]q\x00(czoo\nNet\n)\x81}bczoo\nMode\nK\x01\x85Rczoo\nNet\n)\x81e.";

fn with_unknown_classes() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("odd.pkl"), ODD).expect("writable");
    folder
}

#[test]
fn unknown_classes_have_a_line_each_and_are_counted_with_known_harm() {
    let output = check(with_unknown_classes().path(), &["odd.pkl"]);
    let expected = "\
odd.pkl: unknown (2 unknown classes, 0 known harmful)
  GLOBAL at byte 6, NEWOBJ at byte 16: calls zoo.Net()
  GLOBAL at byte 19, REDUCE at byte 32: calls zoo.Mode(1)
      weights-only loading does not know it; what it does depends on what is installed
";
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn unknown_classes_can_be_allowed_and_known_harm_cannot() {
    let folder = with_unknown_classes();
    let list = folder.path().join("allow.txt");
    let status = |words: &[&str]| check(folder.path(), words).status.code();
    assert_eq!(status(&["--allow-unknown", "odd.pkl"]), Some(0));
    assert_eq!(status(&["--allow-unknown", "odd.pkl", "bad.pkl"]), Some(1));
    assert_eq!(status(&["--allow", "missing.txt", "odd.pkl"]), Some(2));
    fs::write(&list, "zoo.Net # ours\n").expect("writable");
    assert_eq!(status(&["--allow", "allow.txt", "odd.pkl"]), Some(1));
    fs::write(&list, "# ours\nzoo.Net\nzoo.Mode\nposix.system\n").expect("writable");
    assert_eq!(status(&["--allow", "allow.txt", "odd.pkl"]), Some(0));
    assert_eq!(status(&["--allow", "allow.txt", "bad.pkl"]), Some(1));
    let output = check(folder.path(), &["--allow", "allow.txt", "--json", "odd.pkl"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["verdict"], &report["notes"][1]["name"]),
        (&"safe".into(), &"zoo.Mode".into())
    );
}

#[test]
fn an_allow_list_that_cannot_be_read_says_which_line() {
    let folder = with_unknown_classes();
    fs::write(folder.path().join("allow.txt"), "zoo.Net\nNet of ours\n").expect("writable");
    let output = check(folder.path(), &["--allow", "allow.txt", "odd.pkl"]);
    let text = String::from_utf8_lossy(&output.stderr);
    let expected = "allow.txt: line 2: expected a full name such as package.module.Class";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn every_finding_has_a_verdict_and_a_name_in_json() {
    let output = check(with_unknown_classes().path(), &["--json", "odd.pkl", "bad.pkl"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let reports: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let first = |report: &serde_json::Value| {
        let finding = &report["findings"][0];
        (report["verdict"].clone(), finding["verdict"].clone(), finding["name"].clone())
    };
    assert_eq!(first(&reports[0]), ("unknown".into(), "unknown".into(), "zoo.Net".into()));
    assert_eq!(first(&reports[1]), ("dangerous".into(), "dangerous".into(), "posix.system".into()));
    assert_eq!(
        reports[0]["counts"],
        serde_json::json!({"dangerous": 0, "malformed": 0, "unknown": 2})
    );
}

#[test]
fn a_file_whose_tensors_cannot_be_taken_out_says_why() {
    let output = check(with_unknown_classes().path(), &["odd.pkl"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.starts_with("no tensors can be extracted: cannot read 'odd.pkl': "), "{text}");
}

#[test]
fn files_of_a_folder_that_are_not_looked_at_are_named_and_strict_refuses_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| {
        std::fs::write(folder.path().join(name), bytes).expect("writable");
    };
    write("a.pkl", b"\x80\x02}.");
    write("notes.md", b"words");
    let run = check(folder.path(), &["--strict", "."]);
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    write("b.7z", b"7z\xbc\xaf\x27\x1c\0");
    write("c.bin.xz", b"\xfd7zXZ\0\0");
    let run = check(folder.path(), &["."]);
    let shown = String::from_utf8_lossy(&run.stdout);
    assert!(shown.ends_with(".: 2 files not looked at: b.7z, c.bin.xz\n"), "{shown}");
    assert_eq!(run.status.code(), Some(0), "{run:?}");
    let run = check(folder.path(), &["--strict", "--json", "."]);
    let shown = String::from_utf8_lossy(&run.stdout);
    let last: serde_json::Value =
        serde_json::from_str(shown.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["not_looked_at"], 2);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
}
