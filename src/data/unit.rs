//! Values that must lie between 0 and 1.

/// How far a value may lie outside: as far as arithmetic in 32 bits takes one that should not.
const SLACK: f32 = 1e-6;

/// `value`, moved into 0 to 1 if it lies outside only by rounding. Others stay as they are, for [`fits`] to tell.
pub fn clamped(value: f32) -> f32 {
    if (-SLACK..=1.0 + SLACK).contains(&value) { value.clamp(0.0, 1.0) } else { value }
}

/// Whether `value` lies between 0 and 1.
pub fn fits(value: f32) -> bool {
    (0.0..=1.0).contains(&value)
}

/// The index of element `at` of an array of this shape, for messages.
pub fn index(shape: &[usize], mut at: usize) -> Vec<usize> {
    let mut index = Vec::new();
    for length in shape.iter().rev() {
        index.push(at % length);
        at /= length;
    }
    index.reverse();
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_has_a_number_for_each_axis() {
        assert_eq!(index(&[2, 3, 4], 23), [1, 2, 3]);
        assert_eq!(index(&[2, 3, 4], 4), [0, 1, 0]);
        assert!(index(&[], 0).is_empty());
    }

    #[test]
    fn only_rounding_is_mended() {
        for (value, expected) in
            [(0.0, 0.0), (1.0, 1.0), (0.3, 0.3), (-1e-6, 0.0), (1.000_001, 1.0), (-1e-9, 0.0)]
        {
            assert_eq!(clamped(value), expected, "{value}");
        }
        // No negative zero, whose sign would make a difference to bits that are compared.
        assert!(clamped(-1e-9).is_sign_positive());
        for value in [-2e-6, 1.000_01, f32::NAN, f32::INFINITY, -1.0] {
            assert!(!fits(clamped(value)), "{value}");
        }
    }
}
