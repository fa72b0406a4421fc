//! Models that grew or were renamed take what was saved of them before: `fit`, judged by the
//! models themselves.

use compat_tests::{oracle, statedict};
use serde_json::json;

#[test]
fn what_was_saved_before_fits_what_a_model_is_now() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let python =
        |chapter: &str| oracle(json!({ "do": "grown", "chapter": chapter, "folder": folder }));
    python("save");
    let resize =
        ["--resize", "*.weight=rows", "--resize", "conv_in.weight=dim1", "--init", "**=zeros"];
    for (from, to, out, options) in [
        ("small", "large", "grown", &resize[..]),
        ("small", "little", "shrunk", &resize[..]),
        ("old", "new", "renewed", &[]),
        ("new", "old", "aged", &[]),
        ("average", "blocks", "averaged", &[]),
    ] {
        let [from, to, out] = [from, to, out].map(|name| {
            folder.join(format!("{name}.pth")).to_str().expect("a plain path").to_string()
        });
        let words = [&["fit", &from, "--to", &to, "-o", &out][..], options].concat();
        let run = statedict(&words);
        assert_eq!(run.status, Some(0), "{words:?}: {}", run.stderr);
    }
    assert_eq!(python("judge"), json!([]));
}
