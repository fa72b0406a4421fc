//! Opening: what a file of 10,000 tensors holds, and what size has to do with it.

use benches::{FORMATS, file};
use criterion::{Criterion, criterion_group, criterion_main};
use statedict_checkpoint::Checkpoint;

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

fn opening(criterion: &mut Criterion, name: &str, tensors: usize, bytes: usize) {
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20);
    for format in FORMATS {
        let path = file(FOLDER, format, tensors, bytes).expect("the file can be written");
        group.bench_function(format, |bencher| {
            bencher.iter(|| Checkpoint::open(&path).expect("a checkpoint"));
        });
    }
    group.finish();
}

fn many_tensors(criterion: &mut Criterion) {
    opening(criterion, "catalog_10k_tensors", 10_000, 64);
}

fn large_tensors(criterion: &mut Criterion) {
    opening(criterion, "catalog_100_tensors_of_1_kB", 100, 1 << 10);
    opening(criterion, "catalog_100_tensors_of_10_MB", 100, 10 << 20);
}

criterion_group!(benches, many_tensors, large_tensors);
criterion_main!(benches);
