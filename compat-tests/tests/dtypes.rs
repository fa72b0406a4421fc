//! Every element type that PyTorch saves comes back through safetensors, or is refused by name.

use compat_tests::{Tally, oracle, statedict, text};
use serde_json::json;

#[test]
fn every_type_comes_back_through_safetensors_or_is_refused_by_name() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let names = oracle(json!({ "do": "dtypes", "folder": folder.path() }));
    let mut tally = Tally::new();
    for name in names.as_array().expect("a list of names").iter().map(text) {
        let file = |extension: &str| folder.path().join(format!("{name}.{extension}"));
        let (input, there, back) = (file("pth"), file("safetensors"), file("back.pth"));
        let run = statedict(["convert".as_ref(), input.as_os_str(), there.as_os_str()]);
        let problem = match run.status {
            Some(0) => {
                let run = statedict(["convert".as_ref(), there.as_os_str(), back.as_os_str()]);
                let files =
                    json!({ "do": "same-dtype", "input": input, "there": there, "back": back });
                match run.status {
                    Some(0) => oracle(files).as_str().map(String::from),
                    _ => Some(run.stderr),
                }
            }
            _ if run.stderr.contains(&format!("'m.{name}': ")) => run.impolite(1),
            _ => Some(run.stderr),
        };
        tally.note(name, problem);
    }
    tally.close("element types come back, or are refused by name");
}

#[test]
fn numbers_become_8_bit_floats_as_pytorch_makes_them() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let input = folder.path().join("numbers.safetensors");
    oracle(json!({ "do": "numbers", "file": input }));
    let mut tally = Tally::new();
    for dtype in ["float8_e4m3fn", "float8_e5m2"] {
        for extension in ["pth", "safetensors"] {
            let output = folder.path().join(format!("{dtype}.{extension}"));
            let words = ["convert".as_ref(), input.as_os_str(), output.as_os_str()];
            let run = statedict(words.into_iter().chain(["--cast".as_ref(), dtype.as_ref()]));
            let problem = match run.status {
                Some(0) => oracle(json!({
                    "do": "same-numbers", "input": input, "output": output, "dtype": dtype,
                }))
                .as_str()
                .map(String::from),
                _ => Some(run.stderr),
            };
            tally.note(format!("{dtype}.{extension}"), problem);
        }
    }
    tally.close("files of numbers cast to 8 bits");
}
