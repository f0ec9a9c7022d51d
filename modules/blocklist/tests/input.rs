//! Inputs: every field, and each refusal.

use blocklist::{Input, LIMIT_ERROR, PATTERN_ERROR, Threshold, VALUE_ERROR, run};
use kapsule_guest::Error;
use kapsule_modules_common::Name;

/// An input with these rules, as a map, and this list of items.
fn with(rules: &[u8], items: &[u8]) -> Vec<u8> {
    [b"\xa4\x00\x01\x01\x09\x02", rules, b"\x03", items].concat()
}

#[test]
fn decodes_every_field() {
    let rules = b"\xa7\x00\x81\x83\x64spam\x18\x64\x81\x82\x63win\x05\x01\x81\x83\x64spam\x01\x02\
        \x02\x81\x83\x63eve\x65troll\x06\x03\x81\x83\x65x.com\x64scam\x07\x04\x81\x82\x63lab\x08\
        \x05\xa4\x00\x81\x63ada\x01\x81\x05\x02\x81\x65y.com\x03\x81\x63a b\x06\x82\x67evasion\x09";
    let label = b"\xa7\x00\x01\x01\x63lab\x02\x07\x03\x64rude\x04\xf5\x05\x02\x06\x03";
    let bytes = [
        b"\xa6\x00\x01\x01\x09\x02".as_slice(),
        rules,
        b"\x03\x81\x84\x07\x63bob\x62hi\x81\x65z.com\x04\x81",
        label,
        b"\x05\x62me",
    ]
    .concat();
    let input = Input::decode(&bytes).unwrap();
    assert_eq!((input.now_ms, input.src), (9, Some(Name::Text("me"))));
    let rules = &input.rules;
    assert_eq!((rules.sets[0].label, rules.sets[0].cap), ("spam", 100));
    assert_eq!(rules.sets[0].patterns, [("win", 5)]);
    assert_eq!(rules.policy, [Threshold { label: "spam", warn: 1, hide: 2 }]);
    assert_eq!(rules.authors, [(Name::Text("eve"), "troll", 6)]);
    assert_eq!(rules.domains, [("x.com".into(), "scam", 7)]);
    assert_eq!(rules.labellers, [(Name::Text("lab"), 8)]);
    assert_eq!(
        (rules.allow.authors.as_slice(), rules.allow.phrases.as_slice()),
        (&[Name::Text("ada")][..], &["a b"][..])
    );
    assert_eq!(
        (rules.allow.items.as_slice(), rules.allow.domains.len()),
        (&[Name::Number(5)][..], 1)
    );
    assert_eq!(rules.disguise, Some(("evasion", 9)));
    let item = &input.items[0];
    assert_eq!((item.id, item.author, item.text), (Name::Number(7), Name::Text("bob"), "hi"));
    assert_eq!(item.domains, ["z.com"]);
    let label = input.labels[0];
    assert_eq!((label.src, label.uri, label.val), (Name::Text("lab"), Name::Number(7), "rude"));
    assert_eq!((label.neg, label.cts_ms, label.exp_ms), (true, 2, Some(3)));
}

#[test]
fn refuses_with_its_code() {
    let many = |head: &[u8], count: usize| [head, &vec![0; count]].concat();
    let patterns =
        [b"\xa1\x00\x81\x83\x61a\x01\x99\x10\x01".as_slice(), &b"\x82\x61a\x00".repeat(4_097)]
            .concat();
    for (bytes, expect) in [
        (b"".to_vec(), Error::INPUT),
        (b"\xa3\x00\x01\x01\x09\x02\xa0".to_vec(), Error::INPUT),
        (b"\xa3\x00\x01\x02\xa0\x03\x80".to_vec(), Error::INPUT),
        (with(b"\xa1\x07\x80", b"\x80"), Error::INPUT),
        (with(b"\xa1\x00\x81\x80", b"\x80"), Error::INPUT),
        (with(b"\xa1\x05\xa1\x04\x80", b"\x80"), Error::INPUT),
        (with(b"\xa1\x00\x81\x83\x61a\x00\x80", b"\x80"), Error::INPUT),
        (with(b"\xa1\x06\x82\x61a\x1a\x00\x98\x96\x81", b"\x80"), Error::INPUT),
        (with(b"\xa0", b"\x81\x83\x00\x00\x60"), Error::INPUT),
        (with(b"\xa0", &many(b"\x99\xc3\x51", 50_001)), LIMIT_ERROR),
        (with(&patterns, b"\x80"), LIMIT_ERROR),
        (with(&many(b"\xa1\x04\x9a\x00\x01\x86\xa1", 100_001), b"\x80"), LIMIT_ERROR),
        (with(b"\xa1\x00\x81\x83\x61a\x01\x81\x82\x61!\x01", b"\x80"), PATTERN_ERROR),
        (with(b"\xa1\x05\xa1\x03\x81\x65a ..2", b"\x80"), PATTERN_ERROR),
        (with(b"\xa1\x05\xa1\x03\x81\x67a ..2 b", b"\x80"), PATTERN_ERROR),
        (with(b"\xa1\x06\x82\x61A\x01", b"\x80"), VALUE_ERROR),
        (with(b"\xa1\x06\x82\x60\x01", b"\x80"), VALUE_ERROR),
        (with(b"\xa1\x06\x82\x62!!\x01", b"\x80"), VALUE_ERROR),
        (with(b"\xa1\x06\x82\x62a-\x01", b"\x80"), VALUE_ERROR),
        (with(b"\xa1\x03\x81\x83\x63X.y\x61a\x01", b"\x80"), VALUE_ERROR),
        (with(b"\xa0", b"\x81\x84\x00\x00\x60\x81\x62a."), VALUE_ERROR),
    ] {
        let found = run(&bytes).err().map(|error| error.code());
        assert_eq!(found, Some(expect), "{:02x?}", &bytes[..bytes.len().min(40)]);
    }
}
