//! What a job in parts would be for a checkpoint of any size, of which only the headers are there.
//!
//! The files are as long as they say and have holes in place of elements, so that a terabyte takes
//! some megabytes of disk; everything else is done as for a real one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use statedict::checkpoint::{Checkpoint, format_called};
use statedict::jobs::parts::{PartSummary, PlanParts};
use statedict::jobs::rename::{Destination, Encoding, Rename};
use statedict::jobs::target::Sharding;
use statedict::{Convert, silent};

/// A matrix of a large model: 8192 rows and columns of bf16.
const TENSOR: u64 = 2 * 8192 * 8192;

/// A checkpoint, and what is to become of it.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Bytes of elements.
    pub bytes: u64,
    /// Bytes of elements in each of its files, at most.
    pub input_shard: u64,
    /// Bytes of elements in each new file, at most.
    pub output_shard: u64,
    /// In how many parts the work is cut.
    pub parts: NonZeroUsize,
}

/// What was planned, and what that took.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// How many tensors there are.
    pub tensors: u64,
    /// How many files are read.
    pub inputs: u64,
    /// What each part writes and reads.
    pub parts: Vec<PartSummary>,
    /// How long opening takes, which every part does.
    pub opening: Duration,
    /// How long planning takes, opening and the digests of all headers included.
    pub planning: Duration,
    /// The length of the job file.
    pub job_file: u64,
    /// The most memory of this process, where the system says it.
    pub peak: Option<u64>,
}

impl Job {
    /// Plans the job in a folder, which must be empty.
    ///
    /// # Errors
    /// What the system says, and why the job cannot be planned.
    pub fn simulate(&self, folder: &Path) -> io::Result<Simulation> {
        let input = folder.join("in");
        fs::create_dir(&input)?;
        let (tensors, inputs) = self.write_input(&input)?;
        let start = Instant::now();
        drop(Checkpoint::open(&input).map_err(io::Error::other)?);
        let opening = start.elapsed();
        let format = format_called("safetensors").expect("a format");
        let sharding = Some(Sharding { limit: self.output_shard, format });
        let convert = Convert { file: input, ..Convert::default() };
        let job = Rename {
            destination: Destination::File(folder.join("out")),
            encoding: Encoding { sharding, ..Encoding::default() },
            ..Rename::from(convert)
        };
        let file = folder.join("job.json");
        let plan = PlanParts { job, parts: self.parts, file: file.clone(), slurm: None };
        let start = Instant::now();
        let planned = plan.run(&silent()).map_err(io::Error::other)?;
        let planning = start.elapsed();
        let (parts, job_file) = (planned.parts, fs::metadata(file)?.len());
        Ok(Simulation { tensors, inputs, parts, opening, planning, job_file, peak: peak() })
    }

    /// Shards with headers and holes, and their index; gives how many tensors and files there are.
    fn write_input(&self, folder: &Path) -> io::Result<(u64, u64)> {
        let tensors = self.bytes.div_ceil(TENSOR).max(1);
        let each = (self.input_shard / TENSOR).max(1);
        let files = tensors.div_ceil(each);
        let mut index = Vec::new();
        for file in 0..files {
            let name = format!("model-{:05}-of-{files:05}.safetensors", file + 1);
            let own = file * each..tensors.min((file + 1) * each);
            let entries: Vec<String> = own
                .clone()
                .map(|tensor| {
                    let start = (tensor - own.start) * TENSOR;
                    let end = start + TENSOR;
                    format!(
                        r#""{}":{{"dtype":"BF16","shape":[8192,8192],"data_offsets":[{start},{end}]}}"#,
                        key(tensor)
                    )
                })
                .collect();
            let header = format!("{{{}}}", entries.join(","));
            let mut shard = File::create(folder.join(&name))?;
            shard.write_all(&(header.len() as u64).to_le_bytes())?;
            shard.write_all(header.as_bytes())?;
            shard.set_len(8 + header.len() as u64 + (own.end - own.start) * TENSOR)?;
            index.extend(own.map(|tensor| format!(r#""{}":"{name}""#, key(tensor))));
        }
        let index = format!(r#"{{"metadata":{{}},"weight_map":{{{}}}}}"#, index.join(","));
        fs::write(folder.join("model.safetensors.index.json"), index)?;
        Ok((tensors, files))
    }
}

fn key(tensor: u64) -> String {
    format!("model.layers.{}.mlp.experts.{}.down_proj.weight", tensor / 100, tensor % 100)
}

/// The most memory of this process so far.
fn peak() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib << 10)
}

impl fmt::Display for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Simulation { tensors, inputs, parts, opening, planning, job_file, peak } = self;
        let files: usize = parts.iter().map(|part| part.files).sum();
        let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
        writeln!(f, "{tensors} tensors in {inputs} files; {files} new files, {} GB", giga(bytes))?;
        let a_tensor = |time: &Duration| time.as_secs_f64() * 1e6 / *tensors as f64;
        writeln!(f, "opened in {opening:.2?}, {:.1} us a tensor", a_tensor(opening))?;
        writeln!(f, "planned in {planning:.2?}, {:.1} us a tensor", a_tensor(planning))?;
        writeln!(f, "job file: {:.1} kB", *job_file as f64 / 1e3)?;
        if let Some(peak) = peak {
            writeln!(f, "memory: {:.0} MB", *peak as f64 / 1e6)?;
        }
        writeln!(f, "part  files  writes GB  reads GB")?;
        for PartSummary { part, files, bytes, reads } in parts {
            writeln!(f, "{part:>4}  {files:>5}  {:>9}  {:>8}", giga(*bytes), giga(*reads))?;
        }
        Ok(())
    }
}

fn giga(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e9)
}
