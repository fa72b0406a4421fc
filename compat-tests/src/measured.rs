//! What a run of the command takes of processor time and memory, as the system counts it.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::command::binary;
use crate::{Run, python, text};

/// A run of the command, and what it took.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What it gave; no status if it had to be killed.
    pub run: Run,
    /// Processor time of all its threads.
    pub time: Duration,
    /// The most memory that it had at once, in bytes.
    pub peak: u64,
}

/// Runs the command again and again, and measures each run.
pub struct Meter {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Meter {
    /// Starts the process that runs it.
    ///
    /// # Panics
    /// If Python cannot be started.
    pub fn start() -> Meter {
        let mut command = python();
        command.args(["-S", "measure.py"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("Python starts");
        let questions = child.stdin.take().expect("the input is piped");
        let answers = BufReader::new(child.stdout.take().expect("the output is piped"));
        Meter { child, questions, answers }
    }

    /// Runs `statedict` with these arguments, and kills it after `limit`.
    ///
    /// # Panics
    /// If the command cannot be built or started.
    pub fn run<S: AsRef<OsStr>>(&mut self, limit: Duration, arguments: &[S]) -> Measured {
        let mut words = vec![binary().display().to_string()];
        words.extend(arguments.iter().map(|word| word.as_ref().display().to_string()));
        let question = json!({ "words": words, "seconds": limit.as_secs() });
        writeln!(self.questions, "{question}").expect("the meter reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the meter answers");
        let answer: Value = serde_json::from_str(&answer).expect("an answer in JSON");
        let status = answer["status"].as_i64().and_then(|status| i32::try_from(status).ok());
        Measured {
            run: Run {
                status: status.filter(|status| *status >= 0),
                stdout: text(&answer["stdout"]),
                stderr: text(&answer["stderr"]),
            },
            time: Duration::from_secs_f64(answer["seconds"].as_f64().expect("seconds")),
            peak: answer["peak"].as_u64().expect("bytes"),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
