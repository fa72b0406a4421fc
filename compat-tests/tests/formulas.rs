//! What is calculated and filled in, held to what PyTorch itself makes of the same tensors.

use compat_tests::{oracle, statedict};
use serde_json::json;

/// Weights of FP8 with their scales as bf16, bit for bit; weight norms within 1e-6; constants and
/// fillings bit for bit, and fillings taken out again.
#[test]
fn what_is_calculated_is_what_pytorch_calculates() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let python =
        |chapter: &str| oracle(json!({ "do": "formulas", "chapter": chapter, "folder": folder }));
    python("save");
    let path = |name: &str| folder.join(name).to_str().expect("a plain path").to_string();
    let run = |words: &[&str], from: &str, to: &str| {
        let (from, to) = (path(from), path(to));
        let words = [words, &[&from, "-o", &to][..]].concat();
        let run = statedict(&words);
        assert_eq!(run.status, Some(0), "{words:?}: {}", run.stderr);
    };
    run(&["dequantise", "bf16"], "quantized.safetensors", "dequantised.safetensors");
    run(&["fold-weight-norm"], "normed-old.pth", "without-old.pth");
    run(&["fold-weight-norm"], "normed-new.pth", "without-new.pth");
    let plus = [
        "rename",
        "layers.{r..} -> layers.{r..} + 1",
        "embed.weight[v d] -> embed.weight[v d] * 2.8284271247461903",
    ];
    run(&plus, "gemma.safetensors", "plus.safetensors");
    let recipe = path("fill.toml");
    let text = "[size]\nn = 5\n[[stage]]\nfill = [\n\
        'h.{i}.k.weight[o d] -> h.{i}.k.bias[o] = zeros',\n\
        'h.{i}.k.weight -> h.{i}.mask[1 1 n n] = triangle BOOL',\n\
        'h.{i}.k.weight -> h.{i}.low[] = constant(-1e4)',\n\
        'position_ids[1 7] = arange I64',\n\
        'steps[2 300] = arange F32',\n]\n";
    std::fs::write(&recipe, text).expect("written");
    run(&["apply", &recipe], "attention.pth", "with.pth");
    run(&["apply", "--inverse", &recipe], "with.pth", "taken.pth");
    assert_eq!(python("judge"), json!([]));
}
