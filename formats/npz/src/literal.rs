//! Python literals, as far as they occur in the headers of arrays.
//!
//! The grammar is that of `ast.literal_eval` for dicts, lists, tuples, strings, whole numbers and
//! truth values, with the `L` that Python 2 put after long numbers.

/// How deep values may be nested, so that a header cannot exhaust the stack; NumPy's
/// own dtypes nest no deeper than its 64 dimensions.
const MAX_DEPTH: usize = 64;

/// A value of a Python literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Dict(Vec<(Value, Value)>),
    List(Vec<Value>),
    Tuple(Vec<Value>),
    Text(String),
    Number(u64),
    Truth(bool),
}

/// The value that a text spells, or what was expected and at which of its bytes.
pub(crate) fn parse(text: &str) -> Result<Value, String> {
    let mut parser = Parser { rest: text };
    let parsed = parser.value(MAX_DEPTH).and_then(|value| {
        parser.skip_space();
        if parser.rest.is_empty() { Ok(value) } else { Err("the end of the header") }
    });
    parsed.map_err(|expected| {
        let at = text.len() - parser.rest.len();
        format!("expected {expected} at byte {at} of its text")
    })
}

/// What was expected where the rest begins.
type Parsed<T> = Result<T, &'static str>;

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn value(&mut self, depth: usize) -> Parsed<Value> {
        let depth = depth.checked_sub(1).ok_or("values nested less deeply")?;
        self.skip_space();
        if self.take("{") {
            return self.dict(depth);
        }
        if self.take("[") {
            return self.items("]", depth).map(|(items, _)| Value::List(items));
        }
        if self.take("(") {
            return self.items(")", depth).map(|(mut items, comma)| match items.len() {
                1 if !comma => items.remove(0),
                _ => Value::Tuple(items),
            });
        }
        for (word, truth) in [("True", true), ("False", false)] {
            if self.take(word) {
                return Ok(Value::Truth(truth));
            }
        }
        if self.rest.starts_with(|c: char| c.is_ascii_digit()) {
            return self.number();
        }
        self.text()
    }

    fn dict(&mut self, depth: usize) -> Parsed<Value> {
        let mut pairs = Vec::new();
        loop {
            self.skip_space();
            if self.take("}") {
                return Ok(Value::Dict(pairs));
            }
            let key = self.value(depth)?;
            self.skip_space();
            if !self.take(":") {
                return Err("':'");
            }
            pairs.push((key, self.value(depth)?));
            self.comma("}", "',' or '}'")?;
        }
    }

    /// The values up to `close`, and whether a comma follows the last.
    fn items(&mut self, close: &str, depth: usize) -> Parsed<(Vec<Value>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            self.skip_space();
            if self.take(close) {
                return Ok((items, comma));
            }
            items.push(self.value(depth)?);
            comma = self.comma(close, "',' or a closing bracket")?;
        }
    }

    /// Takes a comma; there need be none before `close`.
    fn comma(&mut self, close: &str, expected: &'static str) -> Parsed<bool> {
        self.skip_space();
        let comma = self.take(",");
        if comma || self.rest.starts_with(close) { Ok(comma) } else { Err(expected) }
    }

    fn number(&mut self) -> Parsed<Value> {
        let too_large = "a number below 2^64";
        let radixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
        let prefix = radixes.into_iter().find(|(prefix, _)| self.take(prefix));
        let radix = prefix.map_or(10, |(_, radix)| radix);
        let end = self.rest.find(|c: char| !c.is_digit(radix) && c != '_');
        let digits = self.split(end.unwrap_or(self.rest.len())).replace('_', "");
        if radix == 10 && digits.starts_with('0') && digits.bytes().any(|digit| digit != b'0') {
            return Err("a number without zeros in front");
        }
        let number = u64::from_str_radix(&digits, radix).map_err(|_| too_large)?;
        self.take("L");
        Ok(Value::Number(number))
    }

    fn text(&mut self) -> Parsed<Value> {
        let expected = "a dict, list, tuple, string, whole number, True or False";
        let quote = match self.rest.trim_start_matches(['u', 'U']).chars().next() {
            Some(quote @ ('\'' | '"')) if self.rest.find(quote) <= Some(1) => quote,
            _ => return Err(expected),
        };
        self.split(self.rest.find(quote).map_or(0, |at| at + 1));
        let mut text = String::new();
        loop {
            match self.next_char().ok_or("a closing quote")? {
                c if c == quote => return Ok(Value::Text(text)),
                '\\' => text.extend(self.escaped()?),
                '\n' => return Err("a string that ends on its line"),
                c => text.push(c),
            }
        }
    }

    /// The character after a backslash; none for a line that goes on.
    fn escaped(&mut self) -> Parsed<Option<char>> {
        let hex = match self.next_char().ok_or("a closing quote")? {
            '\n' => return Ok(None),
            'n' => return Ok(Some('\n')),
            'r' => return Ok(Some('\r')),
            't' => return Ok(Some('\t')),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            c @ ('\\' | '\'' | '"') => return Ok(Some(c)),
            _ => return Err("an escape that is known"),
        };
        let digits = self.rest.get(..hex).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let escaped = digits.and_then(char::from_u32).ok_or("a character in hexadecimal")?;
        self.split(hex);
        Ok(Some(escaped))
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r', '\x0C']);
    }

    fn take(&mut self, token: &str) -> bool {
        let rest = self.rest.strip_prefix(token);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn next_char(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next();
        self.rest = chars.as_str();
        next
    }

    /// Takes the bytes before `at`, which is within the rest.
    fn split(&mut self, at: usize) -> &str {
        let (before, rest) = self.rest.split_at_checked(at).unwrap_or(("", self.rest));
        self.rest = rest;
        before
    }
}

