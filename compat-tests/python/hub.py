"""Model folders as `transformers` saves them, and whether it loads others with the same tensors.

    python hub.py make FOLDER      writes the folders, and prints their names as JSON
    python hub.py judge            reads a question a line, answers each in a line: null, or what is wrong
"""

import json
import os
import sys

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["HF_HUB_OFFLINE"] = "1"

try:
    import torch
    import transformers
    from huggingface_hub import save_torch_state_dict
    from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, BertConfig, GPT2Config, LlamaConfig
except ImportError as error:
    # What the tests take for: skipped.
    print(error, file=sys.stderr)
    sys.exit(77)

# An embedding that is tied to the head, one that is not, and a head that is tied with a bias of its own.
MODELS = {
    "gpt2": (AutoModelForCausalLM, lambda: GPT2Config(vocab_size=24, n_positions=8, n_embd=8, n_layer=2, n_head=2)),
    "llama": (
        AutoModelForCausalLM,
        lambda: LlamaConfig(
            vocab_size=24,
            hidden_size=8,
            intermediate_size=12,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            tie_word_embeddings=False,
        ),
    ),
    "bert": (
        AutoModelForMaskedLM,
        lambda: BertConfig(
            vocab_size=24, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=12, max_position_embeddings=8
        ),
    ),
}
SHARD = "2KB"


def make(folder):
    torch.manual_seed(0)
    names = []
    for name, (auto, config) in MODELS.items():
        model = auto.from_config(config()).eval()
        for kind in ("safetensors", "safetensors-sharded", "bin", "bin-sharded"):
            path = os.path.join(folder, f"{name}-{kind}")
            save(model, path, kind)
            names.append(os.path.basename(path))
        names.append(cached(folder, name))
    return names


def save(model, path, kind):
    """Writes what `save_pretrained` writes, and pickles as its versions before 5 did."""
    model.save_pretrained(path, max_shard_size=SHARD if kind == "safetensors-sharded" else "5GB")
    if kind.startswith("bin"):
        for name in os.listdir(path):
            if name.endswith(".safetensors"):
                os.remove(os.path.join(path, name))
        size = SHARD if kind == "bin-sharded" else "5GB"
        save_torch_state_dict(model.state_dict(), path, max_shard_size=size, safe_serialization=False)


def cached(folder, name):
    """The same model in a cache of the hub: a snapshot's folder of links to blobs."""
    model = os.path.join(folder, f"models--me--{name}")
    blobs, snapshot = (os.path.join(model, *parts) for parts in (("blobs",), ("snapshots", "0123abcd")))
    os.makedirs(blobs)
    os.makedirs(snapshot)
    source = os.path.join(folder, f"{name}-safetensors-sharded")
    for number, file in enumerate(sorted(os.listdir(source))):
        blob = f"{number:040x}"
        with open(os.path.join(source, file), "rb") as old, open(os.path.join(blobs, blob), "wb") as new:
            new.write(old.read())
        os.symlink(os.path.join("..", "..", "blobs", blob), os.path.join(snapshot, file))
    return os.path.relpath(snapshot, folder)


def judge(question):
    """None if the output's model has the input's tensors, cast if that was asked for."""
    auto, _ = MODELS[question["model"]]
    dtype = getattr(torch, question["cast"] or "float32")
    old, _ = auto.from_pretrained(question["input"], dtype=torch.float32, output_loading_info=True)
    new, info = auto.from_pretrained(question["output"], dtype=dtype, output_loading_info=True)
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        if info.get(what):
            return f"{what}: {info[what]}"
    expected, found = old.state_dict(), new.state_dict()
    if list(expected) != list(found):
        return f"keys {list(expected)} became {list(found)}"
    for key, value in expected.items():
        if not torch.equal(value.to(dtype), found[key]):
            return f"{key} is another tensor"
    return tied(old, new)


def framework(question):
    """What accelerate's loader says of a file whose metadata name no framework; null if it loads."""
    try:
        from accelerate.utils.modeling import load_state_dict
    except ImportError as error:
        return f"skipped: {error}"
    load_state_dict(question["file"])
    return None


def tied(old, new):
    """None if the head shares with the embedding as it did."""
    shares = [model.get_output_embeddings().weight is model.get_input_embeddings().weight for model in (old, new)]
    return None if shares[0] == shares[1] else f"tied was {shares[0]} and is {shares[1]}"


def main():
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    out, sys.stdout = sys.stdout, sys.stderr
    if sys.argv[1] == "make":
        print(json.dumps(make(sys.argv[2])), file=out)
        return
    for line in sys.stdin:
        try:
            question = json.loads(line)
            answer = framework(question) if "file" in question else judge(question)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
        print(json.dumps(answer), file=out, flush=True)


if __name__ == "__main__":
    main()
