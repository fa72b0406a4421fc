//! Cases rebuilt from public reports end as their heads say.
//!
//! `reports/` has a script for each; `python/reports.py` judges what the command wrote with the real
//! libraries. A step is a command on files of its case, what it must end with and say, and what is
//! to be judged.

use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Run, Tally, oracle, statedict, statedict_reading, text};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The files of all cases, made once.
struct Reports(TempDir);

impl Reports {
    fn new() -> Reports {
        let folder = tempfile::tempdir().expect("a folder");
        let made = oracle(json!({ "do": "reports", "folder": folder.path() }));
        let made = made.as_object().expect("an entry for each case");
        for (case, error) in made {
            assert!(error.is_null(), "{case} is not made: {}", text(error));
        }
        Reports(folder)
    }

    fn case(&self, case: &str) -> Case {
        Case { folder: self.0.path().join(case), tally: Tally::new(), last: None }
    }
}

/// One case, and what has gone wrong in it.
struct Case {
    folder: PathBuf,
    tally: Tally,
    last: Option<Run>,
}

impl Case {
    /// Runs a command; words that begin with `@` are files of the case.
    fn run(&mut self, words: &[&str], status: i32) -> &mut Case {
        let words = words.iter().map(|word| match word.strip_prefix('@') {
            Some(file) => self.folder.join(file).into_os_string(),
            None => word.into(),
        });
        let words: Vec<_> = words.collect();
        self.ended(statedict(&words), status, &format!("{words:?}"))
    }

    fn ended(&mut self, run: Run, status: i32, what: &str) -> &mut Case {
        let problem = (run.status != Some(status) || run.stderr.contains("panicked")).then(|| {
            format!("exit {:?}, expected {status}: {}{}", run.status, run.stdout, run.stderr)
        });
        self.tally.note(what, problem);
        self.last = Some(run);
        self
    }

    /// What the last command printed or said has all of these in it.
    fn says(&mut self, expected: &[&str]) -> &mut Case {
        let run = self.last.as_ref().expect("a command has run");
        let said = format!("{}{}", run.stdout, run.stderr);
        let silent: Vec<_> = expected.iter().filter(|word| !said.contains(**word)).collect();
        let problem = (!silent.is_empty()).then(|| format!("nothing of {silent:?} in: {said}"));
        self.tally.note("what is said", problem);
        self
    }

    /// What the last command printed or said has none of these in it.
    fn is_silent_about(&mut self, unexpected: &[&str]) -> &mut Case {
        let run = self.last.as_ref().expect("a command has run");
        let said = format!("{}{}", run.stdout, run.stderr);
        let heard: Vec<_> = unexpected.iter().filter(|word| said.contains(**word)).collect();
        let problem = (!heard.is_empty()).then(|| format!("{heard:?} in: {said}"));
        self.tally.note("what is not said", problem);
        self
    }

    /// Has Python look at an output; `more` is what its judge needs to know, files marked by `@`.
    fn judge(&mut self, judge: &str, out: &str, more: Value) -> &mut Case {
        let mut question =
            json!({ "do": "judge-report", "judge": judge, "out": self.folder.join(out) });
        for (name, value) in more.as_object().expect("an object") {
            question[name] = match value.as_str().and_then(|value| value.strip_prefix('@')) {
                Some(file) => json!(self.folder.join(file)),
                None => value.clone(),
            };
        }
        let problem = oracle(question);
        let problem = (!problem.is_null()).then(|| text(&problem));
        self.tally.note(format!("{out}, {judge}"), problem);
        self
    }

    fn is_absent(&mut self, out: &str) -> &mut Case {
        let problem = self.folder.join(out).exists().then(|| "it was written".into());
        self.tally.note(out, problem);
        self
    }

    fn close(&mut self) {
        let name = self.folder.file_name().expect("a name").to_string_lossy().into_owned();
        std::mem::take(&mut self.tally).close(&format!("steps of {name} end as expected"));
    }
}

fn lora(reports: &Reports) {
    let mut case = reports.case("01_kohya_lora");
    case.run(
        &["derive", "@kohya.safetensors", "@diffusers.safetensors", "--save-recipe", "@r.toml"],
        0,
    )
    .run(&["apply", "@r.toml", "@kohya.safetensors", "-o", "@out.safetensors"], 0)
    .judge("same_as", "out.safetensors", json!({ "expected": "@diffusers.safetensors" }))
    .run(&["apply", "@r.toml", "--inverse", "@out.safetensors", "-o", "@back.safetensors"], 0)
    .judge("same_as", "back.safetensors", json!({ "expected": "@kohya.safetensors" }))
    .run(&["ls", "--payload", "@kohya.safetensors"], 0)
    .says(&["ss_network_module", "networks.lora"])
    .close();
}

