//! Scalars of NumPy, which metrics of trainers often are.

use super::view::{Node, View};

/// The value of `numpy.core.multiarray.scalar(dtype, bytes)`, if its type is that of a number.
pub(super) fn scalar<'a>(dtype: Node<'a>, value: Node<'a>) -> Option<View<'a>> {
    let record = dtype.record()?;
    let code = dtype.at(*dtype.at(record.arguments?).items().first()?).text()?;
    let state = record.states.first().map_or(&[][..], |id| dtype.at(*id).items());
    let big = state.get(1).and_then(|order| dtype.at(*order).text()) == Some(">");
    let View::Bytes(bytes) = value.view() else { return None };
    let mut bytes = bytes.into_owned();
    if big {
        bytes.reverse();
    }
    number(code, &bytes)
}

/// A number by its little-endian bytes.
fn number<'a>(code: &str, bytes: &[u8]) -> Option<View<'a>> {
    let (kind, _) = code.split_at_checked(1)?;
    let mut wide = [0; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    let unsigned = u64::from_le_bytes(wide);
    let unused = 64 - 8 * u32::try_from(bytes.len()).ok()?;
    Some(match (kind, bytes) {
        ("b", [byte]) => View::Bool(*byte != 0),
        ("u", [_, ..]) => View::Int(i128::from(unsigned)),
        ("i", [_, ..]) => View::Int(i128::from((unsigned << unused) as i64 >> unused)),
        ("f", [a, b]) => View::Float(half::f16::from_le_bytes([*a, *b]).to_f64()),
        ("f", [a, b, c, d]) => View::Float(f64::from(f32::from_le_bytes([*a, *b, *c, *d]))),
        ("f", _) if bytes.len() == 8 => View::Float(f64::from_bits(unsigned)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_values_that_numpy_shows() {
        let int = |code, bytes: &[u8]| match number(code, bytes) {
            Some(View::Int(number)) => Some(number),
            _ => None,
        };
        let float = |bytes: &[u8]| match number("f8", bytes) {
            Some(View::Float(number)) => Some(number),
            _ => None,
        };
        assert_eq!(int("i8", &(-3i64).to_le_bytes()), Some(-3));
        assert_eq!(int("i4", &(-3i32).to_le_bytes()), Some(-3));
        assert_eq!(int("i1", &[0x80]), Some(-128));
        assert_eq!(int("u8", &u64::MAX.to_le_bytes()), Some(i128::from(u64::MAX)));
        assert_eq!(int("u2", &[1, 2]), Some(513));
        assert_eq!(float(&1.25f64.to_le_bytes()), Some(1.25));
        assert_eq!(float(&1.25f32.to_le_bytes()), Some(1.25));
        assert_eq!(float(&[0, 0x3C]), Some(1.0));
        assert!(matches!(number("b1", &[1]), Some(View::Bool(true))));
        for (code, bytes) in [("f16", &[0; 16][..]), ("U3", &[0; 4]), ("", &[1]), ("i0", &[])] {
            assert!(number(code, bytes).is_none(), "{code}");
        }
    }
}
