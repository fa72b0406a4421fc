//! What cannot be read or done: one line that names the file and the place, and nothing written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use compat_tests::{Run, Tally, Zoo, oracle, statedict};
use serde_json::json;
use tempfile::TempDir;

/// A folder with one input; whatever else is in it afterwards is litter.
struct Place {
    folder: TempDir,
    input: PathBuf,
}

impl Place {
    fn with(name: &str, bytes: &[u8]) -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join(name);
        fs::write(&input, bytes).expect("a file can be written");
        Place { folder, input }
    }

    fn run(&self, words: &[&str]) -> Run {
        let output = self.folder.path().join("out").join(self.input.file_name().expect("a name"));
        let _ = fs::create_dir(self.folder.path().join("out"));
        let words = words.iter().map(|word| word.as_ref());
        statedict(words.chain([self.input.as_os_str(), "-o".as_ref(), output.as_os_str()]))
    }

    /// What is wrong with a failure: it must be polite, name the file, and leave nothing behind.
    fn problem(&self, run: &Run, status: i32) -> Option<String> {
        let named = run.errors().iter().all(|line| line.contains(&*self.input.to_string_lossy()));
        let litter = fs::read_dir(self.folder.path().join("out")).map_or(0, Iterator::count);
        let unnamed = (!named).then(|| format!("the file is not named: {}", run.stderr.trim()));
        let littered = (litter > 0).then(|| format!("{litter} files left behind"));
        run.impolite(status).or(unnamed).or(littered)
    }
}

/// Reading these bytes fails with exit status 2 and a line that has these words.
fn check(name: &str, bytes: &[u8], words: &[&str]) {
    let place = Place::with(name, bytes);
    let run = place.run(&["add", "module"]);
    assert_eq!(place.problem(&run, 2), None, "{name}");
    assert_eq!(run.errors().len(), 1, "{}", run.stderr);
    let said = run.stderr.to_lowercase();
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} not in: {}", run.stderr);
}

/// The plan for this file is refused with exit status 1 and lines that have these words.
fn check_refused(zoo: &Zoo, name: &str, command: &[&str], words: &[&str]) {
    let place = Place::with(name, &fs::read(&zoo.entry(name).path).expect("the file is there"));
    let run = place.run(command);
    assert_eq!(place.problem(&run, 1), None, "{name}");
    assert!(words.iter().all(|word| run.stderr.contains(word)), "{words:?}: {}", run.stderr);
}

/// Has Python write one file, as a script that knows its path as `out`.
fn written_by_python(name: &str, script: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    oracle(json!({ "do": "script", "script": script, "out": path }));
    fs::read(path).expect("Python wrote the file")
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), data].concat()
}

