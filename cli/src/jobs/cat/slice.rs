//! Parts of arrays as NumPy spells them: `0:3, :5, -1, ::2`, `..., 0`.

use statedict_checkpoint::Index;

/// Reads what is meant of each of the first dimensions; brackets around all of it may be left out.
///
/// # Errors
/// What cannot be read.
pub fn parse(text: &str) -> Result<Vec<Index>, String> {
    let trimmed = text.trim();
    let inner = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(trimmed).split(',').map(|part| index(part.trim())).collect()
}

fn index(text: &str) -> Result<Index, String> {
    if text == "..." {
        return Ok(Index::Ellipsis);
    }
    let bad = || format!("cannot read '{text}'; expected an index or START:STOP:STEP, such as 0:3");
    let number = |text: &str| match text.trim() {
        "" => Ok(None),
        digits => digits.parse::<i64>().map(Some).map_err(|_| bad()),
    };
    let mut parts = text.split(':');
    let (first, second, third) = (parts.next(), parts.next(), parts.next());
    match (first, second, parts.next()) {
        (Some(only), None, _) => number(only)?.map(Index::One).ok_or_else(bad),
        (Some(start), Some(stop), None) => {
            let step = number(third.unwrap_or_default())?.unwrap_or(1);
            if step == 0 {
                return Err(format!("'{text}': a step is not 0"));
            }
            Ok(Index::Range { start: number(start)?, stop: number(stop)?, step })
        }
        _ => Err(bad()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: Option<i64>, stop: Option<i64>, step: i64) -> Index {
        Index::Range { start, stop, step }
    }

    #[test]
    fn slices_are_read_as_numpy_reads_them() {
        assert_eq!(parse("0:3,:5"), Ok(vec![range(Some(0), Some(3), 1), range(None, Some(5), 1)]));
        assert_eq!(parse("[-1, ::2]"), Ok(vec![Index::One(-1), range(None, None, 2)]));
        assert_eq!(parse(":"), Ok(vec![range(None, None, 1)]));
        assert_eq!(parse("::-1"), Ok(vec![range(None, None, -1)]));
        assert_eq!(parse("..., 0"), Ok(vec![Index::Ellipsis, Index::One(0)]));
    }

    #[test]
    fn what_is_no_slice_is_refused() {
        for text in ["", "a", "1:2:3:4", "0:3,", "1.5", "::0", "[1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
