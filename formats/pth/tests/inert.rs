//! Calls that do nothing with most arguments, and take memory or time without measure with some.

use statedict_core::Verdict;
use statedict_pth::{Loader, Trust, scan};

/// The worst that is found of a pickle.
fn worst(pickle: &[u8]) -> Verdict {
    let found = scan(&pickle, 0..pickle.len() as u64, Trust::Pickle, Loader::Python);
    let findings = found.expect("bytes at hand can be read").findings;
    findings.iter().map(|finding| finding.verdict).max().unwrap_or_default()
}

fn check(pickle: &[u8], expected: Verdict) {
    assert_eq!(worst(pickle), expected, "{}", pickle.escape_ascii());
}

fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A whole number of this many bytes.
fn long(bytes: usize) -> Vec<u8> {
    [b"\x8b", &(bytes as u32).to_le_bytes()[..], &vec![1; bytes]].concat()
}

const RANGE: &[u8] = b"cbuiltins\nrange\nK\0J\xff\xff\xff\x7f\x86R";

#[test]
fn a_row_of_numbers_is_as_long_as_a_data_set_and_no_longer() {
    check(b"cbuiltins\nrange\nK\0J\x40\x42\x0f\0\x86R.", Verdict::Safe);
    check(&[RANGE, b"."].concat(), Verdict::Dangerous);
    check(b"cbuiltins\nrange\nJ\0\0\0\x80K\0\x86R.", Verdict::Dangerous);
    check(&[b"cbuiltins\nrange\n", &long(9)[..], b"\x85R."].concat(), Verdict::Dangerous);
}

#[test]
fn a_number_of_numpy_is_made_of_a_number_alone() {
    check(b"cnumpy\nfloat64\nG\0\0\0\0\0\0\0\0\x85R.", Verdict::Safe);
    check(&[b"cnumpy\nbool_\n", &text("1")[..], b"\x85R."].concat(), Verdict::Safe);
    let decimal = [b"cdecimal\nDecimal\n", &text("1e99999999")[..], b"\x85R"].concat();
    check(&[&decimal[..], b"."].concat(), Verdict::Safe);
    check(&[b"cnumpy\nint64\n", &decimal[..], b"\x85R."].concat(), Verdict::Dangerous);
    let short = b"cbuiltins\nrange\nK\x09\x85R";
    check(&[b"cnumpy\nfloat32\n", &short[..], b"\x85R."].concat(), Verdict::Dangerous);
    check(b"cnumpy\nuint8\n]\x85R.", Verdict::Dangerous);
}

#[test]
fn numbers_that_take_long_to_convert_are_not_values() {
    let of = |path: &str, arguments: &[u8]| {
        let (module, name) = path.split_once(' ').expect("a module and a name");
        [format!("c{module}\n{name}\n").as_bytes(), arguments, b"R."].concat()
    };
    check(&of("decimal Decimal", &[long(100), b"\x85".to_vec()].concat()), Verdict::Safe);
    check(&of("decimal Decimal", &[long(10_000), b"\x85".to_vec()].concat()), Verdict::Dangerous);
    check(&of("fractions Fraction", b"K\x01K\x03\x86"), Verdict::Safe);
    let two = [long(10_000), long(10_000), b"\x86".to_vec()].concat();
    check(&of("fractions Fraction", &two), Verdict::Dangerous);
}

/// An element's description whose state says how long it is.
fn described(size: &[u8]) -> Vec<u8> {
    let front = [b"cnumpy\ndtype\n", &text("S1")[..], b"\x89\x88\x87R(K\x03", &text("|")].concat();
    [&front[..], b"NNN", size, b"K\x01K\0tb."].concat()
}

#[test]
fn an_element_is_no_longer_than_a_text() {
    check(&described(b"K\x20"), Verdict::Safe);
    check(&described(b"J\xff\xff\xff\x7f"), Verdict::Dangerous);
    check(&described(&long(9)), Verdict::Dangerous);
}

#[test]
fn what_goes_through_an_array_may_never_end() {
    let array = b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\0\x85C\x01btR";
    check(&[&array[..], b"."].concat(), Verdict::Safe);
    check(&[b"cbuiltins\ntuple\n", &array[..], b"\x85R."].concat(), Verdict::Dangerous);
}

/// A recurrent module filled with a state.
fn recurrent(state: &[u8]) -> Vec<u8> {
    [b"\x80\x02ctorch.nn.modules.rnn\nLSTM\n)\x81", state, b"b."].concat()
}

