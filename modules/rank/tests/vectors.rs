//! Rows computed by hand; the inputs are chosen so that every logarithm is exact.

use kapsule_modules_common::Name;
use rank::{Input, Parameters, Post, Row, Trust, TrustRow, evaluate};

use crate::support::{HOUR_MS, NOW_MS, input, post, trending};

fn row(id: u64, score: u64, engagement: u64, author_ppm: u64, age: u64) -> Row<'static> {
    let id = Name::Number(id);
    Row { id, score, engagement, author_ppm, age, crowding: 0, flagged: false }
}

fn only_row(input: &Input<'static>) -> Row<'static> {
    evaluate(input).trending.remove(0)
}

/// "me" looks; "best" has the greatest score, "half" 1/8 of it and half the credit.
fn trust() -> Trust<'static> {
    let row =
        |name, score, flow, blocked| TrustRow { name: Name::Text(name), score, flow, blocked };
    Trust {
        viewer: Name::Text("me"),
        node_credit: 1_000,
        rows: vec![
            row("me", 900, 1_000, false),
            row("foe", 800, 1_000, true),
            row("best", 640, 1_000, false),
            row("half", 80, 500, false),
            row("zero", 0, 1_000, false),
        ],
    }
}

#[test]
fn engagement_is_points_and_comments_over_time() {
    // 1 + 6 + 2 * 0.5 = 8, which is 3 bits.
    let talk = Post { points: 6, comments: 2, ..post(1, "a") };
    assert_eq!(only_row(&input(vec![talk.clone()])), row(1, 8_000_000, 3_000_000, 1_000_000, 0));
    // 12 hours halve it, 30 hours take 2.5 half-lives: 8 * 2^-2.5 = 1.4142135.
    let aged = |hours| Post { created_ms: NOW_MS - hours * HOUR_MS, ..talk.clone() };
    let expect = row(1, 4_000_000, 3_000_000, 1_000_000, 1_000_000);
    assert_eq!(only_row(&input(vec![aged(12)])), expect);
    let expect = row(1, 1_414_213, 3_000_000, 1_000_000, 2_500_000);
    assert_eq!(only_row(&input(vec![aged(30)])), expect);
}

#[test]
fn posts_from_the_future_are_new() {
    let early = Post { created_ms: NOW_MS + 1, ..post(1, "a") };
    assert_eq!(only_row(&input(vec![early])), row(1, 1_000_000, 0, 1_000_000, 0));
}

#[test]
fn flagged_posts_lose_their_factor() {
    let parameters = Parameters { flagged_factor_ppm: 125_000, ..Parameters::default() };
    let flagged = Post { points: 7, flagged: true, ..post(1, "a") };
    let found = only_row(&Input { parameters, ..input(vec![flagged]) });
    let expect = Row { flagged: true, ..row(1, 1_000_000, 3_000_000, 1_000_000, 0) };
    assert_eq!(found, expect);
}

#[test]
fn authors_count_by_score_and_flow() {
    let parameters = Parameters { trust_floor_ppm: 125_000, ..Parameters::default() };
    for (author, author_ppm, score) in [
        ("me", 1_000_000, 1_000_000),
        ("best", 1_000_000, 1_000_000),
        // 3 of 6 bits below the best and half the credit: a weight of 1/4, and 1/8 + 7/8 / 4.
        ("half", 343_750, 343_750),
        ("zero", 125_000, 125_000),
        ("stranger", 125_000, 125_000),
    ] {
        let input = Input { trust: Some(trust()), ..input(vec![post(1, author)]) };
        let found = only_row(&Input { parameters: parameters.clone(), ..input });
        assert_eq!(found, row(1, score, 0, author_ppm, 0), "{author}");
    }
}

#[test]
fn blocked_authors_are_hidden() {
    let posts = vec![post(9, "foe"), post(2, "best"), post(3, "foe")];
    let found = evaluate(&Input { trust: Some(trust()), ..input(posts) });
    assert_eq!(trending(&found), [2]);
    assert_eq!(found.hidden, [Name::Number(3), Name::Number(9)]);
}

#[test]
fn votes_count_by_weight() {
    let parameters = Parameters { vote_weight_ppm: 4_000_000, ..Parameters::default() };
    let engagement = |trust: Option<Trust<'static>>, votes: &[&'static str]| {
        let votes = votes.iter().copied().map(Name::Text).collect();
        let posts = vec![Post { votes, ..post(1, "me") }];
        only_row(&Input { trust, parameters: parameters.clone(), ..input(posts) }).engagement
    };
    // 1/4 of 4 is 1, and 1 + 1 is one bit; foe and stranger weigh nothing.
    assert_eq!(engagement(Some(trust()), &["foe", "half", "stranger"]), 1_000_000);
    // 1 + 1 + 4 + 2 * 1 = 8 needs two more of "half", so: 1 + 3 * 1 = 4.
    assert_eq!(engagement(Some(trust()), &["half", "half", "half"]), 2_000_000);
    // Without trust everyone weighs 1: 1 + 4 = 5, log2(5) = 2.321928.
    assert_eq!(engagement(None, &["foe"]), 2_321_928);
}

#[test]
fn crowding_halves_each_further_post_of_an_author() {
    let parameters = Parameters { domain_factor_ppm: 250_000, ..Parameters::default() };
    let by = |id, author, domain, points| Post { domain, points, ..post(id, author) };
    let posts = vec![
        by(1, "a", "x.example", 15),
        by(2, "a", "", 7),
        by(3, "b", "x.example", 7),
        by(4, "c", "", 2),
        by(5, "a", "", 1),
    ];
    let found = evaluate(&Input { parameters, ..input(posts) });
    let rows: Vec<(u64, u64, u64)> = found
        .trending
        .iter()
        .map(|row| (crate::support::number(row.id), row.score, row.crowding))
        .collect();
    // 16; 8 / 2; 3; 8 / 4; and 2 / 2 / 2 for the third post of "a".
    assert_eq!(
        rows,
        [
            (1, 16_000_000, 0),
            (2, 4_000_000, 1_000_000),
            (4, 2_999_999, 0),
            (3, 2_000_000, 2_000_000),
            (5, 500_000, 2_000_000)
        ]
    );
}

#[test]
fn promotion_needs_consent_trust_and_no_flag() {
    let willing = |id, author, flagged| Post { promoted_ok: true, flagged, ..post(id, author) };
    let old = Post { created_ms: NOW_MS - 7 * 24 * HOUR_MS, points: 15, ..willing(5, "me", false) };
    let posts = vec![
        willing(1, "best", false),
        willing(2, "best", true),
        willing(3, "zero", false),
        post(4, "best"),
        old,
    ];
    let found = evaluate(&Input { trust: Some(trust()), ..input(posts) });
    // A week is 14 half-lives of the trending list and one of this one.
    let expect =
        [row(5, 8_000_000, 4_000_000, 1_000_000, 1_000_000), row(1, 1_000_000, 0, 1_000_000, 0)];
    assert_eq!(found.promoted, expect);
    assert_eq!(trending(&found), [1, 4, 3, 2, 5]);
}
