//! The pickles in a stretch of bytes: one, several in a row, or hidden among other bytes.

use std::ops::Range;

use statedict_core::{Fault, Finding, Findings, Source};

use super::imports::{Import, Named};
use super::judge::{Loader, judge};
use super::machine::{End, Followed, Trust, follow};
use super::unread::Unread;
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

/// How many pickles follow the first of a legacy stream: protocol, system, objects, storages' keys.
///
/// Source: `_legacy_save` in `torch/serialization.py`.
const REST_OF_LEGACY: u32 = 4;

/// What the pickles of a stretch would do.
#[derive(Debug, Default)]
pub struct Scan {
    /// What they bring in that is worth telling, the worst first, with places from the start of the
    /// source.
    pub findings: Vec<Finding>,
    /// Why the first could not be followed to its end, and where.
    pub broken: Option<(u64, String)>,
    /// Why no loader reads a pickle that loaders read to its end, though it could be followed, and
    /// where: the first of the stretch or, in a legacy stream, one of the first five.
    pub fault: Option<(u64, &'static str)>,
    /// Why weights-only loading reads one of those no further, though other loaders do, and where.
    pub refusal: Option<(u64, &'static str)>,
    /// Where the first opcode of one of those is that weights-only loading does not read, and which.
    pub unread: Option<(u64, Unread)>,
    /// How many were followed to their end.
    pub count: u32,
    /// True if the first is the number that begins PyTorch's legacy streams, whatever comes before
    /// the number in it: loaders read those after it, too.
    pub is_legacy: bool,
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
    let mut findings = Findings::default();
    let mut rest_of_legacy = 0;
    let mut trust = trust;
    while scan.end < stretch.end {
        let start = scan.end;
        let followed = follow(source, start..stretch.end, trust)?;
        let is_first = start == stretch.start;
        let is_pickle = trust == Trust::Pickle || is_convincing(source, start, &followed)?;
        if is_pickle {
            take(&mut findings, followed.imports, start, loader);
        }
        match followed.end {
            End::Stop(len) => {
                scan.end = start.saturating_add(len);
                scan.count = scan.count.saturating_add(1);
                if trust == Trust::Pickle || is_first {
                    let shifted = |(at, why)| (start.saturating_add(at), why);
                    scan.fault = scan.fault.or(followed.fault.map(shifted));
                    // TorchScript's reader has rules of its own, and weights-only loading none.
                    let refusal = followed.refusal.filter(|_| loader == Loader::Python);
                    scan.refusal = scan.refusal.or(refusal.map(shifted));
                    let unread = followed.unread.filter(|_| loader == Loader::Python);
                    scan.unread =
                        scan.unread.or(unread.map(|(at, what)| (start.saturating_add(at), what)));
                }
            }
            End::Broken(at, what) => {
                if is_first {
                    scan.broken = Some((start.saturating_add(at), what));
                }
                break;
            }
        }
        scan.is_legacy |= followed.is_magic && is_first;
        rest_of_legacy = if followed.is_magic && is_first {
            REST_OF_LEGACY
        } else {
            rest_of_legacy.saturating_sub(1)
        };
        trust = if rest_of_legacy > 0 { Trust::Pickle } else { Trust::Guess };
    }
    scan.findings = findings.into_sorted();
    Ok(scan)
}

/// Looks for pickles among other bytes: those that begin with `PROTO` and bring in what they
/// should not.
///
/// # Errors
/// Only what keeps the bytes from being read.
pub fn search(source: &dyn Source, stretch: Range<u64>) -> Result<Vec<Finding>, Fault> {
    let mut findings = Findings::default();
    let len = stretch.end.saturating_sub(stretch.start);
    let mut steps = LEAST_STEPS.saturating_add(len.saturating_mul(STEPS_PER_BYTE));
    let mut at = stretch.start;
    while at < stretch.end {
        // One byte more, so that a window's last byte has the next beside it.
        let end = at.saturating_add(WINDOW).min(stretch.end);
        let window = source.bytes(at..end.saturating_add(1).min(stretch.end))?;
        let mut next = end;
        for (place, pair) in window.windows(2).enumerate() {
            let [opcode::PROTO, 0..=5] = pair else { continue };
            let start = at.saturating_add(place as u64);
            let followed = follow(source, start..stretch.end, Trust::Guess)?;
            let Some(left) = steps.checked_sub(followed.steps + STEPS_PER_ATTEMPT) else {
                findings.add(Finding::malformed(format!("byte {start}"), WASTE, LIMIT));
                return Ok(findings.into_sorted());
            };
            steps = left;
            if is_convincing(source, start, &followed)? {
                take(&mut findings, followed.imports, start, Loader::Python);
                if let End::Stop(len) = followed.end {
                    next = start.saturating_add(len);
                    break;
                }
            }
        }
        at = next;
    }
    Ok(findings.into_sorted())
}

/// Adds what imports of a pickle say that starts at a byte of the source.
fn take(findings: &mut Findings, imports: Vec<(Named, Import)>, start: u64, loader: Loader) {
    // What has a name of its own comes first.
    let (further, imports): (Vec<_>, Vec<_>) =
        imports.into_iter().partition(|(named, _)| matches!(named, Named::Further(_)));
    let imports = imports.into_iter().chain(further);
    let shifted = imports.map(|(named, import)| (named, import.shifted(start)));
    findings.extend(shifted.filter_map(|(named, import)| judge(&named, &import, loader)));
}

/// True if bytes that may be anything did what only a pickle does. That it failed afterwards does
/// not matter: a loader would have called what comes before.
fn is_convincing(source: &dyn Source, start: u64, followed: &Followed) -> Result<bool, Fault> {
    let head = source.bytes(start..start.saturating_add(2).min(source.len()))?;
    let says_so = matches!(*head, [opcode::PROTO, 0..=5]);
    let ended = matches!(followed.end, End::Stop(_));
    // Numbers of the registry are in the elements of many a tensor: 66561.0 is `PROTO`, `EXT1`.
    let names = followed.imports.iter().any(|(named, _)| !matches!(named, Named::Extension(_)));
    let is_whole = says_so || ended;
    Ok(if names { is_whole || followed.calls } else { is_whole && followed.calls })
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
        dangerous(b"\x80\x02csome.thing\nmake\n)R}b.", "calls some.thing.make()");
    }

    #[test]
    fn a_class_that_is_not_known_is_unknown_and_a_function_that_is_called_dangerous() {
        let unknown = |bytes: &[u8], words: &str| {
            let found = scanned(bytes, Trust::Pickle);
            let worst = found.first().map(|f| (f.verdict, f.what.as_str()));
            assert_eq!(worst, Some((Verdict::Unknown, words)), "{found:?}");
        };
        unknown(b"\x80\x02czoo\nNet\n)\x81}b.", "calls zoo.Net()");
        unknown(b"\x80\x02czoo\nMode\nK\x01\x85R.", "calls zoo.Mode(1)");
        unknown(b"\x80\x02czoo\nhelper\n.", "imports zoo.helper");
        unknown(b"\x80\x02czoo\nlower\n)\x81.", "calls zoo.lower()");
        unknown(
            b"\x80\x02cbuiltins\ngetattr\nczoo\nOuter\nX\x05\0\0\0Inner\x86R)\x81.",
            "imports zoo.Outer",
        );
        unknown(
            b"\x80\x02cfunctools\npartial\nczoo\nact\n\x85R.",
            "calls functools.partial(zoo.act)",
        );
        dangerous(b"\x80\x02czoo\nbuild\n)R.", "calls zoo.build()");
        dangerous(b"\x80\x02clinecache\ngetline\n.", "imports linecache.getline");
        dangerous(b"\x80\x02ctorch._utils\nos.system\n.", "imports torch._utils.os.system");
        dangerous(
            b"\x80\x02cbuiltins\ngetattr\ncos\nsystem\nX\x08\0\0\0__self__\x86R.",
            "calls builtins.getattr(os.system, \"__self__\")",
        );
        dangerous(
            b"\x80\x02czoo\nNet\n)\x81}X\x0c\0\0\0__setstate__czoo\nact\nsb.",
            "sets zoo.act as __setstate__",
        );
    }

    #[test]
    fn names_of_python_2_are_taken_as_the_protocol_takes_them() {
        clean(b"\x80\x02c__builtin__\nset\n]\x85R.");
        clean(b"c__builtin__\nset\n(]tR.");
        let found = scanned(b"\x80\x04\x8c\x0b__builtin__\x8c\x03set\x93]\x85R.", Trust::Pickle);
        assert_eq!(found.first().map(|f| f.verdict), Some(Verdict::Unknown), "{found:?}");
        dangerous(b"\x80\x04\x8c\x0b__builtin__\x8c\x04eval\x93.", "imports __builtin__.eval");
        dangerous(b"\x80\x02\x80\x04c__builtin__\neval\n)R.", "calls __builtin__.eval()");
    }

    #[test]
    fn memo_ids_are_read_as_python_reads_them() {
        let call = "calls posix.system()";
        dangerous(b"cposix\nsystem\np00000000000000000000015\n0g15\n)R.", call);
        dangerous(b"cposix\nsystem\np1_0\n0g10\n)R.", call);
        dangerous(b"cposix\nsystem\np+7\n0g 7 \n)R.", call);
        dangerous(
            b"cposix\nsystem\np99999999999999999999999\n0g099999999999999999999999\n)R.",
            call,
        );
        dangerous(b"Np4294967296\n\x94cposix\nsystem\n\x940h\x02)R.", call);
    }

    #[test]
    fn a_call_before_an_import_that_cannot_be_is_found() {
        for odd in ["a-b\nc", "x\n<lambda>", "1st\ny", "m\nf.<locals>.C"] {
            let bytes = format!("cposix\nsystem\n)R0c{odd}\n.");
            dangerous(bytes.as_bytes(), "calls posix.system()");
        }
        let long = format!("cposix\nsystem\n)R0ctorch\n{}\n.", "a.".repeat(200) + "b");
        dangerous(long.as_bytes(), "calls posix.system()");
    }

    #[test]
    fn later_pickles_of_a_legacy_stream_are_pickles_and_their_faults_count() {
        let magic = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.".as_slice();
        let front = [magic, b"\x80\x02M\xe9\x03.", b"\x80\x02}."].concat();
        let scan_all = |rest: &[u8]| {
            let bytes = [front.as_slice(), rest].concat();
            scan(&bytes.as_slice(), 0..bytes.len() as u64, Trust::Pickle, Loader::Python)
                .expect("readable")
        };
        assert_eq!(scan_all(b"\x80\x02].\x80\x02].").fault, None);
        let found = scan_all(b"\x80\x02K\x01)R.\x80\x02].");
        assert_eq!(found.fault.map(|(_, why)| why), Some("what is called is no callable"));
        let found = scan_all(b"\x80\x02ccollections\nOrderedDict\n)RK\x01a.\x80\x02].");
        assert!(found.refusal.is_some(), "{found:?}");
    }

    #[test]
    fn what_weights_only_loading_refuses_to_do_is_a_refusal() {
        let check = |bytes: &[u8], is_refused: bool| {
            let found = scan(&bytes, 0..bytes.len() as u64, Trust::Pickle, Loader::Python);
            let found = found.expect("readable");
            assert_eq!(found.refusal.is_some(), is_refused, "{}", bytes.escape_ascii());
        };
        let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n)R".as_slice();
        let storage =
            b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQ"
                .as_slice();
        let with = |front: &[u8], rest: &[u8]| [front, rest].concat();
        check(&with(tensor, b"K\0K\x01s."), true);
        check(&with(tensor, b"K\x01a."), true);
        check(&with(storage, b"}b."), true);
        check(&with(storage, b"."), false);
        check(b"ccollections\nOrderedDict\n)RK\x01a.", true);
        check(b"ccollections\nOrderedDict\n)R}b.", false);
        check(b"ccollections\nOrderedDict\n)RK\x01Ns.", false);
        check(b"]K\0Ns.", true);
        check(b"}]b.", true);
        check(b"N)b.", true);
        check(b"ctorch\nfloat32\n)R.", true);
        check(b"ctorch\nfloat32\n)\x81.", true);
        check(b"ctorch\nFloatStorage\n)R.", true);
        check(b"ctorch._utils\n_rebuild_tensor_v2\n)\x81.", true);
        check(b"cbuiltins\nset\n)RK\x01a.", true);
        check(b"cbuiltins\nbytearray\n)RK\0K\x01s.", true);
        check(b"(X\x05\0\0\0thingNNNNtQ.", true);
        check(b"X\x07\0\0\0storageQ.", true);
        check(b"K\x07Q.", true);
        check(b"(X\x07\0\0\0storagectorch\nFloatStorage\nK\0NNtQ.", true);
        check(b"ctorch._utils\n_rebuild_parameter\n)R.", true);
        check(b"ctorch.serialization\n_get_layout\nX\x05\0\0\0torch\x85R.", true);
        check(b"ccollections\ndeque\n)RK\x01a.", false);
    }

