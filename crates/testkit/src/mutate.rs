//! Inputs made of other inputs: flipped bits, cuts, splices, edges.

use crate::Random;

/// Numbers at the edges of lengths and counts, as they stand in a file.
const EDGES: [&[u8]; 6] =
    [&[0], &[0xff], &[0x7f], &[0xff, 0xff, 0xff, 0xff], &[0x80, 0, 0, 0], &[0, 0, 0, 1]];

/// Returns a mutation of `input`, with `other` to splice from.
///
/// # Determinism
/// Depends on the arguments and the state of `random`.
#[must_use]
pub fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(3) {
        match random.below(7) {
            0 => flip(&mut bytes, random),
            1 => bytes.truncate(random.index(input.len() + 1)),
            2 => splice(&mut bytes, other, random),
            3 => overwrite(&mut bytes, EDGES[random.index(EDGES.len())], random),
            4 => remove(&mut bytes, random),
            5 => repeat(&mut bytes, random),
            _ => insert(&mut bytes, random),
        }
    }
    bytes
}

fn flip(bytes: &mut [u8], random: &mut Random) {
    let index = random.index(bytes.len());
    let bit = random.below(8);
    if let Some(byte) = bytes.get_mut(index) {
        *byte ^= 1 << bit;
    }
}

/// Keeps a head of the bytes and goes on with a tail of the others.
fn splice(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    bytes.truncate(random.index(bytes.len() + 1));
    let from = random.index(other.len() + 1);
    bytes.extend_from_slice(&other[from..]);
}

fn overwrite(bytes: &mut [u8], with: &[u8], random: &mut Random) {
    let at = random.index(bytes.len());
    for (byte, new) in bytes.iter_mut().skip(at).zip(with) {
        *byte = *new;
    }
}

fn remove(bytes: &mut Vec<u8>, random: &mut Random) {
    let (at, count) = part(bytes, random);
    bytes.drain(at..at + count);
}

fn repeat(bytes: &mut Vec<u8>, random: &mut Random) {
    let (at, count) = part(bytes, random);
    let copy = bytes[at..at + count].to_vec();
    bytes.splice(at..at, copy);
}

fn insert(bytes: &mut Vec<u8>, random: &mut Random) {
    let at = random.index(bytes.len() + 1);
    let count = 1 + random.index(4);
    bytes.splice(at..at, random.bytes(count));
}

/// Picks a short part.
fn part(bytes: &[u8], random: &mut Random) -> (usize, usize) {
    let at = random.index(bytes.len() + 1);
    let rest = bytes.len() - at;
    (at, random.index(rest.min(16) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mutations_follow_from_the_seed_and_change_the_input() {
        let input = [7; 64];
        let run = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|_| mutate(&input, b"other", &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(run(1), run(1));
        assert!(run(1).iter().filter(|bytes| bytes.as_slice() != input).count() > 40);
        assert!(mutate(&[], &[], &mut Random::new(2)).len() < 32);
    }
}
