//! The code of TorchScript archives, which can read and write files when it runs.
//!
//! It is read as tokens, so that white space, line breaks, comments and texts hide nothing.

use statedict_core::Finding;

/// Operators that touch files, by the last part of their name: wherever something is taken from
/// something else by this name, because modules and tensors can be given other names first.
///
/// Source: the operators of PyTorch that take a file's name; on a tensor they are methods too.
const ANYWHERE: [(&str, &str); 2] =
    [("save", "it writes a file"), ("from_file", "it reads or changes a file")];

/// Operators of libraries that touch files or the network, by the last two parts of their name;
/// nothing after the dot stands for all of a library.
const OF_LIBRARIES: [(&str, &str); 10] = [
    ("image.read_file", "it reads a file"),
    ("image.write_file", "it writes a file"),
    ("video.read_video_from_file", "it reads a file"),
    ("video_reader.", "it reads a file"),
    ("torchaudio.load", "it reads a file"),
    ("torchaudio.save", "it writes a file"),
    ("torchaudio.sox_io_load_audio_file", "it reads a file"),
    ("torchaudio.sox_io_save_audio_file", "it writes a file"),
    ("torchaudio.sox_effects_apply_effects_file", "it reads a file"),
    ("rpc.", "it calls functions of other processes"),
];

/// What the code in a file of an archive would do beside computing.
pub(super) fn check(name: &str, text: &[u8]) -> Vec<Finding> {
    let tokens = tokens(text);
    let mut findings = Vec::new();
    for (i, token) in tokens.iter().enumerate() {
        let Some((operator, why)) = called(&tokens, i) else { continue };
        let what = format!("TorchScript calls {operator}");
        let why = format!("{why} when the model is loaded or used");
        let place = format!("{name} line {}", token.line);
        findings.push(Finding::dangerous(place, what, why).about(operator));
    }
    findings
}

/// The operator that a name is, which touches files, and how.
fn called<'t>(tokens: &[Token<'t>], i: usize) -> Option<(String, &'static str)> {
    let back = |by: usize| i.checked_sub(by).and_then(|place| tokens.get(place)).map(|t| t.kind);
    match (tokens.get(i)?.kind, back(1), back(2)) {
        (Kind::Name(name), Some(Kind::Mark(b'.')), before) => {
            let path = path(tokens, i);
            let anywhere = ANYWHERE.iter().find(|(operator, _)| *operator == name);
            anywhere
                .or_else(|| match before {
                    Some(Kind::Name(library)) if path.contains("ops.") => in_library(library, name),
                    _ => None,
                })
                .map(|(_, why)| (path.clone(), *why))
        }
        // `getattr(torch, "save")` is the same.
        (Kind::Text(name), Some(Kind::Mark(b',')), _) => {
            let is_asked = tokens.iter().any(|token| token.kind == Kind::Name("getattr"));
            let anywhere = ANYWHERE.iter().find(|(operator, _)| *operator == name);
            anywhere
                .filter(|_| is_asked)
                .map(|(name, why)| (format!("getattr(…, \"{name}\")"), *why))
        }
        _ => None,
    }
}

/// The operator of a library, by its own name or for all of them.
fn in_library(library: &str, name: &str) -> Option<&'static (&'static str, &'static str)> {
    OF_LIBRARIES.iter().find(|(operator, _)| {
        let (of, last) = operator.split_once('.').unwrap_or_default();
        of == library && (last.is_empty() || last == name)
    })
}

