//! The header of one array, read and written.

use std::ops::Range;

use crate::element::{Element, sizes};
use crate::literal::{self, Value, tuple};

/// What every array starts with.
const MAGIC: &[u8] = b"\x93NUMPY";

/// The longest header text that is read. NumPy stops at 10,000 characters unless asked to trust the
/// file; records with many fields need more, and reading a text runs nothing here.
pub(crate) const MAX_TEXT_LEN: u64 = 1 << 20;

/// The most that a header text may inflate to, as a multiple of what its whole member is deflated
/// to: an archive of a thousand deflated headers must not take a thousand times its length.
pub(crate) const MAX_INFLATION: u64 = 64;

/// A header text of a deflated member that is read however short the member is.
pub(crate) const MAX_SHORT_TEXT: u64 = 4096;

/// The most dimensions of an array: NumPy's own limit.
const MAX_DIMENSIONS: usize = 64;

/// What NumPy aligns the data to, from the start of the header.
const ALIGNMENT: usize = 64;

/// Room that NumPy leaves for the first dimension to grow: the digits of the largest one.
const GROWTH_LEN: usize = 21;

/// Which version of the format a header has, and where its text is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    version: u8,
    /// From the start of the member.
    pub(crate) text: Range<u64>,
}

/// What a header says of its array.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) element: Element,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
    /// True if one of them is given twice; NumPy takes the last.
    pub(crate) repeats: bool,
}

impl Preamble {
    /// Reads the start of a member; none if it is not an array.
    pub(crate) fn parse(front: &[u8]) -> Result<Option<Preamble>, String> {
        let Some(rest) = front.strip_prefix(MAGIC) else { return Ok(None) };
        let cut = "the header is truncated";
        let ([major, minor], rest) = rest.split_first_chunk().ok_or(cut)?;
        let (start, len) = match (major, minor) {
            (1, 0) => {
                let len = rest.first_chunk().ok_or(cut)?;
                (10, u64::from(u16::from_le_bytes(*len)))
            }
            (2 | 3, 0) => {
                let len = rest.first_chunk().ok_or(cut)?;
                (12, u64::from(u32::from_le_bytes(*len)))
            }
            _ => {
                return Err(format!(
                    "version {major}.{minor} of the npy format, expected 1.0, 2.0 or 3.0"
                ));
            }
        };
        Ok(Some(Preamble { version: *major, text: start..start + len }))
    }
}

impl Header {
    /// Reads the text of a header.
    pub(crate) fn parse(preamble: &Preamble, text: &[u8]) -> Result<Header, String> {
        let text = match preamble.version {
            3 => std::str::from_utf8(text).map_err(|_| "its text is not UTF-8")?.to_string(),
            _ => text.iter().copied().map(char::from).collect(),
        };
        let value = literal::parse(&text)?;
        let Value::Dict(pairs) = value else { return Err("its text is not a dict".to_string()) };
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        let mut repeats = false;
        for (key, value) in pairs {
            let place = match &key {
                Value::Text(key) if key == "descr" => &mut descr,
                Value::Text(key) if key == "fortran_order" => &mut fortran_order,
                Value::Text(key) if key == "shape" => &mut shape,
                _ => return Err("its dict has more than descr, fortran_order, shape".to_string()),
            };
            repeats |= place.replace(value).is_some();
        }
        let missing = |key| format!("its dict has no '{key}'");
        let Value::Truth(fortran_order) = fortran_order.ok_or_else(|| missing("fortran_order"))?
        else {
            return Err("fortran_order is neither True nor False".to_string());
        };
        let header = Header {
            element: Element::of(&descr.ok_or_else(|| missing("descr"))?)?,
            fortran_order,
            shape: sizes(&shape.ok_or_else(|| missing("shape"))?)?,
            repeats,
        };
        header.check_size()?;
        Ok(header)
    }

    /// NumPy refuses an array of more bytes than 63 bits count, even where a size of 0 leaves none.
    fn check_size(&self) -> Result<(), String> {
        if self.shape.len() > MAX_DIMENSIONS {
            let found = self.shape.len();
            return Err(format!("{found} dimensions, over {MAX_DIMENSIONS}, NumPy's limit"));
        }
        let sizes = self.shape.iter().filter(|size| **size > 0);
        let element = self.element.dtype.bits().div_ceil(8).max(1);
        let bytes = sizes.copied().try_fold(element, u64::checked_mul);
        match bytes.filter(|bytes| i64::try_from(*bytes).is_ok()) {
            Some(_) => Ok(()),
            None => Err("an array of more bytes than 63 bits count".to_string()),
        }
    }

    /// The distance between neighbours in each dimension, in elements.
    pub(crate) fn strides(&self) -> Vec<u64> {
        if !self.fortran_order {
            return statedict_core::row_major_strides(&self.shape);
        }
        let reversed: Vec<u64> = self.shape.iter().rev().copied().collect();
        let mut strides = statedict_core::row_major_strides(&reversed);
        strides.reverse();
        strides
    }
}

/// The header that NumPy writes before a row-major array.
pub(crate) fn write(descr: &str, shape: &[u64]) -> Vec<u8> {
    let dict = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {}, }}", tuple(shape));
    let growth =
        shape.first().map_or(0, |first| GROWTH_LEN.saturating_sub(first.to_string().len()));
    let text = dict + &" ".repeat(growth);
    let latin_1: Result<Vec<u8>, _> = text.chars().map(u8::try_from).collect();
    match latin_1 {
        Ok(latin_1) => {
            let narrow = padded(10, latin_1.clone());
            match u16::try_from(narrow.len()) {
                Ok(len) => [MAGIC, &[1, 0], &len.to_le_bytes(), &narrow].concat(),
                Err(_) => wide(2, latin_1),
            }
        }
        Err(_) => wide(3, text.into_bytes()),
    }
}

