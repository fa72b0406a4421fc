//! Pages: what `view` writes is one file that says what is wrong, shows every tensor, and lets nothing
//! of the file's do anything.

mod folder;

use std::fmt::Write as _;
use std::fs;
use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::DeflateDecoder;
use folder::{Folder, safetensors};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// A file of tensors of F32, two elements each.
fn file<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
    let (mut header, mut end) = (String::from("{"), 0);
    for key in keys {
        let comma = if end == 0 { "" } else { "," };
        let (key, start) = (serde_json::to_string(key).expect("a text"), end);
        end += 8;
        let _ = write!(
            header,
            r#"{comma}{key}:{{"dtype":"F32","shape":[2],"data_offsets":[{start},{end}]}}"#
        );
    }
    let data: Vec<u8> = (0..end / 4).flat_map(|i| (i as f32).to_le_bytes()).collect();
    safetensors(&(header + "}"), &data)
}

/// The page of a file, by these words after its name.
fn page(folder: &Folder, words: &str) -> String {
    folder.typed(&format!("view {words} -o page.html --force")).check(0, "");
    fs::read_to_string(folder.path("page.html")).expect("written")
}

/// What is between two texts, wherever that is.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    let pieces = text.split(start).skip(1);
    pieces.filter_map(|piece| Some(piece.split_once(end)?.0)).collect()
}

