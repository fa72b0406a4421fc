//! Fitting a checkpoint into a model, as the number of keys on both sides grows.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::keys;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use statedict_core::{
    Catalog, DType, Storage, Tensor,
    diff::Side,
    fit::{FitOptions, fit},
};

const SIZES: [usize; 3] = [1_000, 3_000, 10_000];

fn catalog(keys: impl Iterator<Item = String>) -> Catalog {
    let storage = Arc::new(Storage::stored(0..1 << 40));
    let tensor = |(key, shape): (String, Vec<u64>)| {
        let tensor = Tensor::dense(DType::F32, shape, 0, storage.clone()).expect("within");
        (key, tensor)
    };
    let shaped = keys.map(|key| {
        let shape = if key.contains("norm") {
            vec![64]
        } else if key.contains("down") {
            vec![64, 172]
        } else if key.contains("gate") || key.contains("up") {
            vec![172, 64]
        } else {
            vec![64, 64]
        };
        (key, shape)
    });
    Catalog::flat(shaped.map(tensor)).expect("keys are unique")
}

/// The keys of a model that names its parts otherwise, and counts from one.
fn renamed(key: &str) -> String {
    let layer: String = key.chars().filter(char::is_ascii_digit).collect();
    let next = layer.parse::<usize>().expect("a layer") + 1;
    key.replace(&format!("module.layers.{layer}."), &format!("model.blocks.{next}.self_"))
}

/// Keys without a number or a word in common, all of one shape.
fn meaningless(count: usize, salt: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |i| {
        let mut text = String::new();
        let mut state = i * 2 + salt + 1;
        while text.len() < 24 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            text.push(char::from(b'a' + u8::try_from((state >> 33) % 26).expect("below 26")));
            if text.len() % 8 == 7 {
                text.push('.');
            }
        }
        format!("{text}.{i}.weight")
    })
}

/// Keys that all end alike, with numbers everywhere.
fn ambiguous(count: usize, prefix: &str) -> impl DoubleEndedIterator<Item = String> {
    (0..count).map(move |i| format!("{prefix}.{}.{}x{}.{}.weight", i % 7, i % 11, i % 13, i))
}

fn side(catalog: &Catalog) -> Side<'_> {
    Side { catalog, state_dict: &catalog.state_dicts[0] }
}

fn fitting(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fit");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    for size in SIZES {
        let model = keys(size);
        let cases = [
            ("unwrapped", model.clone(), model.iter().map(|key| key[7..].to_string()).collect()),
            ("renamed", model.clone(), model.iter().map(|key| renamed(key)).collect()),
            ("meaningless", meaningless(size, 0).collect(), meaningless(size, 1).collect()),
            ("ambiguous", ambiguous(size, "a.b").collect(), ambiguous(size, "c.d").collect()),
            ("swapped", ambiguous(size, "a").collect(), ambiguous(size, "b").rev().collect()),
        ];
        for (name, source, target) in cases {
            let (source, target): (Vec<String>, Vec<String>) = (source, target);
            let (source, target) = (catalog(source.into_iter()), catalog(target.into_iter()));
            group.throughput(Throughput::Elements(size as u64));
            group.bench_function(BenchmarkId::new(name, size), |bencher| {
                bencher
                    .iter(|| black_box(fit(side(&source), side(&target), &FitOptions::default())));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fitting);
criterion_main!(benches);
