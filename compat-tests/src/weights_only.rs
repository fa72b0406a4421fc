//! What weights-only PyTorch makes of many files: `python/weights_only.py`, asked a batch at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::{python, text};

/// What came of loading a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loaded {
    /// It was loaded; each tensor in words, as [`tensor_rows`] has them.
    Tensors(Vec<String>),
    /// Weights-only loading refuses a global or an operation.
    Refused(String),
    /// Something else was raised.
    Failed(String),
    /// The process that tried died, took too long, or found more than can be listed.
    Ended(String),
}

/// A pool of Python processes that load files.
pub struct Loaders {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Loaders {
    /// Starts the pool.
    ///
    /// # Panics
    /// If Python cannot be started.
    pub fn start() -> Loaders {
        let mut command = python();
        command.args(["-W", "ignore", "weights_only.py"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("Python starts");
        let questions = child.stdin.take().expect("the input is piped");
        let answers = BufReader::new(child.stdout.take().expect("the output is piped"));
        Loaders { child, questions, answers }
    }

    /// Has files loaded, and says what came of each, in their order.
    ///
    /// # Panics
    /// If Python ends.
    pub fn load(&mut self, files: &[PathBuf]) -> Vec<Loaded> {
        let asked = writeln!(self.questions, "{}", json!({ "files": files }));
        let mut answer = String::new();
        let answered = self.answers.read_line(&mut answer);
        if asked.and_then(|()| self.questions.flush()).is_err() || !matches!(answered, Ok(1..)) {
            panic!("Python ended ({:?})", self.child.wait());
        }
        let answers: Value = serde_json::from_str(&answer).expect("the pool answers in JSON");
        answers.as_array().expect("an answer for each file").iter().map(Loaded::read).collect()
    }
}

impl Drop for Loaders {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Loaded {
    fn read(answer: &Value) -> Loaded {
        let said = |kind: &str| answer.get(kind).map(text);
        if let Some(tensors) = answer.get("tensors") {
            Loaded::Tensors(tensor_rows(tensors))
        } else if let Some(refused) = said("refused") {
            Loaded::Refused(refused)
        } else if let Some(failed) = said("failed") {
            Loaded::Failed(failed)
        } else {
            Loaded::Ended(said("ended").expect("one of four answers"))
        }
    }
}

/// Tensors as `ls --json --hash` and `python/truth.py` list them, in words and sorted.
///
/// # Panics
/// If they are not a list.
pub fn tensor_rows(tensors: &Value) -> Vec<String> {
    let row = |row: &Value| {
        let elements = row.get("sha256").map_or("no elements".into(), text);
        format!("{}/{} {} {} {elements}", row["at"], row["key"], row["dtype"], row["shape"])
    };
    let mut rows: Vec<String> =
        tensors.as_array().expect("a list of tensors").iter().map(row).collect();
    rows.sort();
    rows
}
