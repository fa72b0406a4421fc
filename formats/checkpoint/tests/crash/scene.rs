//! Changes of checkpoints: every format, and every way by which a file becomes another.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{
    Checkpoint, Disk, Error, Existing, FORMATS, PrependSupport, WriteMethod,
};
use statedict_core::{Elements, Format, Headroom, Plan, Policy, TensorSet, plan};
use tempfile::TempDir;

use crate::state::{Files, files, put};

/// The unit in which the disks of these tests keep files.
pub(crate) const BLOCK: u64 = 512;

pub(crate) const INSERT: PrependSupport = PrependSupport::Insert { block: BLOCK };
pub(crate) const SHARE: PrependSupport = PrependSupport::Share { block: BLOCK };

/// New files are as small as they can be, so that an edit has no room that it was not given.
const RESERVE: Headroom = Headroom::Bytes(0);

/// Where a change goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    /// The checkpoint itself, by this way.
    Itself(WriteMethod),
    /// Another path, where nothing is yet.
    New(&'static str),
    /// The checkpoint's own path, given as that of the output.
    Over,
}

/// A checkpoint and what is to be done with it.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) files: Files,
    /// The checkpoint: a file, or the folder of shards.
    pub(crate) target: &'static str,
    rule: &'static str,
    pub(crate) to: To,
    pub(crate) front: PrependSupport,
}

impl Scene {
    /// Makes the change in a folder that has the files.
    pub(crate) fn play(&self, folder: &Path, disk: Arc<dyn Disk>) -> Result<(), Error> {
        let target = self.target(folder);
        match self.to {
            To::Itself(way) => {
                let checkpoint = Checkpoint::open_to_replace(&target, disk)?;
                let replaced = checkpoint.rename(&self.plan(&checkpoint), RESERVE)?;
                assert_eq!(replaced.way, way, "{}", self.name);
                Ok(())
            }
            To::New(out) => self.stage(&target, &folder.join(out), Existing::Refuse, disk),
            To::Over => self.stage(&target, &target, Existing::Replace, disk),
        }
    }

    /// The checkpoint in a folder.
    pub(crate) fn target(&self, folder: &Path) -> PathBuf {
        if self.target.is_empty() { folder.to_path_buf() } else { folder.join(self.target) }
    }

    fn stage(
        &self,
        target: &Path,
        out: &Path,
        existing: Existing,
        disk: Arc<dyn Disk>,
    ) -> Result<(), Error> {
        let checkpoint = Checkpoint::open(target)?.on_disk(disk);
        let rewritten = checkpoint.rewrite(&self.plan(&checkpoint), RESERVE)?;
        checkpoint.stage(&rewritten, out, existing)?.commit()
    }

    fn plan(&self, checkpoint: &Checkpoint) -> Plan {
        let catalog = checkpoint.catalog();
        let rules = [self.rule.parse().expect("a rule")];
        let selected = catalog.select(None).expect("one state dict");
        plan(&rules, catalog, &selected, Policy::default()).expect("a plan").plan
    }

    /// A folder with the files of the scene.
    pub(crate) fn set(&self) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        put(&self.files, folder.path());
        folder
    }
}

/// The key of a tensor, so long that few of them are an index of several pages.
fn key(i: usize) -> String {
    format!("module.encoder.layers.{i}.{}.weight", "attention".repeat(80))
}

