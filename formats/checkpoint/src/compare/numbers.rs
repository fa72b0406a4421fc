//! Numbers that are held against each other.

/// A number that can be held against another.
pub(super) trait Number: Copy {
    /// True if both are equal, or neither is a number.
    fn is_same(self, other: Self) -> bool;
    /// True if it is not a number.
    fn is_nan(self) -> bool;
    /// How far apart both are; no number where one of them is none, or both are one infinity.
    fn distance(self, other: Self) -> f64;
    /// How far from zero it is.
    fn magnitude(self) -> f64;
    /// The nearest floating-point number.
    fn value(self) -> f64;
}

impl Number for f64 {
    fn is_same(self, other: f64) -> bool {
        self == other || (self.is_nan() && other.is_nan())
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn distance(self, other: f64) -> f64 {
        (self - other).abs()
    }

    fn magnitude(self) -> f64 {
        self.abs()
    }

    fn value(self) -> f64 {
        self
    }
}

/// Wide enough for every integer of 64 bits, and for the difference of two.
impl Number for i128 {
    fn is_same(self, other: i128) -> bool {
        self == other
    }

    fn is_nan(self) -> bool {
        false
    }

    fn distance(self, other: i128) -> f64 {
        self.abs_diff(other) as f64
    }

    fn magnitude(self) -> f64 {
        self.unsigned_abs() as f64
    }

    fn value(self) -> f64 {
        self as f64
    }
}
