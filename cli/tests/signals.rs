//! What a signal leaves behind while the command writes.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// Bytes of the tensor in the file: holes, so that it takes no room, and long to be written.
const LEN: u64 = 3 << 30;

fn checkpoint(path: &Path) {
    let fields = format!(r#"{{"dtype":"U8","shape":[{LEN}],"data_offsets":[0,{LEN}]}}"#);
    let header = format!(r#"{{"w":{fields}}}"#);
    let mut file = File::create(path).expect("a file");
    let start = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    file.write_all(&start).expect("room");
    file.set_len(start.len() as u64 + LEN).expect("room for a hole");
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("readable");
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<_> = entries.map(|entry| name(entry.expect("readable"))).collect();
    names.sort();
    names
}

fn writing(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_statedict"));
    command.args(["convert", "big.safetensors", "out.pth"]).current_dir(folder);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("it starts");
    while names(folder).len() == 2 && child.try_wait().expect("a child").is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    child
}

fn end(mut child: Child, signal: &str) -> (ExitStatus, String) {
    let sent = Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
    let mut said = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (child.wait().expect("it ends"), said)
}

#[test]
fn a_signal_while_writing_leaves_everything_as_it_was() {
    let folder = TempDir::new().expect("a folder");
    let folder = folder.path();
    checkpoint(&folder.join("big.safetensors"));
    fs::write(folder.join("precious"), b"precious").expect("room");
    for (signal, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        let (status, said) = end(writing(folder), signal);
        assert_eq!(status.code(), Some(128 + number), "{signal}: {said}");
        let expected = format!("error: stopped by signal {number}; every file is as it was\n");
        assert_eq!(said, expected);
        assert_eq!(names(folder), ["big.safetensors", "precious"]);
    }
    let (status, _) = end(writing(folder), "KILL");
    assert_eq!(status.signal(), Some(9));
    assert_eq!(names(folder).len(), 3, "what the others leave is taken away by the command");
}
