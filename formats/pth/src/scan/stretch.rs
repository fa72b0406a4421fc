//! The pickles in a stretch of bytes: one, several in a row, or hidden among other bytes.

use std::ops::Range;

use statedict_core::{Fault, Finding, Source};

use super::imports::Import;
use super::judge::{Loader, judge};
use super::machine::{End, Followed, Trust, follow};
use crate::pickle::opcode;

/// How much is searched for hidden pickles at a time, in bytes.
const WINDOW: u64 = 64 << 10;

/// Steps that all attempts on hidden pickles together may take for each byte searched: random
/// bytes need about one for a hundred, and more is a stretch made to waste time.
const STEPS_PER_BYTE: u64 = 4;

/// The steps that an attempt counts for beside the opcodes it follows.
const STEPS_PER_ATTEMPT: u64 = 64;

/// The steps that even the shortest stretch may take.
const LEAST_STEPS: u64 = 1 << 16;

const WASTE: &str = "bytes between members begin a pickle over and over";
const LIMIT: &str = "following them all takes over 4 steps a byte, the limit of the scan";

/// The most findings of one stretch; more tell nothing new.
const MAX_FINDINGS: usize = 100;

/// What the pickles of a stretch would do.
#[derive(Debug, Default)]
pub struct Scan {
    /// What they bring in that is worth telling, with places from the start of the source.
    pub findings: Vec<Finding>,
    /// Why the first could not be followed to its end, and where.
    pub broken: Option<(u64, String)>,
    /// Why no loader reads the first to its end, though it could be followed, and where.
    pub fault: Option<(u64, &'static str)>,
    /// Where the last pickle that was followed to its end ends.
    pub end: u64,
}

/// Follows the pickles in a stretch: the one at its start, those right behind it, and those that
/// later bytes hold.
///
/// # Errors
/// Only what keeps the bytes from being read.
pub fn scan(
    source: &dyn Source,
    stretch: Range<u64>,
    trust: Trust,
    loader: Loader,
) -> Result<Scan, Fault> {
    let mut scan = Scan { end: stretch.start, ..Scan::default() };
    let mut trust = trust;
    while scan.end < stretch.end {
        let start = scan.end;
        let followed = follow(source, start..stretch.end, trust)?;
        let is_first = start == stretch.start;
        let is_pickle = trust == Trust::Pickle || is_convincing(source, start, &followed)?;
        if is_pickle {
            scan.take(&followed.imports, start, loader);
        }
        match followed.end {
            End::Stop(len) => {
                scan.end = start.saturating_add(len);
                if is_first {
                    scan.fault = followed.fault.map(|(at, why)| (start.saturating_add(at), why));
                }
            }
            End::Broken(at, what) => {
                if is_first {
                    scan.broken = Some((start.saturating_add(at), what));
                }
                break;
            }
        }
        trust = Trust::Guess;
    }
    Ok(scan)
}

/// Looks for pickles among other bytes: those that begin with `PROTO` and bring in what they
/// should not.
///
/// # Errors
/// Only what keeps the bytes from being read.
pub fn search(source: &dyn Source, stretch: Range<u64>) -> Result<Vec<Finding>, Fault> {
    let mut scan = Scan::default();
    let len = stretch.end.saturating_sub(stretch.start);
    let mut steps = LEAST_STEPS.saturating_add(len.saturating_mul(STEPS_PER_BYTE));
    let mut at = stretch.start;
    while at < stretch.end && scan.findings.len() < MAX_FINDINGS {
        // One byte more, so that a window's last byte has the next beside it.
        let end = at.saturating_add(WINDOW).min(stretch.end);
        let window = source.bytes(at..end.saturating_add(1).min(stretch.end))?;
        let mut next = end;
        for (place, pair) in window.windows(2).enumerate() {
            let [opcode::PROTO, 0..=5] = pair else { continue };
            let start = at.saturating_add(place as u64);
            let followed = follow(source, start..stretch.end, Trust::Guess)?;
            let Some(left) = steps.checked_sub(followed.steps + STEPS_PER_ATTEMPT) else {
                scan.findings.push(Finding::malformed(format!("byte {start}"), WASTE, LIMIT));
                return Ok(scan.findings);
            };
            steps = left;
            if is_convincing(source, start, &followed)? {
                scan.take(&followed.imports, start, Loader::Python);
                if let End::Stop(len) = followed.end {
                    next = start.saturating_add(len);
                    break;
                }
            }
        }
        at = next;
    }
    Ok(scan.findings)
}

impl Scan {
    fn take(&mut self, imports: &[Import], start: u64, loader: Loader) {
        let room = MAX_FINDINGS.saturating_sub(self.findings.len());
        let shifted = imports.iter().cloned().map(|import| import.shifted(start));
        self.findings.extend(shifted.filter_map(|import| judge(&import, loader)).take(room));
    }
}

/// True if bytes that may be anything did what only a pickle does.
fn is_convincing(source: &dyn Source, start: u64, followed: &Followed) -> Result<bool, Fault> {
    let brings_in = followed.imports.iter().all(|import| import.named.is_plausible());
    let head = source.bytes(start..start.saturating_add(2).min(source.len()))?;
    let says_so = matches!(*head, [opcode::PROTO, 0..=5]);
    let ended = matches!(followed.end, End::Stop(_));
    Ok(!followed.imports.is_empty() && brings_in && (says_so || ended || followed.calls))
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict_core::Verdict;

    fn scanned(bytes: &[u8], trust: Trust) -> Vec<Finding> {
        let found = scan(&bytes, 0..bytes.len() as u64, trust, Loader::Python);
        found.expect("bytes at hand can be read").findings
    }

    /// The pickle is dangerous, and one of the reasons has these words.
    fn dangerous(bytes: &[u8], words: &str) {
        for trust in [Trust::Pickle, Trust::Guess] {
            let found = scanned(bytes, trust);
            let named = found.iter().any(|f| f.verdict == Verdict::Dangerous && f.what == words);
            assert!(named, "{trust:?} {:?}: {found:?}", bytes.escape_ascii().to_string());
        }
    }

    /// Nothing in the bytes would run, whether they are said to be a pickle or not.
    fn clean(bytes: &[u8]) {
        for trust in [Trust::Pickle, Trust::Guess] {
            let found = scanned(bytes, trust);
            let harmless = found.iter().all(|finding| finding.verdict == Verdict::Safe);
            assert!(harmless, "{:?}: {found:?}", bytes.escape_ascii().to_string());
        }
    }

    #[test]
    fn every_spelling_of_a_call_is_found() {
        let call = "calls posix.system(\"true\")";
        dangerous(b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R.", call);
        dangerous(b"cposix\nsystem\n(Vtrue\ntR.", call);
        dangerous(b"(Vtrue\niposix\nsystem\n.", call);
        dangerous(b"(cposix\nsystem\nS'true'\no.", call);
        dangerous(b"\x80\x02cposix\nsystem\nU\x04true\x85\x81.", call);
        dangerous(b"\x80\x04cposix\nsystem\n\x8c\x04true\x85}\x92.", call);
        dangerous(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", call);
        dangerous(
            b"\x80\x04\x8c\x06system\x94\x8c\x05posix\x94h\x01h\0\x93\x8c\x04true\x85R.",
            call,
        );
        dangerous(b"\x80\x04S'p\\157six'\nVs\\u0079stem\n\x93S'true'\n\x85R.", call);
        dangerous(b"\x80\x02cposix\nsystem\nq\x010h\x01(X\x04\0\0\0truetR.", call);
        dangerous(b"\x80\x02cposix\nsystem\n2(X\x04\0\0\0truetR.", call);
        dangerous(b"\x80\x05(\x8c\x01x\x8c\x05posix\x8c\x06system\x930\x8c\x01y1cposix\nsystem\n\x8c\x04true\x85R.", call);
    }

    #[test]
    fn what_is_not_spelled_out_is_dangerous_too() {
        dangerous(b"\x82\x07(tR.", "calls copyreg extension 7()");
        dangerous(b"\x84\x07\0\0\0(tR.", "calls copyreg extension 7()");
        dangerous(
            b"\x80\x04\x8c\x05posixc_codecs\nencode\n\x8c\x06flfgrz\x8c\x05rot13\x86R\x93)R.",
            "calls posix.<computed>()",
        );
        dangerous(
            b"\x80\x02ccollections\nOrderedDict\n)R)R.",
            "calls what collections.OrderedDict returned()",
        );
        dangerous(
            b"\x80\x02ctorch._utils\n_rebuild_parameter\n}b.",
            "changes torch._utils._rebuild_parameter itself",
        );
        dangerous(
            b"\x80\x04\x8c\x05torch\x8c\x10serialization.os\x93.",
            "imports torch.serialization.os",
        );
        dangerous(b"\x80\x02csome.thing\nCls\n)R}b.", "calls some.thing.Cls()");
    }

    #[test]
    fn a_pickle_is_followed_as_far_as_it_goes() {
        dangerous(
            b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R\xff",
            "calls posix.system(\"true\")",
        );
        dangerous(
            b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85RX\xff\xff\xff\xff",
            "calls posix.system(\"true\")",
        );
        dangerous(b"\x80\x02}.\x80\x02N.cposix\nsystem\n)R.", "calls posix.system()");
    }

    #[test]
    fn what_no_loader_reads_is_a_fault_and_what_one_reads_is_none() {
        let check = |bytes: &[u8], expected: Option<(u64, &str)>| {
            let found = scan(&bytes, 0..bytes.len() as u64, Trust::Pickle, Loader::Python);
            let fault = found.expect("readable").fault;
            assert_eq!(fault, expected, "{:?}", bytes.escape_ascii().to_string());
        };
        check(b"\x80\x06N.", Some((0, "its protocol is unknown")));
        check(b"\x80\x04\x95\xff\0\0\0\0\0\0\0N.", Some((2, "a frame ends beyond the pickle")));
        check(b"0N.", Some((0, "an opcode needs a value that is not on the stack")));
        check(b"N(R.", Some((2, "an opcode takes a value from below a mark")));
        check(b"]Nt.", Some((2, "an opcode needs a mark that is not on the stack")));
        check(b"h\0.", Some((0, "a memo id was never put")));
        check(b"K\x01)R.", Some((3, "what is called is no callable")));
        check(b"ccollections\nCounter\nNR.", Some((22, "the arguments of a call are none")));
        check(b"}]Ns.", Some((3, "a key is a list, a dict or a set")));
        check(b"}](\x85tNs.", Some((3, "an opcode takes a value from below a mark")));
        check(b"}]\x85Ns.", Some((4, "a key is a list, a dict or a set")));
        check(b"}(Nu.", Some((3, "a key has no value")));
        check(b"}Na.", Some((2, "what is appended to is no list")));
        check(b"]NNs.", None);
        check(b")NNs.", Some((3, "what an entry is set in is no dict")));
        check(b"](N\x90.", Some((3, "what is added to is no set")));
        check(b"}}b.", Some((2, "what is filled has no such state")));
        check(b"K\x01K\x02\x93.", Some((4, "a module or a name is no text")));
        check(b"\x82\0.", Some((0, "no extension has this code")));
        check(b"\x97.", Some((0, "a buffer is taken from outside the pickle")));
        check(b"}ccollections\nOrderedDict\n)RNs.", Some((29, "a key is a list, a dict or a set")));
        check(
            b"ccollections\nOrderedDict\n)RK\x01b.",
            Some((29, "what is filled has no such state")),
        );
        check(b"N\x98.", Some((1, "what is made read-only is no buffer")));
        check(b"c\xff\nx\n.", Some((0, "a name is no UTF-8")));
        check(b"X\x01\0\0\0\xff.", Some((0, "a text is no UTF-8")));
        check(b"Ione\n.", Some((0, "a number in text is none")));
        check(b"Sx\n.", Some((0, "a text in quotes has none, or a bad escape")));
        check(b"(N}(K\x01]u.", None);
        check(b"ccollections\nOrderedDict\n)R}b}Nb.", None);
        check(b"(lp0\nI01\naL5L\naF1.5\naS'x'\nag0\na.", None);
    }

    #[test]
    fn what_only_looks_like_a_call_is_clean() {
        clean(b"\x80\x02}X\x09\0\0\0os.systemX\x04\0\0\0evals.");
        clean(b"\x80\x02ccollections\nOrderedDict\n)R}X\x05\0\0\0posixX\x06\0\0\0systemsb.");
        clean(b"\x80\x02}r\xff\xff\xff\xff.");
        clean(b"\x80\x02c__builtin__\nset\n]\x85R.");
        clean(b"\x80\x02cargparse\nNamespace\n)\x81}b.");
        clean(b"\x80\x02ctorch.nn.modules.linear\nLinear\n)\x81}b.");
        assert_eq!(scanned(b"class Foo:\n    pass\nReturn.", Trust::Guess), []);
        assert_eq!(scanned(b"cat\ndog\nRabbit\n", Trust::Guess), []);
    }

    #[test]
    fn hidden_pickles_are_found_between_other_bytes() {
        let bytes = [&[0x80; 70_000][..], b"\x80\x02cposix\nsystem\n)R.", &[1; 9]].concat();
        let found = search(&bytes.as_slice(), 0..bytes.len() as u64).expect("readable");
        let places: Vec<_> = found.iter().map(|f| (f.place.as_str(), f.what.as_str())).collect();
        assert_eq!(
            places,
            [("GLOBAL at byte 70002, REDUCE at byte 70017", "calls posix.system()")]
        );
    }

    #[test]
    fn bytes_that_waste_time_meet_the_limit() {
        let bytes = b"\x80\x02(".repeat(40_000);
        let found = search(&bytes.as_slice(), 0..bytes.len() as u64).expect("readable");
        assert_eq!(found.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Malformed]);
    }
}
