//! Renaming every key of a 1 GB file into a new file, synced; beside copying the file, synced.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use benches::{FORMATS, file};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use statedict_checkpoint::{Checkpoint, Existing};
use statedict_core::{Headroom, Policy, Rule, plan};

const FOLDER: &str = env!("CARGO_TARGET_TMPDIR");

fn rename(input: &Path, output: &Path, strip: &[Rule; 1]) {
    let checkpoint = Checkpoint::open(input).expect("a checkpoint");
    let selected = checkpoint.catalog().select(None).expect("one state dict");
    let planned = plan(strip, checkpoint.catalog(), &selected, Policy::default());
    let layout = checkpoint
        .rewrite(&planned.expect("can be planned").plan, Headroom::Usual)
        .expect("a layout");
    let staged = checkpoint.stage(&layout, output, Existing::Replace).expect("room on the disk");
    staged.commit().expect("the file can be put in place");
}

fn copy(input: &Path, output: &Path) {
    fs::copy(input, output).expect("room on the disk");
    File::open(output).and_then(|file| file.sync_all()).expect("the file can be synced");
}

fn renaming(criterion: &mut Criterion) {
    let strip = ["strip:module".parse().expect("a rule")];
    let mut group = criterion.benchmark_group("rename_1_GB");
    group.sample_size(10).measurement_time(Duration::from_secs(20));
    for format in FORMATS {
        let input = file(FOLDER, format, 100, 10 << 20).expect("the file can be written");
        let output = input.with_extension(format!("renamed.{format}"));
        let bytes = fs::metadata(&input).expect("the file is there").len();
        group.throughput(Throughput::Bytes(bytes));
        group.bench_function(format, |bencher| bencher.iter(|| rename(&input, &output, &strip)));
        group.bench_function(format!("{format}_copied"), |bencher| {
            bencher.iter(|| copy(&input, &output));
        });
        fs::remove_file(output).expect("the output is there");
    }
    group.finish();
}

criterion_group!(benches, renaming);
criterion_main!(benches);
