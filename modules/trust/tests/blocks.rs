//! Who is blocked.

use kapsule_modules_common::Name;
use trust::{Parameters, Statement, evaluate};

use crate::support::{VIEWER, block, row, statement};

fn blocked(statements: &[Statement<'static>], name: u64) -> bool {
    let output = evaluate(Name::Number(VIEWER), statements, &Parameters::default());
    row(&output, name).blocked
}

#[test]
fn the_viewer_decides_alone() {
    let others = [statement((0, 1, 1)), statement((0, 2, 1)), statement((1, 3, 1)), block(2, 3)];
    let with = |own| blocked(&[others.as_slice(), &[own]].concat(), 3);
    assert!(with(block(0, 3)));
    assert!(!with(statement((0, 3, 1))));
}

#[test]
fn others_decide_by_their_score() {
    // 1 has twice the score of 2.
    let friends = [statement((0, 1, 2)), statement((0, 2, 1))];
    let with = |more: &[Statement<'static>]| blocked(&[friends.as_slice(), more].concat(), 3);
    assert!(with(&[block(1, 3), statement((2, 3, 1))]));
    assert!(!with(&[block(2, 3), statement((1, 3, 1))]));
    assert!(with(&[block(2, 3)]));
}

#[test]
fn strangers_and_blocked_people_do_not_judge() {
    let friends = [statement((0, 1, 1)), statement((1, 2, 1))];
    let with = |more: &[Statement<'static>]| blocked(&[friends.as_slice(), more].concat(), 2);
    // 9 is unknown to the viewer, so it has no score.
    assert!(!with(&[block(9, 2)]));
    // 8 has a score through 1, but the viewer blocks it.
    let heavy = statement((1, 8, 1_000_000));
    assert!(blocked(&[statement((0, 1, 1)), heavy, block(8, 5)], 5));
    assert!(!blocked(&[statement((0, 1, 1)), heavy, block(0, 8), block(8, 5)], 5));
}

#[test]
fn nobody_blocks_the_viewer() {
    assert!(!blocked(&[statement((0, 1, 1)), block(1, 0)], VIEWER));
}

#[test]
fn the_latest_statement_counts() {
    let at = |time_ms, statement: Statement<'static>| Statement { time_ms, ..statement };
    let (trust, block) = (statement((0, 1, 5)), block(0, 1));
    assert!(blocked(&[at(2, block), at(1, trust)], 1));
    assert!(!blocked(&[at(1, block), at(2, trust)], 1));
    assert!(blocked(&[at(1, block), at(1, trust)], 1));
}

#[test]
fn blocks_change_no_score() {
    let statements = [statement((0, 1, 1)), statement((1, 2, 1))];
    let before = evaluate(Name::Number(VIEWER), &statements, &Parameters::default());
    let more = [statements.as_slice(), &[block(0, 2)]].concat();
    let after = evaluate(Name::Number(VIEWER), &more, &Parameters::default());
    assert_eq!(row(&before, 2).score, row(&after, 2).score);
    assert!(row(&after, 2).blocked);
}
