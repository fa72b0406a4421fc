//! What a signal that comes while a file is written leaves behind.
//!
//! The test runs itself as the command that is signalled: between two steps of writing that
//! process sends itself the signal, so that nothing depends on who is faster.

use std::fs::{self, File};
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::{self, Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, str};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::{flag, low_level};
use statedict::jobs::rename::Destination;
use statedict::{Observer, Rename, Rules, checkpoint};
use tempfile::TempDir;

use crate::outcome;
use crate::terminal::progress::followed;
use crate::terminal::{OutputFormat, Verbosity};

/// Says to this program, run again, that it is to write and to be signalled: by which signal,
/// before which step, and with which disposition of it.
const ROLE: &str = "STATEDICT_TEST_SIGNALLED";

/// The test that plays that role.
const PLAYER: &str = "terminal::signals::tests::a_signal_while_writing_leaves_everything_as_it_was";

/// Bytes of the tensor that is written, which are several steps.
const LEN: u64 = 5 << 20;

/// A folder with a checkpoint and a file that nobody is to touch.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let fields = format!(r#"{{"dtype":"U8","shape":[{LEN}],"data_offsets":[0,{LEN}]}}"#);
    let header = format!(r#"{{"w":{fields}}}"#);
    let mut file = File::create(folder.path().join("in.safetensors")).expect("a file");
    let start = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    file.write_all(&start).expect("room");
    file.set_len(start.len() as u64 + LEN).expect("room for a hole");
    fs::write(folder.path().join("precious"), b"precious").expect("room");
    folder
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("readable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("readable"))).collect();
    names.sort();
    names
}

/// Runs the player, started as `starter` starts it.
fn played(mut starter: Command, folder: &TempDir, role: &str) -> Output {
    starter.args(["--exact", PLAYER, "--nocapture"]).env(ROLE, role).current_dir(folder.path());
    starter.output().expect("it runs")
}

fn this_program() -> Command {
    Command::new(env::current_exe().expect("it has a path"))
}

/// Writes as a command does, is signalled on the way, and ends as a command does.
fn play(role: &str) -> ! {
    let words: Vec<&str> = role.split(' ').collect();
    let [signal, step, disposition] = words[..] else { panic!("{role}") };
    let signal = signal.parse().expect("a number");
    let step: usize = step.parse().expect("a number");
    if disposition == "default" {
        // Whoever runs the tests may have it ignored; a handler of our own ends that.
        flag::register(signal, Arc::default()).expect("it can be caught");
    }
    let rename = Rename {
        file: "in.safetensors".into(),
        rules: Rules::parse(["add:x"]).expect("a rule"),
        destination: Destination::File("out.safetensors".into()),
        ..Rename::default()
    };
    let written = followed(Verbosity::Errors, |progress| {
        let raising =
            Raising { progress: progress.clone(), signal, step, steps: AtomicUsize::new(0) };
        rename.run(&(Arc::new(raising) as Arc<dyn Observer>))
    });
    let exit = outcome::ended(OutputFormat::Text, &mut io::sink(), |_| written.map(drop));
    process::exit(exit.status().into())
}

/// Sends this process a signal before one step of writing.
struct Raising {
    progress: Arc<dyn Observer>,
    signal: i32,
    step: usize,
    steps: AtomicUsize,
}

impl checkpoint::Observer for Raising {
    fn advance(&self, bytes: u64) -> ControlFlow<()> {
        if self.steps.fetch_add(1, Ordering::SeqCst) == self.step {
            low_level::raise(self.signal).expect("it is raised");
        }
        self.progress.advance(bytes)
    }
}

impl Observer for Raising {
    fn begin_writing(&self, bytes: u64) {
        self.progress.begin_writing(bytes);
    }
}

#[test]
fn a_signal_while_writing_leaves_everything_as_it_was() {
    if let Ok(role) = env::var(ROLE) {
        play(&role);
    }
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let folder = folder();
        let mut interrupted = 0;
        loop {
            let role = format!("{signal} {interrupted} default");
            let output = played(this_program(), &folder, &role);
            let said = str::from_utf8(&output.stderr).expect("text");
            if output.status.success() {
                break;
            }
            assert_eq!(output.status.code(), Some(128 + signal), "{role}: {said}");
            let expected = format!("error: stopped by signal {signal}; every file is as it was\n");
            assert_eq!(said, expected);
            assert_eq!(names(&folder), ["in.safetensors", "precious"]);
            interrupted += 1;
        }
        assert!(interrupted > 0, "there was nothing to interrupt");
        assert_eq!(names(&folder), ["in.safetensors", "out.safetensors", "precious"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_that_the_command_was_started_to_ignore_stays_ignored() {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        let folder = folder();
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("trap '' {signal}; exec \"$@\""), "sh"]);
        shell.arg(env::current_exe().expect("it has a path"));
        let output = played(shell, &folder, &format!("{signal} 0 inherited"));
        assert!(output.status.success(), "{signal}: {output:?}");
        assert_eq!(names(&folder), ["in.safetensors", "out.safetensors", "precious"]);
    }
}
