//! What each of very many tensors takes: a bound on bytes that a listing, a plan and a layout hold for
//! every one of them, whatever the machine and however fast it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use compat_tests::{Meter, written};
use statedict_checkpoint::{Checkpoint, Existing, format_named_by};
use statedict_core::{Catalog, Headroom, Policy, Rule, TensorSet, Ties, plan};

/// How many tensors a file has.
const TENSORS: usize = 20_000;

/// What a command takes beside that, in bytes: lists that grow in steps, and its own code where it is
/// not optimised.
const STEPS: u64 = 16 << 20;

/// When a run is killed.
const PATIENCE: Duration = Duration::from_secs(300);

/// The formats of files with a directory or header that grows with the number of tensors.
const EXTENSIONS: [&str; 2] = ["safetensors", "pth"];

fn key(i: usize) -> String {
    format!("module.model.layers.{}.self_attn.q_proj.weight", i)
}

/// A file of so many tensors of two numbers each.
fn file(folder: &Path, extension: &str) -> PathBuf {
    let entry = |i: usize| {
        let (start, end) = (i * 8, (i + 1) * 8);
        format!(r#""{}":{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}"#, key(i))
    };
    let header = format!("{{{}}}", (0..TENSORS).map(entry).collect::<Vec<_>>().join(","));
    let bytes =
        [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &vec![7; TENSORS * 8]];
    let origin = folder.join("many.safetensors");
    fs::write(&origin, bytes.concat()).expect("room");
    let path = origin.with_extension(extension);
    if path != origin {
        convert(&origin, &path);
    }
    path
}

fn convert(from: &Path, to: &Path) {
    let checkpoint = Checkpoint::open(from).expect("a checkpoint");
    let catalog = checkpoint.catalog();
    let selected = catalog.select(None).expect("one state dict");
    let planned = plan(&[], catalog, &selected, Policy::default()).expect("nothing changes");
    let section = planned.plan.section("").expect("the root's");
    let gathered = TensorSet::gather(catalog, selected[0], section, Ties::Each);
    let (contents, _) = gathered.expect("plain tensors");
    let format = format_named_by(to).expect("a format");
    let pending = checkpoint.encode(format, &contents).expect("plain tensors");
    let staged = checkpoint.stage(&pending, to, Existing::Refuse).expect("room");
    staged.commit().expect("the folder is there");
}

fn strip() -> [Rule; 1] {
    ["strip:module".parse().expect("a rule")]
}

/// The most bytes that something takes for a tensor, counted by the allocator.
fn taken(what: &str, most: usize, work: impl FnMut()) {
    let found = allocation_counter::measure(work).bytes_max as usize / TENSORS;
    println!("{what}: {found} bytes a tensor");
    assert!(found <= most, "{what} takes {found} bytes a tensor, at most {most} were expected");
}

#[test]
fn a_listing_and_a_plan_hold_little_for_each_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    for (extension, listed) in [("safetensors", 900), ("pth", 700)] {
        let bytes = fs::read(file(folder.path(), extension)).expect("written");
        let format = format_named_by(Path::new(&format!("x.{extension}"))).expect("a format");
        let open = || format.open(&bytes.as_slice()).expect("sound").expect("its own");
        let mut container = None;
        let kept = allocation_counter::measure(|| container = Some(open()));
        let kept = usize::try_from(kept.bytes_current).expect("it is kept") / TENSORS;
        println!("{extension}: {kept} bytes a tensor are kept");
        assert!(kept <= listed, "{extension} keeps {kept} bytes a tensor");
        let container = container.expect("opened");
        let catalog: &Catalog = container.catalog();
        let selected = catalog.select(None).expect("one state dict");
        let mut planned = None;
        taken(&format!("a plan for {extension}"), 500, || {
            planned = plan(&strip(), catalog, &selected, Policy::default()).ok();
        });
        let plan = planned.expect("all have the prefix").plan;
        let layout = container.rewrite(&plan, Headroom::Usual).expect("a layout");
        let renamed = written(&layout, &bytes);
        let renamed = format.open(&renamed.as_slice()).expect("sound").expect("its own");
        let keys = renamed.catalog().state_dicts[0].keys();
        assert!(keys.eq((0..TENSORS).map(|i| key(i).replacen("module.", "", 1))));
    }
}

#[test]
fn a_command_takes_little_for_each_tensor() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut meter = Meter::start();
    let itself = meter.run(PATIENCE, &["--version"]).peak;
    for extension in EXTENSIONS {
        let path = file(folder.path(), extension);
        let out = folder.path().join(format!("out.{extension}"));
        let [path, out] = [path, out].map(|path| path.display().to_string());
        let commands =
            [(1_200, vec!["ls", &path]), (1_900, vec!["strip", "module", &path, "-o", &out])];
        for (most, words) in commands {
            let run = meter.run(PATIENCE, &words);
            assert_eq!(run.run.status, Some(0), "{words:?}: {}", run.run.stderr);
            let beside = run.peak.saturating_sub(itself + STEPS) / TENSORS as u64;
            let all = run.peak.saturating_sub(itself) / TENSORS as u64;
            println!("{} {extension}: {all} bytes a tensor", words[0]);
            assert!(beside <= most, "{words:?}: {} bytes for {TENSORS} tensors", run.peak);
        }
    }
}
