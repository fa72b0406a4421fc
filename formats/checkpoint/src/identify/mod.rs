//! What a file is that no format claims, so that the error can say so.

mod signatures;

use std::path::Path;

use statedict_core::{Fault, Source};

use crate::identify::signatures::SIGNATURES;

/// How much of a file's front is looked at.
const LOOK: u64 = 64 << 10;

/// The bytes at the end among which a zip archive's end record must be.
const TAIL: u64 = (64 << 10) + 22;

/// A file's front, and what else helps to name it.
struct Front<'a> {
    bytes: &'a [u8],
    source: &'a dyn Source,
    /// The name's ending in lower case.
    extension: String,
}

/// What the file is, as a clause: `it is a Git LFS pointer …`.
pub(crate) fn identify(source: &dyn Source, path: &Path) -> Result<String, Fault> {
    let bytes = source.bytes(0..source.len().min(LOOK))?;
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    let front = Front { bytes: &bytes, source, extension: extension.to_ascii_lowercase() };
    let guesses = [
        Front::signed,
        Front::pickle,
        Front::tar,
        Front::zip,
        Front::tensorflow,
        Front::onnx,
        Front::zeros,
        Front::broken_safetensors,
        Front::markup,
        Front::json,
        Front::text,
    ];
    let known = guesses.iter().find_map(|guess| guess(&front));
    Ok(known.unwrap_or_else(|| front.unknown()))
}

