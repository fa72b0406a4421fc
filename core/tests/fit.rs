//! What of a checkpoint fits into a model: right, or left open, and never wrong.

mod generate;

use std::collections::HashSet;
use std::sync::Arc;

use generate::{Scene, scenes};
use proptest::prelude::ProptestConfig;
use proptest::{prop_assert, prop_assert_eq, proptest};

use statedict_core::{
    Catalog, DType, Fate, SEPARATOR, Storage, Template, Tensor,
    diff::Side,
    fit::{
        Casts, Composed, FillOptions, Fit, FitOptions, MatchBy, NotFitted, Ordered, Reason,
        Uncertainty, Whose, fit,
    },
    init::{InitRule, Initialiser},
};

/// Keys with their shapes.
type Tensors = Vec<(String, Vec<u64>)>;

fn tensors(keys: &[(&str, &[u64])]) -> Tensors {
    keys.iter().map(|(key, shape)| (key.to_string(), shape.to_vec())).collect()
}

/// The tensors for every number, `#` standing for it.
fn blocks(numbers: std::ops::Range<u64>, keys: &[(&str, &[u64])]) -> Tensors {
    let block = |number: u64| {
        tensors(keys)
            .into_iter()
            .map(move |(key, shape)| (key.replace('#', &number.to_string()), shape))
    };
    numbers.flat_map(block).collect()
}

fn catalog(tensors: &Tensors) -> Catalog {
    let storage = Arc::new(Storage::stored(0..1 << 40));
    let tensor = |(key, shape): &(String, Vec<u64>)| {
        let dtype = if key.ends_with("num_batches_tracked") { DType::I64 } else { DType::F32 };
        let tensor = Tensor::dense(dtype, shape.clone(), 0, storage.clone()).expect("within");
        (key.clone(), tensor)
    };
    Catalog::flat(tensors.iter().map(tensor)).expect("unique")
}

fn side(catalog: &Catalog) -> Side<'_> {
    Side { catalog, state_dict: &catalog.state_dicts[0] }
}

fn fitted_by(source: &Tensors, target: &Tensors, options: &FitOptions) -> Result<Fit, NotFitted> {
    let (source, target) = (catalog(source), catalog(target));
    fit(side(&source), side(&target), options)
}

fn fitted(source: &Tensors, target: &Tensors) -> Fit {
    fitted_by(source, target, &FitOptions::default()).expect("no place is needed")
}

fn pairs(fit: &Fit) -> Vec<(&str, &str)> {
    fit.pairs.iter().map(|pair| (pair.from.as_str(), pair.to.as_str())).collect()
}

/// Fits, sees to it that nothing is wrong, and gives what of the truth was left open.
fn open(source: &Tensors, target: &Tensors, truth: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let fit = fitted(source, target);
    for pair in &fit.pairs {
        assert_eq!(truth(&pair.from).as_ref(), Some(&pair.to), "{:?}", pair);
    }
    let found: Vec<_> = fit.pairs.iter().map(|pair| pair.from.clone()).collect();
    let keys = source.iter().map(|(key, _)| key.clone());
    keys.filter(|key| truth(key).is_some() && !found.contains(key)).collect()
}

const D: u64 = 64;

fn norm(name: &str) -> Tensors {
    tensors(&[(&format!("{name}.weight"), &[D]), (&format!("{name}.bias"), &[D])])
}

fn resnet(
    block: &dyn Fn(u64, u64) -> Vec<(String, Vec<u64>)>,
    stem: Tensors,
    head: Tensors,
) -> Tensors {
    let blocks =
        (1..5).flat_map(|layer| (0..[3, 4, 6, 3][layer as usize - 1]).map(move |i| (layer, i)));
    stem.into_iter().chain(blocks.flat_map(|(layer, i)| block(layer, i))).chain(head).collect()
}

fn conv(name: String, out: u64, into: u64, kernel: u64) -> Tensors {
    vec![(format!("{name}.weight"), vec![out, into, kernel, kernel])]
}

fn batch_norm(name: String, size: u64, counts: bool) -> Tensors {
    let mut all: Tensors = ["weight", "bias", "running_mean", "running_var"]
        .map(|leaf| (format!("{name}.{leaf}"), vec![size]))
        .into();
    if counts {
        all.push((format!("{name}.num_batches_tracked"), vec![]));
    }
    all
}

fn torchvision() -> Tensors {
    let block = |layer: u64, i: u64| {
        let (width, out) = (64 << (layer - 1), 256 << (layer - 1));
        let into = if i > 0 { out } else { if layer == 1 { 64 } else { out / 2 } };
        let name = format!("layer{layer}.{i}");
        let mut all = [
            conv(format!("{name}.conv1"), width, into, 1),
            batch_norm(format!("{name}.bn1"), width, true),
            conv(format!("{name}.conv2"), width, width, 3),
            batch_norm(format!("{name}.bn2"), width, true),
            conv(format!("{name}.conv3"), out, width, 1),
            batch_norm(format!("{name}.bn3"), out, true),
        ]
        .concat();
        if i == 0 {
            all.extend(conv(format!("{name}.downsample.0"), out, into, 1));
            all.extend(batch_norm(format!("{name}.downsample.1"), out, true));
        }
        all
    };
    let stem = [conv("conv1".into(), 64, 3, 7), batch_norm("bn1".into(), 64, true)].concat();
    resnet(&block, stem, tensors(&[("fc.weight", &[1000, 2048]), ("fc.bias", &[1000])]))
}

fn detectron() -> Tensors {
    let block = |layer: u64, i: u64| {
        let (width, out) = (64 << (layer - 1), 256 << (layer - 1));
        let into = if i > 0 { out } else { if layer == 1 { 64 } else { out / 2 } };
        let name = format!("res{}.{i}", layer + 1);
        let mut all = Vec::new();
        if i == 0 {
            all.extend(conv(format!("{name}.shortcut"), out, into, 1));
            all.extend(batch_norm(format!("{name}.shortcut.norm"), out, false));
        }
        for (conv_name, out, into, kernel) in
            [("conv1", width, into, 1), ("conv2", width, width, 3), ("conv3", out, width, 1)]
        {
            all.extend(conv(format!("{name}.{conv_name}"), out, into, kernel));
            all.extend(batch_norm(format!("{name}.{conv_name}.norm"), out, false));
        }
        all
    };
    let stem =
        [conv("stem.conv1".into(), 64, 3, 7), batch_norm("stem.conv1.norm".into(), 64, false)]
            .concat();
    resnet(&block, stem, tensors(&[("linear.weight", &[1000, 2048]), ("linear.bias", &[1000])]))
}

