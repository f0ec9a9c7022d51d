//! Tests of RJSON beside the vectors: the limits, the typed access, and the bijection.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;

use kapsule_abi::ErrorCode;
use proptest::prelude::*;

use super::*;
use crate::limits;

fn code<T: core::fmt::Debug>(result: Result<T, crate::DecodeError>) -> (ErrorCode, Option<u64>) {
    let error = result.unwrap_err();
    (error.code, error.offset)
}

#[test]
fn text_has_a_limit_that_escapes_do_not_evade() {
    let longest = Value::Text("\n".repeat(limits::TEXT_BYTES_MAX));
    assert_eq!(decode(&encode(&longest)).unwrap(), longest);
    for text in ["a".repeat(limits::TEXT_BYTES_MAX + 1), "\n".repeat(limits::TEXT_BYTES_MAX + 1)] {
        let bytes = encode(&Value::Array(vec![Value::Text(text)]));
        assert_eq!(code(decode(&bytes)), (ErrorCode::LimitExceeded, Some(1)));
    }
}

fn example() -> Fields {
    let value = Value::object([
        ("flag", true.into()),
        ("list", Value::array([1_u64, 2])),
        ("name", "abc".into()),
        ("number", 7_u64.into()),
        ("object", Value::object([("deep", Value::array([Value::object([("n", 1_u64.into())])]))])),
    ]);
    Fields::new(value, "top").unwrap()
}

#[test]
fn members_have_types_and_errors_name_their_path() {
    let mut fields = example();
    assert_eq!(fields.path(), "top");
    let error = fields.required::<String>("flag").unwrap_err();
    assert_eq!(error.detail, "top.flag: found a boolean, allowed text");
    let error = fields.required::<Vec<String>>("list").unwrap_err();
    assert_eq!(error.detail, "top.list: [0]: found an integer, allowed text");
    let error = fields.required::<bool>("name").unwrap_err();
    assert_eq!(error.detail, "top.name: found text, allowed a boolean");
    let error = fields.required::<Vec<bool>>("number").unwrap_err();
    assert_eq!(error.detail, "top.number: found an integer, allowed an array");
    let error = fields.required::<u64>("absent").unwrap_err();
    assert_eq!(error.detail, "required member top.absent is absent");
    let mut deep = fields.object("object").unwrap().objects("deep").unwrap();
    let error = deep[0].required::<Digest>("n").unwrap_err();
    assert_eq!(error.detail, "top.object.deep[0].n: found an integer, allowed text");
    assert_eq!(error.code, ErrorCode::SchemaViolation);
    fields.finish().unwrap();
}

#[test]
fn optional_members_are_absent_or_of_their_type() {
    let mut fields = example();
    assert_eq!(fields.optional::<bool>("absent").unwrap(), None);
    assert_eq!(fields.optional_uint("absent", 0..=1).unwrap(), None);
    assert_eq!(fields.optional_text("absent", "any", |_| true).unwrap(), None);
    assert!(fields.optional_object("absent").unwrap().is_none());
    assert_eq!(fields.optional::<bool>("flag").unwrap(), Some(true));
    assert_eq!(code(fields.optional_object("name")), (ErrorCode::SchemaViolation, None));
}

#[test]
fn ranges_and_text_forms_are_checked() {
    let short = |text: &str| text.len() < 3;
    assert_eq!(example().uint("number", 7..=7).unwrap(), 7);
    assert_eq!(code(example().uint("number", 0..=6)), (ErrorCode::SchemaViolation, None));
    assert_eq!(code(example().optional_uint("number", 8..=9)), (ErrorCode::SchemaViolation, None));
    assert_eq!(code(example().text("name", "2 bytes", short)), (ErrorCode::SchemaViolation, None));
    let found = example().optional_text("name", "2 bytes", short).unwrap_err();
    assert_eq!(found.detail, "top.name: found \"abc\", allowed 2 bytes");
    assert_eq!(example().text("name", "3 bytes", |text| text.len() == 3).unwrap(), "abc");
}

#[test]
fn errors_print_the_offset_after_the_detail() {
    let error = decode(b"{}\n").unwrap_err();
    assert_eq!(error.to_string(), "found bytes after the value, allowed the end (offset 2)");
    assert_eq!(error.clone().shifted(10).offset, Some(12));
    assert_eq!(
        error.within("policy").detail,
        "policy: found bytes after the value, allowed the end"
    );
}

fn values() -> impl Strategy<Value = Value> {
    let text = any::<String>().prop_map(|text| text.replace('\0', ""));
    let leaf = prop_oneof![
        (0..=UINT_MAX).prop_map(Value::Uint),
        text.prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
            prop::collection::btree_map("[A-Za-z_][A-Za-z0-9_]{0,9}", inner, 0..8)
                .prop_map(Value::Object),
        ]
    })
}

/// Text that is nearly RJSON, so that the reader gets past the first byte.
fn nearly() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "{", "}", "[", "]", ",", ":", "\"a\"", "\"b\"", "\"", "\\u0001", "\\n", "1", "0", "true",
        "\u{7f}", "x_",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
}

proptest! {
    #[test]
    fn decoding_undoes_encoding(value in values()) {
        prop_assert_eq!(decode(&encode(&value)), Ok(value));
    }

    #[test]
    fn accepted_bytes_are_the_only_form(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        nearly(),
    ]) {
        if let Ok(value) = decode(&bytes) {
            prop_assert_eq!(encode(&value), bytes);
        }
    }

    #[test]
    fn a_changed_byte_changes_the_value(
        value in values(),
        place in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&value);
        let place = place.index(bytes.len());
        prop_assume!(bytes[place] != byte);
        bytes[place] = byte;
        prop_assert_ne!(decode(&bytes), Ok(value), "{}", format!("{bytes:?}"));
    }
}
