//! Inputs: every field, and each refusal.

use kapsule_guest::Error;
use kapsule_modules_common::Name;
use transfer::{Author, Input, LIMIT_ERROR, ORDER_ERROR, Posting, Side, run};

const ADA: &[u8] = b"\x83\x63ada\x01\x82\x82\x61a\x05\x82\x61b\x06";
const MOVE: &[u8] = b"\x82\x81\x82\x63ada\x02\x82\x84\x63ada\x61a\x00\x05\x84\x07\x61a\x01\x05";

/// An input with this list of accounts, and this list of transactions.
fn with(accounts: &[u8], transactions: &[u8]) -> Vec<u8> {
    [b"\xa3\x00\x01\x01", accounts, b"\x02", transactions].concat()
}

#[test]
fn decodes_every_field() {
    let bytes = with(&[b"\x81", ADA].concat(), &[b"\x81", MOVE].concat());
    let input = Input::decode(&bytes).unwrap();
    let (ada, a) = (Name::Text("ada"), Name::Text("a"));
    assert_eq!((input.state.nonce(ada), input.state.balance(ada, a)), (1, 5));
    assert_eq!(input.state.balances().count(), 2);
    let transaction = &input.transactions[0];
    assert_eq!(transaction.authors, [Author { account: ada, nonce: 2 }]);
    let debit = Posting { account: ada, asset: a, side: Side::Debit, amount: 5 };
    let credit = Posting { account: Name::Number(7), side: Side::Credit, ..debit };
    assert_eq!(transaction.postings, [debit, credit]);
}

#[test]
fn encodes_as_documented() {
    let bytes = with(&[b"\x81", ADA].concat(), &[b"\x82", MOVE, MOVE].concat());
    let expect = b"\xa3\x00\x01\x01\x82\x83\x07\x00\x81\x82\x61a\x05\
        \x83\x63ada\x02\x81\x82\x61b\x06\x02\x82\x00\x04";
    assert_eq!(run(&bytes).unwrap(), expect);
}

#[test]
fn refuses_with_its_code() {
    let many = |head: &[u8], item: &[u8], count: usize| [head, &item.repeat(count)].concat();
    let author = b"\x82\x07\x01";
    let posting = b"\x84\x07\x07\x00\x01";
    let transaction =
        |authors: &[u8], postings: &[u8]| with(b"\x80", &[b"\x81\x82", authors, postings].concat());
    let authors = many(b"\x81", author, 1);
    for (bytes, expect) in [
        (b"".to_vec(), Error::INPUT),
        (b"\xa0".to_vec(), Error::INPUT),
        (b"\xa2\x00\x01\x02\x80".to_vec(), Error::INPUT),
        (b"\xa2\x00\x01\x01\x80".to_vec(), Error::INPUT),
        (b"\xa4\x00\x01\x01\x80\x02\x80\x03\x00".to_vec(), Error::INPUT),
        (with(b"\x80", b"\x81\x81\x80"), Error::INPUT),
        (transaction(b"\x81\x82\x07\x00", &many(b"\x82", posting, 2)), Error::INPUT),
        (transaction(&authors, b"\x82\x84\x07\x07\x02\x01\x84\x07\x07\x00\x01"), Error::INPUT),
        (transaction(&authors, b"\x82\x84\x07\x07\x00\x00\x84\x07\x07\x00\x01"), Error::INPUT),
        (transaction(b"\x80", &many(b"\x82", posting, 2)), LIMIT_ERROR),
        (transaction(&many(b"\x91", author, 17), &many(b"\x82", posting, 2)), LIMIT_ERROR),
        (transaction(&authors, &many(b"\x81", posting, 1)), LIMIT_ERROR),
        (transaction(&authors, &many(b"\x98\x41", posting, 65)), LIMIT_ERROR),
        (with(b"\x80", &many(b"\x99\x4e\x21", b"\x00", 20_001)), LIMIT_ERROR),
        (with(&many(b"\x9a\x00\x01\x86\xa1", b"\x00", 100_001), b"\x80"), LIMIT_ERROR),
        (
            with(&many(b"\x81\x83\x07\x00\x9a\x00\x03\x0d\x41", b"\x00", 200_001), b"\x80"),
            LIMIT_ERROR,
        ),
        (with(&[b"\x82", ADA, ADA].concat(), b"\x80"), ORDER_ERROR),
        (with(b"\x81\x83\x07\x00\x80", b"\x80"), ORDER_ERROR),
        (with(b"\x81\x83\x07\x00\x82\x82\x07\x01\x82\x07\x01", b"\x80"), ORDER_ERROR),
        (with(b"\x81\x83\x07\x00\x81\x82\x07\x00", b"\x80"), Error::INPUT),
    ] {
        let found = Input::decode(&bytes).err().map(|error| error.code());
        assert_eq!(found, Some(expect), "{:02x?}", &bytes[..bytes.len().min(40)]);
    }
}