    #[test]
    fn inert_calls_are_held_against_their_arguments() {
        let found = |bytes: &[u8]| {
            let found = scanned(bytes, Trust::Pickle);
            found.first().map_or(Verdict::Safe, |finding| finding.verdict)
        };
        let safe =
            |bytes: &[u8]| assert_eq!(found(bytes), Verdict::Safe, "{}", bytes.escape_ascii());
        let harm = |bytes: &[u8]| {
            assert_eq!(found(bytes), Verdict::Dangerous, "{}", bytes.escape_ascii());
        };
        harm(b"cbuiltins\nrange\nL1099511627776L\n\x85R.");
        let range = b"cbuiltins\nrange\nJ\0\0\x10\0\x85R".as_slice();
        safe(&[range, b"."].concat());
        harm(&[b"cbuiltins\nlist\n", range, b"\x85R."].concat());
        harm(&[b"ccollections\ndeque\n", range, b"\x85R."].concat());
        safe(b"cbuiltins\nlist\n]\x85R.");
        safe(b"cfractions\nFraction\nK\x01K\x02\x86R.");
        safe(b"cfractions\nFraction\nX\x03\0\0\x001/2\x85R.");
        harm(b"cfractions\nFraction\nX\x0a\0\0\x001e99999999\x85R.");
        harm(b"cbuiltins\nbytes\nL1099511627776L\n\x85R.");
        harm(&[b"cbuiltins\nint\nX\x10\x27\0\0".as_slice(), &[b'9'; 10_000], b"\x85R."].concat());
        harm(b"cbuiltins\nstr\n]\x85R.");
        harm(b"cnumpy\nndarray\nK\x01\x85cnumpy\ndtype\nX\x01\0\0\0O\x85RC\x08AAAAAAAA\x87R.");
        safe(b"cnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb.");
        harm(b"cnumpy\ndtype\nX\x02\0\0\0f8\x89\x88\x87R(K\x03X\x01\0\0\0<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb.");
        harm(b"ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\nprint\nN)}tR.");
        harm(
            &[b"ctorch._tensor\n_rebuild_from_type_v2\n(cbuiltins\nlist\nN", range, b"\x85}tR."]
                .concat(),
        );
        safe(b"cbuiltins\ntype\nN\x85R.");
        harm(b"cbuiltins\ntype\nX\x01\0\0\0X)}\x87R.");
    }