/// A header whose length has four bytes.
fn wide(version: u8, text: Vec<u8>) -> Vec<u8> {
    let text = padded(12, text);
    let len = u32::try_from(text.len()).expect("a dtype's name is shorter than 4 GiB");
    [MAGIC, &[version, 0], &len.to_le_bytes(), &text].concat()
}

/// The text with what NumPy puts after it, so that the data is aligned.
fn padded(preamble_len: usize, mut text: Vec<u8>) -> Vec<u8> {
    let len = preamble_len + text.len() + 1;
    // As in NumPy, a text that is aligned already gets a whole unit more.
    let pad = ALIGNMENT - len % ALIGNMENT;
    text.extend(std::iter::repeat_n(b' ', pad));
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use statedict_core::DType;

    use super::*;

    fn read(front: &[u8]) -> Result<Header, String> {
        let preamble = Preamble::parse(front)?.ok_or("no array")?;
        let text = usize::try_from(preamble.text.start).ok().and_then(|at| front.get(at..));
        Header::parse(&preamble, text.ok_or("cut")?)
    }

    fn spelled(text: &str) -> Result<Header, String> {
        let len = (text.len() as u16).to_le_bytes();
        read(&[b"\x93NUMPY\x01\0", &len[..], text.as_bytes()].concat())
    }

    fn check(text: &str, dtype: &str, fortran_order: bool, shape: &[u64]) {
        let header = spelled(text).expect(text);
        let found = (header.element.dtype.name(), header.fortran_order, header.shape.as_slice());
        assert_eq!(found, (dtype, fortran_order, shape), "{text}");
    }

    fn refused(text: &str, expected: &str) {
        let error = spelled(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }

    #[test]
    fn headers_are_read_as_numpy_reads_them() {
        check(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), } \n",
            "F32",
            false,
            &[2, 3],
        );
        check("{\"shape\":(),\"descr\":\"|b1\",\"fortran_order\":True}", "BOOL", true, &[]);
        check(
            "{'descr': '>i8', 'fortran_order': False, 'shape': (2L, 0x3)}",
            "I64",
            false,
            &[2, 3],
        );
        check(
            "{'shape': (1,), 'descr': '<u2', 'fortran_order': False, 'shape': (4,)}",
            "U16",
            false,
            &[4],
        );
        check(
            "{'descr': [('\u{e9}', '<f4')], 'fortran_order': False, 'shape': (1,)}",
            "[('\u{c3}\u{a9}', '<f4')]",
            false,
            &[1],
        );
    }

    #[test]
    fn headers_that_numpy_refuses_are_refused() {
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': [2]}", "a shape is a tuple");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (2.0,)}", "expected ','");
        refused("{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", "neither True nor False");
        refused("{'descr': '<f4', 'fortran_order': False}", "has no 'shape'");
        refused("{'fortran_order': False, 'shape': ()}", "has no 'descr'");
        refused("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", "has more than");
        refused("{'descr': 3, 'fortran_order': False, 'shape': ()}", "descr is neither");
        refused("['descr']", "its text is not a dict");
        let shaped =
            |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape})}}");
        refused(&shaped(&"1,".repeat(65)), "65 dimensions");
        refused(&shaped("0, 9223372036854775807, 2"), "more bytes than 63 bits count");
    }

    #[test]
    fn a_preamble_gives_version_and_length() {
        let text = |front: &[u8]| Preamble::parse(front).map(|found| found.map(|found| found.text));
        assert_eq!(text(b"\x93NUMPY\x01\0\x76\0"), Ok(Some(10..128)));
        assert_eq!(text(b"\x93NUMPY\x02\0\0\0\x01\0"), Ok(Some(12..65_548)));
        assert_eq!(text(b"pickle"), Ok(None));
        assert!(text(b"\x93NUMPY\x02\0\0\0\x01").is_err());
        assert!(text(b"\x93NUMPY\x04\0\0\0\x01\0").is_err());
    }

    #[test]
    fn the_header_written_is_numpys() {
        let expected = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let expected = format!("\u{93}NUMPY\u{1}\0v\0{expected:<117}\n");
        let expected: Vec<u8> = expected.chars().map(|c| c as u8).collect();
        assert_eq!(write("'<f4'", &[2, 3]), expected);
        assert_eq!(write("'<f4'", &[]).len(), 128);
    }

    #[test]
    fn long_and_foreign_headers_take_a_later_version() {
        let long = format!("[('{}', '<f4')]", "x".repeat(70_000));
        for (descr, version) in
            [("[('\u{e9}', '<f4')]", 1), (&*long, 2), ("[('\u{3b1}', '<f4')]", 3)]
        {
            let header = write(descr, &[5]);
            assert_eq!((header[6], header.len() % 64), (version, 0));
            let read = read(&header).expect("written as NumPy reads");
            assert_eq!((read.element.dtype, read.shape), (DType::other(descr, 32), vec![5]));
        }
    }

    #[test]
    fn columns_stand_side_by_side_in_fortran_order() {
        let header = spelled("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3, 4)}");
        assert_eq!(header.map(|header| header.strides()), Ok(vec![1, 2, 6]));
    }
}
