//! Every layout of a file × every command that writes: each tensor that PyTorch sees is in the
//! output, or named in what the command says.

use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Run, Tally, oracle, statedict, statedict_reading, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A file with what is expected of it.
struct Layout {
    name: String,
    input: PathBuf,
    /// The path to the state dict that is meant; none if a path has to be asked for.
    at: Option<String>,
    /// A path to name, if another than the one that is meant is wanted.
    ask: Option<String>,
    /// Keys that no other format can hold.
    refused: Vec<String>,
}

/// What is written, and how.
struct Writing {
    words: &'static [&'static str],
    output: Output,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    /// A file of this name, put last.
    Last(&'static str),
    /// The same after `-o`.
    Named(&'static str),
    /// The file itself.
    InPlace,
}

const fn last(words: &'static [&'static str], name: &'static str) -> Writing {
    Writing { words, output: Output::Last(name) }
}

const fn named(words: &'static [&'static str], name: &'static str) -> Writing {
    Writing { words, output: Output::Named(name) }
}

const fn in_place(words: &'static [&'static str]) -> Writing {
    Writing { words, output: Output::InPlace }
}

const WRITINGS: [Writing; 11] = [
    last(&["convert"], "o.safetensors"),
    last(&["convert"], "o.npz"),
    last(&["convert"], "o.pth"),
    last(&["convert", "--alone"], "o.pth"),
    named(&["add", "net"], "o.pth"),
    named(&["add", "net"], "o.safetensors"),
    named(&["strip", "module", "--allow-unchanged"], "o.pth"),
    named(&["rename", "{r..}.weight -> {r..}.w", "--allow-unchanged"], "o.pth"),
    named(&["drop", "**.bias", "--allow-unchanged"], "o.pth"),
    named(&["keep", "**.weight", "--allow-unchanged"], "o.safetensors"),
    in_place(&["add", "net"]),
];

impl Layout {
    fn read(entry: &Value, folder: &Path) -> Layout {
        let path = |name: &str| entry[name].as_str().map(String::from);
        let refused = entry["refused"].as_array().expect("a list of keys");
        let name = text(&entry["name"]);
        Layout {
            input: folder.join(format!("{name}.pth")),
            name,
            at: path("at"),
            ask: path("ask"),
            refused: refused.iter().map(text).collect(),
        }
    }

    /// Runs a command on a copy of the file; gives what it said, and what it wrote.
    fn run(&self, writing: &Writing, folder: &Path) -> (Run, PathBuf) {
        let copy = folder.join("in.pth");
        fs::copy(&self.input, &copy).expect("a file can be copied");
        let mut words: Vec<String> = writing.words.iter().map(|word| word.to_string()).collect();
        // The file comes behind the command and its own words, in front of its options.
        let options = words.iter().position(|word| word.starts_with("--")).unwrap_or(words.len());
        let output = match writing.output {
            Output::Last(name) | Output::Named(name) => folder.join(name),
            Output::InPlace => copy.clone(),
        };
        let (copy, out) = (text_of(&copy), text_of(&output));
        let place = match writing.output {
            Output::Last(_) => vec![copy, out],
            Output::Named(_) => vec![copy, "-o".into(), out],
            Output::InPlace => vec![copy, "-i".into()],
        };
        words.splice(options..options, place);
        words.push("--json".into());
        words.extend(self.ask.iter().flat_map(|ask| ["--at".to_string(), ask.clone()]));
        (statedict(words), output)
    }

