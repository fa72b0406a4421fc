//! Names of keys beside the state dict: what is known follows a rename and leads back, what is not is
//! named, and real PyTorch loads what came of it.

use std::fs;

use compat_tests::{oracle, statedict};
use serde_json::json;
use tempfile::TempDir;

/// A folder with one file that a few lines of Python made.
struct Made(TempDir);

impl Made {
    fn of(script: &str) -> Made {
        Made::named("old.pth", script)
    }

    fn named(name: &str, script: &str) -> Made {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let made = Made(folder);
        made.python(script, name);
        made
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().expect("a text").to_string()
    }

    /// Runs a few lines of Python, which see the path of a file as `out`.
    fn python(&self, script: &str, name: &str) {
        oracle(json!({ "do": "script", "script": script, "out": self.path(name) }));
    }

    /// What a command said that ended with this status.
    fn said(&self, words: &[&str], status: i32) -> String {
        let is_file = |word: &str| word.ends_with(".pth") || word.ends_with(".safetensors");
        let place = |word: &&str| if is_file(word) { self.path(word) } else { word.to_string() };
        let run = statedict(words.iter().map(place));
        assert_eq!(run.status, Some(status), "{words:?}: {}", run.stderr);
        run.stderr
    }
}

const DEEPSPEED: &str = r#"
from collections import OrderedDict
e = torch.randn(10, 4)
m = OrderedDict([("module.embed.weight", e), ("module.fc.weight", torch.randn(4, 4)), ("module.fc.mean", torch.zeros(4)), ("module.head.weight", e)])
torch.save({"module": m, "buffer_names": ["module.fc.mean"], "optimizer": None,
    "param_shapes": [OrderedDict((k, v.shape) for k, v in m.items() if "fc" in k)],
    "frozen_param_shapes": OrderedDict({"module.embed.weight": e.shape}),
    "frozen_param_fragments": {"module.embed.weight": e},
    "shared_params": {"module.head.weight": "module.embed.weight"}, "ds_version": "0.15.1"}, out)
"#;