fn to_detectron(key: &str) -> Option<String> {
    if key.ends_with("num_batches_tracked") {
        return None;
    }
    if let Some(leaf) = key.strip_prefix("fc.") {
        return Some(format!("linear.{leaf}"));
    }
    let key = match key.strip_prefix("layer") {
        Some(rest) => {
            let layer: u64 = rest[..1].parse().expect("a layer");
            format!("res{}{}", layer + 1, &rest[1..])
        }
        None => format!("stem.{key}"),
    };
    let key = key.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm");
    Some((1..4).fold(key, |key, n| key.replace(&format!("bn{n}"), &format!("conv{n}.norm"))))
}

#[test]
fn a_resnet_fits_under_other_names_in_another_order() {
    assert_eq!(open(&torchvision(), &detectron(), to_detectron), [""; 0]);
}

#[test]
fn llama_is_fitted_for_its_names_tell_the_parts_of_a_layer() {
    let own = [
        tensors(&[
            ("tok_embeddings.weight", &[320, D]),
            ("norm.weight", &[D]),
            ("output.weight", &[320, D]),
        ]),
        blocks(
            0..4,
            &[
                ("layers.#.attention.wq.weight", &[D, D]),
                ("layers.#.attention.wk.weight", &[D, D]),
                ("layers.#.attention.wv.weight", &[D, D]),
                ("layers.#.attention.wo.weight", &[D, D]),
                ("layers.#.feed_forward.w1.weight", &[172, D]),
                ("layers.#.feed_forward.w2.weight", &[D, 172]),
                ("layers.#.feed_forward.w3.weight", &[172, D]),
                ("layers.#.attention_norm.weight", &[D]),
                ("layers.#.ffn_norm.weight", &[D]),
            ],
        ),
    ]
    .concat();
    let theirs = [
        tensors(&[("model.embed_tokens.weight", &[320, D])]),
        blocks(
            0..4,
            &[
                ("model.layers.#.self_attn.q_proj.weight", &[D, D]),
                ("model.layers.#.self_attn.k_proj.weight", &[D, D]),
                ("model.layers.#.self_attn.v_proj.weight", &[D, D]),
                ("model.layers.#.self_attn.o_proj.weight", &[D, D]),
                ("model.layers.#.mlp.gate_proj.weight", &[172, D]),
                ("model.layers.#.mlp.up_proj.weight", &[172, D]),
                ("model.layers.#.mlp.down_proj.weight", &[D, 172]),
                ("model.layers.#.input_layernorm.weight", &[D]),
                ("model.layers.#.post_attention_layernorm.weight", &[D]),
            ],
        ),
        tensors(&[("model.norm.weight", &[D]), ("lm_head.weight", &[320, D])]),
    ]
    .concat();
    let truth = |key: &str| {
        let renamed = [
            ("tok_embeddings", "model.embed_tokens"),
            ("output", "lm_head"),
            ("layers", "model.layers"),
            ("attention.wq", "self_attn.q_proj"),
            ("attention.wk", "self_attn.k_proj"),
            ("attention.wv", "self_attn.v_proj"),
            ("attention.wo", "self_attn.o_proj"),
            ("feed_forward.w1", "mlp.gate_proj"),
            ("feed_forward.w2", "mlp.down_proj"),
            ("feed_forward.w3", "mlp.up_proj"),
            ("attention_norm", "input_layernorm"),
            ("ffn_norm", "post_attention_layernorm"),
        ]
        .iter()
        .fold(key.to_string(), |key, (a, b)| key.replace(a, b));
        Some(if key == "norm.weight" { "model.norm.weight".into() } else { renamed })
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

/// The same tensors in an order that means nothing.
fn sorted(tensors: &Tensors) -> Tensors {
    let mut sorted = tensors.clone();
    sorted.sort();
    sorted
}

#[test]
fn an_order_that_is_none_is_not_believed() {
    let mut backwards = torchvision();
    backwards.reverse();
    for own in [backwards, sorted(&torchvision())] {
        let open = open(&own, &detectron(), to_detectron);
        assert!(!open.is_empty() && open.len() < own.len());
    }
}

#[test]
fn numbers_that_count_up_unevenly_are_aligned() {
    let conv = |name: &str, size: u64| conv(name.into(), size, size, 3);
    let own: Tensors = [0, 2, 5, 7].map(|n| conv(&format!("features.{n}"), 8)).concat();
    let theirs = ["conv1_1", "conv1_2", "conv2_1", "conv2_2"].map(|name| conv(name, 8)).concat();
    // The forms differ, and the last numbers restart: all numbers count.
    let truth = |key: &str| {
        let names =
            [("features.0", "conv1_1"), ("features.2", "conv1_2"), ("features.5", "conv2_1")];
        let (name, leaf) = key.rsplit_once('.').expect("a module");
        let found = names.iter().find(|(own, _)| *own == name).map_or("conv2_2", |(_, to)| to);
        Some(format!("{found}.{leaf}"))
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

#[test]
fn attention_is_distinguished_by_its_names() {
    let own = blocks(
        0..3,
        &[
            ("transformer.layer.#.attention.q_lin.weight", &[D, D]),
            ("transformer.layer.#.attention.k_lin.weight", &[D, D]),
            ("transformer.layer.#.attention.v_lin.weight", &[D, D]),
            ("transformer.layer.#.attention.out_lin.weight", &[D, D]),
        ],
    );
    let theirs = blocks(
        0..3,
        &[
            ("encoder.layer.#.attention.self.query.weight", &[D, D]),
            ("encoder.layer.#.attention.self.key.weight", &[D, D]),
            ("encoder.layer.#.attention.self.value.weight", &[D, D]),
            ("encoder.layer.#.attention.output.dense.weight", &[D, D]),
        ],
    );
    let truth = |key: &str| {
        let key = key.replace("transformer", "encoder").replace("q_lin", "self.query");
        let key = key.replace("k_lin", "self.key").replace("v_lin", "self.value");
        Some(key.replace("out_lin", "output.dense"))
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

#[test]
fn names_of_old_and_new_versions_are_the_same() {
    let own = [norm("bert.embeddings.LayerNorm"), norm("bert.encoder.layer.0.LayerNorm")].concat();
    let old: Tensors = own
        .iter()
        .map(|(key, shape)| (key.replace("weight", "gamma").replace("bias", "beta"), shape.clone()))
        .collect();
    let bare: Tensors =
        own.iter().map(|(key, shape)| (key.replace("bert.", ""), shape.clone())).collect();
    let to_bare = |key: &str| {
        let key = key.replace("gamma", "weight").replace("beta", "bias");
        Some(key.replace("bert.", ""))
    };
    assert_eq!(open(&old, &bare, to_bare), [""; 0]);
    assert_eq!(open(&own, &bare, to_bare), [""; 0]);
    assert_eq!(open(&bare, &own, |key| Some(format!("bert.{key}"))), [""; 0]);
}

#[test]
fn numbers_that_are_shifted_go_along() {
    let layer: [(&str, &[u64]); 3] =
        [("layers.#.attn.w", &[D, D]), ("layers.#.up.w", &[99, D]), ("layers.#.norm.weight", &[D])];
    let own = blocks(0..6, &layer);
    let theirs: Tensors = blocks(1..7, &layer)
        .into_iter()
        .map(|(key, shape)| (key.replace("layers", "net.blocks"), shape))
        .collect();
    let truth = |key: &str| {
        let rest = key.strip_prefix("layers.")?;
        let layer: u64 = rest[..1].parse().ok()?;
        Some(format!("net.blocks.{}{}", layer + 1, &rest[1..]))
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

#[test]
fn layers_that_changed_places_are_left_open() {
    let own = tensors(&[("second.weight", &[D, D]), ("first.weight", &[D, D])]);
    let theirs = tensors(&[("a.weight", &[D, D]), ("b.weight", &[D, D])]);
    let fit = fitted(&own, &theirs);
    assert_eq!(pairs(&fit), []);
    assert_eq!(fit.open.len(), 1);
    assert_eq!((fit.missing.len(), fit.unused.len()), (2, 2));
    // Numbers that count against the order.
    let own = tensors(&[("fc2.weight", &[D, D]), ("fc1.weight", &[D, D])]);
    let theirs = tensors(&[("lin1.weight", &[D, D]), ("lin2.weight", &[D, D])]);
    let truth = |key: &str| Some(key.replace("fc", "lin"));
    open(&own, &theirs, truth);
}

#[test]
fn candidates_as_good_as_each_other_are_left_open() {
    let model: [(&str, &[u64]); 3] = [
        ("conv1.weight", &[8, 3, 3, 3]),
        ("layer.0.conv.weight", &[8, 8, 3, 3]),
        ("layer.0.fc.weight", &[5, 8]),
    ];
    let prefixed = |prefix: &str| -> Tensors {
        tensors(&model).into_iter().map(|(key, shape)| (format!("{prefix}.{key}"), shape)).collect()
    };
    let two = [prefixed("student"), prefixed("teacher")].concat();
    assert_eq!(pairs(&fitted(&two, &tensors(&model))), []);
    assert_eq!(pairs(&fitted(&tensors(&model), &two)), []);
    assert_eq!(fitted(&tensors(&model), &two).missing.len(), 6);
    let options = FitOptions {
        drop: vec![Template::parse("teacher.**", SEPARATOR).expect("a pattern")],
        ..FitOptions::default()
    };
    let fit = fitted_by(&two, &tensors(&model), &options).expect("fitted");
    assert_eq!((fit.pairs.len(), fit.skipped.len(), fit.missing.len()), (3, 3, 0));
}

#[test]
fn a_numbering_that_does_not_fit_is_not_forced() {
    let layer: [(&str, &[u64]); 2] =
        [("blocks.#.a.weight", &[D, D]), ("blocks.#.b.weight", &[9, D])];
    let (own, theirs) = (blocks(1..7, &layer), blocks(0..6, &layer));
    let fit = fitted(&own, &theirs);
    assert_eq!((pairs(&fit), fit.missing.len(), fit.open.len()), (vec![], 12, 2));
    let by_name = FitOptions { by: MatchBy::Name, ..FitOptions::default() };
    let fit = fitted_by(&own, &theirs, &by_name).expect("no place is needed");
    assert_eq!((fit.pairs.len(), fit.missing.len()), (10, 2));
    // More layers on one side are not another numbering.
    for (own, theirs) in [(0..6, 0..9), (0..9, 0..6)] {
        let fit = fitted(&blocks(own, &layer), &blocks(theirs, &layer));
        assert!(fit.pairs.iter().all(|pair| pair.from == pair.to));
        assert_eq!(fit.pairs.len(), 12);
    }
}

#[test]
fn numbers_that_shapes_prove_wrong_are_found_again() {
    let stage = |number: u64, width: u64, merges: bool| {
        let mut all = conv(format!("layers.{number}.block"), width, width, 3);
        if merges {
            all.extend(conv(format!("layers.{number}.downsample"), 2 * width, width, 1));
        }
        all
    };
    let own = [stage(0, 8, true), stage(1, 16, true), stage(2, 32, false)].concat();
    // The same merging, counted to the stage after it.
    let theirs: Tensors = own
        .iter()
        .map(|(key, shape)| {
            let number: u64 = key[7..8].parse().expect("a number");
            match key.contains("downsample") {
                true => (format!("layers.{}.downsample.weight", number + 1), shape.clone()),
                false => (key.clone(), shape.clone()),
            }
        })
        .collect();
    let truth = |key: &str| {
        let place = own.iter().position(|(own, _)| own == key)?;
        Some(theirs[place].0.clone())
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

#[test]
fn what_moved_into_a_list_is_left_open() {
    let mlp = |names: [&str; 3]| {
        let shapes: [&[u64]; 3] = [&[D, D], &[D, D], &[9, D]];
        let all = names.into_iter().zip(shapes);
        all.map(|(name, shape)| (format!("head.{name}.weight"), shape.to_vec()))
            .collect::<Tensors>()
    };
    let numbered = mlp(["layers.0", "layers.1", "layers.2"]);
    let named = mlp(["first", "layers.0", "last"]);
    for (own, theirs) in [(&numbered, &named), (&named, &numbered)] {
        assert!(fitted(own, theirs).pairs.iter().all(|pair| pair.from != pair.to));
    }
}

#[test]
fn layers_counted_on_under_a_prefix_are_found() {
    let layer: [(&str, &[u64]); 2] =
        [("layers.#.q.weight", &[D, D]), ("layers.#.fc.weight", &[9, D])];
    let own = blocks(1..5, &layer);
    let theirs: Tensors = blocks(0..4, &layer)
        .into_iter()
        .map(|(key, shape)| (format!("model.{key}"), shape))
        .collect();
    let truth = |key: &str| {
        let number: u64 = key[7..8].parse().ok()?;
        Some(format!("model.layers.{}{}", number - 1, &key[8..]))
    };
    assert_eq!(open(&own, &theirs, truth), [""; 0]);
}

#[test]
fn a_rule_does_not_speak_of_numbers_it_has_not_seen() {
    // A block of three norms, and a first one of two, of which the second is called otherwise.
    let block = |block: u64, norms: &[(u64, u64)]| {
        let norm = |(at, size): &(u64, u64)| batch_norm(format!("f.{block}.b.{at}.1"), *size, true);
        norms.iter().flat_map(norm).collect::<Tensors>()
    };
    let own = [block(1, &[(0, 8), (2, 4)]), block(2, &[(0, 6), (1, 6), (3, 5)])].concat();
    let names = ["0.0.bn1", "0.0.bn2", "1.0.bn1", "1.0.bn2", "1.0.bn3"];
    let sizes = [8, 4, 6, 6, 5];
    let named = |(name, size): (&str, u64)| batch_norm(format!("blocks.{name}"), size, true);
    let theirs: Tensors = names.into_iter().zip(sizes).flat_map(named).collect();
    let truth = |key: &str| {
        let place = own.iter().position(|(own, _)| own == key)?;
        Some(theirs[place].0.clone())
    };
    open(&own, &theirs, truth);
}

#[test]
fn heads_of_other_tasks_are_left_alone() {
    let body = tensors(&[("embed.weight", &[9, D]), ("block.0.fc.weight", &[3, D])]);
    let head = |names: &[&str]| {
        names
            .iter()
            .flat_map(|name| {
                tensors(&[(&format!("{name}.weight"), &[2, D]), (&format!("{name}.bias"), &[2])])
            })
            .collect::<Tensors>()
    };
    let dense = norm("cls.transform.norm");
    let own = [body.clone(), dense, head(&["cls.seq_relationship"])].concat();
    let theirs = [body.clone(), head(&["qa_outputs"])].concat();
    assert_eq!(fitted(&own, &theirs).pairs.len(), 2);
    assert_eq!(fitted(&theirs, &own).pairs.len(), 2);
    // What follows on the same is the same.
    let (own, theirs) =
        ([body.clone(), head(&["fc"])].concat(), [body, head(&["classifier"])].concat());
    assert_eq!(fitted(&own, &theirs).pairs.len(), 4);
    // Two dense layers of one shape are not one because both are called dense.
    let own = tensors(&[("embed.weight", &[9, D]), ("bert.pooler.dense.weight", &[D, D])]);
    let head = tensors(&[("lm_head.bias", &[9]), ("lm_head.dense.weight", &[D, D])]);
    let theirs = [tensors(&[("embed.weight", &[9, D])]), head].concat();
    assert_eq!(fitted(&own, &theirs).pairs.len(), 1);
}

#[test]
fn digits_of_a_name_are_not_numbers_of_layers() {
    let body: [(&str, &[u64]); 3] = [
        ("encoder.0.a.weight", &[D, D]),
        ("encoder.0.b.weight", &[9, D]),
        ("encoder.norm.weight", &[D]),
    ];
    let own: Tensors =
        tensors(&body).into_iter().map(|(key, it)| (format!("wav2vec2.{key}"), it)).collect();
    let truth = |key: &str| Some(key.replace("wav2vec2.", ""));
    assert_eq!(open(&own, &tensors(&body), truth), [""; 0]);
    assert_eq!(open(&tensors(&body), &own, |key| Some(format!("wav2vec2.{key}"))), [""; 0]);
}

#[test]
fn parts_of_attention_are_never_paired_by_their_order() {
    let layers = |names: [&str; 3]| {
        let layer =
            |number: u64| names.map(|name| (format!("l.{number}.{name}.weight"), vec![D, D]));
        (0..3).flat_map(layer).collect::<Tensors>()
    };
    let own = layers(["attn.q", "attn.k", "attn.v"]);
    let truth = |key: &str| {
        let key = key.replace("l.", "h.").replace("attn.q", "self.query");
        Some(key.replace("attn.k", "self.key").replace("attn.v", "self.value"))
    };
    for names in [
        ["self.query", "self.key", "self.value"],
        ["self.value", "self.query", "self.key"],
        ["self.key", "self.value", "self.query"],
    ] {
        let theirs: Tensors = layers(names)
            .into_iter()
            .map(|(key, shape)| (key.replace("l.", "h."), shape))
            .collect();
        assert_eq!(open(&own, &theirs, truth), [""; 0]);
    }
}

#[test]
fn twins_go_with_their_own_or_with_none() {
    let layer: [(&str, &[u64]); 3] = [
        ("#.attn.q_proj.weight", &[D, D]),
        ("#.attn.v_proj.weight", &[D, D]),
        ("#.norm1.weight", &[D]),
    ];
    let twins = |one: &str, other: &str| -> Tensors {
        let side = |name: &str| -> Tensors {
            let all = blocks(0..2, &layer).into_iter();
            all.map(|(key, shape)| (format!("{name}.layers.{key}"), shape)).collect()
        };
        [side(one), side(other)].concat()
    };
    let truth = |key: &str| Some(format!("model.{key}"));
    let own = twins("encoder", "decoder");
    assert_eq!(open(&own, &twins("model.decoder", "model.encoder"), truth), [""; 0]);
    // A student may be either of two that are called otherwise.
    let fit = fitted(&twins("student", "teacher"), &twins("online", "target"));
    assert_eq!(pairs(&fit), []);
}

#[test]
fn another_model_does_not_fit() {
    let own = torchvision();
    let theirs = [
        tensors(&[("cls_token", &[1, 1, D]), ("patch_embed.proj.weight", &[D, 3, 16, 16])]),
        blocks(
            0..12,
            &[
                ("blocks.#.norm1.weight", &[D]),
                ("blocks.#.norm1.bias", &[D]),
                ("blocks.#.attn.qkv.weight", &[3 * D, D]),
                ("blocks.#.attn.qkv.bias", &[3 * D]),
                ("blocks.#.mlp.fc1.weight", &[4 * D, D]),
                ("blocks.#.mlp.fc1.bias", &[4 * D]),
            ],
        ),
    ]
    .concat();
    let fit = fitted(&own, &theirs);
    assert_eq!(pairs(&fit), []);
    assert_eq!(fit.missing.len(), theirs.len());
}

#[test]
fn lone_vectors_at_other_places_are_left_alone() {
    let body = tensors(&[("embed.weight", &[9, D]), ("block.fc.weight", &[3, D])]);
    let own = [norm("ln_pre"), body.clone()].concat();
    let theirs = [body, norm("fc_norm")].concat();
    assert_eq!(fitted(&own, &theirs).pairs.len(), 2);
}

#[test]
fn shapes_that_differ_are_reported() {
    let own = tensors(&[("fc.weight", &[1000, 8]), ("conv.weight", &[8, 3])]);
    let theirs = tensors(&[("fc.weight", &[200, 8]), ("conv.weight", &[8, 3])]);
    let fit = fitted(&own, &theirs);
    assert_eq!(pairs(&fit), [("conv.weight", "conv.weight")]);
    assert_eq!(
        (fit.misfits[0].has.as_slice(), fit.misfits[0].wanted.shape.as_slice()),
        (&[1000, 8][..], &[200, 8][..])
    );
    assert_eq!((fit.missing, fit.unused), (vec![], vec![]));
}

#[test]
fn batch_counters_go_with_their_modules_or_are_reported() {
    let (own, theirs) = (batch_norm("net.bn1".into(), 8, true), batch_norm("bn1".into(), 8, true));
    assert_eq!(fitted(&own, &theirs).pairs.len(), 5);
    let fit = fitted(&batch_norm("net.bn1".into(), 8, false), &theirs);
    assert_eq!((fit.pairs.len(), fit.counters.len(), fit.missing.len()), (4, 1, 0));
    let fit = fitted(&own, &batch_norm("bn1".into(), 8, false));
    assert_eq!((fit.pairs.len(), fit.unused), (4, vec!["net.bn1.num_batches_tracked".into()]));
}

/// The classic snippet's case: other names in the same order, and a head of another size.
fn positional() -> (Tensors, Tensors) {
    let body = |stem: &str, blocks: &str| {
        let mut all = [
            tensors(&[
                (&format!("{stem}.weight"), &[16, 3, 3, 3]),
                (&format!("{stem}.bias"), &[16]),
            ]),
            batch_norm("bn".into(), 16, true),
        ]
        .concat();
        for i in 0..3 {
            all.extend(tensors(&[
                (&format!("{blocks}.{i}.0.weight"), &[16, 16, 3, 3]),
                (&format!("{blocks}.{i}.0.bias"), &[16]),
            ]));
            all.extend(batch_norm(format!("{blocks}.{i}.1"), 16, true));
        }
        all
    };
    let head = |classes| tensors(&[("myFc.weight", &[classes, 16]), ("myFc.bias", &[classes])]);
    (
        [body("module.stem", "module.blocks"), head(1000)].concat(),
        [body("conv", "layers"), head(200)].concat(),
    )
}

#[test]
fn the_snippets_case_is_fitted_by_evidence_and_by_position() {
    let (own, theirs) = positional();
    let fit = fitted(&own, &theirs);
    assert_eq!((fit.pairs.len(), fit.misfits.len(), fit.missing.len()), (own.len() - 2, 2, 0));
    let options = FitOptions {
        by: MatchBy::Position,
        drop_last: 2,
        made: vec![Template::parse("myFc.*", SEPARATOR).expect("a pattern")],
        ..FitOptions::default()
    };
    let by_position = fitted_by(&own, &theirs, &options).expect("as many on both sides");
    assert_eq!(pairs(&by_position), pairs(&fit));
    assert_eq!(by_position.skipped, ["myFc.weight", "myFc.bias"]);
    assert!(by_position.pairs.iter().all(|pair| pair.reason == Reason::Position));
}

#[test]
fn positions_need_as_many_keys_and_an_order_that_means_something() {
    let (own, theirs) = (tensors(&[("a", &[1]), ("b", &[2])]), tensors(&[("c", &[1])]));
    let by_position = FitOptions { by: MatchBy::Position, ..FitOptions::default() };
    assert_eq!(fitted_by(&own, &theirs, &by_position), Err(NotFitted::Counts { from: 2, to: 1 }));
    let last = FitOptions { drop_last: 1, ..by_position.clone() };
    assert_eq!(fitted_by(&own, &theirs, &last).map(|fit| fit.pairs.len()), Ok(1));
    let unordered = FitOptions { ordered: Ordered { source: false, target: true }, ..last };
    let error = fitted_by(&own, &theirs, &unordered);
    assert_eq!(error, Err(NotFitted::Unordered(Whose::Source)));
    let first = FitOptions { drop: vec![Template::literal("a", SEPARATOR)], ..by_position };
    let fit = fitted_by(&own, &theirs, &first).expect("as many on both sides");
    assert_eq!((fit.pairs.len(), fit.misfits.len()), (0, 1));
}

#[test]
fn evidence_can_be_narrowed() {
    let own = tensors(&[
        ("a.weight", &[1]),
        ("module.b.weight", &[2]),
        ("net.c.weight", &[3]),
        ("net.d.weight", &[4]),
    ]);
    let theirs =
        tensors(&[("a.weight", &[1]), ("b.weight", &[2]), ("c.weight", &[3]), ("d.weight", &[4])]);
    let count = |by| {
        fitted_by(&own, &theirs, &FitOptions { by, ..FitOptions::default() })
            .map(|fit| fit.pairs.len())
    };
    assert_eq!(
        (count(MatchBy::Name), count(MatchBy::Wrapper), count(MatchBy::Suffix)),
        (Ok(1), Ok(2), Ok(4))
    );
}

#[test]
fn order_decides_only_between_what_is_sure() {
    let own = tensors(&[("s.weight", &[7, 7]), ("x.weight", &[5, 5]), ("e.weight", &[6, 6])]);
    let theirs = tensors(&[("s.weight", &[7, 7]), ("y.weight", &[5, 5]), ("e.weight", &[6, 6])]);
    assert_eq!(pairs(&fitted(&own, &theirs))[1], ("x.weight", "y.weight"));
    let crossed = tensors(&[("s.weight", &[7, 7]), ("e.weight", &[6, 6]), ("y.weight", &[5, 5])]);
    assert_eq!(fitted(&own, &crossed).pairs.len(), 2);
}

/// Odd keys and keys made of them by rules, with few shapes, so that much could be each other's.
fn sides(scene: &mut Scene) -> (Tensors, Tensors) {
    let shapes: [&[u64]; 4] = [&[], &[4], &[4, 4], &[2, 4]];
    let rules = [scene.dice.rule(&scene.keys), scene.dice.rule(&scene.keys)];
    let (mut source, mut target, mut taken) = (Vec::new(), Vec::new(), HashSet::new());
    for key in &scene.keys {
        let shape = shapes[scene.dice.throw(4)].to_vec();
        let new = match rules[scene.dice.throw(2)].apply(key) {
            Fate::Becomes(new) => new,
            _ => key.clone(),
        };
        let other = shapes[scene.dice.throw(4)].to_vec();
        let wanted = if scene.dice.throw(4) == 3 { other } else { shape.clone() };
        if taken.insert(new.clone()) {
            target.push((new, wanted));
        }
        source.push((key.clone(), shape));
    }
    (source, target)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the keys, each is listed once, pairs have one shape, and all that is said to be
    /// made can be.
    #[test]
    fn every_key_is_accounted_for(mut scene in scenes()) {
        let (source, target) = sides(&mut scene);
        for by in [MatchBy::Name, MatchBy::Wrapper, MatchBy::Suffix, MatchBy::Auto] {
            let options = FitOptions { by, ..FitOptions::default() };
            let fit = fitted_by(&source, &target, &options).expect("no place is needed");
            let misfits = fit.misfits.iter().map(|it| (&it.from, &it.wanted.key));
            let pairs = fit.pairs.iter().map(|pair| (&pair.from, &pair.to));
            let (mut from, mut to): (Vec<_>, Vec<_>) = pairs.chain(misfits).unzip();
            from.extend(&fit.unused);
            to.extend(fit.missing.iter().chain(&fit.counters).map(|wanted| &wanted.key));
            let (olds, news): (Vec<_>, Vec<_>) =
                (source.iter().map(|(key, _)| key).collect(), target.iter().map(|(key, _)| key).collect());
            let unique = |keys: &[&String]| keys.iter().copied().cloned().collect::<HashSet<_>>();
            prop_assert_eq!((from.len(), unique(&from)), (olds.len(), unique(&olds)));
            prop_assert_eq!((to.len(), unique(&to)), (news.len(), unique(&news)));
            let shape = |tensors: &Tensors, key: &String| tensors.iter().find(|(k, _)| k == key).map(|(_, s)| s.clone());
            for pair in &fit.pairs {
                prop_assert_eq!(shape(&source, &pair.from), shape(&target, &pair.to));
            }
        }
    }

    /// Where the order means nothing, no order changes what is found.
    #[test]
    fn an_order_without_meaning_changes_nothing(mut scene in scenes()) {
        let (mut source, mut target) = sides(&mut scene);
        let options =
            FitOptions { ordered: Ordered { source: false, target: false }, ..FitOptions::default() };
        let found = |source: &Tensors, target: &Tensors| {
            let fit = fitted_by(source, target, &options).expect("no place is needed");
            pairs(&fit).into_iter().map(|(a, b)| (a.to_string(), b.to_string())).collect::<HashSet<_>>()
        };
        let before = found(&source, &target);
        for _ in 0..3 {
            let (a, b) = (scene.dice.throw(source.len().max(1)), scene.dice.throw(target.len().max(1)));
            if a < source.len() {
                source.rotate_left(a);
            }
            if b < target.len() {
                target.rotate_left(b);
            }
            source.reverse();
            prop_assert_eq!(&found(&source, &target), &before);
        }
    }

    /// A fit into itself is the same names, whatever the keys.
    #[test]
    fn everything_fits_into_itself(mut scene in scenes()) {
        let (source, _) = sides(&mut scene);
        let fit = fitted(&source, &source);
        prop_assert!(fit.pairs.iter().all(|pair| pair.from == pair.to && pair.reason == Reason::SameName));
        prop_assert_eq!(fit.pairs.len(), source.len());
    }
}

/// A key that has nothing to do with the others, and a shape that some of them have.
fn insert_unrelated(tensors: &mut Tensors, place: usize, shape: usize) {
    let shape = tensors[shape % tensors.len()].1.clone();
    tensors.insert(place % (tensors.len() + 1), ("ema.beta_1".into(), shape));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// What is right without a key that belongs nowhere is right, or left open, with it.
    #[test]
    fn a_key_that_belongs_nowhere_makes_nothing_wrong(
        place in 0usize..64, shape in 0usize..64, is_ordered: bool, is_wanted: bool,
    ) {
        let (mut own, mut theirs) = positional();
        let ordered = Ordered { source: is_ordered, target: is_ordered };
        let options = FitOptions { ordered, ..FitOptions::default() };
        let right = fitted(&own, &theirs);
        insert_unrelated(if is_wanted { &mut theirs } else { &mut own }, place, shape);
        let fit = fitted_by(&own, &theirs, &options).expect("no place is needed");
        for pair in pairs(&fit) {
            prop_assert!(pairs(&right).contains(&pair), "{:?}", pair);
        }
    }
}

#[test]
fn what_is_put_together_has_the_targets_tensors() {
    let (own, theirs) = positional();
    let (source, target) = (catalog(&own), catalog(&theirs));
    let fit = fit(side(&source), side(&target), &FitOptions::default()).expect("fitted");
    let refused = fit.assemble(side(&source), None, &FillOptions::default()).map(|_| ());
    let messages: Vec<_> =
        refused.expect_err("a head is missing").iter().map(ToString::to_string).collect();
    let expected = [
        "'myFc.weight': file has [1000, 16], target wants [200, 16]",
        "'myFc.bias': file has [1000], target wants [200]",
    ];
    assert_eq!(messages, expected);
    let zeros = InitRule::parse("myFc.*=zeros", SEPARATOR).expect("a rule");
    let initialiser = Initialiser { rules: vec![zeros], seed: 0 };
    let filling = FillOptions { casts: Casts::Refuse, initialiser, resize: Vec::new() };
    let put = fit.assemble(side(&source), None, &filling).expect("all is there");
    let made: Vec<_> =
        put.contents.tensors.iter().map(|(key, it)| (key.clone(), it.shape().to_vec())).collect();
    assert_eq!((made, put.made.len()), (theirs, 2));
}

/// Every key of the target is found, and each in the source that is named so.
fn all_found(source: &Tensors, target: &Tensors, expected: &[(&str, &str)]) {
    let fit = fitted(source, target);
    assert_eq!(fit.missing, [], "{:?}", pairs(&fit));
    for pair in expected {
        assert!(pairs(&fit).contains(pair), "{pair:?}: {:?}", pairs(&fit));
    }
}

#[test]
fn what_adapters_and_copies_put_into_names_is_seen_through() {
    let target =
        tensors(&[("a.q.weight", &[4, 4]), ("a.k.weight", &[4, 4]), ("head.weight", &[4, 4])]);
    let peft = tensors(&[
        ("base_model.model.a.k.base_layer.weight", &[4, 4]),
        ("base_model.model.a.q.base_layer.weight", &[4, 4]),
        ("base_model.model.head.original_module.weight", &[4, 4]),
        ("base_model.model.head.modules_to_save.default.weight", &[4, 4]),
    ]);
    let pairs = [
        ("base_model.model.a.q.base_layer.weight", "a.q.weight"),
        ("base_model.model.head.modules_to_save.default.weight", "head.weight"),
    ];
    all_found(&peft, &target, &pairs);
}

#[test]
fn names_without_dots_are_those_with_dots() {
    let model = blocks(
        0..3,
        &[
            ("diffusion_model.input_blocks.#.0.weight", &[4, 4]),
            ("diffusion_model.input_blocks.#.0.bias", &[4]),
            ("diffusion_model.out.#.bias", &[4]),
        ],
    );
    let mut average = blocks(
        0..3,
        &[
            ("model_ema.diffusion_modelout#bias", &[4]),
            ("model_ema.diffusion_modelinput_blocks#0bias", &[4]),
            ("model_ema.diffusion_modelinput_blocks#0weight", &[4, 4]),
        ],
    );
    average.extend(tensors(&[("model_ema.decay", &[])]));
    let pair =
        ("model_ema.diffusion_modelinput_blocks20bias", "diffusion_model.input_blocks.2.0.bias");
    all_found(&average, &model, &[pair]);
    let bare: Tensors = model
        .into_iter()
        .map(|(key, shape)| (key.replacen("diffusion_model.", "", 1), shape))
        .collect();
    all_found(&average, &bare, &[("model_ema.diffusion_modelout1bias", "out.1.bias")]);
}

#[test]
fn words_joined_by_underscores_are_segments_elsewhere() {
    let modules = |join: &str, a: &str| -> Tensors {
        ["down.0.attn1.to_q", "down.1.attn1.to_q", "mid.proj_in"]
            .into_iter()
            .flat_map(|module| {
                let module = format!(
                    "{join}{}",
                    if join.ends_with('_') { module.replace('.', "_") } else { module.into() }
                );
                [(format!("{module}.alpha"), vec![]), (format!("{module}.{a}.weight"), vec![2, 4])]
            })
            .collect()
    };
    let (kohya, diffusers) = (modules("lora_unet_", "lora_down"), modules("unet.", "lora_A"));
    let pair = ("lora_unet_down_1_attn1_to_q.alpha", "unet.down.1.attn1.to_q.alpha");
    all_found(&kohya, &diffusers, &[pair]);
    all_found(&diffusers, &kohya, &[(pair.1, pair.0)]);
    // Two names that are the same without dots are neither's.
    let two = tensors(&[("u.a.1.1.weight", &[4]), ("u.a.11.weight", &[4]), ("u.b.0.bias", &[4])]);
    let one = tensors(&[("lora_u_a_1_1.weight", &[4]), ("lora_u_b_0.bias", &[4])]);
    let fit = fitted(&one, &two);
    assert!(!pairs(&fit).contains(&("lora_u_a_1_1.weight", "u.a.11.weight")), "{:?}", pairs(&fit));
}

#[test]
fn a_prefix_of_a_word_is_not_a_prefix_of_a_name() {
    let source = tensors(&[("pre_classifier.0.weight", &[4]), ("pre_classifier.1.weight", &[4])]);
    let target = tensors(&[("classifier.0.weight", &[4]), ("classifier.1.weight", &[4])]);
    let fit = fitted(&source, &target);
    assert!(fit.pairs.iter().all(|pair| pair.reason != Reason::Joined), "{:?}", pairs(&fit));
}

#[test]
fn values_go_where_their_siblings_went() {
    let (mut source, mut target) = (Tensors::new(), Tensors::new());
    for (number, (from, to)) in
        [("x", "first"), ("y", "second"), ("z", "third")].into_iter().enumerate()
    {
        let size = number as u64 + 5;
        source.extend(tensors(&[
            (&format!("{from}.alpha"), &[]),
            (&format!("{from}.down.weight"), &[2, size]),
        ]));
        target.extend(tensors(&[
            (&format!("m.{to}.A.weight"), &[2, size]),
            (&format!("m.{to}.alpha"), &[]),
        ]));
    }
    all_found(&source, &target, &[("y.alpha", "m.second.alpha"), ("z.alpha", "m.third.alpha")]);
}

#[test]
fn parametrizations_have_two_names() {
    let old = tensors(&[
        ("a.weight_g", &[4, 1]),
        ("a.weight_v", &[4, 4]),
        ("b.weight_orig", &[4, 4]),
        ("b.weight_u", &[4]),
        ("b.weight_v", &[4]),
    ]);
    let new = tensors(&[
        ("b.parametrizations.weight.0._v", &[4]),
        ("b.parametrizations.weight.0._u", &[4]),
        ("b.parametrizations.weight.original", &[4, 4]),
        ("a.parametrizations.weight.original1", &[4, 4]),
        ("a.parametrizations.weight.original0", &[4, 1]),
    ]);
    let pairs = [
        ("a.weight_g", "a.parametrizations.weight.original0"),
        ("b.weight_v", "b.parametrizations.weight.0._v"),
    ];
    all_found(&old, &new, &pairs);
    all_found(&new, &old, &pairs.map(|(old, new)| (new, old)));
}

#[test]
fn tensors_that_are_joined_stacked_or_transposed_are_named() {
    let check =
        |source: &[(&str, &[u64])], target: &[(&str, &[u64])], how: Composed, number: usize| {
            for (source, target) in [(source, target), (target, source)] {
                let (source, target) = (catalog(&tensors(source)), catalog(&tensors(target)));
                let found =
                    fit(side(&source), side(&target), &FitOptions::default()).expect("fitted");
                let found = found.composites(side(&source));
                assert_eq!(
                    found.iter().map(|it| (it.how, it.parts.len())).collect::<Vec<_>>(),
                    [(how, number)]
                );
            }
        };
    let parts: [(&str, &[u64]); 3] =
        [("h.q.weight", &[4, 3]), ("h.k.weight", &[2, 3]), ("h.v.weight", &[2, 3])];
    check(
        &parts,
        &[("h.qkv.weight", &[8, 3])],
        Composed::Joined { dimension: 0, transposed: false },
        3,
    );
    check(
        &parts,
        &[("h.c_attn.weight", &[3, 8])],
        Composed::Joined { dimension: 1, transposed: true },
        3,
    );
    let experts: [(&str, &[u64]); 4] = [
        ("e.0.w1.weight", &[8, 4]),
        ("e.0.w3.weight", &[8, 4]),
        ("e.1.w1.weight", &[8, 4]),
        ("e.1.w3.weight", &[8, 4]),
    ];
    check(&experts, &[("e.gate_up", &[2, 16, 4])], Composed::Stacked { transposed: false }, 4);
    check(&experts[..1], &[("e.0.w1.weight", &[4, 8])], Composed::Transposed, 1);
}

/// The pairs that are left open though names and shapes fit, each with the reason.
fn uncertain(source: &Tensors, target: &Tensors) -> Vec<(String, String, Uncertainty)> {
    let fit = fitted(source, target);
    let open = fit.open.iter().filter_map(|open| Some((open, open.why?)));
    open.map(|(open, why)| (open.from[0].clone(), open.to[0].clone(), why)).collect()
}

#[test]
fn rows_of_rotated_heads_are_not_taken_for_the_same() {
    let meta = tensors(&[
        ("layers.0.attention.wq.weight", &[8, 4]),
        ("layers.0.attention.wk.weight", &[2, 4]),
        ("layers.0.attention.wo.weight", &[4, 8]),
        ("layers.0.attention_norm.weight", &[4]),
    ]);
    let hf = tensors(&[
        ("model.layers.0.self_attn.q_proj.weight", &[8, 4]),
        ("model.layers.0.self_attn.k_proj.weight", &[2, 4]),
        ("model.layers.0.self_attn.o_proj.weight", &[4, 8]),
        ("model.layers.0.input_layernorm.weight", &[4]),
    ]);
    let pair = |own: &str, theirs: &str| {
        let own = format!("layers.0.attention.{own}.weight");
        (own, format!("model.layers.0.self_attn.{theirs}.weight"), Uncertainty::Rotary)
    };
    assert_eq!(uncertain(&meta, &hf), [pair("wq", "q_proj"), pair("wk", "k_proj")]);
    // Learned positions say that nothing is rotated.
    let with =
        |tensors: &Tensors| [tensors.clone(), self::tensors(&[("wpe.weight", &[9, 4])])].concat();
    assert_eq!(uncertain(&with(&meta), &with(&hf)), []);
}

#[test]
fn square_matrices_among_turned_ones_are_not_taken_for_the_same() {
    let conv1d = tensors(&[("h.0.c_attn.weight", &[4, 12]), ("h.0.c_proj.weight", &[4, 4])]);
    let linear = tensors(&[("h.0.c_attn.weight", &[12, 4]), ("h.0.c_proj.weight", &[4, 4])]);
    let pair = "h.0.c_proj.weight".to_string();
    assert_eq!(uncertain(&conv1d, &linear), [(pair.clone(), pair, Uncertainty::Transposed)]);
    assert_eq!(uncertain(&conv1d, &conv1d), []);
}

#[test]
fn parts_in_one_tensor_under_another_name_are_not_taken_for_the_same() {
    let own = tensors(&[("final.adaLN_modulation.1.weight", &[8, 4]), ("x.weight", &[4, 4])]);
    let theirs = tensors(&[("norm_out.linear.weight", &[8, 4]), ("x.weight", &[4, 4])]);
    let found = uncertain(&own, &theirs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].2, Uncertainty::Fused);
}

#[test]
fn a_weight_with_an_adapter_beside_it_is_not_what_a_model_wants() {
    let adapted = tensors(&[
        ("base_model.model.a.k.base_layer.weight", &[4, 4]),
        ("base_model.model.a.k.lora_A.default.weight", &[2, 4]),
        ("base_model.model.a.k.lora_B.default.weight", &[4, 2]),
        ("base_model.model.a.q.weight", &[4, 4]),
    ]);
    let model = tensors(&[("a.k.weight", &[4, 4]), ("a.q.weight", &[4, 4])]);
    let (own, theirs) = ("base_model.model.a.k.base_layer.weight", "a.k.weight");
    let found = uncertain(&adapted, &model);
    assert_eq!(found, [(own.into(), theirs.into(), Uncertainty::Unmerged)]);
}
