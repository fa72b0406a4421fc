//! One Python process a test program, asked one question after another.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::Value;

use crate::environment::interpreter;

/// Variables by which a user has PyTorch load otherwise than by default.
const OVERRIDES: [&str; 3] =
    ["TORCH_FORCE_WEIGHTS_ONLY_LOAD", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "PYTHONSTARTUP"];

struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// Asks Python; `question["do"]` names an action of `python/server.py`.
///
/// # Panics
/// With Python's traceback, if the action fails.
pub fn oracle(question: Value) -> Value {
    static SERVER: OnceLock<Mutex<Server>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Mutex::new(Server::start()));
    let mut server = server.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let mut answer = server.ask(&question);
    drop(server);
    match answer.get("error").and_then(Value::as_str) {
        Some(traceback) => panic!("{question}\n{traceback}"),
        None => answer["ok"].take(),
    }
}

/// The pinned Python, with the test scripts importable.
pub fn python() -> Command {
    let mut command = Command::new(interpreter());
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUTF8", "1");
    for variable in OVERRIDES {
        command.env_remove(variable);
    }
    command
}

impl Server {
    fn start() -> Server {
        let mut command = python();
        command.args(["-W", "ignore", "server.py"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let questions = child.stdin.take().expect("the input is piped");
        let answers = BufReader::new(child.stdout.take().expect("the output is piped"));
        Server { child, questions, answers }
    }

    fn ask(&mut self, question: &Value) -> Value {
        let asked = writeln!(self.questions, "{question}").and_then(|()| self.questions.flush());
        let mut answer = String::new();
        let answered = self.answers.read_line(&mut answer);
        if asked.is_err() || !matches!(answered, Ok(1..)) {
            panic!("Python ended ({:?}); is torch installed for it?", self.child.wait());
        }
        serde_json::from_str(&answer).expect("the server answers in JSON")
    }
}