impl Front<'_> {
    fn signed(&self) -> Option<String> {
        let has =
            |at: usize, bytes: &[u8]| self.bytes.get(at..).is_some_and(|b| b.starts_with(bytes));
        let signature = SIGNATURES.iter().find(|known| has(known.at, known.bytes))?;
        Some(format!("it is {}", signature.what))
    }

    fn pickle(&self) -> Option<String> {
        matches!(self.bytes, [0x80, 2..=5, ..]).then(|| {
            "it is a bare pickle that torch.save did not write, and pickles are not run".to_string()
        })
    }

    fn tar(&self) -> Option<String> {
        (self.bytes.get(257..262)? == b"ustar")
            .then(|| "it is a tar archive without PyTorch's members; unpack it first".to_string())
    }

    fn zip(&self) -> Option<String> {
        let is_zip = [b"PK\x03\x04", b"PK\x05\x06"].iter().any(|m| self.bytes.starts_with(*m));
        if !is_zip {
            return None;
        }
        let len = self.source.len();
        let tail = self.source.bytes(len.saturating_sub(TAIL)..len).ok()?;
        let has_end = tail.windows(4).any(|window| window == b"PK\x05\x06");
        Some(
            if has_end {
                "it is a zip archive without the data.pkl of PyTorch or the .npy members of npz"
            } else {
                "it is a truncated zip archive: the directory at its end is missing"
            }
            .to_string(),
        )
    }

    fn tensorflow(&self) -> Option<String> {
        const TABLE_END: &[u8] = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb";
        let len = self.source.len();
        let end = self.source.bytes(len.saturating_sub(8)..len).ok()?;
        (end == TABLE_END || self.extension == "pb")
            .then(|| "it is a TensorFlow checkpoint or graph".to_string())
    }

    /// A protobuf whose first field is an ONNX model's version and whose second is one of its own.
    fn onnx(&self) -> Option<String> {
        let looks = matches!(self.bytes, [8, 1..=20, 0x12 | 0x1A | 0x22 | 0x28 | 0x3A | 0x42, ..]);
        looks.then(|| "it is an ONNX model".to_string())
    }

    fn zeros(&self) -> Option<String> {
        if self.bytes.iter().any(|byte| *byte != 0) {
            return None;
        }
        let (seen, len) = (self.bytes.len(), self.source.len());
        Some(if seen as u64 == len {
            format!("its {len} bytes are all zero")
        } else {
            format!("its first {seen} bytes are all zero, as in a broken download")
        })
    }

    /// Says what is wrong with the header of a file that is named as safetensors.
    fn broken_safetensors(&self) -> Option<String> {
        if self.extension != "safetensors" || self.is_text() {
            return None;
        }
        let len = self.source.len();
        let Some((header, rest)) = self.bytes.split_first_chunk() else {
            return Some(format!(
                "a safetensors file begins with 8 bytes of header length, and this one has {len}"
            ));
        };
        let header = u64::from_le_bytes(*header);
        Some(match rest.first() {
            _ if header > len - 8 => {
                format!("at byte 0: header length {header} exceeds the file's {len} bytes")
            }
            Some(byte) if header > 0 => {
                format!(
                    "at byte 8: a safetensors header begins with '{{', not with byte {byte:#04x}"
                )
            }
            _ => {
                "at byte 0: header length 0, and a safetensors header has at least '{}'".to_string()
            }
        })
    }

    fn markup(&self) -> Option<String> {
        let start = self.bytes.trim_ascii_start();
        let begins = |with: &[u8]| {
            start.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
        };
        if begins(b"<!doctype html") || begins(b"<html") {
            return Some("it is an HTML page: the download gave a page, not the file".to_string());
        }
        begins(b"<?xml").then(|| "it is an XML document".to_string())
    }

    fn json(&self) -> Option<String> {
        if !matches!(self.bytes.trim_ascii_start(), [b'{' | b'[', ..]) || !self.is_text() {
            return None;
        }
        let has = |word: &[u8]| self.bytes.windows(word.len()).any(|window| window == word);
        Some(if has(b"\"weight_map\"") {
            "it is the index of a sharded checkpoint under another name; expected one such as \
             model.safetensors.index.json"
                .to_string()
        } else if has(b"\"statedict_plan\"") {
            "it is a saved plan, not a checkpoint".to_string()
        } else {
            "it is a JSON document".to_string()
        })
    }

    fn text(&self) -> Option<String> {
        let text = self.is_text().then(|| String::from_utf8_lossy(self.bytes))?;
        let line: String = text.trim().lines().next()?.chars().take(40).collect();
        Some(format!("it is a text that begins '{line}'"))
    }

    /// True if no byte is one that texts do not have; the last character may be cut.
    fn is_text(&self) -> bool {
        let is_utf8 = match std::str::from_utf8(self.bytes) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none(),
        };
        is_utf8
            && !self.bytes.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace())
    }

    fn unknown(&self) -> String {
        let start: Vec<String> =
            self.bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!(
            "it begins with bytes {}, and no known format does; \
             expected a PyTorch archive, an npz or a safetensors file",
            start.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, bytes: &[u8], expected: &str) {
        let found = identify(&bytes, Path::new(name)).expect("readable");
        assert!(found.contains(expected), "{name}: '{found}' does not say '{expected}'");
    }

    fn named(bytes: &[u8], expected: &str) {
        check("model.bin", bytes, expected);
    }

    #[test]
    fn files_are_named_for_what_they_are() {
        named(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull");
        named(b"\n <!DOCTYPE html><html></html>", "an HTML page");
        named(b"<?xml version='1.0'?><Error/>", "an XML document");
        named(b"GGUF\x03\0\0\0", "a GGUF model");
        named(b"\x08\x07\x12\x07pytorch", "an ONNX model");
        named(b"\x89HDF\r\n\x1a\n\0", "an HDF5 file");
        named(b"\x1c\0\0\0TFL3", "a TensorFlow Lite model");
        named(b"\x93NUMPY\x01\0", "a single NumPy array");
        named(b"\x1f\x8b\x08", "a compressed file");
        named(b"%PDF-1.7", "a PDF document");
        named(b"PYTORCH1", "preview");
        named(b"{\"weight_map\": {}}", "the index of a sharded checkpoint");
        named(b" [1, 2]", "a JSON document");
        named(b"Access denied\nsorry", "a text that begins 'Access denied'");
        named(&[0; 100], "its 100 bytes are all zero");
        named(&[0; 1 << 17], "its first 65536 bytes are all zero");
        named(&[0xCA, 0xFE, 1], "it begins with bytes ca fe 01");
        check("graph.pb", b"\x08\x01\x12\x00", "a TensorFlow checkpoint or graph");
    }

    #[test]
    fn containers_are_distinguished() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        named(&tar, "a tar archive");
        named(b"\x80\x02}q\0.", "a bare pickle");
        named(b"PK\x03\x04\0\0", "truncated");
        named(b"PK\x03\x04\0\0 PK\x05\x06\0\0", "a zip archive without the data.pkl");
    }

    #[test]
    fn a_broken_safetensors_header_is_named_by_its_fault() {
        let named = |bytes: &[u8], expected| check("m.safetensors", bytes, expected);
        named(&[16, 0, 1], "8 bytes of header length, and this one has 3");
        named(b"\x02\0\0\0\0\0\0\0[]", "begins with '{', not with byte 0x5b");
        named(b"\xff\0\0\0\0\0\0\0[]", "header length 255 exceeds the file's 10 bytes");
        named(b"\0\0\0\0\0\0\0\0\x01", "header length 0");
        named(&[0; 24], "its 24 bytes are all zero");
        named(b"<html>", "an HTML page");
        named(b"Not Found", "a text that begins 'Not Found'");
    }
}
