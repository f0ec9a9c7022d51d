//! How many chunks tell enough, and which ones.

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use crate::Digest;
use crate::hash::{Tag, tagged};
use crate::limits::SAMPLES_MAX;
use crate::receipt::ReceiptId;

/// How sure somebody wants to be that a bundle can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// Share of chunks, in millionths, whose absence has to be noticed; 0 means every chunk.
    pub delta_ppm: u64,
    /// An absence escapes with a probability of at most 2 to the minus this, 1 to 256.
    pub epsilon_bits: u64,
}

/// Greatest number of bits of an escape that anybody asks for.
const EPSILON_BITS_MAX: u64 = 256;

impl Sampling {
    /// Returns the least number of samples of `count` chunks by which the absence of the share is
    /// noticed, but for the probability.
    ///
    /// `None` if that takes more samples than anybody answers, or the bits are out of range.
    /// Computed exactly, without a float.
    #[must_use]
    pub fn samples(&self, count: u64) -> Option<u64> {
        if self.epsilon_bits > EPSILON_BITS_MAX {
            return None;
        }
        let within = |k: u64| (k <= SAMPLES_MAX).then_some(k);
        let kept = 1_000_000_u64.checked_sub(self.delta_ppm).filter(|_| self.delta_ppm > 0);
        let Some(kept) = kept else { return within(count) };
        // (kept / 10^6)^k <= 2^-bits, with both sides multiplied by 10^6k and 2^bits.
        let mut left = power_of_two(self.epsilon_bits);
        let mut right = vec![1];
        for k in 0..=SAMPLES_MAX {
            if k >= count || !is_greater(&left, &right) {
                return within(k.min(count));
            }
            multiply(&mut left, kept);
            multiply(&mut right, 1_000_000);
        }
        None
    }
}

/// Returns 2 to the `bits` as limbs of 32 bits, the lowest first.
fn power_of_two(bits: u64) -> Vec<u32> {
    let mut limbs = vec![0; (bits / 32) as usize];
    limbs.push(1 << (bits % 32));
    limbs
}

fn multiply(limbs: &mut Vec<u32>, factor: u64) {
    let mut carry = 0;
    for limb in limbs.iter_mut() {
        let product = u64::from(*limb) * factor + carry;
        *limb = product as u32;
        carry = product >> 32;
    }
    if carry > 0 {
        limbs.push(carry as u32);
    }
}

fn is_greater(left: &[u32], right: &[u32]) -> bool {
    let trimmed = |limbs: &[u32]| limbs.iter().rposition(|limb| *limb > 0).map_or(0, |at| at + 1);
    let key = |limbs: &[u32]| {
        let length = trimmed(limbs);
        (length, limbs[..length].iter().rev().copied().collect::<Vec<u32>>())
    };
    key(left) > key(right)
}

/// Draws distinct indices below `count`, at most `k`.
pub(super) fn draw(
    seed: &[u8; 32],
    receipt_id: &ReceiptId,
    chunk_root: &Digest,
    (count, k): (u64, u64),
) -> Vec<u64> {
    let wanted = usize::try_from(k.min(count)).unwrap_or(usize::MAX);
    // Above this multiple of `count` some indices would come more often than others.
    let fair = ((1_u128 << 64) / u128::from(count.max(1))) * u128::from(count.max(1));
    let (mut drawn, mut seen) = (Vec::new(), BTreeSet::new());
    for number in 0_u64.. {
        if drawn.len() == wanted {
            break;
        }
        let parts: [&[u8]; 4] =
            [seed, receipt_id.as_bytes(), chunk_root.as_bytes(), &number.to_be_bytes()];
        let digest = tagged(Tag::DaIndex, &parts);
        let first = digest.as_bytes().first_chunk::<8>().copied().unwrap_or_default();
        let value = u64::from_be_bytes(first);
        if u128::from(value) < fair && seen.insert(value % count) {
            drawn.push(value % count);
        }
    }
    drawn
}
