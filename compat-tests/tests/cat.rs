//! What `cat` prints is what NumPy prints, and what it writes is what NumPy loads.

use compat_tests::{Tally, oracle, statedict, text};
use serde_json::{Value, json};

#[test]
fn values_are_printed_and_written_as_numpy_has_them() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = |name: &str| folder.path().join(name);
    let file = path("arrays.npz");
    let cases = oracle(json!({ "do": "printed", "file": file }));
    let cases = cases.as_array().expect("a list");
    let mut printed = Tally::new();
    for case in cases {
        let key = text(&case["key"]);
        let words: Vec<String> =
            case["words"].as_array().expect("a list").iter().map(text).collect();
        let start = ["cat".to_string(), file.display().to_string(), key.clone()];
        let run = statedict(start.iter().chain(&words));
        let expected = format!("{}\n", text(&case["expected"]));
        let problem = (run.stdout != expected)
            .then(|| format!("{}{}instead of\n{expected}", run.stdout, run.stderr));
        printed.note(format!("{key} {}", words.join(" ")), problem);
    }
    printed.close("arrays printed as NumPy prints them");
    let mut written = Tally::new();
    for case in cases.iter().filter(|case| case["words"] == json!([])) {
        let key = text(&case["key"]);
        let mut question = json!({ "do": "printed-files", "file": file, "key": key });
        let mut problem = None;
        for extension in ["npy", "csv", "bin"] {
            let out = path(&format!("{key}.{extension}"));
            let run = statedict([
                "cat".as_ref(),
                file.as_os_str(),
                key.as_ref(),
                "-o".as_ref(),
                out.as_os_str(),
            ]);
            problem = problem.or((run.status != Some(0)).then_some(run.stderr));
            question[extension] = Value::String(out.display().to_string());
        }
        written.note(&key, problem.or_else(|| oracle(question).as_str().map(String::from)));
    }
    written.close("arrays written as NumPy loads them");
}
