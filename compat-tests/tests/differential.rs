//! Damaged real files, by what weights-only PyTorch, NumPy and safetensors make of them.
//!
//! Fixtures, and the files of `STATEDICT_CORPUS` where there are any, are changed opcode by opcode,
//! member by member and byte by byte, the same way in every run.
//! Of each: `ls` lists what is loaded, or refuses; `check` calls nothing safe of which weights-only
//! loading refuses a global or an operation; and the model of its machine in `restricted` says what
//! it says.
//!
//! `STATEDICT_MUTANTS` says how many there are (500 without), `STATEDICT_SEED` which.
//! With `STATEDICT_KEEP` those that show a difference are kept in that folder.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use compat_tests::mutation::{Dice, mutate};
use compat_tests::restricted::{Outcome, load};
use compat_tests::{Loaded, Loaders, Tally, tensor_rows};
use serde_json::{Value, json};
use statedict_checkpoint::{Checkpoint, check};
use statedict_core::{Data, Finding, TensorEntry, Verdict};
use statedict_zip::Archive;
use tempfile::TempDir;

/// How many mutants are tried where nothing else is asked for.
const USUAL: usize = 500;

/// How many are loaded at once.
const BATCH: usize = 250;

/// The longest file that is changed.
const LONGEST: u64 = 64 << 10;

/// Why some of what PyTorch loads is refused, by words of the refusal.
const REFUSED_FOR: [(&str, &str); 21] = [
    ("two records are named", "readers differ on which of them counts"),
    ("differ in case alone", "readers differ on which of them counts"),
    ("a second member", "readers differ on which of them counts"),
    ("another member or the directory begins", "members that share bytes are made to mislead"),
    ("does not end where its end record begins", "other readers find another directory"),
    ("has a NUL in it", "readers differ on where such a name ends"),
    ("is not in the archive", "a name that climbs, or a pickle that is not where PyTorch looks"),
    ("a state is set on the tensor", "what it does to the tensor is not followed, and it is named"),
    ("a tensor of more than 64 MiB", "no digest is taken of it here; it is listed"),
    ("makes of its arguments is not read", "a tensor made by its class is refused by name"),
    ("the tensor…data…", "what it does to the tensor is not followed, and it is named"),
    (
        "is named as one of",
        "PyTorch goes by the first type, others by each, and an edit may drop it",
    ),
    ("elements of", "PyTorch goes by the first length, others by each, and an edit may drop it"),
    ("does not follow the pickles", "PyTorch leaves whatever is in memory for its elements"),
    ("a local header (PK", "a member that PyTorch does not look at cannot be copied along"),
    ("of the zip directory (PK", "readers differ on how many members there are"),
    ("the zip directory goes on after", "readers differ on how many members there are"),
    ("a zip directory of", "readers differ on how many members there are"),
    ("bytes and said to have", "readers differ on how long the member is"),
    ("a folder by its attributes", "PyTorch leaves whatever is in memory for its bytes"),
    ("it overlaps tensor", "two entries of one name, or elements that share bytes"),
];

/// Of a thousand files that are loaded, so many may be refused for other reasons: legacy storages
/// with another length than the pickle says, persistent ids with odd parts, texts of NumPy's
/// headers that Python's parser takes and ours does not.
const REFUSED_OTHERWISE: usize = 15;

/// A tensor with more bytes than this has no digest taken of it.
const LARGEST: u64 = 64 << 20;

fn number(name: &str, usual: usize) -> usize {
    let named = env::var(name).ok().filter(|text| !text.is_empty());
    named.map_or(usual, |text| text.replace('_', "").parse().expect("a number"))
}