/// The names joined by dots that end in one.
fn path(tokens: &[Token<'_>], last: usize) -> String {
    let mut names = Vec::new();
    let mut at = last;
    while let Some(Kind::Name(name)) = tokens.get(at).map(|token| token.kind) {
        names.push(name);
        let is_joined = at >= 2 && tokens.get(at - 1).map(|t| t.kind) == Some(Kind::Mark(b'.'));
        if !is_joined || names.len() == MAX_NAMES {
            break;
        }
        at -= 2;
    }
    names.reverse();
    names.join(".")
}

/// The most names of a path that are shown; no operator has more.
const MAX_NAMES: usize = 8;

/// Something that code is made of.
#[derive(Clone, Copy, Debug)]
struct Token<'t> {
    kind: Kind<'t>,
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'t> {
    Name(&'t str),
    /// A text between quotes, as it is spelled.
    Text(&'t str),
    /// One character of anything else.
    Mark(u8),
}

/// The tokens of code, without white space, line breaks, continuations and comments.
///
/// Source: `torch/csrc/jit/frontend/lexer.h` and `strtod`-like numbers, which hold nothing here.
fn tokens(text: &[u8]) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(&byte) = text.get(at) {
        let rest = text.get(at..).unwrap_or_default();
        let (kind, len) = match byte {
            b'#' => (None, rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len())),
            b'\'' | b'"' => {
                let (inner, len) = quoted(rest);
                (Some(Kind::Text(std::str::from_utf8(inner).unwrap_or_default())), len)
            }
            byte if byte.is_ascii_whitespace() || byte == b'\\' || byte == 0x0b => (None, 1),
            byte if is_name(byte) => {
                let len = rest.iter().position(|b| !is_name(*b)).unwrap_or(rest.len());
                let name = std::str::from_utf8(rest.get(..len).unwrap_or_default());
                (Some(Kind::Name(name.unwrap_or_default())), len)
            }
            byte => (Some(Kind::Mark(byte)), 1),
        };
        tokens.extend(kind.map(|kind| Token { kind, line }));
        let len = len.max(1);
        let passed = rest.get(..len).unwrap_or_default();
        line += passed.iter().filter(|byte| **byte == b'\n').count();
        at += len;
    }
    tokens
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// What is between the quotes that bytes begin with, and how long it is with them. A text that
/// does not end hides nothing: it ends with its line.
fn quoted(bytes: &[u8]) -> (&[u8], usize) {
    let quote = bytes.first().copied().unwrap_or_default();
    let long = [quote; 3];
    let (start, end): (usize, &[u8]) =
        if bytes.starts_with(&long) { (3, &long) } else { (1, &long[..1]) };
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let rest = bytes.get(at..).unwrap_or_default();
        if rest.starts_with(end) {
            return (bytes.get(start..at).unwrap_or_default(), at + end.len());
        }
        if byte == b'\n' && start == 1 {
            break;
        }
        at += if byte == b'\\' { 2 } else { 1 };
    }
    (&[], 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(code: &str) -> Vec<String> {
        check("code/m.py", code.as_bytes()).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn calls_are_found_however_they_are_written() {
        let save = ["TorchScript calls torch.save"];
        assert_eq!(found("_9 = torch.save(1, \"out\")"), save);
        assert_eq!(found("_9 = torch . save (1, \"out\")"), save);
        assert_eq!(found("_9 = torch.\tsave(1)"), save);
        assert_eq!(found("_9 = (torch.  # here\n  save(1))"), save);
        assert_eq!(found("_9 = torch.\\\nsave(1)"), save);
        assert_eq!(found("_9 = (\"#\", torch.save(1))"), save);
        assert_eq!(found("_9 = ('it\\'s #', torch.save(1))"), save);
        assert_eq!(found("_9 = '\ntorch.save(1)"), save);
        assert_eq!(found("t = torch\nt.save(1)"), ["TorchScript calls t.save"]);
        assert_eq!(found("s = torch.save\ns(1)"), save);
        assert_eq!(found("ops.aten.save(1)"), ["TorchScript calls ops.aten.save"]);
        assert_eq!(found("torch.from_file(\"f\")"), ["TorchScript calls torch.from_file"]);
        assert_eq!(found("ops . aten . from_file (1)"), ["TorchScript calls ops.aten.from_file"]);
        assert_eq!(found("ops.image.write_file(1)"), ["TorchScript calls ops.image.write_file"]);
        assert_eq!(found("torch.rand([1]).save(\"f\")"), ["TorchScript calls save"]);
        assert_eq!(
            found("getattr(torch, \"save\")(1)"),
            ["TorchScript calls getattr(…, \"save\")"]
        );
        assert_eq!(found("ops.rpc.rpc_async(1)"), ["TorchScript calls ops.rpc.rpc_async"]);
    }

    #[test]
    fn what_only_looks_like_a_call_is_none() {
        for code in [
            "# torch.save(1)",
            "x = \"torch.save(1)\"",
            "save = 1",
            "x = '''\ntorch.save('''",
            "def save(self) -> None:\n  pass",
            "torch.saved(1)",
            "image.read_file = 1",
            "x = \"save\"",
        ] {
            assert_eq!(found(code), [""; 0], "{code}");
        }
    }
}
