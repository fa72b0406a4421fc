//! Pages are drawn by a real browser: nothing is said on its console, filter, sort and fold work, and
//! keys stay text.

use std::fs;
use std::path::{Path, PathBuf};

use compat_tests::{Browser, Scheme, safetensors, statedict};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Keys that would do something if they were taken for anything but text.
const HOSTILE: [&str; 4] = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=\"window.hacked = 2\">",
    "</script></td><b class=hacked>\"'&",
    "left\u{202e}right",
];

/// A file of tensors of F32 with these elements.
fn file<'a>(tensors: impl IntoIterator<Item = (&'a str, Vec<f32>)>) -> Vec<u8> {
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    for (key, numbers) in tensors {
        let start = data.len();
        data.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        let place = json!({ "dtype": "F32", "shape": [numbers.len()], "data_offsets": [start, data.len()] });
        entries.push(format!("{}:{place}", json!(key)));
    }
    safetensors(&format!("{{{}}}", entries.join(",")), &data)
}

/// Eight layers of two parts, the values of each layer farther apart than those of the one before.
fn layers() -> Vec<(String, Vec<f32>)> {
    let parts = (0..8).flat_map(|layer| {
        ["attn", "mlp"].map(|part| {
            let spread = (layer + 1) as f32;
            (format!("layers.{layer}.{part}.weight"), vec![-spread, 0.0, spread, spread])
        })
    });
    parts.collect()
}

fn with_hostile() -> Vec<u8> {
    let layers = layers();
    let own = layers.iter().map(|(key, numbers)| (key.as_str(), numbers.clone()));
    let hostile = HOSTILE.map(|key| (key, vec![1.0, f32::NAN]));
    file(own.chain(hostile))
}

/// A page that a command made in a folder.
struct Made {
    folder: TempDir,
}