#[test]
fn files_that_are_something_else_are_named_for_what_they_are() {
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    check("model.pth", pointer.as_bytes(), &["git lfs pointer"]);
    check("model.safetensors", pointer.as_bytes(), &["git lfs pointer"]);
    check("model.pth", b"<!DOCTYPE html>\n<html><head></head></html>", &["html"]);
    check("model.safetensors", b"<html><body>404</body></html>", &["html"]);
    check("model.pth", b"GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &["gguf"]);
    check(
        "model.onnx.pth",
        b"\x08\x08\x12\x07pytorch\x1a\x052.1.0:\x05\x0a\x01x\x12\x01y",
        &["onnx"],
    );
    check("model.pth", b"", &["empty"]);
    check("model.pth", b"hello\n", &["a text that begins 'hello'"]);
    check(
        "model.npz",
        b"\x93NUMPY\x01\0v\0{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }",
        &["npy"],
    );
    let zip = written_by_python("z.pth", "zipfile.ZipFile(out, 'w').writestr('readme.txt', 'x')");
    check("model.pth", &zip, &["data.pkl"]);
}

#[test]
fn broken_safetensors_name_the_place() {
    let entry = |shape: &str, place: &str| {
        format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":{place}}}}}"#)
    };
    let header_check = |header: &str, data: &[u8], words: &[&str]| {
        check("model.safetensors", &safetensors(header, data), words);
    };
    check("m.safetensors", &9_000_000_000u64.to_le_bytes(), &["9000000000", "byte 0"]);
    header_check(&entry("[1]", "[0,8]"), &[0; 8], &["w"]);
    header_check(&entry("[4]", "[0,16]"), &[0; 8], &["w"]);
    header_check(&entry("[1]", "[0,4]"), &[0; 8], &["8"]);
    header_check(&entry("[4294967296,4294967296,4294967296]", "[0,4]"), &[0; 4], &["w"]);
    header_check(&entry("[-1]", "[0,4]"), &[0; 4], &["byte"]);
    header_check(r#"{"w":{"dtype":"F99","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4], &["f99"]);
    let twice = entry("[1]", "[0,4]").trim_end_matches('}').to_string()
        + r#"},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    header_check(&twice, &[0; 8], &["w", "twice"]);
    header_check("[]", &[], &["byte"]);
    header_check("{", &[], &["byte"]);
}

#[test]
fn broken_archives_name_the_record() {
    let good = "torch.save({'module.w': torch.arange(4.0)}, out)\n";
    let rewrite = |change: &str| {
        let script = format!(
            "{good}
old = zipfile.ZipFile(io.BytesIO(open(out, 'rb').read()))
members = {{info.filename: old.read(info) for info in old.infolist()}}
root = next(iter(members)).split('/')[0]
{change}
with zipfile.ZipFile(out, 'w') as new:
    for name, data in members.items(): new.writestr(name, data)"
        );
        written_by_python("m.pth", &script)
    };
    let record_check = |change: &str, words: &[&str]| check("model.pth", &rewrite(change), words);
    record_check("del members[root + '/data.pkl']", &["data.pkl"]);
    record_check("del members[root + '/data/0']", &["data/0"]);
    record_check("members[root + '/data/0'] = b'1234'", &["storage '0'", "module.w"]);
    record_check("members[root + '/data.pkl'] = b'\\x80\\x02\\xffabc.'", &["data.pkl", "opcode"]);
    record_check("members[root + '/data.pkl'] = members[root + '/data.pkl'][:-9]", &["data.pkl"]);
    record_check("members[root + '/data.pkl'] = b''", &["data.pkl"]);
    let huge = "members[root + '/data.pkl'] = members[root + '/data.pkl'].replace(b'K\\x04\\x85', b'\\x8a\\x07\\xff\\xff\\xff\\xff\\xff\\xff\\x7f\\x85')";
    record_check(huge, &["module.w"]);
}

#[test]
fn broken_arrays_name_the_member() {
    let array_check = |header: &str, data: &str, words: &[&str]| {
        let script = format!(
            "header = {header}
npy = b'\\x93NUMPY\\x01\\0' + struct.pack('<H', len(header)) + header + {data}
with zipfile.ZipFile(out, 'w') as new: new.writestr('w.npy', npy)"
        );
        check("model.npz", &written_by_python("m.npz", &script), words);
    };
    let header = |descr: &str, shape: &str| {
        format!("b\"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\\n\"")
    };
    array_check(&header("<f4", "(4,)"), "bytes(8)", &["w.npy"]);
    array_check(&header("<f4", "(4294967296, 4294967296, 4294967296)"), "bytes(8)", &["w.npy"]);
    array_check(&header("<q99", "(1,)"), "bytes(8)", &["w.npy"]);
    array_check("b'{\\n'", "b''", &["w.npy"]);
}

#[test]
fn every_truncation_is_refused_politely() {
    let zoo = Zoo::new();
    let mut tally = Tally::new();
    let names = [
        "views_and_ties.pth",
        "legacy_views.pth",
        "odd_order.safetensors",
        "by_zipfile.npz",
        "collision.npz",
    ];
    for name in names {
        let bytes = fs::read(&zoo.entry(name).path).expect("the file is there");
        for len in lengths(bytes.len()) {
            let place = Place::with(name, &bytes[..len]);
            let run = place.run(&["add", "module"]);
            tally.note(format!("{name} cut to {len}"), place.problem(&run, 2));
        }
    }
    tally.close("truncations refused");
}

/// Every length at both ends, and a spread of those between.
fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    let ends = (0..whole.min(24)).chain(whole.saturating_sub(24)..whole);
    ends.chain((24..whole.saturating_sub(24)).step_by((whole / 60).max(1)))
}

#[test]
fn plans_that_cannot_be_are_refused_with_every_offence() {
    let zoo = Zoo::new();
    let both = ["'module.a'", "'a'", "'module.b'", "'b'", "strip:module"];
    check_refused(&zoo, "collision.pth", &["strip", "module"], &both);
    check_refused(&zoo, "collision.pth", &["unwrap"], &["'module.a'", "'module.b'"]);
    check_refused(&zoo, "collision_of_ties.pth", &["strip", "module"], &["same bytes"]);
    check_refused(&zoo, "collision.safetensors", &["strip", "module"], &["'module.a'"]);
    check_refused(&zoo, "collision.npz", &["strip", "module"], &["'module.a'"]);
    check_refused(
        &zoo,
        "emptied.pth",
        &["strip", "module"],
        &["would make key", "'module.'", "empty"],
    );
    check_refused(&zoo, "lenet.pth", &["strip", "module"], &["no key matches", "module"]);
    check_refused(&zoo, "lenet.pth", &["drop", "conv9.*"], &["no key matches", "conv9.*"]);
    check_refused(&zoo, "averaged.pth", &["strip", "module", "--strict"], &["n_averaged"]);
}

#[test]
fn outputs_that_cannot_be_written_leave_everything_as_it_was() {
    let zoo = Zoo::new();
    let bytes = fs::read(&zoo.entry("network.safetensors").path).expect("the file is there");
    let place = Place::with("network.safetensors", &bytes);
    let there = place.folder.path().join("there.safetensors");
    fs::write(&there, "precious").expect("a file can be written");
    let to = |output: &Path| {
        let words = ["strip".as_ref(), "module".as_ref(), place.input.as_os_str()];
        statedict(words.into_iter().chain(["-o".as_ref(), output.as_os_str()]))
    };
    assert_eq!(to(&there).impolite(2), None);
    assert_eq!(fs::read(&there).expect("still there"), b"precious");
    assert_eq!(to(Path::new("/dev/full")).impolite(2), None);
    assert_eq!(to(&place.folder.path().join("nowhere/out.safetensors")).impolite(2), None);
    assert_eq!(to(place.folder.path()).impolite(2), None);
    read_only(&place, to);
    assert_eq!(fs::read(&place.input).expect("still there"), bytes);
}

/// A folder that cannot be written to; root can write to any, so there the case is left out.
fn read_only(place: &Place, to: impl Fn(&Path) -> Run) {
    let folder = place.folder.path().join("read-only");
    fs::create_dir(&folder).expect("a folder can be made");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).expect("a mode can be set");
    if fs::write(folder.join("probe"), "").is_ok() {
        println!("skipped: this user can write to read-only folders");
        return;
    }
    assert_eq!(to(&folder.join("out.safetensors")).impolite(2), None);
}

#[test]
fn a_missing_input_is_named() {
    let run = statedict(["ls", "no/such/file.pth"]);
    assert_eq!(run.impolite(2), None);
    assert!(run.stderr.contains("no/such/file.pth"), "{}", run.stderr);
}
