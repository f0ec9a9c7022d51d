//! Inputs: every field, and each refusal.

use kapsule_guest::Error;
use kapsule_modules_common::Name;
use rank::{Input, LIMIT_ERROR, PARAMETER_ERROR, Parameters, REPEATED_ERROR, run};

const POST: &[u8] = b"\x88\x07\x63ada\x69x.example\x05\x02\x19\x03\xe8\x82\x67flagged\x68whatever\
    \x84\x63bob\x63ada\x63bob\x61a";

/// An input with this head, `posts` as its list of posts, and this tail.
fn with(pairs: u8, posts: &[u8], tail: &[u8]) -> Vec<u8> {
    [&[0xa0 + pairs, 0, 1, 1, 0x19, 0x10, 0, 2], posts, tail].concat()
}

#[test]
fn decodes_every_field() {
    let tail = b"\x03\xa5\x00\x01\x01\x00\x02\x81\x84\x63bob\x0a\x05\xf5\x03\x14\x04\x18\x64\
        \x04\xa2\x02\x07\x09\x03";
    let bytes = with(5, &[b"\x81", POST].concat(), tail);
    let input = Input::decode(&bytes).unwrap();
    let post = &input.posts[0];
    assert_eq!((input.now_ms, input.posts.len()), (4_096, 1));
    assert_eq!((post.id, post.author), (Name::Number(7), Name::Text("ada")));
    assert_eq!((post.domain, post.points, post.comments), ("x.example", 5, 2));
    assert_eq!((post.created_ms, post.flagged, post.promoted_ok), (1_000, true, false));
    // Sorted, once each, and without the author.
    assert_eq!(post.votes, [Name::Text("a"), Name::Text("bob")]);
    let trust = input.trust.as_ref().unwrap();
    assert_eq!((trust.viewer, trust.node_credit), (Name::Number(0), 20));
    let row = &trust.rows[0];
    assert_eq!((row.name, row.score, row.flow, row.blocked), (Name::Text("bob"), 10, 5, true));
    let parameters = Parameters { point_weight_ppm: 7, rows_max: 3, ..Parameters::default() };
    assert_eq!(input.parameters, parameters);
}

#[test]
fn refuses_with_its_code() {
    let long_domain =
        [b"\x81\x88\x07\x08\x79\x01\x00".as_slice(), &[b'x'; 256], &[0, 0, 0, 0x80, 0x80]].concat();
    let mut cases = vec![
        (b"".to_vec(), Error::INPUT),
        (b"\xa0".to_vec(), Error::INPUT),
        (b"\xa2\x00\x01\x01\x00".to_vec(), Error::INPUT),
        (b"\xa2\x00\x01\x02\x80".to_vec(), Error::INPUT),
        (with(3, b"\x00", b""), Error::INPUT),
        (with(3, b"\x81\x80", b""), Error::INPUT),
        (with(3, &long_domain, b""), Error::INPUT),
        (with(4, b"\x80", b"\x05\x00"), Error::INPUT),
        (with(4, b"\x80", b"\x04\xa1\x0b\x00"), Error::INPUT),
        (with(4, b"\x80", b"\x03\xa1\x00\x01"), Error::INPUT),
        (with(4, b"\x80", b"\x03\xa4\x00\x01\x01\x00\x02\x80\x03\x00"), Error::INPUT),
        (with(4, b"\x80", b"\x04\xa1\x00\x00"), PARAMETER_ERROR),
        (with(4, b"\x80", b"\x04\xa1\x02\x1a\x00\x98\x96\x81"), PARAMETER_ERROR),
        (with(4, b"\x80", b"\x04\xa1\x05\x00"), PARAMETER_ERROR),
        (with(4, b"\x80", b"\x04\xa1\x0a\x1a\x00\x0f\x42\x41"), PARAMETER_ERROR),
        (with(3, &[b"\x82", POST, POST].concat(), b""), REPEATED_ERROR),
    ];
    let too_many = [b"\x99\xc3\x51".as_slice(), &[0; 50_001]].concat();
    cases.push((with(3, &too_many, b""), LIMIT_ERROR));
    let votes =
        [b"\x81\x88\x07\x08\x60\x00\x00\x00\x80\x9a\x00\x03\x0d\x41".as_slice(), &[0; 200_001]]
            .concat();
    cases.push((with(3, &votes, b""), LIMIT_ERROR));
    for (bytes, expect) in cases {
        let found = Input::decode(&bytes).err().map(|error| error.code());
        assert_eq!(found, Some(expect), "{:02x?}", &bytes[..bytes.len().min(40)]);
    }
}

#[test]
fn encodes_rows_as_documented() {
    let bytes = with(3, b"\x81\x88\x07\x08\x60\x01\x00\x19\x10\x00\x81\x6bpromoted-ok\x80", b"");
    let row = b"\x87\x07\x1a\x00\x1e\x84\x80\x1a\x00\x0f\x42\x40\x1a\x00\x0f\x42\x40\x00\x00\xf4";
    let expect = [b"\xa4\x00\x01\x01\x81".as_slice(), row, b"\x02\x81", row, b"\x03\x80"].concat();
    assert_eq!(run(&bytes).unwrap(), expect);
}
