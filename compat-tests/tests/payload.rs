//! Payload as types of the caller's own, from files that PyTorch wrote.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use compat_tests::oracle;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use statedict_checkpoint::{Checkpoint, Kind};
use tempfile::TempDir;

/// What a few lines of Python save: `out` is the file.
fn saved(script: &str) -> (TempDir, Checkpoint) {
    let folder = tempfile::tempdir().expect("a folder");
    let out: PathBuf = folder.path().join("a.pth");
    oracle(json!({ "do": "script", "script": script, "out": out }));
    let checkpoint = Checkpoint::open(&out).expect("opens");
    (folder, checkpoint)
}

const TRAINING: &str = "
import argparse, collections, pathlib
import numpy as np
weights = {'w': torch.ones(2, 3)}
optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.1, momentum=0.9)
torch.save({
    'epoch': 12, 'arch': 'resnet', 'best': np.float64(0.75), 'steps': np.int32(-7), 'seed': 2**64 - 1,
    'state_dict': weights, 'optimizer': optimizer.state_dict(),
    'args': argparse.Namespace(lr=3e-4, gpus=[0, 1], name='run', dtype=torch.bfloat16, note=None,
                               device=torch.device('cuda:1'), out=pathlib.PurePosixPath('/a/b'),
                               size=torch.Size([2, 3]), betas=(0.9, 0.999), mode='train'),
    'history': collections.defaultdict(list, {'val': [1.0, 0.5]}),
    'classes': {'cat'}, 'by_rank': {0: 'a', 10: 'b'}, 'bytes': b'abc', 'on': True, 'huge': 2**70,
    'ordered': collections.OrderedDict([('z', 1), ('a', 2)]), 'schedule': {'Step': {'every': 5}},
}, out, pickle_protocol=PROTOCOL)
";

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Train,
    Test,
}

#[derive(Debug, Deserialize, PartialEq)]
enum Schedule {
    Step { every: u32 },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Args {
    lr: f64,
    gpus: Vec<u8>,
    name: String,
    dtype: String,
    note: Option<String>,
    absent: Option<u32>,
    device: String,
    out: String,
    size: (u64, u64),
    betas: [f64; 2],
    mode: Mode,
}

#[derive(Debug, Deserialize, PartialEq)]
struct Training {
    epoch: u32,
    arch: String,
    best: f64,
    steps: i32,
    seed: u64,
    args: Args,
    history: HashMap<String, Vec<f64>>,
    classes: Vec<String>,
    by_rank: BTreeMap<u32, String>,
    bytes: Vec<u8>,
    on: bool,
    huge: u128,
    ordered: BTreeMap<String, i8>,
    schedule: Schedule,
}

#[test]
fn a_trainers_state_is_read_by_fields_whatever_is_next_to_them() {
    let expected = Training {
        epoch: 12,
        arch: "resnet".into(),
        best: 0.75,
        steps: -7,
        seed: u64::MAX,
        args: Args {
            lr: 3e-4,
            gpus: vec![0, 1],
            name: "run".into(),
            dtype: "torch.bfloat16".into(),
            note: None,
            absent: None,
            device: "cuda:1".into(),
            out: "/a/b".into(),
            size: (2, 3),
            betas: [0.9, 0.999],
            mode: Mode::Train,
        },
        history: [("val".to_string(), vec![1.0, 0.5])].into(),
        classes: vec!["cat".into()],
        by_rank: [(0, "a".to_string()), (10, "b".to_string())].into(),
        bytes: b"abc".into(),
        on: true,
        huge: 1 << 70,
        ordered: [("a".to_string(), 2), ("z".to_string(), 1)].into(),
        schedule: Schedule::Step { every: 5 },
    };
    for protocol in 2..=5 {
        let (_folder, checkpoint) = saved(&TRAINING.replace("PROTOCOL", &protocol.to_string()));
        let found: Training = checkpoint.payload_as().expect("as described");
        assert_eq!(found, expected, "protocol {protocol}");
    }
}

#[test]
fn a_part_is_read_by_its_path() {
    let (_folder, checkpoint) = saved(&TRAINING.replace("PROTOCOL", "2"));
    let lr: f64 = checkpoint.payload_at("optimizer/param_groups/0/lr").expect("a number");
    assert_eq!(lr, 0.1);
    let gpu: u8 = checkpoint.payload_at("args/gpus/1").expect("a number");
    assert_eq!(gpu, 1);
    let ordered: serde_json::Map<String, Value> = checkpoint.payload_at("ordered").expect("a map");
    assert_eq!(Value::from(ordered), json!({ "z": 1, "a": 2 }));
    let error = checkpoint.payload_at::<IgnoredAny>("args/none").expect_err("nothing");
    assert!(error.to_string().ends_with("nothing at 'args/none' in the payload"), "{error}");
}

#[test]
fn what_is_of_another_type_is_an_error_that_says_where() {
    let (_folder, checkpoint) = saved(&TRAINING.replace("PROTOCOL", "2"));
    #[derive(Debug, Deserialize)]
    struct Wrong {
        #[allow(dead_code, reason = "it is never read")]
        args: BTreeMap<String, f64>,
    }
    let check = |found: Result<(), statedict_checkpoint::Error>, expected: &str| {
        let error = found.expect_err("of another type");
        assert_eq!(error.kind(), Kind::Mismatch);
        assert!(error.to_string().ends_with(expected), "{error}");
    };
    check(
        checkpoint.payload_as::<Wrong>().map(drop),
        "payload at 'args/gpus': invalid type: sequence, expected f64",
    );
    check(
        checkpoint.payload_at::<Vec<f64>>("state_dict/w").map(drop),
        "payload at 'state_dict/w': found a tensor, F32 [2, 3]",
    );
    check(
        checkpoint
            .payload_at::<u8>("epoch")
            .and_then(|_| checkpoint.payload_at::<bool>("epoch"))
            .map(drop),
        "payload at 'epoch': invalid type: integer `12`, expected a boolean",
    );
    check(
        checkpoint.payload_at::<i32>("seed").map(drop),
        "payload at 'seed': invalid value: integer `18446744073709551615`, expected i32",
    );
}

#[test]
fn what_refers_to_itself_or_is_reached_by_ever_more_paths_is_refused() {
    let cycle = "a = []\na.append(a)\ntorch.save({'a': a, 'w': torch.ones(1)}, out)";
    let (_folder, checkpoint) = saved(cycle);
    let error = checkpoint.payload_at::<Value>("a").expect_err("endless");
    assert!(error.to_string().ends_with(": nested deeper than 128"), "{error}");
    let bomb = "
import argparse
a = [0]
for _ in range(60): a = [a, a]
torch.save({'a': argparse.Namespace(a=a), 'n': 1, 'w': torch.ones(1)}, out)";
    let (_folder, checkpoint) = saved(bomb);
    let error = checkpoint.payload_at::<Value>("a").expect_err("endless");
    assert!(error.to_string().ends_with(": too many paths lead to the same values"), "{error}");
    assert_eq!(checkpoint.payload_at::<u8>("n").expect("a number"), 1);
}

#[test]
fn formats_of_tensors_alone_have_no_payload() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/plain.safetensors");
    let checkpoint = Checkpoint::open(fixture.as_ref()).expect("opens");
    let error = checkpoint.payload_as::<IgnoredAny>().expect_err("none");
    assert_eq!(error.kind(), Kind::Unsupported);
}