/// A safetensors file of `count` tensors with `slack` spaces in its header.
fn safetensors(count: usize, slack: usize) -> Vec<u8> {
    let (mut header, mut data) = (String::from("{"), Vec::new());
    for i in 0..count {
        let start = data.len();
        data.extend((0..i % 3).map(|byte| (i + byte) as u8));
        let (key, comma, end) = (key(i), if i == 0 { "" } else { "," }, data.len());
        let shape = end - start;
        header += &format!(
            r#"{comma}"{key}":{{"dtype":"U8","shape":[{shape}],"data_offsets":[{start},{end}]}}"#
        );
    }
    header += "}";
    header += &" ".repeat(slack);
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

/// A safetensors file of a tensor so long that it is not written with its neighbours.
fn long_safetensors() -> Vec<u8> {
    let shape = 150 * BLOCK + 7;
    let header = format!(
        r#"{{"{}":{{"dtype":"U8","shape":[{shape}],"data_offsets":[0,{shape}]}}}}"#,
        key(0)
    );
    let data: Vec<u8> = (0..shape).map(|i| (i * 7 + i / 251) as u8).collect();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn format(name: &str) -> &'static dyn Format {
    FORMATS.iter().copied().find(|format| format.name() == name).expect("a format")
}

/// The same tensors in the files of another format; several, if a limit is given.
fn converted(count: usize, to: &str, name: &str, reserve: u64, limit: Option<u64>) -> Files {
    let folder = tempfile::tempdir().expect("a folder");
    put(&one("in.safetensors", safetensors(count, 0)), folder.path());
    let checkpoint = Checkpoint::open(&folder.path().join("in.safetensors")).expect("a checkpoint");
    let tensor = |row: &statedict_core::TensorEntry| {
        let elements = Elements::new(row.tensor.clone(), None).expect("plain");
        (row.key.to_string(), elements)
    };
    let contents = TensorSet {
        tensors: checkpoint.catalog().rows.iter().map(tensor).collect(),
        reserve: Headroom::Bytes(reserve),
        ..TensorSet::default()
    };
    let rewritten = match limit {
        Some(limit) => checkpoint.encode_shards(format(to), contents, limit),
        None => checkpoint.encode(format(to), &contents),
    };
    let rewritten = rewritten.expect("held");
    let out = folder.path().join("out");
    let place = if limit.is_some() { out.clone() } else { out.join(name) };
    std::fs::create_dir(&out).expect("a folder");
    let staged = checkpoint.stage(&rewritten, &place, Existing::Refuse).expect("staged");
    staged.commit().expect("committed");
    files(&out)
}

fn one(name: &str, bytes: Vec<u8>) -> Files {
    Files::from([(name.to_string(), bytes)])
}

/// A file that a real library wrote.
fn fixture(name: &str, file: &str) -> Files {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../../compat-tests/fixtures");
    one(name, std::fs::read(Path::new(fixtures).join(file)).expect("a fixture"))
}

/// The files after a change, as those before another.
fn changed(files: Files, target: &'static str, rule: &'static str, way: WriteMethod) -> Files {
    let (to, front) = (To::Itself(way), PrependSupport::Copy);
    let scene = Scene { name: "made", files, target, rule, to, front };
    let folder = scene.set();
    scene.play(folder.path(), Arc::new(crate::disk::Plain::new(front))).expect("changed");
    self::files(folder.path())
}

const STRIP: &str = "strip:module";
const ADD: &str = "add:wrapped.by.something.longer";
/// As long as before, so that the file looks right at a glance when only half of it is changed.
const SWAP: &str = "rename:module.encoder.{r..} -> module.decoder.{r..}";

/// A file of long bytes; on a disk that can insert blocks, they are written past the cache.
pub(crate) fn long(front: PrependSupport) -> Scene {
    let (target, to) = ("m.safetensors", To::New("out.safetensors"));
    let files = one(target, long_safetensors());
    Scene { name: "long beside", files, target, rule: ADD, to, front }
}

/// All of them.
pub(crate) fn all() -> Vec<Scene> {
    let scene =
        |name, files, target, rule, to, front| Scene { name, files, target, rule, to, front };
    let (st, pth, npz) = ("m.safetensors", "m.pth", "m.npz");
    let many = || one(st, safetensors(9, 100));
    let archive = || converted(9, "pth", pth, 0, None);
    let shards = |to| converted(6, to, "", 0, Some(3));
    let in_place = To::Itself(WriteMethod::InPlace);
    let replaced = To::Itself(WriteMethod::Replaced);
    vec![
        scene("safetensors within", many(), st, STRIP, in_place, PrependSupport::Copy),
        scene("safetensors of one page", one(st, safetensors(2, 0)), st, STRIP, in_place, INSERT),
        scene("safetensors swapped", many(), st, SWAP, in_place, PrependSupport::Copy),
        scene("safetensors inserted", many(), st, ADD, To::Itself(WriteMethod::Inserted), INSERT),
        scene("safetensors shared", many(), st, ADD, To::Itself(WriteMethod::Shared), SHARE),
        scene("safetensors replaced", many(), st, ADD, replaced, PrependSupport::Copy),
        scene("safetensors dropped", many(), st, "drop:**.7.**", replaced, INSERT),
        scene(
            "safetensors beside",
            many(),
            st,
            ADD,
            To::New("out.safetensors"),
            PrependSupport::Copy,
        ),
        scene("safetensors cloned", many(), st, STRIP, To::New("out.safetensors"), SHARE),
        long(PrependSupport::Copy),
        long(INSERT),
        scene("safetensors over itself", many(), st, ADD, To::Over, PrependSupport::Copy),
        scene("pth within", archive(), pth, STRIP, in_place, PrependSupport::Copy),
        scene("pth swapped", archive(), pth, SWAP, in_place, PrependSupport::Copy),
        scene("pth appended", archive(), pth, ADD, in_place, PrependSupport::Copy),
        scene(
            "pth appended again",
            changed(archive(), pth, ADD, WriteMethod::InPlace),
            pth,
            "strip:wrapped.by",
            in_place,
            PrependSupport::Copy,
        ),
        scene("pth dropped", archive(), pth, "drop:**.7.**", in_place, PrependSupport::Copy),
        scene("pth beside", archive(), pth, ADD, To::New("out.pth"), PrependSupport::Copy),
        scene(
            "legacy within",
            fixture(pth, "legacy.pth"),
            pth,
            "rename:weight -> w",
            in_place,
            INSERT,
        ),
        scene(
            "legacy inserted",
            fixture(pth, "legacy.pth"),
            pth,
            ADD,
            To::Itself(WriteMethod::Inserted),
            INSERT,
        ),
        scene(
            "legacy shared",
            fixture(pth, "legacy.pth"),
            pth,
            ADD,
            To::Itself(WriteMethod::Shared),
            SHARE,
        ),
        scene(
            "legacy replaced",
            fixture(pth, "legacy.pth"),
            pth,
            ADD,
            replaced,
            PrependSupport::Copy,
        ),
        scene("tar replaced", fixture(pth, "tar.pth"), pth, ADD, replaced, INSERT),
        scene(
            "npz within",
            converted(4, "npz", npz, 0, None),
            npz,
            STRIP,
            in_place,
            PrependSupport::Copy,
        ),
        scene(
            "npz swapped",
            converted(4, "npz", npz, 0, None),
            npz,
            SWAP,
            in_place,
            PrependSupport::Copy,
        ),
        scene(
            "npz deflated",
            fixture(npz, "deflated.npz"),
            npz,
            STRIP,
            in_place,
            PrependSupport::Copy,
        ),
        scene(
            "npz with room",
            converted(4, "npz", npz, 8192, None),
            npz,
            ADD,
            in_place,
            PrependSupport::Copy,
        ),
        scene("npz replaced", fixture(npz, "deflated.npz"), npz, ADD, replaced, INSERT),
        scene("shards inserted", shards("safetensors"), "", ADD, in_place, INSERT),
        scene("shards swapped", shards("safetensors"), "", SWAP, in_place, PrependSupport::Copy),
        scene("shards of pth", shards("pth"), "", STRIP, in_place, PrependSupport::Copy),
        scene("shards of pth appended", shards("pth"), "", ADD, in_place, PrependSupport::Copy),
        scene("shards replaced", shards("safetensors"), "", ADD, replaced, PrependSupport::Copy),
        scene("shards shared", shards("safetensors"), "", ADD, replaced, SHARE),
        scene(
            "shards beside",
            shards("safetensors"),
            "",
            ADD,
            To::New("out"),
            PrependSupport::Copy,
        ),
    ]
}
