//! The numbers within elements: the order of their bytes, and their signs.

/// Reverses the bytes of every number of `width` bytes.
pub(crate) fn swap(bytes: &mut [u8], width: usize) {
    match width {
        0 | 1 => {}
        2 => swap_each::<2>(bytes),
        4 => swap_each::<4>(bytes),
        8 => swap_each::<8>(bytes),
        _ => bytes.chunks_exact_mut(width).for_each(<[u8]>::reverse),
    }
}

fn swap_each<const N: usize>(bytes: &mut [u8]) {
    bytes.as_chunks_mut::<N>().0.iter_mut().for_each(|number| number.reverse());
}

/// Flips the sign of every little-endian floating-point number of `width` bytes.
pub(crate) fn negate(bytes: &mut [u8], width: usize) {
    bytes.chunks_exact_mut(width.max(1)).for_each(flip_sign);
}

/// Flips the sign of the imaginary part of every complex number, whose parts have `width` bytes.
pub(crate) fn conjugate(bytes: &mut [u8], width: usize) {
    bytes.chunks_exact_mut(width.max(1)).skip(1).step_by(2).for_each(flip_sign);
}

fn flip_sign(number: &mut [u8]) {
    if let Some(last) = number.last_mut() {
        *last ^= 0x80;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(change: impl FnOnce(&mut [u8])) -> Vec<f32> {
        let mut bytes: Vec<u8> =
            [1.0f32, 2.0, -0.0, f32::INFINITY].iter().flat_map(|n| n.to_le_bytes()).collect();
        change(&mut bytes);
        bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
    }

    #[test]
    fn signs_flip() {
        assert_eq!(changed(|b| negate(b, 4)), [-1.0, -2.0, 0.0, f32::NEG_INFINITY]);
        assert_eq!(changed(|b| conjugate(b, 4)), [1.0, -2.0, -0.0, f32::NEG_INFINITY]);
    }

    #[test]
    fn bytes_change_places() {
        let check = |width, expected: [u8; 12]| {
            let mut bytes = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
            swap(&mut bytes, width);
            assert_eq!(bytes, expected);
        };
        check(1, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        check(2, [1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10]);
        check(4, [3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8]);
        check(6, [5, 4, 3, 2, 1, 0, 11, 10, 9, 8, 7, 6]);
    }
}
