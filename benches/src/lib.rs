//! Keys and files of any size to measure statedict with.
//!
//! The keys are those of a transformer saved under `nn.DataParallel`. Files are real: a safetensors
//! file is written byte by byte and the other formats are converted from it. They are kept in the
//! target folder, so that only the first run has to write them.

pub mod simulate;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use statedict_checkpoint::{Checkpoint, Existing, format_named_by};
use statedict_core::{
    Catalog, DType, Policy, Rule, Storage, Tensor, TensorSet, Ties, Unmatched, plan,
};

/// The tensors of one transformer block.
const BLOCK: [&str; 10] = [
    "attn.q.weight",
    "attn.k.weight",
    "attn.v.weight",
    "attn.o.weight",
    "attn_norm.weight",
    "mlp.gate.weight",
    "mlp.up.weight",
    "mlp.down.weight",
    "mlp_norm.weight",
    "mlp_norm.bias",
];

/// The extensions of the formats that are measured.
pub const FORMATS: [&str; 3] = ["safetensors", "pth", "npz"];

/// That many keys, all with the prefix `module.`.
pub fn keys(count: usize) -> Vec<String> {
    let key = |i: usize| format!("module.layers.{}.{}", i / BLOCK.len(), BLOCK[i % BLOCK.len()]);
    (0..count).map(key).collect()
}

/// Ten rules that apply to every key of [`keys`], each to a tenth of them.
pub fn templates() -> Rule {
    let rename = |name: &str| {
        let text = format!("module.layers.{{i}}.{name} -> model.blocks.{{i+1}}.self.{name}");
        Rule::rename(&text, '.').expect("a rule")
    };
    Rule::FirstOf(BLOCK.map(rename).into())
}

/// Twenty rules of tensors, and a catalog of so many tensors that they apply to.
///
/// # Panics
/// Never: the rules and keys are constants.
pub fn tensor_rules(count: usize) -> (Rule, Catalog) {
    let rule = |n: usize| match n % 4 {
        0 => format!("r{n}.{{i}}.qkv[(p o) ..] -> s{n}.{{i}}.{{p=q,k,v}}[o ..]"),
        1 => format!("r{n}.{{i}}.{{p=gate,up}}[o d] -> s{n}.{{i}}.gate_up[(p o) d]"),
        2 => format!("r{n}.{{i}}.w[(h=4 x 2) d] -> s{n}.{{i}}.w[(h 2 x) d]"),
        _ => format!("r{n}.{{i}}.{{e}}.w[o d] -> s{n}.{{i}}.w[e d o]"),
    };
    let rules = (0..20).map(|n| Rule::rename(&rule(n), '.').expect("a rule"));
    let storage = Arc::new(Storage::stored(0..1 << 40));
    let key = |i: usize| {
        let (n, i) = (i % 20, i / 20);
        match n % 4 {
            0 => format!("r{n}.{i}.qkv"),
            1 => format!("r{n}.{}.{}", i / 2, ["gate", "up"][i % 2]),
            2 => format!("r{n}.{i}.w"),
            _ => format!("r{n}.{}.{}.w", i / 8, i % 8),
        }
    };
    let tensors = (0..count / 320 * 320).map(|i| {
        let tensor = Tensor::dense(DType::F32, [48, 16].into(), 0, storage.clone());
        (key(i), tensor.expect("within the storage"))
    });
    (Rule::FirstOf(rules.collect()), Catalog::flat(tensors).expect("keys are unique"))
}

/// A file in `folder` with that many tensors of that many bytes each; written if it is not there.
///
/// # Errors
/// What keeps it from being written.
pub fn file(folder: &str, extension: &str, tensors: usize, bytes: usize) -> io::Result<PathBuf> {
    let name = |extension: &str| {
        Path::new(folder).join(format!("bench-{tensors}-tensors-of-{bytes}.{extension}"))
    };
    let (origin, wanted) = (name("safetensors"), name(extension));
    fs::create_dir_all(folder)?;
    if !origin.exists() {
        write_safetensors(&origin, &keys(tensors), bytes)?;
    }
    if !wanted.exists() {
        convert(&origin, &wanted).map_err(io::Error::other)?;
    }
    Ok(wanted)
}

/// Bytes that no file system can leave out or compress away.
fn write_safetensors(path: &Path, keys: &[String], bytes: usize) -> io::Result<()> {
    let mut header = String::from("{");
    for (i, key) in keys.iter().enumerate() {
        let comma = if i == 0 { "" } else { "," };
        let (shape, start, end) = (bytes / 4, i * bytes, (i + 1) * bytes);
        let fields = format!(r#""dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]"#);
        write!(header, r#"{comma}"{key}":{{{fields}}}"#).map_err(io::Error::other)?;
    }
    header.push('}');
    let partial = path.with_extension("partial");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&partial)?);
    out.write_all(&u64::try_from(header.len()).map_err(io::Error::other)?.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..keys.len() * bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.write_all(&state.to_le_bytes())?;
    }
    out.into_inner()?.sync_all()?;
    fs::rename(partial, path)
}

fn convert(from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let checkpoint = Checkpoint::open(from)?;
    let (catalog, format) = (checkpoint.catalog(), format_named_by(to).ok_or("no such format")?);
    let selected = catalog.select(None)?;
    let policy = Policy { unmatched: Unmatched::Allow, ..Policy::default() };
    let planned = plan(&[], catalog, &selected, policy)?;
    let section = planned.plan.section("").ok_or("the root has a section")?;
    let (contents, _) = TensorSet::gather(catalog, selected[0], section, Ties::Each)?;
    let layout = checkpoint.encode(format, &contents)?;
    checkpoint.stage(&layout, to, Existing::Refuse)?.commit()?;
    Ok(())
}
