//! `statedict fit` as its users meet it.

mod folder;

use std::fs;

use serde_json::{Value, json};

use folder::Folder;

/// A key with the name of its type, and its shape.
type Tensor<'a> = (&'a str, &'a str, &'a [u64]);

const SOURCE: [Tensor; 6] = [
    ("module.layers.0.fc.weight", "F32", &[4, 3]),
    ("module.layers.0.fc.bias", "F32", &[4]),
    ("module.layers.1.fc.weight", "F32", &[4, 3]),
    ("module.layers.1.fc.bias", "F32", &[4]),
    ("module.head.weight", "F32", &[5, 4]),
    ("module.epoch", "I64", &[1]),
];

const TARGET: [Tensor; 6] = [
    ("blocks.1.fc.weight", "F32", &[4, 3]),
    ("blocks.1.fc.bias", "F32", &[4]),
    ("blocks.2.fc.weight", "F32", &[4, 3]),
    ("blocks.2.fc.bias", "F32", &[4]),
    ("blocks.2.norm.num_batches_tracked", "I64", &[]),
    ("head.weight", "F32", &[2, 4]),
];

impl Folder {
    /// A folder with these safetensors files.
    fn with(files: &[(&str, &[Tensor])]) -> Folder {
        Folder::of(files.iter().map(|(name, tensors)| (*name, safetensors(tensors))))
    }

    fn of_models() -> Folder {
        Folder::with(&[("a.safetensors", &SOURCE), ("b.safetensors", &TARGET)])
    }

    /// The command ends with this status, having printed and said these lines.
    fn check(&self, words: &str, status: i32, out: &[&str], err: &[&str]) {
        let ran = self.typed(words);
        let lines = |text: &str| text.lines().map(String::from).collect::<Vec<_>>();
        assert_eq!((ran.status, lines(&ran.out)), (status, lines(&out.join("\n"))), "{}", ran.err);
        assert_eq!(lines(&ran.err), lines(&err.join("\n")));
    }

    fn json(&self, words: &str) -> Value {
        let ran = self.typed(words);
        serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err))
    }

    /// Keys with their types and shapes, in order.
    fn listed(&self, name: &str) -> Vec<(String, String, Value)> {
        let listing = self.json(&format!("ls {name} --json"));
        let text = |value: &Value| value.as_str().expect("a text").to_string();
        let tensors = listing["tensors"].as_array().expect("a list").iter();
        tensors.map(|it| (text(&it["key"]), text(&it["dtype"]), it["shape"].clone())).collect()
    }
}