fn paths_in_the_payload(reports: &Reports) {
    let mut case = reports.case("03_paths_in_payload");
    // The weights are the same in each; `np.pt` is the one that Python can open everywhere.
    let expected = json!({ "expected": "@np.pt", "at": ["state_dict"], "prefix": "module." });
    for file in ["win.pth.tar", "posix.pt", "np.pt"] {
        let (file, out) = (format!("@{file}"), format!("{file}.out.pth"));
        case.run(&["unwrap", &file, "--alone", "-o", &format!("@{out}")], 0).judge(
            "stripped",
            &out,
            expected.clone(),
        );
    }
    case.run(&["check", "@win.pth.tar"], 0).says(&["pathlib.WindowsPath"]);
    case.run(&["check", "@posix.pt"], 0).says(&["pathlib.PosixPath"]).close();
}

fn deepspeed(reports: &Reports) {
    let mut case = reports.case("04_deepspeed_rank_file");
    let expected = json!({
        "expected": "@mp_rank_00_model_states.pt", "at": ["module"], "prefix": "module."
    });
    case.run(&["unwrap", "@mp_rank_00_model_states.pt", "-o", "@out.safetensors"], 0)
        .judge("stripped", "out.safetensors", expected.clone())
        .run(&["unwrap", "@mp_rank_00_model_states.pt", "-o", "@out.pt"], 0)
        .judge("deepspeed", "out.pt", json!({}))
        .run(&["unwrap", "@mp_rank_00_model_states.pt", "--alone", "-o", "@alone.pt"], 0)
        .judge("stripped", "alone.pt", expected)
        .run(&["ls", "@bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt"], 0)
        .close();
}

fn megatron(reports: &Reports) {
    let mut case = reports.case("05_megatron_nested");
    case.run(&["convert", "@mcore.pt", "@mcore.safetensors"], 0)
        .says(&["_extra_state"])
        .judge("stripped", "mcore.safetensors", json!({ "expected": "@mcore.pt", "at": ["model"] }))
        .run(&["ls", "@model_optim_rng.pt"], 0)
        .says(&["language_model", "query_key_value.weight"])
        .close();
}

fn quantised(reports: &Reports) {
    let mut case = reports.case("06_quantized_ao");
    case.run(&["strip", "0.auto_model", "@q.pth", "-o", "@q.out.pth"], 0)
        .judge("quantised", "q.out.pth", json!({ "expected": "@q.pth", "prefix": "0.auto_model." }))
        .run(&["convert", "@q.pth", "@q.safetensors"], 1)
        .says(&["0.auto_model.qt", "quantized"])
        .is_absent("q.safetensors")
        .run(&["strip", "0.auto_model", "@sub.pth", "-o", "@sub.out.pth"], 0)
        .run(&["convert", "@sub.pth", "@sub.safetensors"], 1)
        .says(&["0.auto_model.w"])
        .is_absent("sub.safetensors")
        .run(&["diff", "@qonly.pth", "@qonly.pth"], 0)
        .close();
}

fn ranks(reports: &Reports) {
    let mut case = reports.case("07_dtensor_ranks");
    let [zero, one] = [0, 1].map(|rank| format!("@model_world_size_2_rank_{rank}.pt"));
    case.run(&["ls", &zero], 0)
        .says(&["model.embed_tokens.weight"])
        .run(&["convert", &zero, "@rank.safetensors"], 1)
        .says(&["model.embed_tokens.weight"])
        .is_absent("rank.safetensors")
        .run(&["diff", &zero, &zero], 0)
        .run(&["diff", "-q", &zero, &one], 1)
        .close();
}

fn odd_values(reports: &Reports) {
    let mut case = reports.case("08_odd_values");
    for file in ["subclass", "param", "easydict", "defaultdict", "userdict", "numpy"] {
        let (input, out) = (format!("@{file}.pt"), format!("{file}.safetensors"));
        case.run(&["convert", &input, &format!("@{out}")], 0).run(&["ls", &input], 0);
        case.says(&["m.w"]);
    }
    case.run(&["convert", "@mixed.pt", "@mixed.safetensors"], 0);
    case.run(&["convert", "@easynested.pt", "@easynested.safetensors"], 0);
    for file in ["sparse", "meta", "nested"] {
        let (input, out) = (format!("@{file}.pt"), format!("{file}.safetensors"));
        case.run(&["convert", &input, &format!("@{out}")], 1).is_absent(&out);
    }
    case.run(&["diff", "-q", "@scalars.pt", "@scalars.pt"], 0)
        .run(&["diff", "-q", "@scalars.pt", "@scalars2.pt"], 1)
        .run(&["diff", "-q", "--weights-only", "@scalars.pt", "@scalars2.pt"], 0)
        .close();
}

