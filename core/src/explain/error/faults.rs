//! Everything but keys and shapes: files that cannot be read, and programs that take one thing for
//! another.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use regex::Captures;

use crate::explain::error::LoadError;
use crate::explain::error::words::{byte, regex};

/// What a text says if it matches; `None` if it turns out to be about something else.
type Meaning = fn(&Captures, &str) -> Option<LoadError>;

/// Texts with their meanings, the most telling first.
const TEXTS: [(&str, Meaning); 40] = [
    (r"legacy \.tar format", |_, _| Some(LoadError::Tar)),
    (r"cannot instantiate '?(\w*Path)'? on your system", |found, _| {
        Some(LoadError::Path(found[1].to_string()))
    }),
    (
        r"Key [`'\x22]([^`'\x22]+)[`'\x22] is invalid, expected torch\.Tensor but received (?:<class '([^']+)'>|(\S+))",
        not_a_tensor,
    ),
    (r"(?i)does not contain (?:the )?valid metadata", |_, _| Some(LoadError::NoFramework)),
    (r"(?i)got mixed torch\.Tensor and DTensor", |_, _| Some(LoadError::Distributed)),
    (r"Cannot copy out of meta tensor|Tensor on device meta|is on the meta device", |_, _| {
        Some(LoadError::Meta)
    }),
    (r"Promotion for Float8 Types is not supported|not implemented for '?Float8_e\w+'?", |_, _| {
        Some(LoadError::Float8)
    }),
    (r"(?i)please ensure that the architectures match", |_, _| Some(LoadError::OtherArchitecture)),
    (r"TorchScript archives? passed to", |_, _| Some(LoadError::Script)),
    (r"(?i)unsupported (?:pickle )?protocol", |_, _| Some(LoadError::Protocol)),
    (r"Unsupported operand (\d+)", |found, _| operand(found[1].parse().ok()?)),
    (r"(?s)invalid load key, ['\x22](\\x[0-9a-fA-F]{2}|\\.|.)['\x22]", |found, _| {
        byte(&found[1]).map(LoadError::Foreign)
    }),
    (
        r"(?i)Unsupported (?:global|class|type)|Trying to (?:load|call|instantiate)|Weights[ -]only (?:load failed|unpickler)|WeightsUnpickler error",
        |_, text| Some(not_allowed(text)),
    ),
    (r"Attempting to deserialize object on (?:a |an )?(\S+) device", no_device),
    (r"restore data location of .*tagged with ([^)\s]+)\)", no_device),
    (r"Attempted to read a PyTorch file with version", |_, _| Some(LoadError::Newer)),
    (r"did you mean to use torch\.jit\.load", |_, _| Some(LoadError::Newer)),
    (r"(?i)persistent[ _]id", |_, _| Some(LoadError::Newer)),
    (r"attribute '_rebuild\w+' on <module 'torch\._utils'", |_, _| Some(LoadError::Newer)),
    (r"(?:locating file|file not found:?) ?'?(?:\S+/)?constants\.pkl", |_, _| {
        Some(LoadError::NotAScript)
    }),
    (r"Expected state_dict to be dict-like, got <class '([^']+)'>", |found, _| {
        Some(LoadError::NotAStateDict { class: found[1].to_string() })
    }),
    (r"'(?:collections\.)?(?:OrderedDict|dict)' object has no attribute '(\w+)'", |found, _| {
        Some(LoadError::NotAModel { attribute: found[1].to_string() })
    }),
    (r"'([\w.]+)' object has no attribute '(copy|keys|items|_metadata)'", not_a_state_dict),
    (r"Can't get attribute '(\w+)' on <module '([\w.]+)'", |found, _| {
        let (class, module) = (&found[1], &found[2]);
        Some(LoadError::NoClass(alloc::format!("{module}.{class}")))
    }),
    (r"No module named '?([\w.]+)'?", no_module),
    (r"(?:optimizer's group|different number of parameter groups)", |_, _| {
        Some(LoadError::Optimizer)
    }),
    (r"(?i)metadata ?incomplete ?buffer|incomplete metadata", |_, _| Some(LoadError::Damaged)),
    (
        r"(?i)Error while deserializing|SafetensorError|header ?too ?(?:large|small)|invalid ?header",
        |_, _| Some(LoadError::NotSafetensors),
    ),
    (r"(?i)tensors share memory", |_, _| Some(LoadError::Shared)),
    (r"Ran out of input|string of length 0 found|(?m)^\W*EOFError\W*$", |_, _| {
        Some(LoadError::Empty)
    }),
    (
        r"PytorchStreamReader|finding central directory|inline_container|istream reader failed",
        |_, _| Some(LoadError::Damaged),
    ),
    (r"(?i)unexpected EOF|might be corrupted|storage has wrong (?:byte )?size", |_, _| {
        Some(LoadError::Damaged)
    }),
    (r"(?i)pickle data was truncated|BadZipFile|not a zip file|unexpected end of data", |_, _| {
        Some(LoadError::Damaged)
    }),
    (r"(?m)\[Errno 22\] Invalid argument\s*$", |_, _| Some(LoadError::Damaged)),
    (r"Invalid magic number", |_, _| Some(LoadError::BarePickle)),
    (r"STACK_GLOBAL requires str|unpickling stack underflow|could not find MARK", |_, _| {
        Some(LoadError::Damaged)
    }),
    (r"(?i)unable to load weights from (?:pytorch )?checkpoint", |_, _| Some(LoadError::Damaged)),
    (r"'ascii' codec can't decode", |_, _| Some(LoadError::Encoding)),
    (r"KeyError: ['\x22]([\w.-]+)['\x22]", no_entry),
    (r"UnpicklingError", |_, _| Some(LoadError::Damaged)),
];