/// A file whose tensors hold bytes that repeat after 61.
fn safetensors(tensors: &[Tensor]) -> Vec<u8> {
    let (mut entries, mut end) = (Vec::new(), 0);
    for (key, dtype, shape) in tensors {
        let width = if *dtype == "I64" {
            8
        } else if *dtype == "F32" {
            4
        } else {
            2
        };
        let start = end;
        end += shape.iter().product::<u64>() * width;
        entries.push(format!(
            r#""{key}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ));
    }
    let header = format!("{{{}}}", entries.join(","));
    let len = (header.len() as u64).to_le_bytes();
    let data: Vec<u8> = (0..end).map(|byte| (byte % 61) as u8).collect();
    [&len[..], header.as_bytes(), &data].concat()
}

#[test]
fn what_is_missing_is_refused_all_of_it_with_ways_out() {
    Folder::of_models().check(
        "fit a.safetensors --to b.safetensors -o out.safetensors",
        1,
        &[],
        &[
            "error: a.safetensors: 'module.head.weight' -> 'head.weight': file has [5, 4], target wants [2, 4]",
            "hint: --init 'head.weight=normal(0,0.02)' makes a new tensor",
            "hint: --resize head.weight=rows keeps the rows that both have; --init makes what is new",
        ],
    );
}

#[test]
fn without_an_output_the_fit_is_shown_with_the_line_that_writes_it() {
    let words = "fit a.safetensors --to b.safetensors --init head.weight=normal(0,0.02)";
    Folder::of_models().check(
        words,
        0,
        &[
            "a.safetensors: 4 of the 6 keys of b.safetensors found, 2 made, 1 not wanted",
            "  module.layers.{0..1}.fc.{weight,bias} -> blocks.{1..2}.fc.{weight,bias}  (same numbering and shapes, 4 keys)",
            "+ blocks.2.norm.num_batches_tracked: 0, for the file counts no batches []",
            "+ head.weight: normal(0,0.02) [2, 4]",
            "- module.epoch (not wanted)",
        ],
        &[
            "dry run, nothing written; to apply:",
            "  statedict fit a.safetensors --to b.safetensors --init 'head.weight=normal(0,0.02)' -o a-new.safetensors",
        ],
    );
}

#[test]
fn the_output_has_the_targets_keys_order_types_and_shapes() {
    let folder = Folder::of_models();
    let ran = folder.typed("fit a.safetensors --to b.safetensors --resize head.*=rows -o out.pth");
    assert_eq!(ran.status, 0, "{}", ran.err);
    let said = "wrote out.pth (pth, ";
    assert!(
        ran.err.starts_with(said) && ran.err.contains("+ head.weight: the first 2 rows [2, 4]")
    );
    assert_eq!(folder.listed("out.pth"), folder.listed("b.safetensors"));
    let diff = folder.json("diff out.pth a.safetensors --json");
    let renamed = diff["renamed"].as_array().expect("a list");
    assert_eq!(renamed.len(), 4, "{diff}");
}

#[test]
fn a_listing_is_a_target_and_the_same_seed_gives_the_same_bytes() {
    let folder = Folder::of_models();
    let listing = folder.typed("ls b.safetensors --json").out;
    fs::write(folder.path("b.json"), listing).expect("written");
    let write = |out: &str, seed: u64| {
        let words = format!(
            "fit a.safetensors --to b.json --init head.weight=normal(0,0.02) --seed {seed} -o {out}"
        );
        let ran = folder.typed(&words);
        assert_eq!(ran.status, 0, "{}", ran.err);
        fs::read(folder.path(out)).expect("written")
    };
    let first = write("1.safetensors", 7);
    assert_eq!(first, write("2.safetensors", 7));
    assert_ne!(first, write("3.safetensors", 8));
    let own = folder.typed("fit a.safetensors --to b.json --init head.weight=target");
    let why = "error: a.safetensors: 'module.head.weight' -> 'head.weight': file has [5, 4], target \
               wants [2, 4] (the target is a listing, which has no elements to keep)";
    assert_eq!((own.status, own.err.lines().next()), (1, Some(why)));
}

#[test]
fn the_target_keeps_its_own_where_that_is_asked_for() {
    let folder = Folder::of_models();
    let words = "fit a.safetensors --to b.safetensors --init head.weight=target -o out.safetensors";
    assert_eq!(folder.typed(words).status, 0);
    let diff = folder.json("diff out.safetensors b.safetensors --json");
    let differ = diff["values"].as_array().expect("a list").iter().map(|it| it["key"].clone());
    assert!(!differ.collect::<Vec<_>>().contains(&json!("head.weight")), "{diff}");
}

#[test]
fn types_are_cast_only_if_asked_for() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("x.w", "F32", &[2]), ("y.w", "F32", &[3])]),
        ("b.safetensors", &[("x.w", "BF16", &[2]), ("y.w", "F32", &[3])]),
    ]);
    folder.check(
        "fit a.safetensors --to b.safetensors -o out.safetensors",
        1,
        &[],
        &[
            "error: a.safetensors: x.w: file has F32, target wants BF16",
            "hint: add --cast to cast to the target's types",
        ],
    );
    let ran = folder.typed("fit a.safetensors --to b.safetensors --cast -o out.safetensors");
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("~ x.w: F32 -> BF16"), "{}", ran.err);
    assert_eq!(folder.listed("out.safetensors"), folder.listed("b.safetensors"));
}

