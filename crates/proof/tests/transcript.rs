//! The transcript digest is pinned and separates what differs.

use kapsule_proof::{Direction, Preamble, Transcript};

fn preamble() -> Preamble {
    Preamble {
        policy_digest: core::array::from_fn(|index| index as u8),
        entry_index: 1,
        fuel_limit: 1_000_000,
        isa: 1,
        salt_present: false,
    }
}

fn digest(preamble: &Preamble, events: &[(Direction, u64)]) -> [u32; 8] {
    let mut transcript = Transcript::new(preamble);
    events.iter().for_each(|(direction, word)| transcript.push(*direction, *word));
    transcript.finish().digest
}

#[test]
fn preambles_and_events_separate() {
    let base = preamble();
    let events = [(Direction::Out, 1), (Direction::In, u64::MAX), (Direction::Out, 3)];
    let variants = [
        digest(&base, &events),
        digest(&base, &events[..2]),
        digest(&base, &[]),
        digest(&base, &[events[1], events[0], events[2]]),
        digest(&base, &[events[0], (Direction::Out, u64::MAX), events[2]]),
        digest(&base, &[events[0], events[1], events[2], (Direction::Out, 0)]),
        digest(&Preamble { policy_digest: [0; 32], ..base }, &events),
        digest(&Preamble { entry_index: 2, ..base }, &events),
        digest(&Preamble { fuel_limit: 1, ..base }, &events),
        digest(&Preamble { isa: 2, ..base }, &events),
        digest(&Preamble { salt_present: true, ..base }, &events),
    ];
    for (index, one) in variants.iter().enumerate() {
        assert!(!variants[..index].contains(one), "variant {index}");
    }
}

#[test]
fn an_odd_number_of_events_is_padded() {
    let mut transcript = Transcript::new(&preamble());
    transcript.push(Direction::Out, 7);
    let end = transcript.finish();
    assert_eq!((end.events, end.padded), (1, true));
    assert!(end.digest.iter().all(|element| *element < 0x7f00_0001));
}