    /// What is wrong with what a command did, if something is.
    fn problem(&self, writing: &Writing) -> Option<String> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let before = fs::read(&self.input).expect("readable");
        let (run, output) = self.run(writing, folder.path());
        if run.status != Some(0) {
            let is_kept = match writing.output {
                Output::InPlace => fs::read(&output).is_ok_and(|after| after == before),
                _ => !output.exists(),
            };
            let unnamed = self.refused.iter().find(|key| !run.stderr.contains(key.as_str()));
            return match (run.impolite(1), is_kept, unnamed) {
                (Some(problem), _, _) => Some(problem),
                (_, false, _) => Some("refused, yet written".into()),
                (_, _, Some(key)) => Some(format!("'{key}' is not named: {}", run.stderr)),
                _ => self.needless_refusal(writing, &run),
            };
        }
        let done = run.json();
        let lost = oracle(json!({
            "do": "lost", "input": self.input, "outputs": [output], "at": at_of(&done), "said": said(&done),
        }));
        let lost: Vec<String> = lost.as_array().into_iter().flatten().map(text).collect();
        (!lost.is_empty()).then(|| format!("lost without a word: {lost:?}; {}", run.stderr))
    }

    /// A refusal of what the same format keeps, or what any can hold.
    fn needless_refusal(&self, writing: &Writing, run: &Run) -> Option<String> {
        let is_fixed = run.stderr.contains("'convert' extracts");
        let is_kept = matches!(writing.output, Output::Named("o.pth") | Output::InPlace);
        let is_needless = if is_kept { !is_fixed } else { self.refused.is_empty() && !is_fixed };
        is_needless.then(|| format!("refused: {}", run.stderr))
    }
}

fn text_of(path: &Path) -> String {
    path.to_str().expect("a plain path").into()
}

/// The path of the state dict that a command worked on.
fn at_of(done: &Value) -> String {
    text(&done["plan"]["state_dicts"][0]["at"])
}

/// Everything that a command names as not written: what is left behind, and what is dropped.
fn said(done: &Value) -> Vec<String> {
    let left = &done["left_behind"];
    let keys = left["keys"].as_array().into_iter().flatten().map(text);
    let payload = left["payload"].as_array().into_iter().flatten().map(|thing| text(&thing["at"]));
    let fates = done["plan"]["state_dicts"][0]["keys"].as_array().into_iter().flatten();
    let dropped = fates.filter(|fate| fate[1].is_null()).map(|fate| text(&fate[0]));
    keys.chain(payload).chain(dropped).collect()
}

fn layouts() -> (TempDir, Vec<Layout>) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let entries = oracle(json!({ "do": "layouts", "folder": folder.path() }));
    let entries = entries.as_array().expect("a list of entries");
    let layouts = entries.iter().map(|entry| Layout::read(entry, folder.path())).collect();
    (folder, layouts)
}

#[test]
fn every_tensor_is_written_or_named_whatever_the_layout_and_the_command() {
    let (_folder, layouts) = layouts();
    let mut tally = Tally::new();
    for layout in &layouts {
        for writing in &WRITINGS {
            let case = format!("{}: {}", layout.name, writing.words.join(" "));
            tally.note(case, layout.problem(writing));
        }
    }
    tally.close("layouts written without a loss");
}

#[test]
fn the_state_dict_that_is_meant_is_taken_and_the_others_are_said() {
    let (folder, layouts) = layouts();
    let mut tally = Tally::new();
    for layout in &layouts {
        let words = ["add", "net", &text_of(&layout.input), "--json"];
        let run = statedict(words);
        let problem = match (&layout.at, run.status) {
            (None, Some(2)) if run.stderr.contains("hint: add --at ") => None,
            (None, status) => Some(format!("{status:?}, expected to ask: {}", run.stderr)),
            (Some(_), Some(1)) if run.stderr.contains("'convert' extracts") => None,
            (Some(at), Some(0)) if at_of(&run.json()) == *at => None,
            (Some(at), status) => {
                Some(format!("{status:?}, expected '{at}': {} {}", run.stdout, run.stderr))
            }
        };
        tally.note(&layout.name, problem);
    }
    drop(folder);
    tally.close("layouts of which the state dict that is meant is taken");
}

/// What the command says of a layout.
struct Saying {
    layout: &'static str,
    words: &'static [&'static str],
    status: i32,
    said: &'static [&'static str],
}