#[test]
fn a_recipe_fits_a_sister_with_more_layers() {
    let sister: Vec<Tensor> = [
        ("module.layers.0.fc.weight", "F32", &[8, 3][..]),
        ("module.layers.7.fc.bias", "F32", &[8]),
        ("module.head.weight", "F32", &[9, 8]),
        ("module.epoch", "I64", &[1]),
    ]
    .into();
    let folder = Folder::of_models();
    fs::write(folder.path("sister.safetensors"), safetensors(&sister)).expect("written");
    let words = "fit a.safetensors --to b.safetensors --init **=zeros --save-recipe fit.toml";
    let ran = folder.typed(words);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(
        !ran.err.lines().any(|line| line.starts_with("  statedict") && line.contains("recipe"))
    );
    let applied = folder.typed("apply fit.toml sister.safetensors -o new.safetensors");
    assert_eq!(applied.status, 0, "{}", applied.err);
    let keys: Vec<_> = folder.listed("new.safetensors").into_iter().map(|(key, ..)| key).collect();
    assert_eq!(keys, ["blocks.1.fc.weight", "blocks.8.fc.bias", "head.weight"]);
}

#[test]
fn what_could_be_several_ways_is_left_open_and_named() {
    let folder = Folder::with(&[
        (
            "a.safetensors",
            &[
                ("x.weight", "F32", &[3, 3]),
                ("y.weight", "F32", &[3, 3]),
                ("z.weight", "F32", &[2]),
            ],
        ),
        (
            "b.safetensors",
            &[
                ("p.weight", "F32", &[3, 3]),
                ("q.weight", "F32", &[3, 3]),
                ("z.weight", "F32", &[2]),
            ],
        ),
    ]);
    folder.check(
        "fit a.safetensors --to b.safetensors -q",
        1,
        &["a.safetensors: 1 of the 3 keys of b.safetensors found, 2 not wanted", "  1 key (the same name)", "- x.weight (not wanted)", "- y.weight (not wanted)"],
        &[
            "error: a.safetensors: p.weight: missing, F32 [3, 3]",
            "error: a.safetensors: q.weight: missing, F32 [3, 3]",
            "error: a.safetensors: ambiguous: x.weight, y.weight could match any of p.weight, q.weight",
            "hint: --init 'p.weight=normal(0,0.02)' makes a new tensor",
            "hint: rename ambiguous keys first (statedict rename), or --drop those that are not meant",
        ],
    );
}

#[test]
fn another_model_does_not_fit() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("conv.weight", "F32", &[3, 3, 1, 1])]),
        ("b.safetensors", &[("embed.weight", "F32", &[9, 2])]),
    ]);
    let ran = folder.typed("fit a.safetensors --to b.safetensors");
    let hint = "hint: no key was found; is this a checkpoint of another model?";
    assert_eq!((ran.status, ran.err.lines().last()), (1, Some(hint)));
}

#[test]
fn shapes_alone_do_not_make_a_part_of_another_model_fit() {
    let folder = Folder::with(&[
        (
            "a.safetensors",
            &[
                ("net.conv.weight", "F32", &[3, 3, 1, 1]),
                ("net.embed.weight", "F32", &[1, 9, 2]),
                ("net.head.weight", "F32", &[7, 2]),
            ],
        ),
        ("b.safetensors", &[("x.first.weight", "F32", &[1, 9, 2])]),
    ]);
    let ran = folder.typed("fit a.safetensors --to b.safetensors");
    let lines: Vec<_> = ran.err.lines().collect();
    let error = "error: a.safetensors: 2 of its tensors are not wanted, and most of the 1 that are \
                 were matched by shape only";
    let hint = "hint: if the model is right, exclude the other keys with --drop PATTERN";
    assert_eq!((ran.status, lines), (1, vec![error, hint]));
    let words = "fit a.safetensors --to b.safetensors --drop **.conv.* --drop **.head.*";
    assert_eq!(folder.typed(words).status, 0);
}

