//! Metering that begins before its package is verified: used for the same module, or not at all.

use kapsule_engine::Ahead;
use kapsule_format::authoring::{Draft, Inputs};
use kapsule_format::hash::sha256;
use kapsule_format::package::PackageBuilder;
use kapsule_meter::{MeterError, MeteredModule, Options, Profile, meter};

use crate::support::*;

/// Bytes of data that make a module worth a thread.
const LONG: usize = 20_000;

fn wasm(data: &[u8]) -> Vec<u8> {
    Case::with_data(&[], data, "(i32.const 0)").wasm()
}

/// Returns a package file with these bytes as its module.
fn package(payload: &[u8]) -> Vec<u8> {
    let manifest =
        "name = \"ahead\"\nversion = \"1.0.0\"\nauthor = \"Test\"\nentry = \"ahead.wasm\"";
    let draft = Draft::from_toml(manifest, None).expect("a manifest");
    let (manifest, policy) =
        draft.finish(&Inputs { payload, ..Inputs::default() }).expect("a manifest");
    let builder = PackageBuilder::new(manifest, policy, payload.to_vec());
    builder.pack().expect("a package").into_inner().encode()
}

fn begun(payload: &[u8]) -> Ahead {
    Ahead::begin(&package(payload), |_, _| true).expect("a module that is worth a thread")
}

fn bytes(metered: Result<MeteredModule, MeterError>) -> Result<Vec<u8>, MeterError> {
    metered.map(|module| module.bytes().to_vec())
}

#[test]
fn a_module_is_metered_as_ever() {
    let wasm = wasm(&[7; LONG]);
    let expected = bytes(meter(&wasm, &Options::new(Profile::Integer1)));
    assert!(expected.is_ok());
    assert_eq!(bytes(begun(&wasm).meter(&wasm, Profile::Integer1)), expected);
}

#[test]
fn another_module_or_profile_gets_metering_of_its_own() {
    let (first, second) = (wasm(&[7; LONG]), wasm(&[8; LONG]));
    let expected = bytes(meter(&second, &Options::new(Profile::Integer1)));
    assert_eq!(bytes(begun(&first).meter(&second, Profile::Integer1)), expected);
    let floats = Case::with_data(&[], &[7; LONG], "(drop (f32.const 1)) (i32.const 0)").wasm();
    let refused = begun(&floats).meter(&floats, Profile::Integer1);
    assert!(refused.is_err(), "integer-1 has no floats");
    let metered = begun(&floats).meter(&floats, Profile::Float1);
    assert!(metered.is_ok(), "{metered:?}");
}

#[test]
fn what_metering_refuses_is_refused_alike() {
    let mut payload = b"\0asm\x01\0\0\0".to_vec();
    payload.resize(LONG, 0xff);
    let expected = meter(&payload, &Options::new(Profile::Integer1)).map(drop);
    assert!(expected.is_err());
    assert_eq!(begun(&payload).meter(&payload, Profile::Integer1).map(drop), expected);
}

#[test]
fn nothing_begins_where_nothing_is_gained() {
    let long = wasm(&[7; LONG]);
    let file = package(&long);
    let mut asked = Vec::new();
    let unwanted = Ahead::begin(&file, |module, profile| {
        asked.push((module, profile));
        false
    });
    assert!(unwanted.is_none());
    assert_eq!(asked, [(sha256(&long), Profile::Integer1)]);
    let never = |file: &[u8]| Ahead::begin(file, |_, _| true).is_none();
    assert!(never(&package(&wasm(&[7; 100]))), "a short module");
    assert!(never(&file[..file.len() - 1]), "a file that is cut");
    assert!(never(b""), "an empty file");
}
