//! Room that a new file keeps for longer keys.

/// How many spare bytes a new file keeps beside its keys, so that the next renaming fits in
/// place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Headroom {
    /// 64 KiB, or a hundredth of the tensors if that is less.
    #[default]
    Usual,
    /// This many, or as near to that as the format comes; no more than [`Headroom::LIMIT`].
    Bytes(u64),
}

impl Headroom {
    /// The most that is kept unasked.
    const MOST: u64 = 64 << 10;

    /// The most that is kept if it is asked for: the longest header that safetensors has. It is laid
    /// out in memory.
    pub const LIMIT: u64 = 100_000_000;

    /// The bytes to keep in a file with this many bytes of tensors.
    pub fn beside(self, tensors: u64) -> u64 {
        match self {
            Headroom::Usual => Headroom::MOST.min(tensors / 100),
            Headroom::Bytes(bytes) => bytes.min(Headroom::LIMIT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_file_keeps_a_hundredth() {
        assert_eq!(Headroom::Usual.beside(99), 0);
        assert_eq!(Headroom::Usual.beside(100_000), 1_000);
        assert_eq!(Headroom::Usual.beside(u64::MAX), 65_536);
    }

    #[test]
    fn what_is_asked_for_is_kept_whatever_the_size() {
        assert_eq!(Headroom::Bytes(0).beside(u64::MAX), 0);
        assert_eq!(Headroom::Bytes(1 << 20).beside(1), 1 << 20);
        assert_eq!(Headroom::Bytes(u64::MAX).beside(1), Headroom::LIMIT);
    }
}
