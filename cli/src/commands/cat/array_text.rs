//! Arrays as NumPy prints them: nested brackets, lines of 75 characters, long dimensions cut.

use std::io::{self, Write};

use super::decimal::{positional, scientific};
use super::number_format::{NumberFormat, power_of_ten};
use super::values::{Kind, Real, Values};

/// Characters of a line.
const LINE_WIDTH: usize = 75;

/// What stands for entries that are not shown.
const ELLIPSIS: &str = "...";

/// Writes an array of this shape, of whose longer dimensions there are `edge` entries at both ends
/// if there is an edge.
pub(super) fn write(
    values: &Values,
    shape: &[u64],
    edge: Option<u64>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if shape.is_empty() {
        return out.write_all(scalar(values).as_bytes());
    }
    if shape.contains(&0) {
        return out.write_all(b"[]");
    }
    let dimensions: Vec<Dimension> = shape.iter().map(|size| Dimension::new(*size, edge)).collect();
    let format = NumberFormat::of(values);
    Printer { values, dimensions, format, next: 0, out }.array(0, " ", LINE_WIDTH)
}

/// Entries of a dimension that are shown.
#[derive(Clone, Copy)]
struct Dimension {
    shown: u64,
    /// After how many of them the rest is left out.
    cut_after: Option<u64>,
}

impl Dimension {
    fn new(size: u64, edge: Option<u64>) -> Dimension {
        match edge.filter(|edge| size > 2 * edge) {
            Some(edge) => Dimension { shown: 2 * edge, cut_after: Some(edge) },
            None => Dimension { shown: size, cut_after: None },
        }
    }
}

struct Printer<'a> {
    values: &'a Values,
    dimensions: Vec<Dimension>,
    format: NumberFormat,
    /// The next value.
    next: usize,
    out: &'a mut dyn Write,
}

impl Printer<'_> {
    fn array(&mut self, axis: usize, indent: &str, width: usize) -> io::Result<()> {
        self.out.write_all(b"[")?;
        let left = self.dimensions.len() - axis;
        if left == 1 {
            self.row(axis, indent, width)?
        } else {
            self.rows(axis, indent, width)?
        }
        self.out.write_all(b"]")
    }

    /// The arrays within one, with as many line breaks between them as they have dimensions.
    fn rows(&mut self, axis: usize, indent: &str, width: usize) -> io::Result<()> {
        let Dimension { shown, cut_after } = self.dimensions[axis];
        let breaks = "\n".repeat(self.dimensions.len() - axis - 1);
        let next_indent = format!("{indent} ");
        for entry in 0..shown {
            if cut_after == Some(entry) {
                write!(self.out, "{indent}{ELLIPSIS}{breaks}")?;
            }
            if entry > 0 {
                self.out.write_all(indent.as_bytes())?;
            }
            self.array(axis + 1, &next_indent, width - 1)?;
            if entry + 1 < shown {
                self.out.write_all(breaks.as_bytes())?;
            }
        }
        Ok(())
    }

    /// The values of the last dimension, in lines.
    fn row(&mut self, axis: usize, indent: &str, width: usize) -> io::Result<()> {
        let Dimension { shown, cut_after } = self.dimensions[axis];
        let mut line = Line { text: indent.to_string(), indent, width: width - 1, is_first: true };
        for entry in 0..shown {
            if cut_after == Some(entry) {
                line.add(ELLIPSIS, self.out)?;
                line.text.push(' ');
            }
            line.add(&self.format.text(self.values, self.next), self.out)?;
            self.next += 1;
            if entry + 1 < shown {
                line.text.push(' ');
            }
        }
        line.end(self.out)
    }
}

/// A line that is filled with words.
struct Line<'a> {
    text: String,
    indent: &'a str,
    width: usize,
    /// The first line follows its bracket.
    is_first: bool,
}

