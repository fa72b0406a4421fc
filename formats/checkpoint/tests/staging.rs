//! What staging promises: a complete file in its place, or no trace.

mod folder;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use folder::{Folder, keys, stripped};
use statedict_checkpoint::{Existing, Kind};
use statedict_core::{DType, Elements, Layout, Storage, Tensor};

/// Stages the stripped checkpoint; gives the kind and text of the error.
fn refused(folder: &Folder, out: &Path, existing: Existing) -> (Kind, String) {
    let checkpoint = folder.checkpoint();
    let error = checkpoint.stage(&stripped(&checkpoint), out, existing).expect_err("refused");
    (error.kind(), error.to_string().replace(&format!("{}/", folder.path().display()), ""))
}

#[test]
fn a_committed_file_is_in_its_place_and_alone() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let layout = stripped(&checkpoint);
    let staged = checkpoint.stage(&layout, &folder.at("out"), Existing::Refuse).expect("staged");
    assert!(!folder.at("out").exists());
    staged.commit().expect("committed");
    assert_eq!(folder.names(), ["in.safetensors", "out"]);
    assert_eq!(keys(&folder.at("out")), ["w"]);
    assert_eq!(keys(&folder.at("in.safetensors")), ["module.w"]);
}

#[test]
fn a_dropped_file_leaves_no_trace() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let layout = stripped(&checkpoint);
    drop(checkpoint.stage(&layout, &folder.at("out"), Existing::Refuse).expect("staged"));
    assert_eq!(folder.names(), ["in.safetensors"]);
}

#[test]
fn the_output_may_be_the_input() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let layout = stripped(&checkpoint);
    let staged = checkpoint.stage(&layout, checkpoint.path(), Existing::Replace).expect("staged");
    assert_eq!(keys(checkpoint.path()), ["module.w"]);
    staged.commit().expect("committed");
    assert_eq!(keys(checkpoint.path()), ["w"]);
    assert_eq!(folder.names(), ["in.safetensors"]);
}

#[test]
fn what_exists_is_replaced_only_when_asked() {
    let folder = Folder::new();
    let out = folder.file("out", b"precious");
    let expected = (Kind::AlreadyExists, "cannot write 'out': already exists".to_string());
    assert_eq!(refused(&folder, &out, Existing::Refuse), expected);
    assert_eq!(fs::read(&out).expect("readable"), b"precious");
    assert_eq!(folder.names(), ["in.safetensors", "out"]);
}

#[test]
fn what_appears_meanwhile_is_not_replaced() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let layout = stripped(&checkpoint);
    let staged = checkpoint.stage(&layout, &folder.at("out"), Existing::Refuse).expect("staged");
    folder.file("out", b"precious");
    assert_eq!(staged.commit().expect_err("refused").kind(), Kind::AlreadyExists);
    assert_eq!(fs::read(folder.at("out")).expect("readable"), b"precious");
    assert_eq!(folder.names(), ["in.safetensors", "out"]);
}

#[test]
fn folders_are_never_replaced() {
    let folder = Folder::new();
    let out = folder.at("out");
    fs::create_dir(&out).expect("a folder");
    for existing in [Existing::Refuse, Existing::Replace] {
        let expected = "cannot write 'out': is a directory; expected a file";
        assert_eq!(refused(&folder, &out, existing), (Kind::NotAFile, expected.to_string()));
    }
    let (kind, _) = refused(&folder, Path::new("/"), Existing::Replace);
    assert_eq!(kind, Kind::NotAFile);
}

#[test]
fn a_missing_folder_is_named() {
    let folder = Folder::new();
    let (kind, text) = refused(&folder, &folder.at("no/out"), Existing::Refuse);
    assert_eq!(kind, Kind::Io);
    assert_eq!(
        text.replace(&folder.path().display().to_string(), "F"),
        "cannot write 'no/out': no file can be made in the folder 'no': \
         no such file or directory"
    );
}

#[test]
fn a_tensor_out_of_proportion_is_not_written() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let storage = Arc::new(Storage::stored(0..1));
    let huge = Tensor::view(DType::U8, vec![1 << 40], vec![0], 0, storage).expect("within");
    let mut layout = Layout::new();
    layout.elements(Elements::new(huge, None).expect("plain"));
    let error = checkpoint.stage(&layout.into(), &folder.at("out"), Existing::Refuse);
    assert_eq!(error.expect_err("refused").kind(), Kind::TooLarge);
    assert_eq!(folder.names(), ["in.safetensors"]);
}

#[test]
fn tensors_that_together_are_out_of_proportion_are_not_written() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let storage = Arc::new(Storage::stored(0..1));
    let large = Tensor::view(DType::U8, vec![1 << 29], vec![0], 0, storage).expect("within");
    let mut layout = Layout::new();
    for _ in 0..3 {
        layout.elements(Elements::new(large.clone(), None).expect("plain"));
    }
    let error = checkpoint.stage(&layout.into(), &folder.at("out"), Existing::Refuse);
    let error = error.expect_err("refused");
    assert_eq!(error.kind(), Kind::TooLarge);
    assert!(error.to_string().contains("its tensors overlap"), "{error}");
    assert_eq!(folder.names(), ["in.safetensors"]);
}

#[test]
fn a_copy_beyond_the_file_leaves_no_trace() {
    let folder = Folder::new();
    let checkpoint = folder.checkpoint();
    let mut layout = Layout::new();
    layout.copy(0..checkpoint.len() + 1);
    let error = checkpoint.stage(&layout.into(), &folder.at("out"), Existing::Refuse);
    assert_eq!(error.expect_err("refused").kind(), Kind::Malformed);
    assert_eq!(folder.names(), ["in.safetensors"]);
}