#[test]
fn a_head_of_another_task_is_not_taken_for_its_shape() {
    let folder = Folder::with(&[
        (
            "a.safetensors",
            &[
                ("bert.embed.weight", "F32", &[9, 2]),
                ("cls.dense.weight", "F32", &[2, 2]),
                ("cls.seq_relationship.weight", "F32", &[5, 2]),
            ],
        ),
        (
            "b.safetensors",
            &[("bert.embed.weight", "F32", &[9, 2]), ("qa_outputs.weight", "F32", &[5, 2])],
        ),
    ]);
    let ran = folder.typed("fit a.safetensors --to b.safetensors");
    let lines: Vec<_> = ran.err.lines().take(2).collect();
    let expected = [
        "error: a.safetensors: qa_outputs.weight: missing, F32 [5, 2]",
        "error: a.safetensors: ambiguous: cls.seq_relationship.weight could match \
         qa_outputs.weight, by its shape only",
    ];
    assert_eq!((ran.status, lines.as_slice()), (1, &expected[..]));
}

#[test]
fn positions_mean_nothing_in_files_without_order() {
    Folder::of_models().check(
        "fit a.safetensors --to b.safetensors --by position",
        1,
        &[],
        &[
            "error: a.safetensors: the order of keys in the source means nothing",
            "hint: the other evidence needs no order: leave --by position out, and --drop PATTERN skips keys by name",
        ],
    );
}

#[test]
fn json_has_all_of_it_too() {
    let folder = Folder::of_models();
    let found = folder.json("fit a.safetensors --to b.safetensors --json --drop **.epoch");
    assert_eq!(found["fits"], json!(false));
    assert_eq!(found["pairs"][0]["from"], json!("module.layers.0.fc.weight"));
    assert_eq!(found["pairs"][0]["reason"], json!("template"));
    let misfit = json!([{ "from": "module.head.weight", "to": "head.weight", "has": [5, 4], "wants": [2, 4] }]);
    assert_eq!((&found["misfits"], &found["skipped"]), (&misfit, &json!(["module.epoch"])));
    let made = folder.json("fit a.safetensors --to b.safetensors --json --init head.weight=ones");
    let expected = json!([
        { "key": "blocks.2.norm.num_batches_tracked", "by": "zeros" },
        { "key": "head.weight", "by": "ones" },
    ]);
    assert_eq!((&made["fits"], &made["made"]), (&json!(true), &expected));
}

#[test]
fn nothing_is_replaced_without_force() {
    let folder = Folder::of_models();
    let words = "fit a.safetensors --to b.safetensors --init head.weight=ones -o b.safetensors";
    let before = fs::read(folder.path("b.safetensors")).expect("there");
    let ran = folder.typed(words);
    assert_eq!((ran.status, ran.err.lines().last()), (2, Some("hint: add --force to replace it")));
    assert_eq!(fs::read(folder.path("b.safetensors")).expect("there"), before);
}

#[test]
fn a_target_that_is_neither_checkpoint_nor_listing_is_refused() {
    let folder = Folder::of_models();
    fs::write(folder.path("b.json"), "{\"tensors\": 3}").expect("written");
    let ran = folder.typed("fit a.safetensors --to b.json");
    let hint = "hint: a target is a checkpoint, or what 'statedict ls --json' prints of one";
    assert_eq!((ran.status, ran.err.lines().last()), (2, Some(hint)));
}

#[test]
fn tied_tensors_are_resized_once_and_stay_tied() {
    let trainer = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/trainer.pth");
    let folder = Folder::of([
        ("tied.pth", fs::read(trainer).expect("readable")),
        (
            "new.safetensors",
            safetensors(&[
                ("embed.weight", "F32", &[9, 7]),
                ("norm.weight", "F32", &[7]),
                ("head.weight", "F32", &[9, 7]),
            ]),
        ),
    ]);
    let words = "fit tied.pth --to new.safetensors --resize *.weight=dim0,dim1 \
                 --resize norm.weight=rows --init **=normal(0,1) -o out.pth --json";
    let ran = folder.typed(words);
    let json: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let made: Vec<_> =
        json["made"].as_array().expect("a list").iter().map(|it| &it["by"]).collect();
    assert_eq!(made, ["dim0,dim1", "rows", "dim0,dim1"]);
    let listed = folder.json("ls --hash --json out.pth");
    assert_eq!(listed["tensors"][0]["sha256"], listed["tensors"][2]["sha256"]);
    let shared = folder.typed("convert out.pth out.safetensors");
    assert!(shared.err.contains("embed.weight = head.weight"), "{}", shared.err);
}

