//! Planning: what becomes of 100,000 keys.

use std::hint::black_box;

use benches::{keys, templates};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use statedict_core::{Catalog, Policy, Rule, plan};

const KEYS: usize = 100_000;

fn planning(criterion: &mut Criterion) {
    let catalog = Catalog::of_keys(keys(KEYS)).expect("keys are unique");
    let selected = catalog.select(None).expect("one state dict");
    let mut group = criterion.benchmark_group("plan_100k_keys");
    group.throughput(Throughput::Elements(KEYS as u64)).sample_size(20);
    let rules: [(&str, Rule); 3] = [
        ("strip", "strip:module".parse().expect("a rule")),
        ("unwrap", Rule::unwrap_all()),
        ("ten_templates", templates()),
    ];
    for (name, rule) in rules {
        let stages = [rule];
        group.bench_function(name, |bencher| {
            bencher.iter(|| plan(black_box(&stages), &catalog, &selected, Policy::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, planning);
criterion_main!(benches);
