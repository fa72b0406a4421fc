//! Keys and shapes that are not those of the model.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::explain::error::lists::{self, List};
use crate::explain::error::words::{joined, regex, shape};
use crate::explain::error::{Mismatch, Shapes};
use crate::{IndexMap, IndexSet};

/// Headings of lists; after them come keys in quotes, Python's lists, or bare names.
const HEADINGS: [(&str, Side); 15] = [
    (r"(?i)\bmissing[ _]key(?:s|\(s\))?(?:[ _]+(?:in|from|of)\b[^:=\n]*)?\s*[:=]", Side::Model),
    (r"(?i)\bunexpected[ _]key(?:s|\(s\))?(?:[ _]+(?:in|from|of)\b[^:=\n]*)?\s*[:=]", Side::File),
    (
        r"(?i)weights (?:of|from) the (?:model )?checkpoint [^\[\{]*?not used when[^:\n]*:",
        Side::File,
    ),
    (r"(?i)weights of [^\[\{]*?not initialized from[^:]*?newly initialized:", Side::Model),
    (r"(?i)parameters or buffers are not found in the checkpoint:", Side::Model),
    (r"(?i)contains keys that are not used by the model:", Side::File),
    (r"(?i)(?:following )?keys are missing:", Side::Model),
    (r"(?i)following keys are unexpected:", Side::File),
    (r"(?i)weights of \S+ not initialized from pretrained model:", Side::Model),
    (r"(?i)weights from pretrained model not used in [^:\n]*:", Side::File),
    (r"(?i)missing adapter keys while loading the checkpoint:", Side::Model),
    (r"(?i)loading adapter weights from [^\n]*? led to missing keys in the model:", Side::Model),
    (r"(?i)led to unexpected keys not found in the model:", Side::File),
    (r"(?i)keys not found in (?:the )?(?:checkpoint|state_dict|file)\s*:", Side::Model),
    (r"(?i)(?:unused|extra) keys(?: in (?:the )?(?:checkpoint|state_dict|file))?\s*:", Side::File),
];

/// Shapes; `KEY`, then that of the checkpoint and that of the model in the order that is given.
const SHAPES: [(&str, First); 9] = [
    (
        r"size\s+mismatch\s+for\s+(KEY?):\s*copying\s+a\s+param\s+with\s+shape\s+(SHAPE)\s+from\s+checkpoint,\s+the\s+shape\s+in\s+current\s+model\s+is\s+(SHAPE)",
        First::Checkpoint,
    ),
    // PyTorch 0.4 names the two the wrong way round.
    (
        r"size\s+mismatch\s+for\s+(KEY?):\s*copying\s+a\s+param\s+of\s+(SHAPE)\s+from\s+checkpoint,\s+where\s+the\s+shape\s+is\s+(SHAPE)",
        First::Model,
    ),
    (
        r#"copying\s+the\s+parameter\s+named\s+"?(KEY?)"?,\s+whose\s+dimensions\s+in\s+the\s+model\s+are\s+(SHAPE)\s+and\s+whose\s+dimensions\s+in\s+the\s+checkpoint\s+are\s+(SHAPE)"#,
        First::Model,
    ),
    (
        r"(?m)^\W*(KEY?):\s+found\s+shape\s+(SHAPE)\s+in\s+the\s+checkpoint\s+and\s+(SHAPE)\s+in\s+the\s+model",
        First::Checkpoint,
    ),
    (
        r"parameter\s+'?(KEY?)'?\s+to\s+the\s+model\s+due\s+to\s+incompatible\s+shapes:\s+(SHAPE)\s+in\s+the\s+checkpoint\s+but\s+(SHAPE)",
        First::Checkpoint,
    ),
    (
        r"(?m)^\W*(KEY?)\s*\|\s*MISMATCH\s*\|.*?ckpt:?\s*(SHAPE)\s*vs\.?\s*model:?\s*(SHAPE)",
        First::Checkpoint,
    ),
    // The table of mmcv: expected, loaded.
    (r"(?m)^\s*\|\s*(KEY?)\s*\|\s*(SHAPE)\s*\|\s*(SHAPE)\s*\|\s*$", First::Model),
    // diffusers.
    (
        r"because\s+(KEY?)\s+expected\s+shape\s+(?:tensor\(\.\.\.,[^\n]*?size=)?(SHAPE)\)?,\s+but\s+got\s+(SHAPE)",
        First::Model,
    ),
    // accelerate, whose key is the last part alone.
    (
        r"(?:set|load) a tensor of shape (?P<first>SHAPE) in ['\x22](?P<key>KEY?)['\x22] \(which has shape (?P<second>SHAPE)\)",
        First::Checkpoint,
    ),
];