/// What is at a path in one of the fixtures of trainers, as JSON; an error without the file's name.
fn trainers(file: &str, path: &str) -> Value {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/trainers");
    let checkpoint = Checkpoint::open(&Path::new(folder).join(file)).expect("opens");
    checkpoint.payload_at(path).unwrap_or_else(|error| {
        let text = error.to_string();
        let reason = text.split_once("': ").expect("the file is named").1;
        reason.into()
    })
}

#[test]
fn instances_become_what_their_attributes_say_or_what_they_are_made_of() {
    let check = |file, path, expected| assert_eq!(trainers(file, path), expected, "{file} {path}");
    check(
        "lightning-omegaconf.ckpt",
        "hyper_parameters",
        json!({ "lr": 0.1, "model": { "width": 4 } }),
    );
    check("lightning-namespace.ckpt", "hyper_parameters", json!({ "lr": 0.1, "steps": 10 }));
    check("omegaconf.pt", "cfg", json!({ "a": [1, { "b": "???" }], "c": "${a}" }));
    check("yacs-like.pth", "cfg", json!({ "LR": 0.1, "MODEL": { "DEPTH": 50 } }));
    check("dataclass.pt", "settings", json!({ "lr": 0.1, "sizes": [1, 2] }));
    check("collections.pt", "counts", json!({ "a": 2, "b": 1, "c": 1 }));
    check("collections.pt", "last", json!([1.0, 2.0]));
    check("enum.pt", "level", json!(2));
    check("namedtuple.pt", "point", json!([1, 2]));
    check("pathlib.pt", "data", json!("/data/train"));
    check("numpy-scalars.pt", "step", json!(7));
    check("numpy-scalars.pt", "history", json!("payload at 'history': found an array of NumPy"));
    let date = "payload at 'date': found an instance of datetime.datetime";
    check("datetime.pt", "date", json!(date));
}