/// A string as Python's `repr` spells it.
pub(crate) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut spelled = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => spelled.push_str("\\\\"),
            '\n' => spelled.push_str("\\n"),
            '\r' => spelled.push_str("\\r"),
            '\t' => spelled.push_str("\\t"),
            c if c == quote => spelled.extend(['\\', c]),
            c if c.is_ascii_control() => spelled.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => spelled.push(c),
        }
    }
    spelled.push(quote);
    spelled
}

/// Whole numbers as Python prints a tuple of them.
pub(crate) fn tuple(numbers: &[u64]) -> String {
    match numbers {
        [only] => format!("({only},)"),
        _ => {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            format!("({})", numbers.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Value::{Dict, List, Number, Text, Truth, Tuple};
    use super::*;

    fn check(text: &str, expected: Value) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    fn refused(text: &str, expected: &str) {
        let error = parse(text).expect_err(text);
        assert!(error.contains(expected), "{text}: {error}");
    }

    fn word(text: &str) -> Value {
        Text(text.to_string())
    }

    #[test]
    fn values_are_read_as_python_reads_them() {
        check(" {} \n", Dict(vec![]));
        check("{'a': True,\n\t\"b\" :False , }", {
            Dict(vec![(word("a"), Truth(true)), (word("b"), Truth(false))])
        });
        check("[(), (1,), (2), (3, 4), [5]]", {
            let five = List(vec![Number(5)]);
            let pair = Tuple(vec![Number(3), Number(4)]);
            List(vec![Tuple(vec![]), Tuple(vec![Number(1)]), Number(2), pair, five])
        });
        check("(0x10, 0o17, 0b11, 1_000, 7L, 0)", {
            Tuple([16, 15, 3, 1000, 7, 0].map(Number).to_vec())
        });
        check("18446744073709551615", Number(u64::MAX));
    }

    #[test]
    fn strings_have_either_quote_and_escapes() {
        check("'a\"b'", word("a\"b"));
        check("\"a'b\"", word("a'b"));
        check("u'\\x41\\u00e9\\U0001F600\\n\\\\\\''", word("Aé😀\n\\'"));
        for text in ["", "it's", "\"", "a'\"b", "é\n\\\x01"] {
            check(&quoted(text), word(text));
        }
    }

    #[test]
    fn what_is_not_a_literal_is_refused() {
        refused("", "expected a dict, list, tuple, string, whole number");
        refused("{'a' 1}", "expected ':' at byte 5");
        refused("(1 2)", "expected ',' or a closing bracket at byte 3");
        refused("1 1", "expected the end of the header at byte 2");
        refused("'abc", "expected a closing quote");
        refused("__import__('os')", "at byte 0");
        refused("-1", "at byte 0");
        refused("18446744073709551616", "a number below 2^64");
        refused("0x", "a number below 2^64");
        refused("02", "a number without zeros in front");
        refused("'\\q'", "an escape that is known");
        refused("'\\ud800'", "a character in hexadecimal");
        refused("uu'a'", "at byte 0");
    }

    #[test]
    fn depth_is_bounded() {
        refused(&"[".repeat(1 << 20), "values nested less deeply");
        assert!(parse(&format!("{}{}", "[".repeat(64), "]".repeat(64))).is_ok());
    }
}
