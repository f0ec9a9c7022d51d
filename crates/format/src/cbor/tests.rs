//! Tests of KCBOR beside the vectors: the limits, the typed access, and the bijection.

use alloc::vec;

use kapsule_abi::ErrorCode;
use proptest::prelude::*;

use super::*;
use crate::limits;

fn code<T: core::fmt::Debug>(result: Result<T, crate::DecodeError>) -> ErrorCode {
    result.unwrap_err().code
}

#[test]
fn the_longest_text_is_accepted_and_one_byte_more_refused() {
    let longest = Value::Text("a".repeat(limits::TEXT_BYTES_MAX));
    assert_eq!(decode(&encode(&longest)).unwrap(), longest);
    let longer = encode(&Value::Text("a".repeat(limits::TEXT_BYTES_MAX + 1)));
    assert_eq!(code(decode(&longer)), ErrorCode::LimitExceeded);
}

fn example() -> Fields {
    let map = Value::Map(vec![
        (0, "kapsule/transcript/1".into()),
        (1, Value::Bytes(vec![7; 32])),
        (2, Value::array([3_u64, 4])),
        (3, 5_u64.into()),
        (4, true.into()),
    ]);
    Fields::new(map, "example").unwrap()
}

#[test]
fn entries_have_types_and_errors_name_their_key() {
    let mut fields = example();
    fields.format_name("kapsule/transcript/1").unwrap();
    let error = fields.required::<[u8; 16]>(1).unwrap_err();
    assert_eq!(error.detail, "key 1 of example: found 32 bytes, allowed 16");
    let error = fields.required::<Vec<Digest>>(2).unwrap_err();
    assert_eq!(error.detail, "key 2 of example: [0]: found an integer, allowed a byte string");
    let error = fields.required::<Vec<u64>>(3).unwrap_err();
    assert_eq!(error.detail, "key 3 of example: found an integer, allowed an array");
    let error = fields.required::<String>(9).unwrap_err();
    assert_eq!(error.detail, "required key 9 of example is absent");
    assert_eq!(fields.optional::<Value>(5).unwrap(), None);
    assert_eq!(fields.optional_uint(5, 0..=0).unwrap(), None);
    assert!(fields.required::<bool>(4).unwrap());
    fields.finish().unwrap();
}

#[test]
fn format_names_tell_versions_from_formats() {
    let check = |expect: &str, found: ErrorCode| {
        assert_eq!(code(example().format_name(expect)), found, "{expect}");
    };
    check("kapsule/transcript/2", ErrorCode::VersionUnsupported);
    check("kapsule/checkpoints/1", ErrorCode::UnknownFormat);
    check("kapsule/transcript/x", ErrorCode::VersionUnsupported);
}

#[test]
fn ranges_are_checked() {
    assert_eq!(example().uint(3, 5..=5).unwrap(), 5);
    assert_eq!(code(example().uint(3, 0..=4)), ErrorCode::SchemaViolation);
    assert_eq!(code(example().optional_uint(3, 6..=9)), ErrorCode::SchemaViolation);
}

#[test]
fn arrays_with_places_have_a_length_and_types() {
    let mut items = example().items(2, "pair", 2..=2).unwrap();
    assert_eq!(items.required::<u64>().unwrap(), 3);
    assert_eq!(code(items.uint(0..=3)), ErrorCode::SchemaViolation);
    assert_eq!(code(items.required::<u64>()), ErrorCode::SchemaViolation);
    items.finish().unwrap();
    assert_eq!(code(example().items(2, "pair", 3..=3)), ErrorCode::SchemaViolation);
    assert_eq!(code(example().items(3, "pair", 1..=1)), ErrorCode::SchemaViolation);
    let surplus = example().items(2, "pair", 1..=2).unwrap();
    assert_eq!(surplus.finish().unwrap_err().detail, "pair has 2 elements too many");
}

fn values() -> impl Strategy<Value = Value> {
    let text = any::<String>()
        .prop_map(|text| text.chars().filter(|c| *c == '\n' || !c.is_ascii_control()).collect());
    let leaf = prop_oneof![
        (0..=UINT_MAX).prop_map(Value::Uint),
        (0..=300_u64).prop_map(Value::Uint),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Value::Bytes),
        text.prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map(0..=UINT_MAX, inner, 0..8)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(value in values()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    #[test]
    fn accepted_bytes_are_the_only_form(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        // Heads of short items and small numbers, so that the reader gets past the first byte.
        prop::collection::vec(prop::sample::select(
            vec![0_u8, 1, 2, 3, 0x17, 0x18, 0x40, 0x41, 0x61, 0x80, 0x81, 0x82, 0xa0, 0xa1, 0xf5],
        ), 0..24),
    ]) {
        if let Ok(value) = decode(&bytes) {
            prop_assert_eq!(encode(&value), bytes);
        }
    }

    #[test]
    fn a_cut_item_is_refused(value in values(), place in any::<prop::sample::Index>()) {
        let bytes = encode(&value);
        let cut = &bytes[..place.index(bytes.len())];
        let error = decode(cut).unwrap_err();
        prop_assert_eq!((error.code, error.offset), (ErrorCode::Truncated, Some(cut.len() as u64)));
    }
}