/// Which side a list is of.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// Keys of the model that the file lacks.
    Model,
    /// Keys of the file that the model lacks.
    File,
}

/// Whose shape comes first.
#[derive(Clone, Copy, PartialEq)]
enum First {
    Checkpoint,
    Model,
}

impl Mismatch {
    /// What a plain text says of keys and shapes; `None` if it says nothing of them.
    pub(super) fn read(text: &str) -> Option<Mismatch> {
        let (mut missing, mut unexpected) = (Keys::default(), Keys::default());
        for (heading, side) in HEADINGS {
            for found in regex(heading).find_iter(text) {
                let list = lists::read(&text[found.end()..]);
                match side {
                    Side::Model => missing.extend(list),
                    Side::File => unexpected.extend(list),
                }
            }
        }
        for (key, side) in rows(text) {
            match side {
                Side::Model => missing.extend(whole(lists::expanded(&key))),
                Side::File => unexpected.extend(whole(lists::expanded(&key))),
            }
        }
        // The first PyTorch stopped at one key.
        for found in regex(r#"unexpected key "(.+?)" in state_dict"#).captures_iter(text) {
            unexpected.extend(List { keys: [found[1].to_string()].into(), is_cut: true });
        }
        let model = regex(r"loading state_dict for\s+([\w.\[\]]+)").captures(text);
        let mismatch = Mismatch {
            model: model.map(|found| found[1].to_string()),
            is_cut: missing.is_cut || unexpected.is_cut,
            missing: missing.keys.into_iter().collect(),
            unexpected: unexpected.keys.into_iter().collect(),
            misfits: misfits(text),
        };
        let says_something = !mismatch.missing.is_empty()
            || !mismatch.unexpected.is_empty()
            || !mismatch.misfits.is_empty();
        says_something.then_some(mismatch)
    }
}

/// Keys in the order of the message, each once: every process of a group prints them.
#[derive(Default)]
struct Keys {
    keys: IndexSet<String>,
    is_cut: bool,
}

impl Keys {
    fn extend(&mut self, list: List) {
        self.keys.extend(list.keys.into_iter().filter(|key| !key.is_empty()));
        self.is_cut |= list.is_cut;
    }
}

fn whole(keys: Vec<String>) -> List {
    List { keys, is_cut: false }
}

/// The rows of a table: `fc.{bias, weight} | MISSING |`.
fn rows(text: &str) -> Vec<(String, Side)> {
    let row = regex(r"(?m)^\s*([^\s|]+(?: ?[^\s|]+)*?)\s*\|\s*(MISSING|UNEXPECTED)\b");
    let rows = row.captures_iter(text).map(|found| {
        let side = if &found[2] == "MISSING" { Side::Model } else { Side::File };
        (found[1].to_string(), side)
    });
    rows.collect()
}

fn misfits(text: &str) -> Vec<Shapes> {
    let mut all = IndexMap::<String, Shapes>::default();
    for (pattern, first) in SHAPES {
        let pattern = pattern
            .replace("KEY", r"[^\n]+")
            .replace("SHAPE", r"(?:torch\.Size\()?[\[(][\d,\s]*[\])]\)?");
        for found in regex(&pattern).captures_iter(text) {
            let [key, first_shape, second_shape] =
                [("key", 1), ("first", 2), ("second", 3)].map(|(name, place)| {
                    found.name(name).or(found.get(place)).map_or("", |it| it.as_str())
                });
            let (Some(a), Some(b)) = (shape(first_shape), shape(second_shape)) else { continue };
            let (checkpoint, model) = if first == First::Checkpoint { (a, b) } else { (b, a) };
            let key = joined(key);
            // A copy that failed for another reason has the same shape twice.
            if checkpoint != model {
                all.insert(key.clone(), Shapes { key, checkpoint, model });
            }
        }
    }
    all.into_values().collect()
}