#[test]
fn a_recurrent_module_has_some_layers_of_its_own() {
    let layers = text("num_layers");
    let with = |number: &[u8]| recurrent(&[b"}", &layers[..], number, b"s"].concat());
    check(&with(b"K\x02"), Verdict::Safe);
    check(&recurrent(&[b"(", &layers[..], b"K\x02d"].concat()), Verdict::Safe);
    check(&with(b"J\0\0\0\x7f"), Verdict::Dangerous);
    check(&with(&long(9)), Verdict::Dangerous);
    check(&recurrent(&[b"(", &layers[..], b"J\0\0\0\x7fd"].concat()), Verdict::Dangerous);
    check(&recurrent(b"}"), Verdict::Dangerous);
    let called = [b"ccollections\nOrderedDict\n]]", &layers[..], b"aJ\0\0\0\x7faa\x85R"].concat();
    check(&recurrent(&called), Verdict::Dangerous);
    let cell = b"\x80\x02ctorch.nn.modules.rnn\nLSTMCell\n)\x81}b.";
    check(cell, Verdict::Safe);
}

#[test]
fn one_list_is_no_argument_of_many_calls() {
    let calls = |class: &str, fetch: &[u8], count: usize| {
        let list = [b"\x80\x02](", &b"N".repeat(100)[..], b"eq\x010"].concat();
        let class = format!("c{class}\nq\x020");
        let args = b"h\x01\x85q\x030";
        let call = [b"h\x02", fetch, b"R0"].concat().repeat(count);
        [&list[..], class.as_bytes(), args, &call, b"N."].concat()
    };
    for class in ["builtins\nlist", "builtins\ntuple", "collections\ndeque", "builtins\nbytes"] {
        for fetch in [&b"h\x01\x85"[..], b"(h\x01t", b"h\x03"] {
            check(&calls(class, fetch, 4), Verdict::Safe);
            check(&calls(class, fetch, 40), Verdict::Dangerous);
        }
    }
    check(&calls("builtins\nset", b"h\x03", 40), Verdict::Malformed);
    // Lists of their own, as picklers write them.
    let own = b"cbuiltins\nlist\n](NNe\x85R0".repeat(100);
    check(&[b"\x80\x02", &own[..], b"N."].concat(), Verdict::Safe);
}

/// A long text, put aside under 1.
fn long_text() -> Vec<u8> {
    [&text(&"a".repeat(1 << 16))[..], b"q\x010"].concat()
}

#[test]
fn one_long_text_is_no_argument_of_many_calls() {
    let calls = |function: &str, arguments: &[u8], count: usize| {
        let function = format!("c{function}\nq\x020");
        let call = [b"h\x02", arguments, b"R0"].concat().repeat(count);
        [b"\x80\x02", &long_text()[..], function.as_bytes(), &call, b"N."].concat()
    };
    let encoded = [b"h\x01", &text("utf-16")[..], b"\x86"].concat();
    for (function, arguments, verdict) in [
        ("_codecs\nencode", &encoded[..], Verdict::Malformed),
        ("builtins\nbytearray", &encoded, Verdict::Malformed),
        ("collections\nCounter", b"h\x01\x85", Verdict::Malformed),
        ("builtins\nset", b"(h\x01t", Verdict::Malformed),
        ("builtins\nlist", b"h\x01\x85", Verdict::Dangerous),
        ("builtins\nfloat", b"h\x01\x85", Verdict::Dangerous),
        ("builtins\nbytes", &encoded, Verdict::Dangerous),
    ] {
        check(&calls(function, arguments, 4), Verdict::Safe);
        check(&calls(function, arguments, 100), verdict);
    }
    // What picklers write once and use again is short: names of devices, parts of paths.
    let paths = b"h\x02h\x03\x85R0".repeat(10_000);
    let part = [&text(&"a".repeat(63))[..], b"q\x030"].concat();
    check(
        &[b"\x80\x02cpathlib\nPosixPath\nq\x020", &part[..], &paths, b"N."].concat(),
        Verdict::Safe,
    );
}

