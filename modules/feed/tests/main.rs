//! The order of the two modules by hand, and refusals.

use feed::{CALLEE_ERROR, Input, OUTPUT_ERROR, run_with};
use kapsule_guest::host::Called;
use kapsule_guest::{Errno, Error};

const TRUST: [u8; 32] = [1; 32];
const RANK: [u8; 32] = [2; 32];

/// The viewer `me` trusts `ada` and blocks `bob`.
const TRUST_INPUT: &[u8] = b"\xa3\x00\x01\x01\x62me\x02\x82\
    \x85\x62me\x63ada\x1a\x00\x07\xa1\x20\xf4\x00\x85\x62me\x63bob\x1a\x00\x07\xa1\x20\xf5\x00";
/// A post of each of them, at the time 0, and a parameter.
const RANK_INPUT: &[u8] = b"\xa4\x00\x01\x01\x00\x02\x82\
    \x88\x01\x63ada\x60\x01\x00\x00\x80\x80\x88\x02\x63bob\x60\x09\x00\x00\x80\x80\
    \x04\xa1\x09\x05";

fn input(trust_input: &[u8], rank_input: &[u8]) -> Vec<u8> {
    let packages = [b"\xa5\x00\x01\x01\x58\x20".as_slice(), &TRUST, b"\x02\x58\x20", &RANK];
    [&packages.concat(), b"\x03".as_slice(), trust_input, b"\x04", rank_input].concat()
}

/// Answers as a nested run that ended so.
fn ended(class: u32, detail: u32, output: Vec<u8>) -> Called {
    Called { fuel: 7, class, detail, output_bytes: output.len(), output: Some(output) }
}

fn no_edges() -> Result<Vec<kapsule_guest::TrustEdge>, Error> {
    panic!("the input has statements")
}

/// Runs the modules themselves.
fn by_hand(package: &[u8; 32], input: &[u8]) -> Result<Called, Errno> {
    let output = match *package {
        TRUST => trust::run(input, no_edges),
        RANK => rank::run(input),
        _ => return Err(Errno::NotFound),
    };
    Ok(output.map_or_else(
        |error| ended(0, error.code().into(), Vec::new()),
        |output| ended(0, 0, output),
    ))
}

#[test]
fn the_feed_is_the_one_of_the_two_modules_in_a_row() {
    let trusted = trust::run(TRUST_INPUT, no_edges).expect("the input is good");
    let head = b"\xa5\x00\x01\x01\x00".as_slice();
    let (posts, parameters) = RANK_INPUT[5..].split_at(RANK_INPUT.len() - 9);
    let whole = [head, posts, b"\x03", trusted.as_slice(), parameters].concat();
    let expect = rank::run(&whole).expect("the input is good");
    let bytes = input(TRUST_INPUT, RANK_INPUT);
    assert_eq!(Input::decode(&bytes).expect("the input is good").rank_input(&trusted), whole);
    assert_eq!(run_with(&bytes, &mut by_hand), Ok(expect.clone()));
    let alone = rank::run(RANK_INPUT).expect("the input is good");
    assert_ne!(expect, alone, "without trust nobody is blocked");
}

#[test]
fn refuses_with_its_code() {
    let good = input(TRUST_INPUT, RANK_INPUT);
    let with = |from: &[u8], to: &[u8]| {
        let at = good.windows(from.len()).position(|window| window == from).expect("it is there");
        [&good[..at], to, &good[at + from.len()..]].concat()
    };
    for bytes in [
        Vec::new(),
        good[..good.len() - 1].to_vec(),
        with(b"\x01\x58\x20", b"\x01\x58\x1f"),
        with(b"\xa5\x00\x01", b"\xa5\x00\x02"),
        with(b"\xa4\x00\x01\x01\x00", b"\xa5\x00\x01\x01\x00"),
        input(TRUST_INPUT, b"\x80"),
        input(TRUST_INPUT, b"\xa1\x03\x00"),
        [b"\xa6", &good[1..], b"\x05\x00"].concat(),
        b"\xa1\x00\x01".to_vec(),
    ] {
        let error = run_with(&bytes, &mut |_, _| panic!("no package may be run")).err();
        assert_eq!(error.map(|error| error.code()), Some(Error::INPUT), "{bytes:02x?}");
    }
}

#[test]
fn the_end_of_a_nested_run_ends_this_one() {
    let long = Called { output: None, output_bytes: 9, ..ended(0, 0, Vec::new()) };
    for (answer, code, text) in [
        (Err(Errno::Refused), Error::HOST, "the package of trust was not run: refused"),
        (Err(Errno::NotFound), Error::HOST, "the package of trust was not run: not found"),
        (Ok(ended(0, 16, Vec::new())), CALLEE_ERROR, "trust ended with outcome class 0, detail 16"),
        (Ok(ended(2, 0, Vec::new())), CALLEE_ERROR, "trust ended with outcome class 2, detail 0"),
        (Ok(long), OUTPUT_ERROR, "9 bytes of trust exceed the limit of 1048560"),
    ] {
        let bytes = input(TRUST_INPUT, RANK_INPUT);
        let error = run_with(&bytes, &mut |_, _| answer.clone()).expect_err(text);
        assert_eq!((error.code(), error.message()), (code, text));
    }
    let mut calls = 0;
    let error = run_with(&input(TRUST_INPUT, b"\xa0"), &mut |package, input| {
        calls += 1;
        by_hand(package, input)
    });
    assert_eq!(calls, 2);
    let text = "rank ended with outcome class 0, detail 1";
    assert_eq!(error.expect_err(text).message(), text);
}