impl Line<'_> {
    fn add(&mut self, word: &str, out: &mut dyn Write) -> io::Result<()> {
        let is_begun = self.text.len() > self.indent.len();
        if is_begun && self.text.len() + word.len() > self.width {
            self.text.truncate(self.text.trim_end().len());
            self.text.push('\n');
            self.flush(out)?;
            self.text.push_str(self.indent);
        }
        self.text.push_str(word);
        Ok(())
    }

    fn end(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.flush(out)
    }

    fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let start = if self.is_first { self.indent.len() } else { 0 };
        out.write_all(&self.text.as_bytes()[start..])?;
        self.text.clear();
        self.is_first = false;
        Ok(())
    }
}

/// A single value, with all digits that lead back to it.
pub(super) fn scalar(values: &Values) -> String {
    one(values, 0)
}

/// One of the values, with all digits that lead back to it.
pub(super) fn one(values: &Values, place: usize) -> String {
    match values.kind {
        Kind::Bool if values.integer(place) == 0 => "False".into(),
        Kind::Bool => "True".into(),
        Kind::Signed(_) | Kind::Unsigned(_) => values.integer(place).to_string(),
        Kind::Real(real) => whole(values.real(place, real), real, ".0"),
        Kind::Complex(real) => {
            let [re, im] = [0, 1].map(|part| values.real(2 * place + part, real));
            let sign = if im.is_sign_negative() && !im.is_nan() { "" } else { "+" };
            let (re_text, im_text) = (whole(re, real, ""), whole(im, real, ""));
            if re == 0.0 && re.is_sign_positive() {
                format!("{im_text}j")
            } else {
                format!("({re_text}{sign}{im_text}j)")
            }
        }
    }
}

/// A number by itself; one without a fraction ends with `point`.
fn whole(number: f64, real: Real, point: &str) -> String {
    if number.is_nan() {
        return "nan".into();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf".into() } else { "-inf".into() };
    }
    if number == 0.0 || (1e-4..real.largest_alone()).contains(&number.abs()) {
        let text = positional(number, real, usize::MAX);
        let fraction = if text.contains('.') { "" } else { point };
        return format!("{text}{fraction}");
    }
    let text = scientific(number, real, usize::MAX);
    match text.split_once('e') {
        Some((digits, power)) => format!("{digits}e{}", power_of_ten(power)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use statedict::core::DType;

    fn check(numbers: &[f32], shape: &[u64], edge: Option<u64>, expected: &str) {
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        let values = Values::of(&DType::F32, bytes).expect("numbers");
        let mut out = Vec::new();
        write(&values, shape, edge, &mut out).expect("written");
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }

    #[test]
    fn arrays_are_printed_as_numpy_prints_them() {
        check(&[1.0, -2.5, 3.25], &[3], None, "[ 1.   -2.5   3.25]");
        check(&[1.0, 2.0, 3.0, 4.0], &[2, 2], None, "[[1. 2.]\n [3. 4.]]");
        check(&[1e-5, 1.0], &[2], None, "[1.e-05 1.e+00]");
        check(&[f32::NAN, f32::NEG_INFINITY, 1.0], &[3], None, "[ nan -inf   1.]");
        check(&[1.0; 8], &[2, 2, 2], None, "[[[1. 1.]\n  [1. 1.]]\n\n [[1. 1.]\n  [1. 1.]]]");
        check(&[], &[0, 3], None, "[]");
        check(&[0.1], &[], None, "0.1");
        check(&[3.0], &[], None, "3.0");
    }

    #[test]
    fn the_middle_of_long_dimensions_is_left_out() {
        let expected = "[1. 1. 1. ... 1. 1. 1.]";
        check(&[1.0; 6], &[2000], Some(3), expected);
        let rows = format!("[{0}\n {0}\n {0}\n ...\n {0}\n {0}\n {0}]", expected);
        check(&[1.0; 36], &[100, 100], Some(3), &rows);
    }

    #[test]
    fn lines_end_before_their_width() {
        let expected = format!("[{}1.\n 1. 1.]", "1. ".repeat(23));
        check(&[1.0; 26], &[26], None, &expected);
    }
}
