//! Planning: what becomes of a hundred thousand keys, and of a million; of tensors as well as names.

use std::hint::black_box;

use benches::{keys, templates, tensor_rules};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use statedict_core::{Catalog, Policy, Rule, plan};

const SIZES: [usize; 2] = [100_000, 1_000_000];

fn planning(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("plan");
    // A plan of a million keys takes seconds: ten of them are measured, not fifty-five.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for size in SIZES {
        let catalog = Catalog::of_keys(keys(size)).expect("keys are unique");
        let selected = catalog.select(None).expect("one state dict");
        group.throughput(Throughput::Elements(size as u64));
        let rules: [(&str, Rule); 3] = [
            ("strip", "strip:module".parse().expect("a rule")),
            ("unwrap", Rule::unwrap_all()),
            ("ten_templates", templates()),
        ];
        for (name, rule) in rules {
            let stages = [rule];
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher.iter(|| plan(black_box(&stages), &catalog, &selected, Policy::default()));
            });
        }
    }
    let (rules, catalog) = tensor_rules(SIZES[0]);
    let selected = catalog.select(None).expect("one state dict");
    let stages = [rules];
    group.throughput(Throughput::Elements(SIZES[0] as u64));
    group.bench_function(BenchmarkId::new("twenty_tensor_rules", SIZES[0]), |bencher| {
        bencher.iter(|| plan(black_box(&stages), &catalog, &selected, Policy::default()));
    });
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