/// Files that are changed, small ones of kinds that have an oracle: real ones, and those that mean
/// harm.
fn originals() -> [Vec<(PathBuf, Vec<u8>)>; 2] {
    let shared = env::var_os("STATEDICT_CORPUS").filter(|folder| !folder.is_empty());
    let shared = |name: &str| shared.as_ref().map(|folder| Path::new(folder).join(name));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let real = [Some(fixtures), shared("corpus")];
    let hostile = [shared("hostile"), shared("hostile2")];
    [real, hostile].map(|folders| {
        let mut files: Vec<PathBuf> =
            folders.iter().flatten().flat_map(|folder| below(folder)).collect();
        files.retain(|path| is_wanted(path));
        files.sort();
        files.into_iter().map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
    })
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.map(|entry| entry.expect("readable").path());
    paths.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

fn is_wanted(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let known = ["pth", "pt", "ckpt", "bin", "npz", "safetensors"].contains(&extension);
    let is_small = fs::metadata(path).is_ok_and(|file| file.len() <= LONGEST);
    // Files that are made to take long take long.
    let takes_long = path.to_string_lossy().contains("res_");
    known && is_small && !takes_long
}

/// A damaged file.
struct Mutant {
    name: String,
    path: PathBuf,
    bytes: Vec<u8>,
    /// What was changed.
    what: &'static str,
}

/// The mutants of a batch, written into a folder.
fn mutants(
    originals: &[Vec<(PathBuf, Vec<u8>)>; 2],
    numbers: &[usize],
    folder: &Path,
) -> Vec<Mutant> {
    let mutant = |number: &usize| {
        let mut dice = Dice::new(*number as u64);
        // Most of what is made to be refused stays refused, whatever is changed in it.
        let kind = usize::from(dice.below(4) == 0);
        let (path, bytes) = dice.pick(&originals[kind]).or(originals[0].first()).expect("a file");
        let (bytes, what) = mutate(bytes, &mut dice);
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let original = path.file_name().unwrap_or_default().to_string_lossy();
        let path = folder.join(format!("m{number}.{extension}"));
        fs::write(&path, &bytes).expect("the folder is writable");
        let name = format!("{number} ({what} of {original})");
        Mutant { name, path, bytes, what }
    };
    numbers.iter().map(mutant).collect()
}

/// What statedict makes of a file.
struct Ours {
    verdict: Verdict,
    findings: Vec<Finding>,
    notes: usize,
    /// The tensors, or why they are not listed.
    tensors: Result<Vec<String>, String>,
}

impl Ours {
    fn of(path: &Path) -> Ours {
        let checked = check(path).expect("the file can be read");
        let tensors = listed(path);
        let (verdict, notes) = (checked.verdict(), checked.notes.len());
        Ours { verdict, findings: checked.findings, notes, tensors }
    }

    /// True if nothing is said against the file, and nothing noted.
    fn is_safe(&self) -> bool {
        self.verdict == Verdict::Safe && self.notes == 0
    }
}

fn listed(path: &Path) -> Result<Vec<String>, String> {
    let checkpoint = Checkpoint::open(path).map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    // What holds tensors in a way that is not known is listed by its class, as no tensor.
    let is_tensor = |row: &&TensorEntry| row.tensor.dtype.name() != "object";
    for row in checkpoint.catalog().rows.iter().filter(is_tensor) {
        let tensor = &row.tensor;
        let shown = json!({ "at": &*row.path, "key": row.key.as_str(), "dtype": tensor.dtype.name(), "shape": tensor.shape });
        let Value::Object(mut shown) = shown else { unreachable!("written as an object") };
        if matches!(tensor.data, Data::View(_)) {
            if tensor.byte_len() > LARGEST {
                return Err("a tensor of more than 64 MiB".into());
            }
            let digest = checkpoint.sha256(tensor).map_err(|error| error.to_string())?;
            let digest = digest.expect("a view has elements");
            let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
            shown.insert("sha256".into(), digest.into());
        }
        rows.push(Value::Object(shown));
    }
    Ok(tensor_rows(&Value::Array(rows)))
}

/// What is wrong with a mutant, by kinds that are distinguished in the summary.
fn problems(mutant: &Mutant, ours: &Ours, loaded: &Loaded) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    if let (Loaded::Tensors(theirs), Ok(tensors)) = (loaded, &ours.tensors)
        && theirs != tensors
    {
        problems.push(("other data", format!("loaded {theirs:?}, listed {tensors:?}")));
    }
    if let Loaded::Refused(why) = loaded
        && ours.is_safe()
    {
        problems.push(("safe and refused", why.clone()));
    }
    if let Some(difference) = model_differs(mutant, loaded) {
        problems.push(("model of the machine", difference));
    }
    problems
}

/// The kind of a refusal: its reason without the path, numbers and names.
fn kind_of(refusal: &str) -> String {
    let reason = refusal.split_once("': ").map_or(refusal, |(_, reason)| reason);
    let mut kind = String::new();
    for (number, part) in reason.split('\'').enumerate() {
        let is_name = number % 2 == 1;
        kind += if is_name { "…" } else { part };
    }
    kind.replace(|c: char| c.is_ascii_digit(), "0")
}

/// Where the model claims what does not come true.
fn model_differs(mutant: &Mutant, loaded: &Loaded) -> Option<String> {
    if matches!(mutant.what, "headers" | "bytes") {
        return None;
    }
    let (pickle, storages) = modelled(&mutant.bytes)?;
    let outcome = load(&pickle, &storages);
    let agrees = match (&outcome, loaded) {
        (Outcome::Refused(_), Loaded::Tensors(_)) => false,
        (Outcome::Failed(_) | Outcome::Unsupported(_), Loaded::Tensors(_)) => false,
        (Outcome::Loaded(Some(_)), Loaded::Refused(_) | Loaded::Failed(_)) => false,
        (Outcome::Loaded(Some(found)), Loaded::Tensors(tensors)) => found.len() == tensors.len(),
        _ => true,
    };
    (!agrees).then(|| format!("the model says {outcome:?}, PyTorch {loaded:?}"))
}

