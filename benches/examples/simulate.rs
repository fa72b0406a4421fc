//! Plans the parts of a job over a checkpoint of headers alone, and prints what each would write and
//! read: `cargo run --release -p benches --example simulate -- 1e12 64`.
//!
//! Arguments: bytes (1e12), parts (64), bytes of a file that is read and of a new one (5e9 both).

use std::num::NonZeroUsize;
use std::process::ExitCode;

use benches::simulate::Job;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, usual: f64| match words.get(place) {
        None => Some(usual),
        Some(word) => word.parse().ok().filter(|number: &f64| *number >= 1.0),
    };
    let (Some(bytes), Some(parts), Some(input), Some(output)) =
        (number(0, 1e12), number(1, 64.0), number(2, 5e9), number(3, 5e9))
    else {
        eprintln!("expected numbers: BYTES PARTS INPUT_SHARD OUTPUT_SHARD");
        return ExitCode::FAILURE;
    };
    let job = Job {
        bytes: bytes as u64,
        input_shard: input as u64,
        output_shard: output as u64,
        parts: NonZeroUsize::new(parts as usize).unwrap_or(NonZeroUsize::MIN),
    };
    let folder = tempfile::tempdir();
    match folder.and_then(|folder| job.simulate(folder.path())) {
        Ok(simulation) => {
            print!("{simulation}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
