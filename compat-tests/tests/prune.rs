//! What is left of trainers' files is what it was, to PyTorch.

use compat_tests::{Tally, oracle, statedict, text};
use serde_json::json;

#[test]
fn models_stay_and_the_rest_goes() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let files = oracle(json!({ "do": "pruned", "folder": folder.path() }));
    let mut tally = Tally::new();
    for file in files.as_array().expect("a list") {
        let name = text(&file["file"]);
        let (input, output) =
            (folder.path().join(&name), folder.path().join(format!("small-{name}")));
        let keep: Vec<String> = file["keep"].as_array().expect("a list").iter().map(text).collect();
        let mut words = vec!["prune".to_string(), input.display().to_string()];
        words.extend(["-o".into(), output.display().to_string()]);
        if !keep.is_empty() {
            words.extend(["--keep".into(), keep.join(",")]);
        }
        let run = statedict(&words);
        let question =
            json!({ "do": "judge-pruned", "input": input, "output": output, "left": file["left"] });
        let mut problem = (run.status != Some(0)).then_some(run.stderr);
        problem = problem.or_else(|| oracle(question.clone()).as_str().map(String::from));
        if problem.is_none() {
            let checked =
                statedict(["check".as_ref(), "--allow-unknown".as_ref(), output.as_os_str()]);
            problem = (checked.status != Some(0)).then_some(checked.stdout);
        }
        tally.note(name, problem);
    }
    tally.close("files of which the models are left");
}