#[test]
fn a_plan_makes_of_a_sister_what_was_made_of_the_first() {
    let folder = Folder::of_models();
    let fit = |file: &str, rest: &str| {
        let words = format!(
            "fit {file} --to b.safetensors --resize head.*=rows,dim1 --init head.*=normal(0,1) {rest}"
        );
        let ran = folder.typed(&words);
        assert_eq!(ran.status, 0, "{}", ran.err);
    };
    fs::write(folder.path("sister.safetensors"), safetensors(&SOURCE)).expect("written");
    fit("a.safetensors", "--save-plan plan.json -o out.safetensors");
    fit("sister.safetensors", "-o expected.pth");
    let applied = folder.typed("apply plan.json sister.safetensors -o new.pth");
    assert_eq!(applied.status, 0, "{}", applied.err);
    assert_eq!(folder.typed("diff new.pth expected.pth").status, 0);
    assert_eq!(folder.typed("diff new.pth out.safetensors").status, 0);

    let refused = |words: &str, why: &str| {
        let ran = folder.typed(words);
        assert!(ran.status > 0 && ran.err.contains(why), "{words}: {}", ran.err);
    };
    refused("apply plan.json b.safetensors", "the plan names key 'module.layers.0.fc.weight'");
    refused("apply plan.json a.safetensors -i", "computes tensors, and in place only names change");
    let cast = folder.typed("apply plan.json a.safetensors --cast f16 -o cast.pth");
    assert!(cast.err.contains("5 tensors cast to F16"), "{}", cast.err);
    refused("apply plan.json a.safetensors --inverse -o c.pth", "the plan has no inverse");
    let keeps = "fit a.safetensors --to b.safetensors --init **=target --save-plan own.json";
    refused(keeps, "a plan cannot hold the target's own tensors");
}

#[test]
fn a_plan_of_names_alone_is_used_in_place_and_leads_back() {
    let folder = Folder::with(&[
        ("a.safetensors", &[("module.x.w", "F32", &[2]), ("module.y.w", "F32", &[3])]),
        ("b.safetensors", &[("x.w", "F32", &[2]), ("y.w", "F32", &[3])]),
    ]);
    let original = folder.listed("a.safetensors");
    let typed = |words: &str| {
        let ran = folder.typed(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.err);
    };
    typed("fit a.safetensors --to b.safetensors --save-plan plan.json");
    typed("apply plan.json a.safetensors -i");
    assert_eq!(folder.listed("a.safetensors"), folder.listed("b.safetensors"));
    typed("apply plan.json a.safetensors -i --inverse");
    assert_eq!(folder.listed("a.safetensors"), original);
}

#[test]
fn metadata_are_changed_on_the_way() {
    let folder = Folder::of_models();
    let common =
        "fit a.safetensors --to b.safetensors --drop module.epoch --init head.weight=zeros";
    let metadata = |name: &str| folder.json(&format!("ls --json {name}"))["metadata"].clone();
    let ran =
        folder.typed(&format!("{common} -o c.safetensors --metadata author=me --metadata x=1"));
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("metadata author: (none) -> 'me'"), "{}", ran.err);
    assert_eq!(metadata("c.safetensors"), json!({ "author": "me", "format": "pt", "x": "1" }));
    // Nothing but the metadata changes here, so the file is rewritten and not assembled again.
    let same = "fit c.safetensors --to b.safetensors -o d.safetensors --drop-metadata x";
    assert_eq!(folder.typed(same).status, 0);
    assert_eq!(metadata("d.safetensors"), json!({ "author": "me", "format": "pt" }));
    let ran = folder.typed(&format!("{common} -o c.npz --metadata author=me"));
    assert_eq!(ran.status, 2);
    assert!(ran.err.starts_with("error: --metadata: npz has no place for metadata"), "{}", ran.err);
    let npz = folder.json("fit c.safetensors --to b.safetensors -o c.npz --json");
    assert_eq!(npz["left_behind"], json!(["author", "x"]));
    let ran = folder.typed(&format!("{common} --drop-metadata none"));
    assert!(ran.err.contains("note: --drop-metadata 'none' matches no key"), "{}", ran.err);
}
