//! Inputs: both sources of statements, and each refusal.

use kapsule_guest::minicbor::bytes::ByteArray;
use kapsule_guest::minicbor::to_vec;
use kapsule_guest::{Error, TrustEdge};
use kapsule_modules_common::Name;
use trust::{Input, LIMIT_ERROR, PARAMETER_ERROR, Parameters, run};

fn code(bytes: &[u8]) -> Option<u16> {
    Input::decode(bytes).err().map(|error| error.code())
}

#[test]
fn decodes_every_field() {
    let bytes = b"\xa4\x00\x01\x01\x63ada\x02\x81\x85\x63ada\x63bob\x19\x03\xe8\xf5\x07\
        \x03\xa4\x00\x01\x01\x02\x02\x03\x03\x04";
    let input = Input::decode(bytes).unwrap();
    let statement = input.statements.as_deref().unwrap()[0];
    assert_eq!(input.viewer, Name::Text("ada"));
    assert_eq!((statement.from, statement.to), (Name::Text("ada"), Name::Text("bob")));
    assert_eq!((statement.weight_ppm, statement.blocked, statement.time_ms), (1_000, true, 7));
    let parameters =
        Parameters { damping_ppm: 1, share_cap_ppm: 2, node_credit: 3, block_share_ppm: 4 };
    assert_eq!(input.parameters, parameters);
}

#[test]
fn refuses_with_its_code() {
    let too_many =
        [b"\xa3\x00\x01\x01\x00\x02\x9a\x00\x03\x0d\x41".as_slice(), &[0; 200_001]].concat();
    for (bytes, expect) in [
        (b"".as_slice(), Error::INPUT),
        (b"\x00", Error::INPUT),
        (b"\xa1\x00\x01", Error::INPUT),
        (b"\xa1\x01\x00", Error::INPUT),
        (b"\xa2\x00\x02\x01\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x04\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x02\x81\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x02\x81\x84\x00\x01\x05\xf4", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x02\x81\x85\x00\x01\x1a\x00\x0f\x42\x41\xf4\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x02\x81\x85\x00\x01\x05\x00\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x03\xa1\x04\x00", Error::INPUT),
        (b"\xa3\x00\x01\x01\x00\x03\xa1\x00\x1a\x00\x0d\xbb\xa1", PARAMETER_ERROR),
        (b"\xa3\x00\x01\x01\x00\x03\xa1\x01\x00", PARAMETER_ERROR),
        (b"\xa3\x00\x01\x01\x00\x03\xa1\x02\x00", PARAMETER_ERROR),
        (b"\xa3\x00\x01\x01\x00\x03\xa1\x03\x1a\x00\x0f\x42\x41", PARAMETER_ERROR),
        (too_many.as_slice(), LIMIT_ERROR),
    ] {
        assert_eq!(code(bytes), Some(expect), "{bytes:.40?}");
    }
}

#[test]
fn a_viewer_alone_trusts_itself() {
    let output = run(b"\xa3\x00\x01\x01\x07\x02\x80", || Err(Error::input("not asked"))).unwrap();
    let expect = b"\xa5\x00\x01\x01\x07\x02\x81\x84\x07\x1a\x3b\x9a\xca\x00\x19\xc3\x50\xf4\
        \x03\x19\xc3\x50\x04\x18\x64";
    assert_eq!(output, expect);
}

#[test]
fn the_host_is_asked_when_the_input_has_no_statements() {
    let (ada, bob) = ([1; 32], [2; 32]);
    let edge = TrustEdge {
        from: ByteArray::from(ada),
        to: ByteArray::from(bob),
        weight_ppm: 700_000,
        blocked: false,
        time_ms: 9,
    };
    let viewer = to_vec(Name::Bytes(&ada)).unwrap();
    let head = |pairs: u8| [&[0xa0 + pairs, 0, 1, 1], viewer.as_slice()].concat();
    let own = [head(3), vec![2], to_vec([&edge]).unwrap()].concat();
    let found = run(&head(2), || Ok(vec![edge])).unwrap();
    assert_eq!(found, run(&own, || Err(Error::input("not asked"))).unwrap());
    assert_eq!(run(&head(2), || Err(Error::new(2, "refused"))).unwrap_err().code(), 2);
}