fn scaled(reports: &Reports) {
    let mut case = reports.case("10_fp8_scaled");
    case.run(&["strip", "model.diffusion_model", "@fp8.safetensors", "-o", "@out.safetensors"], 0)
        .judge("scaled", "out.safetensors", json!({}))
        .run(&["convert", "@fp8.safetensors", "@half.safetensors", "--cast", "f16"], 0)
        .says(&["not cast", "to_q.weight", "scale_weight"])
        .judge("spared", "half.safetensors", json!({ "expected": "@fp8.safetensors" }))
        .run(&["convert", "@fp8.safetensors", "@no.safetensors", "--cast", "f16", "--strict"], 1)
        .is_absent("no.safetensors")
        .close();
}

fn shards(reports: &Reports) {
    let mut case = reports.case("11_shards");
    for folder in ["ok", "stray"] {
        case.run(&["ls", &format!("@{folder}")], 0).says(&["model.embed.weight"]);
    }
    let missing = "model-00002-of-00002.safetensors";
    case.run(&["ls", "@extratensor"], 2).says(&["mtp.fc.weight", "statedict index"]);
    case.run(&["ls", "@missingfile"], 2).says(&[missing]);
    case.run(&["ls", "@missingtensor"], 2).says(&["mtp.fc.weight", missing]);
    case.run(&["ls", "@wrongfile"], 2).says(&["model.embed.weight"]);
    case.run(&["ls", "@stale"], 2).says(&["model-00001-of-00004.safetensors", "statedict index"]);
    case.run(&["ls", "@noindex"], 2).says(&[missing, "statedict index"]);
    for folder in ["noindex", "binnoindex"] {
        let folder = format!("@{folder}");
        case.run(&["index", &folder], 0).run(&["ls", &folder], 0).says(&["lm_head.weight"]);
    }
    case.run(&["index", "@stale", "--force"], 0).run(&["ls", "@stale"], 0);
    case.run(&["index", "@missingfile", "--force"], 2).says(&[missing]);
    case.run(&["index", "@dup", "--force"], 2).says(&["model.embed.weight"]);
    case.run(&["ls", "@cons"], 2).says(&["consolidated.00.pth"]).close();
}

fn resized(reports: &Reports) {
    let mut case = reports.case("13_resize");
    for target in ["big.pth", "little.pth"] {
        let (to, out) = (format!("@{target}"), format!("out.{target}"));
        let output = format!("@{out}");
        let sizes =
            ["--resize", "model.embed_tokens.weight=rows", "--resize", "lm_head.weight=rows"];
        let channels = ["--resize", "conv_in.weight=dim1", "--init", "conv_in.weight=zeros"];
        let rows = ["--init", "*.weight=normal(0,0.02)", "--init", "**.weight=normal(0,0.02)"];
        let words = [&["fit", "@ckpt.pth", "--to", &to][..], &sizes, &channels, &rows];
        let words = [&words.concat()[..], &["-o", &output]].concat();
        case.run(&words, 0).judge(
            "resized",
            &out,
            json!({ "expected": "@ckpt.pth", "target": to }),
        );
    }
    case.close();
}

fn no_checkpoints(reports: &Reports) {
    let mut case = reports.case("15_not_a_checkpoint");
    let kinds = [
        ("lfs.pth", "Git LFS"),
        ("lfs.safetensors", "Git LFS"),
        ("lfs.npz", "Git LFS"),
        ("pytorch_model.bin", "Git LFS"),
        ("html.pth", "HTML"),
        ("html.safetensors", "HTML"),
        ("html.npz", "HTML"),
        ("json.pth", "JSON"),
        ("text.pth", "Entry not found"),
        ("zero.pth", "empty"),
        ("zero.safetensors", "empty"),
        ("nul.pth", "zero"),
        ("nul.safetensors", "zero"),
        ("cut.pth", "truncated"),
        ("cut.safetensors", "module.w"),
        ("cuthead.safetensors", "header"),
        ("longer.safetensors", "40022"),
        ("gz.pth", "compressed"),
        ("nemo.nemo", "compressed"),
        ("inner.zip", "zip archive"),
        ("noroot.pth", "data.pkl"),
        ("deep.pth", "data.pkl"),
        ("lzma.pth", "method 14"),
        ("unzipped", "unzipped"),
    ];
    for (file, kind) in kinds {
        let path = format!("@{file}");
        case.run(&["ls", &path], 2).says(&[kind]);
        if file != "unzipped" {
            case.run(&["check", &path], 2).says(&["malformed"]);
        }
    }
    for file in ["st_named.pth", "pth_named.safetensors", "noext", "odd.model", "UPPER.PTH"] {
        case.run(&["ls", &format!("@{file}")], 0).says(&["module.w"]);
    }
    case.close();
}

