//! A folder of its own for each test, and the command run in it.

#![allow(dead_code, reason = "each test file uses its own part")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// Variables by which a user says how wide, colourful or foreign output is to be.
const MANNERS: [&str; 12] = [
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
    "STATEDICT_COLOR",
    "STATEDICT_NO_PROGRESS",
];

/// The command, which behaves the same whoever runs the test.
pub(crate) fn statedict() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_statedict"));
    for variable in MANNERS {
        command.env_remove(variable);
    }
    command.stdin(Stdio::null());
    command
}

/// A folder that goes when it is dropped.
pub(crate) struct Folder(TempDir);

/// What a run of the command printed and said, and how it ended.
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Folder {
    /// A folder with these files.
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        files.into_iter().for_each(|(name, bytes)| folder.add(name, &bytes));
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn add(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("written");
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = statedict();
        command.args(args).current_dir(self.0.path());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).output().expect("it runs"))
    }

    /// The same with words as they are typed, with spaces between them.
    pub(crate) fn typed(&self, words: &str) -> Ran {
        self.run(&words.split_whitespace().collect::<Vec<_>>())
    }

    /// The same with this on standard input.
    pub(crate) fn typed_with(&self, words: &str, input: &[u8]) -> Ran {
        let mut command = self.command(&words.split_whitespace().collect::<Vec<_>>());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        // A command that has read enough closes its end.
        let _ = child.stdin.take().expect("piped").write_all(input);
        Ran::of(child.wait_with_output().expect("it ends"))
    }
}

impl Ran {
    /// That it ended so, and said or printed this.
    pub(crate) fn check(&self, status: i32, said: &str) {
        let Ran { out, err, .. } = self;
        assert_eq!(self.status, status, "{out}{err}");
        assert!(err.contains(said) || out.contains(said), "{said}: {out}{err}");
    }

    fn of(output: Output) -> Ran {
        let Output { status, stdout, stderr } = output;
        Ran {
            status: status.code().expect("it ends by itself"),
            out: String::from_utf8(stdout).expect("UTF-8"),
            err: String::from_utf8(stderr).expect("UTF-8"),
        }
    }
}

/// A safetensors file of this header and these elements.
pub(crate) fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

/// A safetensors file of these keys, each of one number: 1, 2, 3 in their order.
pub(crate) fn numbered(keys: &[&str]) -> Vec<u8> {
    let entry = |(i, key): (usize, &&str)| {
        let (start, end) = (4 * i, 4 * i + 4);
        format!(r#""{key}":{{"dtype":"F32","shape":[1],"data_offsets":[{start},{end}]}}"#)
    };
    let entries: Vec<String> = keys.iter().enumerate().map(entry).collect();
    let data: Vec<u8> = (1..=keys.len()).flat_map(|i| (i as f32).to_le_bytes()).collect();
    safetensors(&format!("{{{}}}", entries.join(",")), &data)
}