/// Names that checkpoints of trainers have for the state dict in them.
pub(crate) const CONTAINERS: [&str; 20] = [
    "state_dict",
    "model_state_dict",
    "model_state",
    "model",
    "net",
    "network",
    "weights",
    "params",
    "parameters",
    "module",
    "model_dict",
    "net_state_dict",
    "student",
    "teacher",
    "generator",
    "encoder",
    "backbone",
    "params_ema",
    "model_ema",
    "ema",
];

/// Packages that a program lacks by itself, whatever its checkpoints hold.
const PACKAGES: [&str; 8] = [
    "torch",
    "torchvision",
    "numpy",
    "safetensors",
    "transformers",
    "pytorch_lightning",
    "lightning",
    "pip",
];

/// What a text says other than of keys and shapes.
pub(super) fn read(text: &str) -> Option<LoadError> {
    TEXTS.iter().find_map(|(pattern, meaning)| meaning(&regex(pattern).captures(text)?, text))
}

/// A byte that weights-only loading does not read: an opcode of protocol 4, or no opcode.
fn operand(byte: u8) -> Option<LoadError> {
    // STACK_GLOBAL comes after others that stop the loader; as the first byte it is NumPy's.
    let is_of_protocol_4 = (0x8c..=0x97).contains(&byte) && byte != 0x93;
    Some(match byte {
        // The bytes of protocol 3.
        b'B' | b'C' => LoadError::Protocol,
        _ if is_of_protocol_4 => LoadError::Protocol,
        // The first loader of weights only did not read floats.
        b'G' => LoadError::NotAllowed(Vec::new()),
        _ => LoadError::Foreign(byte),
    })
}

fn not_allowed(text: &str) -> LoadError {
    let names = regex(
        r"(?i)unsupported (?:global: GLOBAL|class|global:?) ([\w.]+)|(?:GLOBAL|load unsupported GLOBAL) ([\w.]+)|function <?(?:class |function )?'?([\w.]+)",
    );
    let mut all: Vec<String> = Vec::new();
    for found in names.captures_iter(text) {
        let name = found.iter().skip(1).flatten().next().map(|name| name.as_str().to_string());
        all.extend(name.filter(|name| name.contains('.') && !all.contains(name)));
    }
    LoadError::NotAllowed(all)
}

fn not_a_tensor(found: &Captures, _: &str) -> Option<LoadError> {
    let class = found.get(2).or(found.get(3))?.as_str().trim_end_matches('.').to_string();
    Some(LoadError::NotATensor { key: found[1].to_string(), class })
}

fn no_device(found: &Captures, _: &str) -> Option<LoadError> {
    Some(LoadError::NoDevice(found[1].to_string()))
}

/// The first thing that `load_state_dict` did with what it was given was to copy it.
fn not_a_state_dict(found: &Captures, text: &str) -> Option<LoadError> {
    let class = found[1].to_string();
    let is_copied = found[2] == *"copy" || text.contains("load_state_dict");
    is_copied.then_some(LoadError::NotAStateDict { class })
}

fn no_module(found: &Captures, _: &str) -> Option<LoadError> {
    let module = found[1].trim_end_matches('.');
    let is_package = PACKAGES.contains(&module);
    (!is_package).then(|| LoadError::NoClass(module.to_string()))
}

/// A key that programs take out of checkpoints; other dicts have keys too.
fn no_entry(found: &Captures, text: &str) -> Option<LoadError> {
    let entry = found[1].to_string();
    let is_meant = CONTAINERS.contains(&entry.as_str())
        || text.contains("torch.load")
        || text.contains("checkpoint[")
        || text.contains("load_state_dict");
    let is_lightning = entry == "pytorch-lightning_version";
    (is_meant || is_lightning).then_some(LoadError::NoEntry(entry))
}