impl Made {
    fn of<'a>(files: impl IntoIterator<Item = (&'a str, Vec<u8>)>) -> Made {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        for (name, bytes) in files {
            fs::write(folder.path().join(name), bytes).expect("written");
        }
        Made { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs the command; its words that name files begin with `@`.
    fn run(&self, words: &str) -> PathBuf {
        let words = words.split_whitespace().map(|word| match word.strip_prefix('@') {
            Some(name) => self.path(name).display().to_string(),
            None => word.to_string(),
        });
        let ran = statedict(words);
        let page = self.path("page.html");
        assert!(page.exists(), "{}", ran.stderr);
        page
    }
}

/// The page in a browser, once it is drawn; none, with a line that says so, where there is no browser.
fn opened(page: &Path, scheme: Scheme) -> Option<Browser> {
    let browser = match Browser::open(page, scheme) {
        Ok(browser) => browser,
        Err(why) => {
            println!("skipped: {why}");
            return None;
        }
    };
    let drawn = browser.wait(
        "const done = arguments[0]; const look = () => { \
             const { ready } = document.documentElement.dataset; \
             const alert = document.querySelector('[role=alert]'); \
             if (ready || alert) done(alert ? alert.textContent : ready); else setTimeout(look, 20); \
         }; look();",
    );
    assert_eq!(drawn, "yes");
    assert_eq!(browser.said(), Vec::<String>::new());
    Some(browser)
}

/// How many tensors are shown, as the page says it.
fn counted(browser: &Browser) -> String {
    browser
        .run("return document.querySelector('.counted').textContent", &[])
        .as_str()
        .expect("text")
        .into()
}

/// The keys of the lines of the table.
fn lines(browser: &Browser) -> Vec<String> {
    let keys = browser.run(
        "return [...document.querySelectorAll('tbody tr[data-line] th bdi')].map((it) => it.textContent)",
        &[],
    );
    serde_json::from_value(keys).expect("texts")
}

/// Puts a text into the filter.
fn filter(browser: &Browser, query: &str) {
    let script = "const input = document.querySelector('input[type=search]'); input.value = arguments[0]; \
                  input.dispatchEvent(new Event('input'));";
    browser.run(script, &[json!(query)]);
}

fn click(browser: &Browser, selector: &str, text: &str) {
    let script = "[...document.querySelectorAll(arguments[0])] \
                      .find((it) => it.textContent.startsWith(arguments[1])).click()";
    browser.run(script, &[json!(selector), json!(text)]);
}

#[test]
fn a_page_is_drawn_and_its_table_filters_sorts_and_folds() {
    let made = Made::of([("net.safetensors", with_hostile())]);
    let page = made.run("view --stats @net.safetensors -o @page.html");
    let Some(browser) = opened(&page, Scheme::Light) else { return };
    assert_eq!(counted(&browser), "20 tensors, 288 B");

    // Fold: the layers of a part are one line, which opens.
    click(&browser, "label.choice", " fold numbers");
    assert_eq!(lines(&browser)[..2], ["layers.{0..7}.attn.weight", "layers.{0..7}.mlp.weight"]);
    click(&browser, "tbody tr.group", "▸layers.{0..7}.attn");
    assert_eq!(
        lines(&browser)[..3],
        ["layers.{0..7}.attn.weight", "layers.0.attn.weight", "layers.1.attn.weight"]
    );
    click(&browser, "label.choice", " fold numbers");
    assert_eq!(lines(&browser)[0], "layers.0.attn.weight");

    // Sort: by a figure, the largest first, then the least, then as they were.
    let sorted = "return [...document.querySelectorAll('thead th[aria-sort]')].map((it) => it.getAttribute('aria-sort'))";
    click(&browser, "thead button", "std");
    assert_eq!(browser.run(sorted, &[]), json!(["descending"]));
    assert_eq!(lines(&browser)[..2], ["layers.7.attn.weight", "layers.7.mlp.weight"]);
    click(&browser, "thead button", "std");
    assert_eq!(browser.run(sorted, &[]), json!(["ascending"]));
    click(&browser, "thead button", "std");
    assert_eq!(browser.run(sorted, &[]), json!([]));

    // Filter: words, globs, what is not, comparisons; by keyboard.
    for (query, expected) in [
        ("mlp", "8 of 20 tensors, 128 B"),
        ("layers.*.attn* -layers.3", "7 of 20 tensors, 112 B"),
        ("std>=5", "4 of 20 tensors, 64 B"),
        ("nan>0", "4 of 20 tensors, 32 B"),
        ("bytes<0.01k", "4 of 20 tensors, 32 B"),
        ("nothing", "0 of 20 tensors, 0 B"),
        ("", "20 tensors, 288 B"),
    ] {
        filter(&browser, query);
        assert_eq!(counted(&browser), expected, "{query}");
    }
    browser.type_keys("/mlp");
    assert_eq!(counted(&browser), "8 of 20 tensors, 128 B");
    filter(&browser, "");
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn keys_stay_text_in_a_browser() {
    let made = Made::of([("net.safetensors", with_hostile())]);
    let page = made.run("view --stats @net.safetensors -o @page.html");
    let Some(browser) = opened(&page, Scheme::Dark) else { return };
    let shown = lines(&browser);
    for key in HOSTILE {
        let key = key.replace('\u{202e}', r"\u{202e}");
        assert!(shown.contains(&key), "{key}: {shown:?}");
    }
    // Whatever shows keys: the maps' blocks and labels, what is read out, the details.
    let touch = "document.querySelectorAll('.treemap button, .grid').forEach((it) => it.focus()); \
                 document.querySelectorAll('tbody tr[data-line]').forEach((it) => it.click()); \
                 return [window.hacked ?? null, document.querySelectorAll('main script:not(.data), img, .hacked').length, \
                     document.body.textContent.includes('\u{202e}')]";
    assert_eq!(browser.run(touch, &[]), json!([null, 0, false]));
    assert_eq!(browser.said(), Vec::<String>::new());
}

#[test]
fn parts_and_layers_are_a_map_that_the_keyboard_reads() {
    let made = Made::of([("net.safetensors", with_hostile())]);
    let page = made.run("view --stats @net.safetensors -o @page.html");
    let Some(browser) = opened(&page, Scheme::Light) else { return };
    let cells = "return [...document.querySelectorAll('.heat .parts li')].map((it) => it.textContent) \
                     .concat(document.querySelectorAll('.heat .grid rect[class^=shade]').length)";
    assert_eq!(browser.run(cells, &[]), json!(["attn.weight", "mlp.weight", 16]));
    browser.run("document.querySelector('.heat .grid').focus()", &[]);
    // Right twice and down.
    browser.type_keys("\u{e014}\u{e014}\u{e015}");
    let read = "return document.querySelector('.heat .readout').textContent";
    let text = browser.run(read, &[]);
    let text = text.as_str().expect("text");
    assert!(text.starts_with("layers 2 · mlp.weight std 2.487"), "{text}");
    // Enter: the table shows that tensor.
    browser.type_keys("\u{e007}");
    assert_eq!(lines(&browser), ["layers.2.mlp.weight"]);
    let block = "return [...document.querySelectorAll('.treemap button')].map((it) => it.getAttribute('aria-label'))";
    let blocks = browser.run(block, &[]);
    let is_folded =
        |it: &Value| it.as_str().is_some_and(|it| it.starts_with("layers.{0..7}: 256 B"));
    assert!(blocks.as_array().expect("a list").iter().any(is_folded), "{blocks}");
}

#[test]
fn a_page_follows_the_readers_scheme() {
    let made = Made::of([("net.safetensors", with_hostile())]);
    let page = made.run("view @net.safetensors -o @page.html");
    let colour = "return getComputedStyle(document.body).backgroundColor";
    let [Some(light), Some(dark)] = [Scheme::Light, Scheme::Dark].map(|it| opened(&page, it))
    else {
        return;
    };
    assert_ne!(light.run(colour, &[]), dark.run(colour, &[]));
}

#[test]
fn a_hundred_thousand_tensors_are_drawn() {
    let keys: Vec<String> = (0..100_000)
        .map(|i| {
            format!(
                "model.layers.{}.mlp.experts.{}.{}.weight",
                i / 2000,
                i / 2 % 1000,
                ["up", "down"][i % 2]
            )
        })
        .collect();
    let made =
        Made::of([("moe.safetensors", file(keys.iter().map(|key| (key.as_str(), vec![1.0]))))]);
    let page = made.run("view @moe.safetensors -o @page.html");
    let Some(browser) = opened(&page, Scheme::Light) else { return };
    assert_eq!(counted(&browser), "100,000 tensors, 400 kB");
    filter(&browser, "layers.49. experts.999.");
    assert_eq!(counted(&browser), "2 of 100,000 tensors, 8 B");
    filter(&browser, "");
    click(&browser, "label.choice", " fold numbers");
    let rows = browser.run("return document.querySelectorAll('tbody tr').length", &[]);
    assert!(rows.as_u64().expect("a number") < 200, "only what is in sight: {rows}");
}

#[test]
fn a_comparison_and_a_fit_are_drawn() {
    let own: Vec<(String, Vec<f32>)> = layers();
    let base = file(own.iter().map(|(key, numbers)| (key.as_str(), numbers.clone())));
    let moved = own.iter().map(|(key, numbers)| {
        let by = if key.ends_with("6.mlp.weight") { 0.5 } else { 0.0 };
        (key.as_str(), numbers.iter().map(|it| it + by).collect())
    });
    let wrapped: Vec<String> = own.iter().map(|(key, _)| format!("module.{key}")).collect();
    let head = ("head.weight", vec![0.0; 3]);
    let target = wrapped.iter().map(|key| (key.as_str(), vec![0.0; 4])).chain([head]);
    let made = Made::of([
        ("base.safetensors", base),
        ("moved.safetensors", file(moved)),
        ("target.safetensors", file(target)),
    ]);
    let page = made.run("diff @base.safetensors @moved.safetensors --html @page.html");
    let Some(browser) = opened(&page, Scheme::Light) else { return };
    filter(&browser, "difference:other");
    assert_eq!(lines(&browser), ["layers.6.mlp.weight"]);
    let page = made.run("fit @base.safetensors --to @target.safetensors --html @page.html --force");
    let browser = opened(&page, Scheme::Dark).expect("there is a browser");
    let ends = "return [document.querySelectorAll('.ribbon').length, \
                    document.querySelectorAll('.end.fault').length, \
                    document.querySelector('.end.fault').textContent]";
    assert_eq!(browser.run(ends, &[]), json!([2, 1, "head.weightmissing"]));
}