    #[test]
    fn harm_behind_a_million_imports_is_named_first() {
        let mut bytes = Vec::from(b"\x80\x02");
        for i in 0..60_000 {
            bytes.extend(format!("czoo\nC{i}\n0cpackage{i}\nf\n0").bytes());
        }
        bytes.extend(b"cos\nsystem\nX\x04\0\0\0true\x85R.");
        let found = scanned(&bytes, Trust::Pickle);
        assert_eq!(found.first().map(|f| f.what.as_str()), Some("calls os.system(\"true\")"));
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
        check(b"ccollections\nCounter\nNR.", Some((22, "the arguments of a call are no tuple")));
        check(b"ccollections\nCounter\n]R.", Some((22, "the arguments of a call are no tuple")));
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
    fn numbers_of_the_registry_among_elements_are_none() {
        for number in [66_561.0f32, 66_563.0, 67_073.0, 67_165.0] {
            let elements = number.to_le_bytes().repeat(2);
            assert_eq!(scanned(&elements, Trust::Guess), [], "{number}");
            let found = search(&elements.as_slice(), 0..elements.len() as u64).expect("readable");
            assert_eq!(found, [], "{number}");
        }
        assert_eq!(scanned(b"\x82\x07.", Trust::Guess), []);
        assert_eq!(scanned(b"\x83\x56\xb0]\x81W\xc0", Trust::Guess), []);
        dangerous(b"\x80\x02\x82\x07)R", "calls copyreg extension 7()");
    }

    #[test]
    fn bytes_that_waste_time_meet_the_limit() {
        let bytes = b"\x80\x02(".repeat(40_000);
        let found = search(&bytes.as_slice(), 0..bytes.len() as u64).expect("readable");
        assert_eq!(found.iter().map(|f| f.verdict).collect::<Vec<_>>(), [Verdict::Malformed]);
    }
}
