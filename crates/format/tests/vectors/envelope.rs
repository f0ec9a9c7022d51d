//! Group `envelope`: an envelope file in `json`, checked against a statement, a name and a key.

use kapsule_format::envelope::{Envelope, Expected, Statement};
use kapsule_format::key::{PublicKey, Suite};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    if case.text("function") == "statement" {
        let statement = Statement::decode(case.text("statement").as_bytes())?;
        assert_eq!(statement.encode(), case.text("statement").as_bytes());
        return Ok(format!("{} of {}", statement.predicate_type, statement.subjects.len()));
    }
    let file = match case.find("zero_bytes") {
        Some(_) => padded(case),
        None => case.text("json").as_bytes().to_vec(),
    };
    let envelope = Envelope::decode(&file)?;
    assert_eq!(envelope.encode(), file);
    let key: PublicKey = case.text("key").parse()?;
    let expected = Expected {
        statement: case.text("statement").as_bytes(),
        suite: Suite::from_number(case.uint("suite"))?,
        key_id: case.text("key_id").parse()?,
    };
    envelope.verify(&expected, &key)?;
    Ok("valid".to_owned())
}

/// Builds a well-formed envelope around `zero_bytes` bytes.
fn padded(case: &Case) -> Vec<u8> {
    let payload = vec![0; usize::try_from(case.uint("zero_bytes")).unwrap()];
    let key_id = case.text("key_id").parse().unwrap();
    Envelope::from_signature(&payload, key_id, vec![0; 64]).encode()
}