#[cfg(unix)]
mod unix {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;

    use statedict_checkpoint::{Checkpoint, Disk, Protected, Protection, System, stage_text};

    #[test]
    fn devices_are_never_replaced() {
        let folder = Folder::new();
        for existing in [Existing::Refuse, Existing::Replace] {
            let expected = "cannot write '/dev/null': is a device; expected a file";
            let found = refused(&folder, Path::new("/dev/null"), existing);
            assert_eq!(found, (Kind::NotAFile, expected.to_string()));
        }
    }

    #[test]
    fn a_link_is_replaced_itself() {
        let folder = Folder::new();
        let precious = folder.file("precious", b"precious");
        let out = folder.at("out");
        symlink(&precious, &out).expect("a link");
        assert_eq!(refused(&folder, &out, Existing::Refuse).0, Kind::AlreadyExists);
        let checkpoint = folder.checkpoint();
        let layout = stripped(&checkpoint);
        checkpoint.stage(&layout, &out, Existing::Replace).expect("staged").commit().expect("done");
        assert_eq!(fs::read(&precious).expect("readable"), b"precious");
        assert!(!out.is_symlink());
        assert_eq!(keys(&out), ["w"]);
    }

    #[test]
    fn a_link_is_judged_by_what_it_leads_to() {
        let folder = Folder::new();
        fs::create_dir(folder.at("sub")).expect("a folder");
        let _listening = UnixListener::bind(folder.at("socket")).expect("a socket");
        symlink("sub", folder.at("to a folder")).expect("a link");
        symlink("socket", folder.at("to a socket")).expect("a link");
        symlink("to a socket", folder.at("further")).expect("a link");
        symlink("/dev/null", folder.at("to a device")).expect("a link");
        symlink("/proc/self/fd/1", folder.at("to an output")).expect("a link");
        symlink("itself", folder.at("itself")).expect("a link");
        let check = |name: &str, expected: &str| {
            let (kind, text) = refused(&folder, &folder.at(name), Existing::Replace);
            assert!(text.contains(expected), "{text}");
            assert!(folder.at(name).is_symlink());
            kind
        };
        assert_eq!(check("to a folder", "is a link to a directory"), Kind::NotAFile);
        assert_eq!(check("to a socket", "is a link to a socket"), Kind::NotAFile);
        assert_eq!(check("further", "is a link to a socket"), Kind::NotAFile);
        assert_eq!(check("to a device", "an open file or device of the system"), Kind::NotAFile);
        assert_eq!(check("to an output", "an open file or device of the system"), Kind::NotAFile);
        assert_eq!(check("itself", "too many links"), Kind::Io);
    }

    #[test]
    fn a_link_that_leads_nowhere_is_replaced() {
        let folder = Folder::new();
        let out = folder.at("out");
        symlink("nowhere", &out).expect("a link");
        let checkpoint = folder.checkpoint();
        let staged = checkpoint.stage(&stripped(&checkpoint), &out, Existing::Replace);
        staged.expect("staged").commit().expect("committed");
        assert_eq!(keys(&out), ["w"]);
        assert!(!folder.at("nowhere").exists());
    }

    #[test]
    fn read_only_files_and_links_are_protected() {
        let folder = Folder::new();
        let checkpoint = folder.checkpoint();
        assert_eq!(checkpoint.protected(), []);
        let file = checkpoint.path().to_path_buf();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).expect("mine");
        let expected = Protected { file: file.clone(), by: Protection::ReadOnly };
        assert_eq!(checkpoint.protected(), [expected]);
        symlink(&file, folder.at("link")).expect("a link");
        let linked = Checkpoint::open(&folder.at("link")).expect("a checkpoint");
        let expected = Protected { file: folder.at("link"), by: Protection::Link(file) };
        assert_eq!(linked.protected(), [expected]);
    }

    #[test]
    fn the_mode_of_a_text_is_that_of_new_files() {
        let folder = Folder::new();
        let usual = fs::metadata(folder.file("usual", b"")).expect("there").permissions();
        let disk: Arc<dyn Disk> = Arc::new(System);
        let text = || "text".to_string();
        let out = folder.at("out");
        stage_text(text(), &out, Existing::Refuse, &disk).expect("staged").commit().expect("done");
        assert_eq!(fs::metadata(&out).expect("there").permissions(), usual);
        assert_eq!(fs::read(&out).expect("readable"), b"text");
        let refused = stage_text(text(), &out, Existing::Refuse, &disk).expect_err("refused");
        assert_eq!(refused.kind(), Kind::AlreadyExists);
        assert_eq!(folder.names(), ["out", "usual"]);
    }

    #[test]
    fn the_mode_is_the_inputs() {
        let folder = Folder::new();
        let checkpoint = folder.checkpoint();
        let layout = stripped(&checkpoint);
        for mode in [0o600, 0o644, 0o440, 0o777] {
            fs::set_permissions(checkpoint.path(), fs::Permissions::from_mode(mode)).expect("mine");
            let staged = checkpoint.stage(&layout, &folder.at("out"), Existing::Replace);
            staged.expect("staged").commit().expect("committed");
            let found = fs::metadata(folder.at("out")).expect("there").permissions().mode();
            assert_eq!(found & 0o7777, mode);
        }
    }
}
