//! Size classes: four between one power of two and the next.

/// Least size of a block and its alignment, in bytes, which is the greatest alignment of a
/// primitive type.
pub(super) const BLOCK_BYTES: usize = 16;
/// Number of classes; the last one ends at 2 GiB, which is the greatest size of a `Layout` in a
/// module.
pub(super) const CLASSES: usize = 104;

/// Binary logarithm of `BLOCK_BYTES`.
const SHIFT_MIN: usize = BLOCK_BYTES.trailing_zeros() as usize;

/// The sizes that share a list of free blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Class {
    /// Its number, from the least size on.
    pub(super) index: usize,
    /// Size of its blocks, which are large enough for every size of the class.
    pub(super) bytes: usize,
}

impl Class {
    /// Returns the class of a size, which is from 1 to 2 GiB.
    #[inline]
    pub(super) const fn of(size: usize) -> Self {
        let last = size.wrapping_sub(1);
        let shift = ((last | (8 * BLOCK_BYTES - 1)).ilog2() as usize).wrapping_sub(2);
        let quarter = last >> shift;
        let index = shift.wrapping_sub(SHIFT_MIN).wrapping_mul(4).wrapping_add(quarter);
        Self { index, bytes: quarter.wrapping_add(1) << shift }
    }
    /// Returns the class with a number.
    pub(super) const fn at(index: usize) -> Self {
        let bytes = match index {
            0..4 => (index + 1) * BLOCK_BYTES,
            _ => (index % 4 + 5) << (index / 4 - 1 + SHIFT_MIN),
        };
        Self { index, bytes }
    }

    /// Returns the greatest class whose blocks have at most so many bytes.
    pub(super) const fn within(bytes: usize) -> Option<Self> {
        if bytes < BLOCK_BYTES {
            return None;
        }
        let class = Self::of(bytes);
        Some(if class.bytes > bytes { Self::at(class.index - 1) } else { class })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_follow_each_other_without_gaps() {
        for index in 0..CLASSES {
            let class = Class::at(index);
            assert_eq!(Class::of(class.bytes), class);
            assert_eq!(Class::within(class.bytes), Some(class));
            if index + 1 < CLASSES {
                let next = Class::at(index + 1);
                assert_eq!(Class::of(class.bytes + 1), next);
                assert_eq!(Class::within(next.bytes - 1), Some(class));
            }
        }
        assert_eq!(Class::at(CLASSES - 1).bytes, 1 << 31);
    }

    #[test]
    fn a_block_is_aligned_and_wastes_at_most_a_fifth() {
        for size in 65..10_000 {
            let bytes = Class::of(size).bytes;
            assert!(bytes.is_multiple_of(BLOCK_BYTES) && size <= bytes, "{size}");
            assert!((bytes - size) * 5 <= bytes, "{size}");
        }
        assert_eq!((Class::of(1).bytes, Class::of(16).bytes, Class::of(17).bytes), (16, 16, 32));
        assert_eq!(Class::within(15), None);
    }
}