#[test]
fn one_state_fills_no_crowd_of_objects() {
    let filled = |class: &str, state: &[u8], count: usize| {
        let made = b"h\x02)Rh\x01b0".repeat(count);
        let class = format!("c{class}\nq\x020");
        [b"\x80\x02", state, b"q\x010", class.as_bytes(), &made, b"N."].concat()
    };
    let state = [
        b"}(",
        &(0..100)
            .flat_map(|n| [text(&n.to_string()), b"N".to_vec()])
            .flatten()
            .collect::<Vec<u8>>()[..],
        b"u",
    ]
    .concat();
    for (class, verdict) in [
        ("collections\nOrderedDict", Verdict::Malformed),
        ("argparse\nNamespace", Verdict::Dangerous),
    ] {
        check(&filled(class, &state, 4), Verdict::Safe);
        check(&filled(class, &state, 40), verdict);
    }
}

#[test]
fn a_slice_is_no_key() {
    let array = b"carray\narray\nX\x01\0\0\0b](K\x01e\x86Rq\x01";
    let slice = b"cbuiltins\nslice\nK\0K\0\x86R";
    check(&[&array[..], slice, b"h\x01s."].concat(), Verdict::Dangerous);
    check(&[&array[..], b"K\0K\x01s."].concat(), Verdict::Safe);
}

#[test]
fn a_scalar_of_numpy_has_bytes() {
    let dtype = [b"cnumpy\ndtype\n", &text("V999999")[..], b"\x89\x88\x87R"].concat();
    let scalar = b"cnumpy._core.multiarray\nscalar\n".as_slice();
    check(&[scalar, &dtype, b"\x85R."].concat(), Verdict::Dangerous);
    let dtype = [b"cnumpy\ndtype\n", &text("u1")[..], b"\x89\x88\x87R"].concat();
    check(&[scalar, &dtype, b"C\x01a\x86R."].concat(), Verdict::Safe);
}

/// A description of elements with parts: `subarray`, `names`, `fields` and the size.
fn structured(subarray: &[u8], names: &[u8], fields: &[u8], size: u8) -> Vec<u8> {
    let dtype = [b"cnumpy\ndtype\n", &text("V8")[..], b"\x89\x88\x87R(K\x03"].concat();
    let state = [&text("|")[..], subarray, names, fields, &[b'K', size]].concat();
    [&dtype[..], &state, b"K\x01K\x10tb."].concat()
}

#[test]
fn fields_of_a_record_are_within_it() {
    let float = [b"cnumpy\ndtype\n", &text("f4")[..], b"\x89\x88\x87R"].concat();
    let field = |offset: &[u8]| [b"(", &float[..], offset, b"t"].concat();
    let fields = |name: &str, offset: &[u8]| [b"}", &text(name)[..], &field(offset), b"s"].concat();
    let names = [&text("a")[..], b"\x85"].concat();
    let record = |fields: &[u8]| structured(b"N", &names, fields, 8);
    check(&record(&fields("a", b"K\x04")), Verdict::Safe);
    check(&record(&fields("a", b"K\x05")), Verdict::Dangerous);
    check(&record(&fields("a", b"J\0\0\0\x10")), Verdict::Dangerous);
    check(&record(&fields("a", b"J\xff\xff\xff\xff")), Verdict::Dangerous);
    check(&record(b"}"), Verdict::Dangerous);
    check(&record(&[&fields("a", b"K\0")[..], b"q\x07h\x07"].concat()), Verdict::Dangerous);
    let array = |sizes: &[u8], size| {
        structured(&[&float[..], sizes, b"\x85\x86"].concat(), b"N", b"N", size)
    };
    check(&array(b"K\x02", 8), Verdict::Safe);
    check(&array(b"J\0\0\0\x10", 8), Verdict::Dangerous);
}

#[test]
fn a_quantised_tensor_has_no_more_elements_than_it_stores() {
    let storage =
        b"(X\x07\0\0\0storagectorch\nQInt8Storage\nX\x01\0\0\x000X\x03\0\0\0cpuJ\0\0\0\x02tQ";
    let tensor = |sizes: &[u8], strides: &[u8]| {
        let front = [b"ctorch._utils\n_rebuild_qtensor\n(", &storage[..], b"K\0", sizes, strides];
        [&front.concat()[..], b"(ctorch\nper_tensor_affine\nG?\xf0\0\0\0\0\0\0K\0t\x89}tR."]
            .concat()
    };
    check(&tensor(b"J\0\0\0\x02\x85", b"K\x01\x85"), Verdict::Safe);
    check(&tensor(b"J\0\0\0\x02\x85", b"K\0\x85"), Verdict::Malformed);
    check(&tensor(b"J\0\0\x10\0J\0\0\x10\0\x86", b"K\x01K\x01\x86"), Verdict::Malformed);
    check(&tensor(b"K\x09\x85", b"K\0\x85"), Verdict::Safe);
}