/// The pickle and the storages' lengths of an archive that has nothing odd beside them.
fn modelled(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u64>)> {
    let archive = Archive::open(&bytes).ok()??;
    let root = archive.entries().first()?.name().split('/').next()?.to_string();
    let mut storages = Vec::new();
    let (mut pickle, mut has_version) = (None, false);
    for entry in archive.entries() {
        let name = entry.name().strip_prefix(&format!("{root}/"))?;
        let content = || entry.read(&bytes, LONGEST).ok();
        match name.strip_prefix("data/") {
            Some(number) if number == storages.len().to_string() => {
                content()?;
                storages.push(entry.size());
            }
            Some(_) => return None,
            None => match name {
                "data.pkl" if pickle.is_none() => pickle = Some(content()?),
                "version" if content()? == b"3\n" => has_version = true,
                "byteorder" if content()? == b"little" => {}
                ".format_version" if content()? == b"1" => {}
                ".storage_alignment" if content()? == b"64" => {}
                ".data/serialization_id" if content()?.is_ascii() => {}
                _ => return None,
            },
        }
    }
    has_version.then_some((pickle?, storages))
}

#[test]
fn damaged_files_are_listed_as_loaded_and_never_safe_where_they_are_refused() {
    let count = number("STATEDICT_MUTANTS", USUAL);
    let seed = number("STATEDICT_SEED", 0);
    let originals = originals();
    let mut loaders = Loaders::start();
    let (mut tally, mut kinds) = (Tally::new(), BTreeMap::new());
    let (mut refusals, mut failures) = (BTreeMap::new(), BTreeMap::new());
    let numbers: Vec<usize> = (0..count).map(|number| seed + number).collect();
    for numbers in numbers.chunks(BATCH) {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let mutants = mutants(&originals, numbers, folder.path());
        let files: Vec<PathBuf> = mutants.iter().map(|mutant| mutant.path.clone()).collect();
        let (loaded, ours) = thread::scope(|scope| {
            let ours = scope.spawn(|| files.iter().map(|file| Ours::of(file)).collect::<Vec<_>>());
            (loaders.load(&files), ours.join().expect("nothing panics"))
        });
        for ((mutant, ours), loaded) in mutants.iter().zip(&ours).zip(&loaded) {
            let came = match loaded {
                Loaded::Tensors(_) if ours.tensors.is_ok() => "loaded and listed",
                Loaded::Tensors(_) => "loaded and not listed",
                Loaded::Refused(_) => "refused",
                Loaded::Failed(_) if ours.is_safe() => "raised otherwise, and safe",
                Loaded::Failed(_) => "raised otherwise",
                Loaded::Ended(_) => "ended",
            };
            *kinds.entry(came).or_insert(0) += 1;
            if let (Loaded::Tensors(_), Err(why)) = (loaded, &ours.tensors) {
                refusals.entry(kind_of(why)).or_insert_with(Vec::new).push(mutant.name.clone());
                keep(mutant, "not listed");
            }
            if let Loaded::Failed(why) = loaded
                && ours.is_safe()
            {
                failures.entry(kind_of(why)).or_insert_with(Vec::new).push(mutant.name.clone());
                keep(mutant, "safe and raised otherwise");
            }
            let problems = problems(mutant, ours, loaded);
            let said: Vec<String> = problems
                .iter()
                .map(|(kind, what)| format!("{kind}: {what} {:?}", ours.findings))
                .collect();
            if let Some((kind, _)) = problems.first() {
                keep(mutant, kind);
            }
            tally.note(&mutant.name, (!said.is_empty()).then(|| said.join("; ")));
        }
    }
    println!("{kinds:?}");
    for (kind, names) in &failures {
        println!("{} raised otherwise, and safe: {kind}, such as {}", names.len(), names[0]);
    }
    bound_refusals(&refusals, kinds.get("loaded and listed").copied().unwrap_or(0));
    tally.close("damaged files judged as their libraries do");
}

/// Prints what is loaded and not listed, by the kind of refusal, and bounds what has no reason.
fn bound_refusals(refusals: &BTreeMap<String, Vec<String>>, listed: usize) {
    let mut otherwise = 0;
    for (kind, names) in refusals {
        let reason = REFUSED_FOR.iter().find(|(words, _)| kind.contains(words));
        let shown = reason.map_or("no reason", |(_, why)| why);
        println!("{} loaded and not listed: {kind} ({shown}), such as {}", names.len(), names[0]);
        otherwise += if reason.is_none() { names.len() } else { 0 };
    }
    println!("{otherwise} loaded and not listed without a reason, {listed} listed");
    let allowed = (listed * REFUSED_OTHERWISE).div_ceil(1_000).max(3);
    assert!(otherwise <= allowed, "{otherwise} refused, {allowed} allowed: {refusals:#?}");
}

/// Keeps a mutant that shows a difference, where that is asked for.
fn keep(mutant: &Mutant, kind: &str) {
    if let Some(folder) = env::var_os("STATEDICT_KEEP").filter(|folder| !folder.is_empty()) {
        let folder = Path::new(&folder).join(kind.replace(' ', "-"));
        let name = mutant.path.file_name().expect("a file");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(name), &mutant.bytes))
            .expect("writable");
    }
}
