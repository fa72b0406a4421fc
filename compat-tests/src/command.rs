//! The `statedict` command, built once and run many times.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
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

    /// Why this is not a polite failure with the given status, if it is none.
    pub fn impolite(&self, status: i32) -> Option<String> {
        let lines = self.errors().len();
        let panicked = self.stderr.contains("panicked");
        let polite = self.status == Some(status) && lines > 0 && !panicked;
        (!polite).then(|| format!("exit {:?}, expected {status}: {}", self.status, self.stderr))
    }
}

/// Variables by which a user says how wide, colourful or foreign output is to be.
const MANNERS: [&str; 10] = [
    "COLUMNS",
    "LINES",
    "NO_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "FORCE_COLOR",
    "TERM",
    "CI",
    "LANG",
    "LC_ALL",
];

/// The seconds of processor time after which a command is stopped: more than any test needs.
///
/// Time on the clock would say how busy the machine is.
const ENOUGH: u32 = 60;

/// After this long on the clock a command is stopped that takes no time, for it waits for something
/// that never comes; on a busy machine at the lowest priority the others take minutes.
const FOREVER: Duration = Duration::from_secs(30 * 60);

/// Runs `statedict` with these arguments.
///
/// # Panics
/// If it takes a minute of processor time, which no test needs.
pub fn statedict<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Run {
    statedict_within(ENOUGH, arguments).expect("statedict ends within a minute")
}

/// The command itself, built.
///
/// # Panics
/// If it cannot be built.
pub fn command() -> &'static Path {
    binary()
}

/// Starts `statedict` and leaves it running; what it says goes nowhere.
///
/// # Panics
/// If the command cannot be built or started.
pub fn start<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Child {
    let mut command = as_for_everyone(Command::new(binary()));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("the built command starts")
}

/// Runs `statedict`; none if it was stopped because it took so many seconds of processor time.
///
/// # Panics
/// If the command cannot be built or started.
pub fn statedict_within<S: AsRef<OsStr>>(
    seconds: u32,
    arguments: impl IntoIterator<Item = S>,
) -> Option<Run> {
    run(seconds, &[], arguments)
}

/// Runs `statedict` with this on its standard input.
///
/// # Panics
/// As [`statedict`].
pub fn statedict_reading<S: AsRef<OsStr>>(
    input: &[u8],
    arguments: impl IntoIterator<Item = S>,
) -> Run {
    run(ENOUGH, input, arguments).expect("statedict ends within a minute")
}

fn run<S: AsRef<OsStr>>(
    seconds: u32,
    input: &[u8],
    arguments: impl IntoIterator<Item = S>,
) -> Option<Run> {
    let mut command = limited(seconds);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built command starts");
    let (mut pipe, input) = (child.stdin.take().expect("the input is piped"), input.to_vec());
    // A command that has read enough closes its end.
    thread::spawn(move || pipe.write_all(&input));
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child)?;
    let text = |bytes: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&bytes.join().expect("reading does not panic")).into_owned()
    };
    let run = Run { status: status.code(), stdout: text(stdout), stderr: text(stderr) };
    (!ended_by_its_limit(status)).then_some(run)
}

/// The command, which the system stops once it has taken so many seconds of processor time.
fn limited(seconds: u32) -> Command {
    let mut shell = as_for_everyone(Command::new("sh"));
    shell.args(["-c", "ulimit -t \"$0\" && exec \"$@\""]).arg(seconds.to_string()).arg(binary());
    shell
}

/// True if the system stopped it for that: by SIGXCPU, or SIGKILL where both limits are one.
fn ended_by_its_limit(status: ExitStatus) -> bool {
    matches!(status.signal(), Some(9 | 24))
}

/// The same command, which behaves the same whoever runs the tests.
fn as_for_everyone(mut command: Command) -> Command {
    for variable in MANNERS {
        command.env_remove(variable);
    }
    command
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    let mut pipe = pipe.expect("the output is piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        bytes
    })
}

/// How a child ended; none if it never does.
fn wait(child: &mut Child) -> Option<ExitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    while start.elapsed() < FOREVER {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Builds the command; `cargo test` has let go of the target folder when tests run.
pub(crate) fn binary() -> &'static PathBuf {
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