fn odd_names(reports: &Reports) {
    let mut case = reports.case("18_odd_names");
    case.run(&["ls", "@odd.pth"], 0)
        .is_silent_about(&["\u{202e}", "\0", "\t"])
        .run(&["add", "z", "@odd.pth", "-o", "@z.pth", "--save-plan", "@plan.json"], 0)
        .run(&["apply", "--inverse", "@plan.json", "@z.pth", "-o", "@back.pth"], 0)
        .judge("same_as", "back.pth", json!({ "expected": "@odd.pth" }))
        .run(&["ls", "--json", "@odd.pth"], 0);
    let tensors = case.last.as_ref().expect("a command has run").json();
    let keys = tensors["tensors"].as_array().expect("a list").iter().map(|row| text(&row["key"]));
    let rows = keys.enumerate().filter(|(_, key)| !key.is_empty());
    // A string of JSON is one of TOML.
    let rows = rows.map(|(i, key)| format!("{} = \"key.{i}\"\n", json!(key)));
    let recipe = format!("[[stage]]\n[stage.table]\n{}", rows.collect::<String>());
    fs::write(case.folder.join("table.toml"), recipe).expect("a recipe");
    case.run(&["apply", "@table.toml", "@odd.pth", "-o", "@numbered.pth"], 0)
        .run(&["apply", "--inverse", "@table.toml", "@numbered.pth", "-o", "@named.pth"], 0)
        .judge("same_as", "named.pth", json!({ "expected": "@odd.pth" }))
        .run(&["ls", "@ti.pt"], 0)
        .says(&["string_to_param"])
        .close();
}

fn dtypes(reports: &Reports) {
    let mut case = reports.case("20_dtypes");
    let files =
        fs::read_dir(&case.folder).expect("a folder").map(|entry| entry.expect("a file").path());
    let mut names: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "pth")).collect();
    names.sort();
    for path in names {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let (input, out) = (format!("@{name}.pth"), format!("{name}.out.pth"));
        let converted = format!("{name}.out.safetensors");
        case.run(&["strip", "m", &input, "-o", &format!("@{out}")], 0).judge(
            "bits",
            &out,
            json!({ "expected": input }),
        );
        if case.folder.join(format!("{name}.ref.safetensors")).exists() {
            case.run(&["convert", &input, &format!("@{converted}")], 0).judge(
                "bits",
                &converted,
                json!({ "expected": input }),
            );
        } else if name != "complex128" || !case.folder.join(&converted).exists() {
            case.run(&["convert", &input, &format!("@{converted}")], 1)
                .says(&[&format!("m.{name}")])
                .is_absent(&converted);
        }
    }
    case.close();
}

fn links(reports: &Reports) {
    let mut case = reports.case("21_paths_and_links");
    case.run(&["ls", "@hub/snapshots/abc"], 0)
        .says(&["model.a", "model.b"])
        .run(&["strip", "module", "@in.pth", "-o", "@out.link", "--force"], 2)
        .run(&["strip", "module", "@in.pth", "-o", "@pipe", "--force"], 2)
        .run(&["strip", "module", "@in.pth", "-o", "-"], 2)
        .says(&["standard output"])
        // New shards and a new index take the links' places; what they led to is another's.
        .run(&["strip", "model", "@hub/snapshots/abc", "-i"], 0)
        .run(&["ls", "@hub/blobs/h1"], 0)
        .says(&["model.a"])
        .run(&["strip", "module", "@file.link", "-i"], 2)
        .says(&["--force"]);
    let link = case.folder.join("out.link");
    let kept = fs::symlink_metadata(&link).is_ok_and(|it| it.is_symlink());
    case.tally.note("out.link", (!kept).then(|| "the link is gone".into()));
    case.close();
}

