//! What the trust module writes is what this one reads.

use kapsule_modules_common::Name;
use rank::Input;
use trust::{Statement, evaluate};

#[test]
fn the_output_of_trust_is_an_item_of_the_input() {
    let statement = |from, to, blocked| Statement {
        from: Name::Text(from),
        to: Name::Text(to),
        weight_ppm: 500_000,
        blocked,
        time_ms: 0,
    };
    let statements = [statement("me", "ada", false), statement("me", "bob", true)];
    let output = evaluate(Name::Text("me"), &statements, &trust::Parameters::default());
    let bytes = [b"\xa4\x00\x01\x01\x00\x02\x80\x03".as_slice(), &output.encode()].concat();
    let read = Input::decode(&bytes).unwrap().trust.unwrap();
    assert_eq!((read.viewer, read.node_credit), (output.viewer, output.node_credit));
    let read = read.rows.iter().map(|row| (row.name, row.score, row.flow, row.blocked));
    let wrote = output.rows.iter().map(|row| (row.name, row.score, row.flow, row.blocked));
    assert_eq!(read.collect::<Vec<_>>(), wrote.collect::<Vec<_>>());
}