#[test]
fn what_deepspeed_keeps_beside_a_model_follows_and_leads_back() {
    let made = Made::of(DEEPSPEED);
    let rename = ["strip", "module", "old.pth", "--at", "module"];
    let said = made.said(&[&rename[..], &["-o", "new.pth", "--strict"]].concat(), 0);
    assert!(said.contains("also renamed: buffer_names (1 name)"), "{said}");
    made.python(
        r#"
x = torch.load(out)
assert list(x["module"]) == ["embed.weight", "fc.weight", "fc.mean", "head.weight"]
assert x["buffer_names"] == ["fc.mean"] and x["shared_params"] == {"head.weight": "embed.weight"}
assert [list(g) for g in x["param_shapes"]] == [["fc.weight", "fc.mean"]]
assert list(x["frozen_param_shapes"]) == list(x["frozen_param_fragments"]) == ["embed.weight"]
assert x["frozen_param_fragments"]["embed.weight"].data_ptr() == x["module"]["embed.weight"].data_ptr()
"#,
        "new.pth",
    );
    // In place it is the same, and the way back restores every name.
    fs::copy(made.path("old.pth"), made.path("edited.pth")).expect("copied");
    made.said(&["strip", "module", "edited.pth", "--at", "module", "-i"], 0);
    made.said(&["add", "module", "edited.pth", "--at", "module", "-o", "back.pth"], 0);
    let same = json!({ "do": "script", "script": format!(r#"
import same
difference = same.difference(torch.load(out), torch.load({:?}))
assert difference is None, difference
"#, made.path("back.pth")), "out": made.path("old.pth") });
    oracle(same);
}

const BY_NAME: &str = r#"
import warnings
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict
warnings.simplefilter("ignore")
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
optim = torch.optim.AdamW(model.parameters())
model(torch.randn(2, 3)).sum().backward()
optim.step()
options = StateDictOptions(flatten_optimizer_state_dict=FLAT)
state = get_optimizer_state_dict(model, optim, options=options)
named = torch.optim.AdamW(model.named_parameters())
torch.save({"model": model.state_dict(), "optim": state, "named": named.state_dict()}, out)
"#;

/// The renamed optimizer's state loads into the renamed model, and is the old one.
const LOADS: &str = r#"
import warnings
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict
warnings.simplefilter("ignore")
x = torch.load(out)
model = torch.nn.ModuleDict({"net": torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))})
model.load_state_dict(x["model"])
optim = torch.optim.AdamW(model.parameters())
options = StateDictOptions(flatten_optimizer_state_dict=FLAT)
set_optimizer_state_dict(model, optim, x["optim"], options=options)
moments = optim.state[model["net"][0].weight]["exp_avg"]
assert moments.abs().sum() > 0
assert x["named"]["param_groups"][0]["param_names"][0] == "net.0.weight"
"#;

#[test]
fn an_optimizer_that_knows_parameters_by_name_follows() {
    for flat in ["False", "True"] {
        let made = Made::of(&BY_NAME.replace("FLAT", flat));
        let words = ["add", "net", "old.pth", "--at", "model", "-o", "new.pth", "--strict"];
        made.said(&words, 0);
        made.python(&LOADS.replace("FLAT", flat), "new.pth");
    }
}

#[test]
fn what_is_not_known_to_name_keys_is_named_and_refused_if_strict() {
    let made = Made::of(
        r#"
model = {f"fc.{i}.weight": torch.zeros(2) for i in range(3)}
torch.save({"model": model, "optim": {"lrs": {k: 0.1 for k in model}}, "best": "fc.0.weight",
    "args": {"freeze": ["fc.0.weight", "other"], "note": "see fc.0.weight"}, "weight": "w"}, out)
"#,
    );
    let rename = ["add", "m", "old.pth", "--at", "model", "-o", "new.pth"];
    let refused = made.said(&[&rename[..], &["--strict"]].concat(), 1);
    assert!(refused.contains("not followed: optim/lrs, 3 names"), "{refused}");
    assert!(!fs::exists(made.path("new.pth")).expect("a folder"));
    let said = made.said(&rename, 0);
    let notes: Vec<&str> = said.lines().filter(|line| line.contains("not followed")).collect();
    let expected = [
        "note: not followed: best, 1 name",
        "note: not followed: optim/lrs, 3 names",
        "note: not followed: args/freeze, 1 name",
    ];
    assert_eq!(notes, expected);
    let run = statedict(["add", "m", &made.path("old.pth"), "--at", "model", "--json"]);
    assert_eq!(run.json()["not_followed"][1], json!({ "at": "optim/lrs", "names": 3 }));
}

#[test]
fn an_optimizer_that_numbers_parameters_is_named_after_a_drop() {
    let made = Made::of(
        r#"
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
optim = torch.optim.SGD(model.parameters(), 0.1)
torch.save({"model": model.state_dict(), "optimizer": optim.state_dict()}, out)
"#,
    );
    let said = made.said(&["drop", "1.**", "old.pth", "--at", "model", "-o", "new.pth"], 0);
    assert!(said.contains("not followed: optimizer/param_groups, 2 names"), "{said}");
    let said = made.said(&["add", "net", "old.pth", "--at", "model", "-o", "b.pth"], 0);
    assert!(!said.contains("not followed"), "{said}");
}

#[test]
fn names_that_would_meet_in_one_mapping_stay() {
    let made = Made::of(
        r#"
state = {"a.w": {"step": 1}, "m.a.w": {"step": 2}}
torch.save({"model": {"a.w": torch.zeros(2)}, "optim": {"state": state, "param_groups": []}}, out)
"#,
    );
    let said = made.said(&["add", "m", "old.pth", "--at", "model", "-o", "new.pth"], 0);
    assert!(said.contains("not followed: optim/state, 1 name"), "{said}");
}

#[test]
fn an_optimizer_that_may_be_another_models_stays() {
    let made = Made::of(
        r#"
sides = {side: {"fc.w": torch.zeros(2)} for side in ("gen", "disc")}
optims = {"o" + side: {"state": {"fc.w": {"step": 1}}, "param_groups": []} for side in sides}
torch.save({**sides, **optims}, out)
"#,
    );
    let said = made.said(&["add", "m", "old.pth", "--at", "gen", "-o", "new.pth"], 0);
    assert!(said.contains("not followed: ogen/state, 1 name"), "{said}");
    let said = made.said(&["add", "m", "old.pth", "--at", "*", "-o", "b.pth"], 0);
    assert!(said.contains("also renamed: ogen/state (1 name), odisc/state (1 name)"), "{said}");
}

const QUANTIZED: &str = r#"
import json
from safetensors.torch import save_file
state = {"note.w": torch.ones(2)}
for i in range(2):
    layer = f"model.blocks.{i}.to_q"
    state[f"{layer}.weight"] = torch.ones(4, 4).to(torch.float8_e4m3fn)
    state[f"{layer}.scale_weight"], state[f"model.blocks.{i}.norm.weight"] = torch.ones(1), torch.ones(4)
layers = {f"model.blocks.{i}.to_q": {"format": "float8_e4m3fn"} for i in range(2)}
quantization = json.dumps({"format_version": "1.0", "layers": layers})
save_file(state, out, metadata={"format": "pt", "_quantization_metadata": quantization, "frozen": json.dumps(["model.blocks.0.norm.weight"])})
"#;

#[test]
fn quantized_layers_in_a_header_follow_their_weights() {
    let made = Made::named("old.safetensors", QUANTIZED);
    let strip = ["strip", "model", "old.safetensors"];
    let said = made.said(&[&strip[..], &["-o", "new.safetensors"]].concat(), 0);
    assert!(said.contains("also renamed: __metadata__/_quantization_metadata (2 names)"), "{said}");
    assert!(said.contains("note: not followed: __metadata__/frozen, 1 name"), "{said}");
    made.said(&[&strip[..], &["-o", "half.safetensors", "--cast", "f16"]].concat(), 0);
    for name in ["new.safetensors", "half.safetensors"] {
        made.python(
            r#"
import json
from safetensors import safe_open
f = safe_open(out, "pt")
layers = json.loads(f.metadata()["_quantization_metadata"])["layers"]
assert all(f"{layer}.weight" in f.keys() for layer in layers) and len(layers) == 2
assert f.get_tensor("blocks.0.to_q.weight").dtype == torch.float8_e4m3fn
assert f.get_tensor("blocks.0.to_q.scale_weight").dtype == torch.float32
assert f.get_tensor("blocks.0.norm.weight").dtype == (torch.half if "half" in out else torch.float32)
"#,
            name,
        );
    }
    // The way back gives every byte of the header again, its room excepted.
    made.said(&["rename", "blocks.{r..} -> model.blocks.{r..}", "new.safetensors", "-i"], 0);
    let header = |name: &str| {
        let bytes = fs::read(made.path(name)).expect("there");
        let len = u64::from_le_bytes(bytes[..8].try_into().expect("eight bytes")) as usize;
        String::from_utf8_lossy(&bytes[8..8 + len]).trim_end().to_string()
    };
    assert_eq!(header("new.safetensors"), header("old.safetensors"));
}

#[test]
fn a_recorded_tie_loads_after_a_rename_with_a_cast() {
    const MODEL: &str = r#"
from safetensors.torch import load_model, save_model
class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.head = torch.nn.Embedding(5, 3), torch.nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
"#;
    let saves = format!("{MODEL}\nsave_model(torch.nn.ModuleDict({{\"net\": Tied()}}), out)\n");
    let made = Made::named("old.safetensors", &saves);
    let words = ["strip", "net", "old.safetensors", "-o", "new.safetensors", "--cast", "bf16"];
    made.said(&[&words[..], &["--strict"]].concat(), 0);
    let loads = "model = Tied().bfloat16()\nassert load_model(model, out) == (set(), [])\n";
    made.python(&format!("{MODEL}\n{loads}"), "new.safetensors");
}