const SAYINGS: [Saying; 11] = [
    Saying {
        layout: "lightning-ema",
        words: &["unwrap", "FILE"],
        status: 0,
        said: &[
            "taking 'state_dict' (4 tensors); --at PATH takes another: 'callbacks/EMA/ema_state_dict' (4 tensors)",
        ],
    },
    Saying {
        layout: "lightning-ema",
        words: &["unwrap", "FILE", "--at", "ema_statedict"],
        status: 2,
        said: &[
            "no state dict at 'ema_statedict'",
            "did you mean --at callbacks/EMA/ema_state_dict?",
        ],
    },
    Saying {
        layout: "megatron",
        words: &["unwrap", "FILE", "--at", "model"],
        status: 1,
        said: &[
            "keys cannot be renamed in 'model': they are joined from mappings in mappings",
            "hint: statedict convert --at model ",
        ],
    },
    Saying {
        layout: "megatron",
        words: &["convert", "FILE", "OUT"],
        status: 2,
        said: &[
            "the file holds 2 state dicts: 'model/language_model/embedding/word_embeddings' (1 tensor), 'model/language_model/encoder' (4 tensors)",
            "hint: add --at model/language_model to take all of them as one, with dots in the keys",
            "hint: add --at model/language_model/embedding/word_embeddings\n",
        ],
    },
    Saying {
        layout: "megatron",
        words: &["convert", "FILE", "OUT", "--at", "model"],
        status: 0,
        said: &["5 keys unchanged", "args (argparse.Namespace)"],
    },
    Saying {
        layout: "timm",
        words: &["unwrap", "FILE"],
        status: 2,
        said: &[
            "the file holds 2 state dicts: 'state_dict' (4 tensors), 'state_dict_ema' (4 tensors)",
            "hint: add --at state_dict ",
        ],
    },
    Saying {
        layout: "root-beside-optimizer",
        words: &["convert", "FILE", "OUT"],
        status: 0,
        said: &["4 keys unchanged", "epoch (int)", "optimizer (dict, 12 tensors)"],
    },
    Saying {
        layout: "extra-state-dict",
        words: &["convert", "FILE", "OUT"],
        status: 0,
        said: &["4 keys unchanged", "module.fc._extra_state (dict, 2 tensors)"],
    },
    Saying {
        layout: "ordered-of-tuples",
        words: &["unwrap", "FILE", "-i"],
        status: 1,
        said: &["its class is called with a list of tuples, in which keys cannot be changed"],
    },
    Saying {
        layout: "own-reduce",
        words: &["convert", "FILE", "OUT"],
        status: 1,
        said: &["'module.q': it is an object of layouts.Scaled, which holds tensors"],
    },
    Saying {
        layout: "arrays",
        words: &["fit", "FILE", "--to", "extra-state-dict", "-o", "OUT"],
        status: 0,
        said: &["4 of the 4 keys", "as they are not tensors in the target: module.fc._extra_state"],
    },
];

#[test]
fn what_was_taken_and_what_was_not_is_said() {
    let (folder, _) = layouts();
    let mut tally = Tally::new();
    for saying in &SAYINGS {
        let file = |name: &str| text_of(&folder.path().join(format!("{name}.pth")));
        let out = text_of(&folder.path().join("out.safetensors"));
        let words = saying.words.iter().map(|word| match *word {
            "FILE" => file(saying.layout),
            "OUT" => out.clone(),
            "extra-state-dict" => file(word),
            word => word.to_string(),
        });
        let run = statedict(words);
        let is_said = saying.said.iter().all(|said| run.stderr.contains(said));
        let is_right = run.status == Some(saying.status) && is_said;
        tally.note(
            format!("{} {:?}", saying.layout, saying.words),
            (!is_right).then(|| format!("{:?} {}", run.status, run.stderr)),
        );
        let _ = fs::remove_file(out);
    }
    tally.close("layouts of which the right thing is said");
}

#[test]
fn an_explanation_names_the_state_dicts_that_it_is_not_about() {
    let (folder, _) = layouts();
    let error = r#"Missing key(s) in state_dict: "conv.weight", "conv.bias", "fc.weight", "fc.bias". Unexpected key(s) in state_dict: "module.conv.weight", "module.conv.bias", "module.fc.weight", "module.fc.bias"."#;
    let file = text_of(&folder.path().join("timm.pth"));
    let run = statedict_reading(error.as_bytes(), ["explain", &file]);
    let expected =
        "about 'state_dict' (4 tensors); the file also holds 'state_dict_ema' (4 tensors)";
    assert!(run.stdout.contains(expected), "{}{}", run.stdout, run.stderr);
    let run = statedict_reading(error.as_bytes(), ["explain", &file, "--json"]);
    assert_eq!(run.json()["others"], json!([{ "at": "state_dict_ema", "tensors": 4 }]));
}
