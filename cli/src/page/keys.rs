//! Front coding: of each key only what it has other than the one before.

/// Characters that a key shares with the one before, at most; one byte counts them.
const MOST_SHARED: usize = 255;

/// For each key how many UTF-16 units it has in common with the one before, and the rest of it.
pub(super) fn front_coded<'a>(keys: impl Iterator<Item = &'a str>) -> (Vec<u8>, Vec<&'a str>) {
    let (mut shared, mut rests) = (Vec::new(), Vec::new());
    let mut last = "";
    for key in keys {
        let (units, bytes) = common(last, key);
        shared.push(units);
        rests.push(&key[bytes..]);
        last = key;
    }
    (shared, rests)
}

/// The units and the bytes that two texts begin alike with.
fn common(a: &str, b: &str) -> (u8, usize) {
    let (mut units, mut bytes) = (0, 0);
    for (one, other) in a.chars().zip(b.chars()) {
        if one != other || units + one.len_utf16() > MOST_SHARED {
            break;
        }
        units += one.len_utf16();
        bytes += one.len_utf8();
    }
    (units as u8, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the page's script puts keys together.
    fn decoded(shared: &[u8], rests: &[&str]) -> Vec<String> {
        let mut last = Vec::new();
        let keys = shared.iter().zip(rests).map(|(shared, rest)| {
            last.truncate(usize::from(*shared));
            last.extend(rest.encode_utf16());
            String::from_utf16(&last).expect("no half of a pair")
        });
        keys.collect()
    }

    #[test]
    fn keys_come_back() {
        let long = "x".repeat(300);
        let keys = ["a.0.w", "a.0.b", "a.10.b", "", "é😀.w", "é😀.v", "é😁", &long, &long];
        let (shared, rests) = front_coded(keys.into_iter());
        assert_eq!(decoded(&shared, &rests), keys);
        assert_eq!(&shared[..3], [0, 4, 2]);
        assert_eq!(rests[1], "b");
    }
}