/// The packed blocks of a page: the head of each, and the columns behind it.
fn blocks(page: &str) -> Vec<(Value, Vec<u8>)> {
    let blocks = between(page, r#"class="data">"#, "</script>").into_iter();
    let unpacked = blocks.map(|block| {
        let packed = STANDARD.decode(block).expect("base64");
        let mut bytes = Vec::new();
        DeflateDecoder::new(packed.as_slice()).read_to_end(&mut bytes).expect("deflated");
        let (length, rest) = bytes.split_at(4);
        let length = u32::from_le_bytes(length.try_into().expect("four bytes")) as usize;
        let (head, columns) = rest.split_at(length);
        (serde_json::from_slice(head).expect("JSON"), columns.to_vec())
    });
    unpacked.collect()
}

/// The heads, and how many bytes of columns are behind each.
fn heads(page: &str) -> Vec<(Value, usize)> {
    blocks(page).into_iter().map(|(head, columns)| (head, columns.len())).collect()
}

#[test]
fn a_page_lets_only_its_own_script_and_style_do_something() {
    let folder = Folder::of([("net.safetensors", file(["a.0.w", "a.1.w"]))]);
    let page = page(&folder, "net.safetensors");
    let policy = between(&page, r#"http-equiv="Content-Security-Policy" content=""#, "\"");
    let digest = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    let script = digest(between(&page, "<script>", "</script>")[0]);
    let style = digest(between(&page, "<style>", "</style>")[0]);
    let expected = format!(
        "default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"
    );
    assert_eq!(policy, [expected]);
    assert_eq!(page.matches("<script").count(), 2, "its own, and the packed block");
    for outside in [" style=", " onclick=", "javascript:", "src=\"", "<link", "<img", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
    let links = between(&page, "http", "\"");
    assert!(
        links.iter().all(|it| it.starts_with("-equiv") || it.starts_with("://www.w3.org/2000/svg")),
        "{links:?}"
    );
}

#[test]
fn the_same_files_give_the_same_page() {
    let folder = Folder::of([("net.safetensors", file(["a.0.w", "a.1.w", "b"]))]);
    let first = page(&folder, "--stats net.safetensors");
    assert_eq!(first, page(&folder, "--stats net.safetensors"));
    let piped = folder.typed("view --stats net.safetensors -o -");
    assert_eq!((piped.status, piped.out.as_str()), (0, first.as_str()));
}

#[test]
fn keys_stay_text() {
    let keys = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "a\u{202e}b",
        "it's \"quoted\" & {{body}}",
        "module.\u{0}.w",
    ];
    let name = "<b>'&\u{202e}.safetensors";
    let folder = Folder::of([(name, file(keys))]);
    let page = {
        let ran = folder.run(&["view", "--stats", name, "-o", "page.html"]);
        assert_eq!(ran.status, 0, "{}", ran.err);
        fs::read_to_string(folder.path("page.html")).expect("written")
    };
    assert_eq!(page.matches("<script").count(), 2);
    assert!(!page.contains("<b>'") && !page.contains('\u{202e}') && !page.contains("<img"));
    assert!(page.contains(r"&lt;b&gt;&#39;&amp;\u{202e}.safetensors"));
    let (head, _) = heads(&page).remove(0);
    let found: Vec<&str> =
        head["rests"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    let shown = [keys[0], "img src=x onerror=alert(1)>", r"a\u{202e}b", keys[3], r"module.\u{0}.w"];
    assert_eq!(found, shown);
}

#[test]
fn a_hundred_thousand_tensors_are_a_page_of_300_kb() {
    let keys: Vec<String> = (0..100_000)
        .map(|i| {
            let (layer, rest) = (i / 1668, i % 1668);
            let part = ["gate_proj", "up_proj", "down_proj"][rest % 3];
            format!("model.layers.{layer}.mlp.experts.{}.{part}.weight", rest / 3)
        })
        .collect();
    let folder = Folder::of([("moe.safetensors", file(keys.iter().map(String::as_str)))]);
    let plain = page(&folder, "moe.safetensors");
    assert!(plain.len() <= 300_000, "{} bytes", plain.len());
    let (head, columns) = heads(&plain).remove(0);
    assert_eq!(head["rests"].as_array().map(Vec::len), Some(100_000));
    assert_eq!(columns, 300_000, "shared characters, path and kind");
    let measured = page(&folder, "--stats moe.safetensors");
    assert!(measured.len() <= 1_500_000, "{} bytes", measured.len());
}

#[test]
fn findings_name_the_commands_that_mend_them() {
    let mut folder = Folder::of([("my net.safetensors", file(["module.a.w", "module.b.w"]))]);
    let found = |folder: &Folder, words: &[&str]| {
        let ran = folder.run(&[&["view", "-o", "-"], words].concat());
        assert_eq!(ran.status, 0, "{}", ran.err);
        let commands = between(&ran.out, "<code>", "</code>").into_iter();
        commands.map(String::from).collect::<Vec<_>>()
    };
    let commands = found(&folder, &["my net.safetensors"]);
    assert_eq!(commands, ["statedict strip module &#39;my net.safetensors&#39; -i"]);
    folder.run(&["strip", "module", "my net.safetensors", "-i"]).check(0, "");
    assert_eq!(found(&folder, &["my net.safetensors"]), Vec::<String>::new());
    let nan = f32::NAN.to_le_bytes();
    let header = r#"{"a.w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    folder = Folder::of([("bad.safetensors", safetensors(header, &nan))]);
    assert_eq!(found(&folder, &["bad.safetensors"]), Vec::<String>::new());
    let commands = found(&folder, &["--stats", "bad.safetensors"]);
    assert_eq!(commands, ["statedict stats bad.safetensors --each --fail-on nan"]);
    folder.typed(&commands[0]["statedict ".len()..]).check(1, "NaN in 1 tensor");
}

#[test]
fn a_trainers_file_shows_its_state_and_what_prunes_it() {
    let folder = Folder::of([("run.pth", include_bytes!("trainer.pth").to_vec())]);
    let page = page(&folder, "run.pth");
    assert!(page.contains("statedict prune run.pth -o run-pruned.pth"), "{page}");
    assert!(page.contains("<h2>Training state</h2>"));
    folder.typed("prune run.pth -o run-pruned.pth").check(0, "");
    let named =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../compat-tests/fixtures/trainers/timm-like.pth.tar");
    fs::copy(named, folder.path("run.pth.tar")).expect("copied");
    let page = self::page(&folder, "run.pth.tar");
    assert!(page.contains("statedict prune run.pth.tar -o run-pruned.pth.tar"), "{page}");
}

#[test]
fn several_files_share_a_page() {
    let folder = Folder::of([("a.safetensors", file(["a"])), ("b.safetensors", file(["b"]))]);
    let page = page(&folder, "a.safetensors b.safetensors");
    let heads: Vec<Value> =
        heads(&page).into_iter().map(|(head, _)| head["rests"].clone()).collect();
    assert_eq!(heads, [serde_json::json!(["a"]), serde_json::json!(["b"])]);
    assert_eq!(between(&page, "<title>", "</title>"), ["2 files"]);
}

#[test]
fn a_page_replaces_nothing_unasked() {
    let folder = Folder::of([("net.safetensors", file(["a"])), ("page.html", b"mine".to_vec())]);
    folder.typed("view net.safetensors -o page.html").check(2, "already exists");
    assert_eq!(fs::read(folder.path("page.html")).expect("there"), b"mine");
    folder.typed("view net.safetensors -o net.safetensors --force").check(2, "would replace it");
    folder.typed("view net.safetensors").check(2, "--output");
    folder.typed("view gone.safetensors -o new.html").check(2, "gone.safetensors");
    assert!(!folder.path("new.html").exists());
}

/// Two models of three layers, of which the second has other values in one part of the last two.
fn tuned() -> Folder {
    let keys: Vec<String> = (0..3)
        .flat_map(|layer| {
            ["attn.weight", "mlp.weight"].map(|part| format!("layers.{layer}.{part}"))
        })
        .collect();
    let base = file(keys.iter().map(String::as_str));
    let mut tuned = base.clone();
    let end = tuned.len();
    tuned[end - 1] = 0x42;
    tuned[end - 17] = 0x42;
    Folder::of([("base.safetensors", base), ("tuned.safetensors", tuned)])
}

/// The words of a column, one for each row.
fn words(page: &str, name: &str) -> Vec<String> {
    let (head, columns) = blocks(page).remove(0);
    let rows = head["rests"].as_array().expect("a list").len();
    let labels = head["labels"].as_array().expect("a list");
    let place = labels.iter().position(|label| label["name"] == name).expect("a column");
    let distinct = &labels[place]["values"]["distinct"];
    let start = columns.len() - columns_behind(&head, place, rows);
    let codes = columns[start..start + rows].iter();
    codes.map(|code| distinct[usize::from(*code)].as_str().expect("a word").to_string()).collect()
}

/// Bytes of a label's column and of all columns behind it.
fn columns_behind(head: &Value, place: usize, rows: usize) -> usize {
    let labels = head["labels"].as_array().expect("a list")[place..].len();
    let figures = head["figures"].as_array().expect("a list").iter();
    let figures: u64 = figures.map(|figure| figure["width"].as_u64().expect("a number")).sum();
    rows * (labels + usize::try_from(figures).expect("few"))
}

#[test]
fn a_comparison_has_a_page_of_what_differs() {
    let folder = tuned();
    let ran = folder.typed("diff base.safetensors tuned.safetensors --html diff.html");
    ran.check(1, "wrote diff.html");
    assert!(ran.out.contains("2 keys with other values"), "{}", ran.out);
    let page = fs::read_to_string(folder.path("diff.html")).expect("written");
    let same = "the same";
    let expected = [same, same, same, "other values", same, "other values"];
    assert_eq!(words(&page, "difference"), expected);
    let (head, _) = heads(&page).remove(0);
    assert_eq!(head["shade"], "rel_l2");
    folder
        .typed("diff base.safetensors tuned.safetensors --html diff.html")
        .check(2, "already exists");
    folder
        .typed("diff base.safetensors tuned.safetensors --html diff.html --force")
        .check(1, "wrote");
    let piped = folder.typed("diff base.safetensors tuned.safetensors --html -");
    assert_eq!((piped.status, piped.out.as_str()), (1, page.as_str()));
    folder
        .typed("diff base.safetensors base.safetensors --html same.html")
        .check(0, "wrote same.html");
}

#[test]
fn what_became_nan_or_infinite_is_on_the_page_of_a_comparison() {
    let mut broken = file(["l.0.w", "l.1.w", "l.2.w"]);
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    broken[end - 12..end - 8].copy_from_slice(&f32::NAN.to_le_bytes());
    let folder = Folder::of([
        ("whole.safetensors", file(["l.0.w", "l.1.w", "l.2.w"])),
        ("broken.safetensors", broken),
    ]);
    folder.typed("diff whole.safetensors broken.safetensors --html diff.html").check(1, "wrote");
    let page = fs::read_to_string(folder.path("diff.html")).expect("written");
    assert!(page.contains("1 key with NaN in one file only"));
    assert!(page.contains("1 key infinitely far apart"));
    let (head, _) = heads(&page).remove(0);
    let figures = head["figures"].as_array().expect("a list").iter();
    let names: Vec<&str> = figures.filter_map(|it| it["name"].as_str()).collect();
    assert_eq!(names, ["rel_l2", "cosine", "max_abs", "max_rel", "changed", "nan"]);
}

#[test]
fn keys_of_one_file_alone_are_on_the_page_of_a_comparison() {
    let folder = Folder::of([
        ("a.safetensors", file(["module.a", "module.b", "gone"])),
        ("b.safetensors", file(["a", "b", "more", "new"])),
    ]);
    folder.typed("diff a.safetensors b.safetensors --html diff.html").check(1, "wrote");
    let page = fs::read_to_string(folder.path("diff.html")).expect("written");
    let expected = ["renamed", "renamed", "renamed", "only in the second"];
    assert_eq!(words(&page, "difference"), expected);
    assert_eq!(words(&page, "becomes"), ["a", "b", "more", ""]);
    folder.typed("diff --keys-only a.safetensors b.safetensors --html keys.html").check(1, "wrote");
    let page = fs::read_to_string(folder.path("keys.html")).expect("written");
    let (head, _) = heads(&page).remove(0);
    assert_eq!(head["figures"], serde_json::json!([]));
}

#[test]
fn a_fit_has_a_page_of_what_goes_where_whether_it_fits_or_not() {
    let folder = Folder::of([
        ("old.safetensors", file(["module.enc.0.w", "module.enc.1.w"])),
        ("model.safetensors", file(["enc.0.w", "enc.1.w", "head.w"])),
    ]);
    let ran = folder.typed("fit old.safetensors --to model.safetensors --html fit.html");
    ran.check(1, "head.w: missing");
    let page = fs::read_to_string(folder.path("fit.html")).expect("written");
    let (head, _) = heads(&page).remove(0);
    let ribbons = &head["ribbons"];
    assert_eq!(ribbons["titles"], serde_json::json!(["old.safetensors", "model.safetensors"]));
    let left = serde_json::json!([["module.enc.{0..1}.w", 2, "", ""]]);
    let right = serde_json::json!([["enc.{0..1}.w", 2, "", ""], ["head.w", 1, "missing", "fault"]]);
    assert_eq!((&ribbons["groups"][0], &ribbons["groups"][1]), (&left, &right));
    assert_eq!(ribbons["links"][0][2], 2);
    let reason = "the same name without wrappers";
    assert_eq!(words(&page, "reason"), [reason, reason, "missing"]);
    let commands = between(&page, "<code>", "</code>");
    let command = commands[0].replace("&#39;", "");
    folder.typed(&command["statedict ".len()..]).check(0, "wrote old-new.safetensors");
    let ran = folder.typed("fit model.safetensors --to old.safetensors --html back.html");
    ran.check(0, "wrote back.html");
    assert!(ran.err.contains("model.safetensors --to old.safetensors -o"), "{}", ran.err);
    let page = fs::read_to_string(folder.path("back.html")).expect("written");
    let (head, _) = heads(&page).remove(0);
    let alone = serde_json::json!(["head.w", 1, "not wanted", ""]);
    assert_eq!(head["ribbons"]["groups"][0][1], alone);
}

#[test]
fn shards_are_on_the_page() {
    let folder = Folder::of([("net.safetensors", file(["a", "b", "c"]))]);
    folder.typed("convert net.safetensors sharded/ --shard-size 16B").check(0, "");
    let page = page(&folder, "sharded");
    assert!(page.contains("<h2>Shards</h2>"));
    assert!(page.contains("model-00001-of-00002.safetensors"), "{page}");
    assert!(page.contains("2 tensors") && page.contains("1 tensor<"));
}

#[test]
fn a_file_that_cannot_be_opened_has_a_page_of_what_is_wrong_with_it() {
    let folder = Folder::of([("net.safetensors", file(["a", "b", "c"]))]);
    folder.typed("convert net.safetensors sharded/ --shard-size 16B").check(0, "");
    fs::remove_file(folder.path("sharded/model-00002-of-00002.safetensors")).expect("there");
    let ran = folder.typed("view sharded net.safetensors -o page.html");
    ran.check(2, "model-00002-of-00002.safetensors");
    let page = fs::read_to_string(folder.path("page.html")).expect("written");
    assert!(page.contains("it cannot be opened"));
    assert_eq!(between(&page, "<code>", "</code>")[0], "statedict check sharded");
    assert_eq!(heads(&page)[1].0["rests"], serde_json::json!(["a", "b", "c"]));
}
