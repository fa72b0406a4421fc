//! The help of every command: options under headings, and examples that are run for real.

mod folder;

use std::fs;
use std::path::Path;

use folder::{Folder, safetensors};

/// The headings that options have, in every help.
const HEADINGS: [&str; 8] =
    ["Selection", "Rules", "Tensors", "Output", "Metadata", "Verdict", "Report", "General options"];

/// What every command takes.
const GENERAL: [&str; 5] = ["--quiet", "--verbose", "--no-progress", "--color", "--help"];

#[cfg(unix)]
const ERROR: &str = "RuntimeError: Error(s) in loading state_dict for LeNet:\n\
    \tMissing key(s) in state_dict: \"conv1.weight\". \n\
    \tUnexpected key(s) in state_dict: \"module.conv1.weight\". \n";

#[test]
fn every_option_has_a_heading() {
    let mut failed = Vec::new();
    for (command, help) in helps() {
        for Section { title, lines } in sections(&help) {
            let options = lines.iter().filter(|line| line.trim_start().starts_with('-'));
            let bare = options.filter(|_| !HEADINGS.contains(&title));
            failed.extend(bare.map(|option| format!("{command}: {option} is under '{title}'")));
        }
        let general = sections(&help).into_iter().find(|it| it.title == "General options");
        let general = general.map(|it| it.lines.join("\n")).unwrap_or_default();
        let missing = GENERAL.iter().filter(|option| !general.contains(**option));
        failed.extend(missing.map(|option| format!("{command}: no {option}")));
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[cfg(unix)]
#[test]
fn every_example_does_what_it_says() {
    let program = folder::statedict();
    let bin = Path::new(program.get_program()).parent().expect("a folder").to_path_buf();
    let path = std::env::var("PATH").unwrap_or_default();
    let path = format!("{}:{path}", bin.display());
    let (samples, mut ran, mut failed) = (samples(), 0, Vec::new());
    for (command, help) in helps() {
        let examples = examples(&help);
        if examples.is_empty() {
            failed.push(format!("{command}: no examples"));
        }
        for example in examples {
            let folder = copy(&samples);
            let mut bash = std::process::Command::new("bash");
            bash.args(["-c", example]).current_dir(folder.path("."));
            bash.env("PATH", &path).env("HOME", folder.path("."));
            let output = bash.output().expect("there is a bash");
            // Files that differ are an answer.
            let is_answered = output.status.code() == Some(1) && command == "diff";
            let said = String::from_utf8_lossy(&output.stderr);
            if !output.status.success() && !is_answered {
                failed.push(format!("{example}: {said}"));
            }
            ran += 1;
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran > 50, "{ran}");
}

/// The help of the command itself, and of each of its commands.
fn helps() -> Vec<(String, String)> {
    let folder = Folder::of([]);
    let own = folder.typed("--help").out;
    let names: Vec<String> = sections(&own)
        .iter()
        .filter(|section| section.title == "Commands")
        .flat_map(|section| &section.lines)
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(String::from)
        .collect();
    assert!(names.len() >= 25, "{names:?}");
    let each = names.into_iter().map(|name| {
        let help = folder.run(&[&name, "-h"]).out;
        (name, help)
    });
    [("statedict".to_string(), folder.typed("-h").out)].into_iter().chain(each).collect()
}

/// A title, and the lines below it.
struct Section<'a> {
    title: &'a str,
    lines: Vec<&'a str>,
}

fn sections(help: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::<Section>::new();
    for line in help.lines() {
        match line.strip_suffix(':').filter(|title| !title.starts_with(' ')) {
            Some(title) => sections.push(Section { title, lines: Vec::new() }),
            None => sections.last_mut().into_iter().for_each(|it| it.lines.push(line)),
        }
    }
    sections
}

#[cfg(unix)]
fn examples(help: &str) -> Vec<&str> {
    let all = sections(help).into_iter().filter(|section| section.title == "Examples");
    all.flat_map(|section| section.lines).filter(|line| !line.is_empty()).collect()
}

/// The files that examples speak of.
#[cfg(unix)]
fn samples() -> Folder {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    let trainer = own.join("../compat-tests/fixtures/trainer.pth");
    let lenet = fs::read(own.join("examples/lenet-dataparallel.pth")).expect("there");
    let folder = Folder::of([
        ("model.pth", lenet),
        ("run.ckpt", fs::read(trainer).expect("there")),
        ("error.txt", ERROR.into()),
        ("recipe.toml", "[[stage]]\nstrip = \"module\"\n".into()),
        ("linear.safetensors", zeros(&[("fc.0.weight", &[2, 3]), ("fc.1.weight", &[4, 2])])),
        ("vocoder.safetensors", zeros(&[("up.weight_g", &[2, 1]), ("up.weight_v", &[2, 3])])),
        ("base.safetensors", zeros(&[("a.weight", &[2, 3]), ("b.weight", &[3, 2])])),
        ("fp8.safetensors", quantized()),
    ]);
    for name in ["lora", "llama", "downloads"] {
        fs::create_dir(folder.path(name)).expect("made");
    }
    let [down, up] = ["A", "B"].map(|it| format!("base_model.model.a.lora_{it}.weight"));
    folder.add("lora/adapter_model.safetensors", &zeros(&[(&down, &[1, 3]), (&up, &[2, 1])]));
    folder.add("lora/adapter_config.json", br#"{"peft_type":"LORA","r":1,"lora_alpha":2}"#);
    folder.add("llama/model.safetensors", &llama());
    folder.add(
        "llama/config.json",
        br#"{"model_type":"llama","num_attention_heads":2,"num_key_value_heads":2,"hidden_size":4}"#,
    );
    fs::copy(folder.path("model.pth"), folder.path("downloads/model.pth")).expect("copied");
    for name in ["run-1.pth", "run-2.pth"] {
        fs::copy(folder.path("model.pth"), folder.path(name)).expect("copied");
    }
    for words in [
        "unwrap model.pth -o ours.pth --save-plan plan.json",
        "convert model.pth weights.safetensors",
        "convert linear.safetensors linear.pth",
        "convert model.pth half.pth --cast f16",
        "convert model.pth sharded/ --shard-size 100KB",
        "convert model.pth parts/ --shard-size 100KB --plan-parts 2 --job job.json",
        "run-part job.json 1",
        "run-part job.json 2",
    ] {
        let ran = folder.typed(words);
        assert_eq!(ran.status, 0, "{words}: {}", ran.err);
    }
    folder.add("model.json", folder.typed("ls --json ours.pth").out.as_bytes());
    folder
}

/// A folder with the same files.
#[cfg(unix)]
fn copy(samples: &Folder) -> Folder {
    let folder = Folder::of([]);
    let mut cp = std::process::Command::new("cp");
    cp.arg("-R").arg(samples.path(".")).arg(folder.path("."));
    assert!(cp.status().expect("there is a cp").success());
    folder
}

/// A file of tensors of F32 that are zero.
#[cfg(unix)]
fn zeros(tensors: &[(&str, &[u64])]) -> Vec<u8> {
    let (mut entries, mut end) = (Vec::new(), 0);
    for (key, shape) in tensors {
        let start = end;
        end += 4 * shape.iter().product::<u64>();
        let entry = format!(
            r#""{key}":{{"dtype":"F32","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        );
        entries.push(entry);
    }
    safetensors(&format!("{{{}}}", entries.join(",")), &vec![0; end as usize])
}

/// Weights of 8 bits with a scale each.
#[cfg(unix)]
fn quantized() -> Vec<u8> {
    let header = r#"{"up.weight":{"dtype":"F8_E4M3","shape":[2,2],"data_offsets":[0,4]},
        "up.weight_scale_inv":{"dtype":"F32","shape":[1,1],"data_offsets":[4,8]}}"#;
    safetensors(header, &[0x38, 0x38, 0x38, 0x38, 0, 0, 0x80, 0x3f])
}

/// One layer of a LLaMA of two heads.
#[cfg(unix)]
fn llama() -> Vec<u8> {
    let layer = |name: &str| format!("model.layers.0.{name}.weight");
    let square = ["q", "k", "v", "o"].map(|it| layer(&format!("self_attn.{it}_proj")));
    let [gate, up, down] = ["gate", "up", "down"].map(|it| layer(&format!("mlp.{it}_proj")));
    let norms = ["input_layernorm", "post_attention_layernorm"].map(layer);
    let mut tensors: Vec<(&str, &[u64])> = vec![
        ("model.embed_tokens.weight", &[8, 4]),
        ("model.norm.weight", &[4]),
        ("lm_head.weight", &[8, 4]),
        (&gate, &[6, 4]),
        (&up, &[6, 4]),
        (&down, &[4, 6]),
    ];
    tensors.extend(square.iter().map(|key| (key.as_str(), &[4, 4][..])));
    tensors.extend(norms.iter().map(|key| (key.as_str(), &[4][..])));
    zeros(&tensors)
}
