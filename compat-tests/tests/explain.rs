//! What PyTorch says when a checkpoint does not load is explained, and the command does what it
//! says: the very program that complained loads what it wrote.
//!
//! `texts/complaints.jsonl` holds the words of every PyTorch from 0.3 on, collected by
//! `python/complaints.py`, or taken from the sources of those that can no longer be installed.

use std::path::Path;

use compat_tests::{Run, Tally, oracle, statedict, statedict_reading, text};
use serde_json::{Value, json};

const COLLECTED: &str = include_str!("../texts/complaints.jsonl");

/// Situations in which no command can help, or the program has to change and not the file.
const NOT_IN_THE_FILE: [&str; 9] = [
    "tied_head_left_out",
    "another_width",
    "optimizer_of_another_model",
    "takes_what_is_not_there",
    "state_dict_called",
    "state_dict_for_a_model",
    "path_for_a_state_dict",
    "state_dict_for_a_script",
    "stream_from_python_2",
];

/// Files that hold nothing that could be loaded.
const NOTHING_TO_LOAD: [&str; 8] = [
    "file_is_",
    "cut_",
    "plain_pickle",
    "tar",
    "safetensors_pointer",
    "safetensors_cut",
    "safetensors_empty",
    "safetensors_bad_header",
];

fn explained(text: &str, words: &[&str]) -> (Run, Value) {
    let words = ["explain", "--json"].iter().chain(words);
    let run = statedict_reading(text.as_bytes(), words);
    let json = serde_json::from_str(&run.stdout).unwrap_or(Value::Null);
    (run, json)
}

#[test]
fn the_words_of_every_pytorch_are_understood() {
    let mut tally = Tally::new();
    for line in COLLECTED.lines() {
        let collected: Value = serde_json::from_str(line).expect("a line of JSON");
        let (run, found) = explained(&text(&collected["text"]), &[]);
        let is_right = ["cause", "command"].iter().all(|field| found[field] == collected[field]);
        let case = format!("{} ({})", text(&collected["situation"]), collected["versions"]);
        let problem = (!is_right).then(|| {
            format!(
                "{} {}, expected {} {}: {}",
                found["cause"],
                found["command"],
                collected["cause"],
                collected["command"],
                run.stderr
            )
        });
        tally.note(case, problem);
    }
    tally.close("texts of PyTorch 0.3 to 2.15 explained");
}

#[test]
fn the_command_makes_the_very_program_load() {
    let folder = tempfile::tempdir().expect("a folder");
    let complaints = oracle(json!({ "do": "complaints", "folder": folder.path() }));
    let mut tally = Tally::new();
    for complaint in complaints.as_array().expect("a list") {
        let situation = text(&complaint["situation"]);
        let has = |names: &[&str]| names.iter().any(|name| situation.starts_with(name));
        if has(&NOT_IN_THE_FILE) || has(&NOTHING_TO_LOAD) && situation != "file_is_safetensors" {
            continue;
        }
        tally.note(situation, mended(folder.path(), complaint).err());
    }
    tally.close("programs that complained load what the printed command wrote");
}

#[test]
fn where_no_command_helps_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let complaints = oracle(json!({ "do": "complaints", "folder": folder.path() }));
    let mut tally = Tally::new();
    for complaint in complaints.as_array().expect("a list") {
        let situation = text(&complaint["situation"]);
        if !["tied_head_left_out", "another_width", "optimizer_of_another_model"]
            .contains(&situation.as_str())
        {
            continue;
        }
        let file = folder.path().join(text(&complaint["file"]));
        let (run, found) = explained(&text(&complaint["traceback"]), &[&file.to_string_lossy()]);
        let is_honest = run.status == Some(1) && found["command"].is_null();
        tally.note(situation, (!is_honest).then(|| format!("{found}")));
    }
    tally.close("complaints that nothing mends are said to be so");
}

/// Runs the printed command, and those for what is complained of then, until the program is content.
fn mended(folder: &Path, complaint: &Value) -> Result<(), String> {
    let situation = text(&complaint["situation"]);
    let model = folder.join(format!("{situation}-model.pth")).to_string_lossy().into_owned();
    let mut file = folder.join(text(&complaint["file"])).to_string_lossy().into_owned();
    let mut traceback = text(&complaint["traceback"]);
    for _ in 0..2 {
        let (run, found) = explained(&traceback, &[&file]);
        if run.status != Some(0) {
            return Err(format!("{}{found}", run.stderr));
        }
        let words = found["words"].as_array().ok_or("no command")?;
        let named = |word: &Value| match text(word).as_str() {
            "MODEL" => model.clone(),
            word => word.to_string(),
        };
        let words: Vec<String> = words.iter().map(named).collect();
        let output = words.iter().rfind(|word| word.contains("-new") && **word != file);
        let output = output.ok_or_else(|| format!("no output: {words:?}"))?.to_string();
        let run = statedict(&words);
        if run.status != Some(0) {
            return Err(format!("{words:?}: {}", run.stderr));
        }
        let judged =
            oracle(json!({ "do": "judge-complaint", "situation": situation, "file": output }));
        match judged.as_str() {
            None => return Ok(()),
            Some(next) => (traceback, file) = (next.to_string(), output),
        }
    }
    Err(traceback)
}
