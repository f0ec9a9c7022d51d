//! Mutations of a receipt: every byte, every field, every pair of entries, and random ones.

use kapsule_format::container::{Container, Kind, Writer};
use kapsule_format::receipt::Receipt;

use super::{examine, is_refused};
use crate::Random;
use crate::mutate::mutate;

/// What a series of mutations showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Mutations that were looked at.
    pub tried: u64,
    /// Those that gave the bytes of the original, which prove nothing.
    pub same: u64,
    /// Those that were accepted with every demanded check passing, each as (what, bytes).
    pub accepted: Vec<(String, Vec<u8>)>,
}

/// A receipt with the verifier that refuses what is made of it.
pub type Judged<'a> = (&'a [u8], &'a dyn Fn(&[u8]) -> bool);

/// Tells whether the verifier of the samples refuses a receipt.
#[must_use]
pub fn refused(bytes: &[u8]) -> bool {
    is_refused(&examine(bytes))
}

impl Outcome {
    fn look(
        &mut self,
        (original, refuses): Judged<'_>,
        what: impl FnOnce() -> String,
        forged: Vec<u8>,
    ) {
        self.tried += 1;
        if forged == original {
            self.same += 1;
        } else if !refuses(&forged) && !adds_only(original, &forged) {
            self.accepted.push((what(), forged));
        }
    }
}

/// Tells whether a receipt is another one with nothing but attached entries more.
///
/// Anyone can attach entries, so such a receipt stays what it is.
fn adds_only(original: &[u8], forged: &[u8]) -> bool {
    let (Ok(old), Ok(new)) = (Container::decode(original), Container::decode(forged)) else {
        return false;
    };
    old.entries().iter().all(|entry| new.get(entry.name) == Some(entry.bytes))
}

/// Makes every systematic mutation: each byte flipped, each entry left out, renamed, swapped with
/// each other one in content, cut and lengthened, and the entries of `other` spliced in.
#[must_use]
pub fn mutations(judged: Judged<'_>, other: &[u8], byte_step: usize) -> Outcome {
    let (mut outcome, original) = (Outcome::default(), judged.0);
    for index in (0..original.len()).step_by(byte_step.max(1)) {
        let mut forged = original.to_vec();
        forged[index] ^= 1 << (index % 8);
        outcome.look(judged, || format!("byte {index} flipped"), forged);
    }
    for length in (0..original.len()).step_by(512) {
        let forged = original[..length].to_vec();
        outcome.look(judged, || format!("cut to {length} bytes"), forged);
        let forged = [&original[..length], &[0; 512], &original[length..]].concat();
        outcome.look(judged, || format!("a block of NUL at {length}"), forged);
    }
    entries(judged, other, &mut outcome);
    outcome
}

fn entries(judged: Judged<'_>, other: &[u8], outcome: &mut Outcome) {
    let original = judged.0;
    let container = Container::decode(original).expect("the sample is well formed");
    let foreign = Container::decode(other).expect("the sample is well formed");
    let held = container.entries();
    let write = |replaced: &dyn Fn(usize) -> Option<Vec<u8>>| {
        let index = replaced(0).unwrap_or_default();
        let mut writer = Writer::new(Kind::Receipt, index);
        for (place, entry) in held.iter().enumerate().skip(1) {
            if let Some(bytes) = replaced(place) {
                writer.push(entry.name, bytes);
            }
        }
        writer.finish().expect("the names are those of the sample")
    };
    let own = |place: usize| Some(held[place].bytes.to_vec());
    for (place, entry) in held.iter().enumerate() {
        let name = entry.name;
        let forged = write(&|at| if at == place { None } else { own(at) });
        outcome.look(judged, || format!("{name} left out"), forged);
        let forged = write(&|at| if at == place { Some(Vec::new()) } else { own(at) });
        outcome.look(judged, || format!("{name} emptied"), forged);
        let longer = |at: usize| Some([held[at].bytes, &[0]].concat());
        let forged = write(&|at| if at == place { longer(at) } else { own(at) });
        outcome.look(judged, || format!("{name} lengthened"), forged);
        for (second, with) in held.iter().enumerate().skip(place + 1) {
            let swapped = |at| match at {
                at if at == place => own(second),
                at if at == second => own(place),
                at => own(at),
            };
            let forged = write(&swapped);
            outcome.look(judged, || format!("{name} and {} swapped", with.name), forged);
        }
        if let Some(bytes) = foreign.get(name) {
            let forged = write(&|at| if at == place { Some(bytes.to_vec()) } else { own(at) });
            outcome.look(judged, || format!("{name} of another receipt"), forged);
        }
    }
}

/// Makes random mutations, and mutations of the claim, of the bundle and of each envelope alone.
#[must_use]
pub fn run_all(judged: Judged<'_>, other: &[u8], count: u64, seed: u64) -> Outcome {
    let (mut outcome, original) = (Outcome::default(), judged.0);
    let mut random = Random::new(seed);
    let receipt = Receipt::decode(original).expect("the sample is well formed");
    let held = receipt.container().entries();
    for number in 0..count {
        // Half of the mutations keep the container whole, so that they get past its form.
        let forged = if random.one_in(2) {
            let place = random.index(held.len());
            let with = held[random.index(held.len())].bytes;
            let changed = mutate(held[place].bytes, with, &mut random);
            let bytes = |at: usize| if at == place { changed.as_slice() } else { held[at].bytes };
            let mut writer = Writer::new(Kind::Receipt, bytes(0).to_vec());
            for (at, entry) in held.iter().enumerate().skip(1) {
                writer.push(entry.name, bytes(at));
            }
            writer.finish().expect("the names are those of the sample")
        } else {
            mutate(original, other, &mut random)
        };
        outcome.look(judged, || format!("mutation {number} of seed {seed}"), forged);
    }
    outcome
}