fn layouts(reports: &Reports) {
    let mut case = reports.case("22_weight_norm_moe_qkv");
    for (from, to) in [("old", "new"), ("new", "old")] {
        let [from, to_file] = [from, to].map(|kind| format!("@wn_{kind}.pth"));
        let out = format!("wn_to_{to}.pth");
        case.run(&["fit", &from, "--to", &to_file, "-o", &format!("@{out}")], 0).judge(
            "norms",
            &out,
            json!({ "kind": to }),
        );
    }
    case.run(&["derive", "@qkv.pth", "@fused.pth"], 0).says(&["by rules that move elements"]);
    case.run(&["derive", "@moe.pth", "@moe_fused.pth"], 0).says(&["gate_up_proj["]).close();
}

fn mixed(reports: &Reports) {
    let mut case = reports.case("25_mixed_top_level");
    for name in ["stats", "opt", "sched", "tens"] {
        let (input, out) = (format!("@{name}.pth"), format!("{name}.safetensors"));
        case.run(&["convert", &input, &format!("@{out}")], 0).judge(
            "stripped",
            &out,
            json!({ "expected": input }),
        );
    }
    let ema = case.folder.join("ema.safetensors");
    case.run(&["convert", "@ema.pth", "@ema.safetensors"], 0);
    assert!(ema.exists(), "the root of ema.pth holds the weights");
    case.judge("stripped", "ema.safetensors", json!({ "expected": "@ema.pth" })).close();
}

fn ties_and_casts(reports: &Reports) {
    let mut case = reports.case("26_tie_alias_and_cast");
    let keys = json!({ "keys": ["embed.weight", "lm_head.weight"] });
    let more = json!({ "keys": ["m.embed.weight", "m.lm_head.weight"] });
    let beside = json!({ "expected": "@train.pth", "dtype": "bfloat16" });
    case.run(&["convert", "@tied.safetensors", "@tied.pth"], 0)
        .judge("tied", "tied.pth", keys)
        .run(&["add", "m", "@tied.safetensors", "-o", "@added.safetensors"], 0)
        .run(&["convert", "@added.safetensors", "@added.pth"], 0)
        .judge("tied", "added.pth", more)
        .run(&["convert", "@train.pth", "@cast.pth", "--at", "model", "--cast", "bfloat16"], 0)
        .judge("cast", "cast.pth", beside)
        .run(&["convert", "@train.pth", "@half.pth", "--at", "model", "--cast", "fp16"], 0)
        .says(&["2 finite values became infinite in 1 tensor: big"])
        .run(
            &["convert", "@train.pth", "@strict.pth", "--at", "model", "--cast", "f16", "--strict"],
            1,
        )
        .says(&["infinite", "big"])
        .is_absent("strict.pth")
        .close();
}

fn error_texts(reports: &Reports) {
    let mut case = reports.case("27_error_texts");
    let texts = fs::read_dir(case.folder.join("texts")).expect("a folder");
    let mut texts: Vec<_> = texts.map(|entry| entry.expect("a file").path()).collect();
    texts.sort();
    let file = case.folder.join("file.pth");
    for path in texts {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let bytes = fs::read(&path).expect("a text");
        let run = statedict_reading(&bytes, ["explain".as_ref(), file.as_os_str()]);
        let problem = match run.status {
            Some(0 | 1) if !run.stdout.trim().is_empty() => None,
            _ => Some(format!("exit {:?}: {}{}", run.status, run.stdout, run.stderr)),
        };
        case.tally.note(&name, problem);
        let drops = run.stdout.contains("statedict drop");
        case.tally.note(&name, drops.then(|| format!("it drops keys: {}", run.stdout)));
        case.last = Some(run);
        if ["mmcv", "incompat", "hf_new"].contains(&name.as_str()) {
            case.says(&["statedict strip backbone"]);
        }
    }
    case.close();
}

#[test]
fn cases_from_public_reports_end_as_expected() {
    let reports = Reports::new();
    let cases: [fn(&Reports); 18] = [
        lora,
        paths_in_the_payload,
        deepspeed,
        megatron,
        quantised,
        ranks,
        odd_values,
        scaled,
        shards,
        resized,
        no_checkpoints,
        odd_names,
        dtypes,
        links,
        layouts,
        mixed,
        ties_and_casts,
        error_texts,
    ];
    let scripts = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("reports"));
    let scripts = scripts.expect("a folder").filter(|entry| {
        let name = entry.as_ref().expect("an entry").file_name();
        Path::new(&name).extension().is_some_and(|extension| extension == "py")
    });
    assert_eq!(scripts.count(), cases.len(), "each case is tried");
    let failed = cases.into_iter().filter(|case| {
        let run = std::panic::AssertUnwindSafe(|| case(&reports));
        std::panic::catch_unwind(run).is_err()
    });
    assert_eq!(failed.count(), 0, "cases fail, as said above");
}
