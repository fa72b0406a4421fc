//! The `statedict` command, built once and run many times.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// What a run of the command gave.
#[derive(Clone, Debug)]
pub struct Run {
    /// The exit status; none if a signal ended it.
    pub status: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Run {
    /// What it printed, as JSON.
    ///
    /// # Panics
    /// If it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}{}", self.stdout, self.stderr))
    }

    /// The lines that say what went wrong.
    pub fn errors(&self) -> Vec<&str> {
        self.stderr.lines().filter(|line| line.starts_with("error:")).collect()
    }

    /// Why this is no polite failure with the given status, if it is none.
    pub fn impolite(&self, status: i32) -> Option<String> {
        let lines = self.errors().len();
        let panicked = self.stderr.contains("panicked");
        let polite = self.status == Some(status) && lines > 0 && !panicked;
        (!polite).then(|| format!("exit {:?}, expected {status}: {}", self.status, self.stderr))
    }
}

/// Runs `statedict` with these arguments; a minute is more than any test needs.
pub fn statedict<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    let minute = Duration::from_secs(60);
    statedict_within(minute, arguments).expect("statedict ends within a minute")
}

/// Starts `statedict` and leaves it running; what it says goes nowhere.
///
/// # Panics
/// If the command cannot be built or started.
pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Child {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the built command starts")
}

/// Runs `statedict`; none if it had to be stopped after `limit`.
///
/// # Panics
/// If the command cannot be built or started.
pub fn statedict_within<S: AsRef<OsStr>>(
    limit: Duration,
    arguments: impl IntoIterator<Item = S>,
) -> Option<Run> {
    run(limit, &[], arguments)
}

/// Runs `statedict` with this on its standard input.
pub fn statedict_reading<S: AsRef<OsStr>>(
    input: &[u8],
    arguments: impl IntoIterator<Item = S>,
) -> Run {
    run(Duration::from_secs(60), input, arguments).expect("statedict ends within a minute")
}

fn run<S: AsRef<OsStr>>(
    limit: Duration,
    input: &[u8],
    arguments: impl IntoIterator<Item = S>,
) -> Option<Run> {
    let mut command = Command::new(binary());
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built command starts");
    let (mut pipe, input) = (child.stdin.take().expect("the input is piped"), input.to_vec());
    // A command that has read enough closes its end.
    thread::spawn(move || pipe.write_all(&input));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, limit)?;
    let text = |bytes: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&bytes.join().expect("reading does not panic")).into_owned()
    };
    Some(Run { status: status.code(), stdout: text(stdout), stderr: text(stderr) })
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("the output is piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Builds the command; `cargo test` has let go of the target folder when tests run.
fn binary() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--package", "statedict", "--message-format=json"]);
        if !cfg!(debug_assertions) {
            cargo.arg("--release");
        }
        let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the command does not build\n{said}");
        String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .find_map(|message| {
                let is_ours = message["target"]["name"] == "statedict";
                message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
            })
            .expect("cargo names the executable")
    })
}
