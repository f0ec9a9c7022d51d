//! The order is total, and the input's order is no part of it.

use kapsule_modules_common::Name;
use proptest::prelude::*;
use rank::{Input, Parameters, Post, WINDOW, evaluate};

use crate::support::{HOUR_MS, NOW_MS, input, post, trending};

fn posts() -> impl Strategy<Value = Vec<Post<'static>>> {
    let author = prop::sample::select(vec!["a", "b", "c", "d"]);
    let domain = prop::sample::select(vec!["", "x.example", "y.example"]);
    let fields = (author, domain, 0..5_u32, 0..3_u32, 0..4_u64, any::<(bool, bool)>());
    prop::collection::vec(fields, 0..80).prop_map(|posts| {
        let numbered = (0..).zip(posts);
        let post = |(id, (author, domain, points, comments, hours, flags)): (
            u64,
            (_, _, _, _, u64, (bool, bool)),
        )| Post {
            domain,
            points,
            comments,
            created_ms: NOW_MS - hours * HOUR_MS,
            flagged: flags.0,
            promoted_ok: flags.1,
            ..post(id, author)
        };
        numbered.map(post).collect()
    })
}

proptest! {
    #[test]
    fn input_order_does_not_matter(posts in posts(), turn in 0..80_usize) {
        let mut turned = posts.clone();
        turned.rotate_left(turn.min(posts.len()));
        turned.reverse();
        prop_assert_eq!(evaluate(&input(posts)), evaluate(&input(turned)));
    }

    #[test]
    fn lists_fall_and_lose_nothing(posts in posts()) {
        let count = posts.len();
        let found = evaluate(&input(posts));
        prop_assert!(found.trending.is_sorted_by(|a, b| a.score >= b.score));
        let mut ids = trending(&found);
        ids.sort_unstable();
        prop_assert_eq!(ids, (0..count as u64).collect::<Vec<u64>>());
    }
}

#[test]
fn equal_scores_fall_back_on_time_and_id() {
    let at = |id, author, created_ms| Post { created_ms, ..post(id, author) };
    let posts = vec![
        at(3, "a", NOW_MS),
        at(2, "b", NOW_MS),
        // Both are from the future, so neither has an age.
        at(4, "c", NOW_MS + 5),
        at(1, "d", NOW_MS + 4),
    ];
    assert_eq!(trending(&evaluate(&input(posts))), [4, 1, 2, 3]);
}

#[test]
fn names_of_other_types_follow_numbers() {
    let named = |id: Name<'static>, author| Post { id, ..post(0, author) };
    let names = [Name::Number(5), Name::Bytes(b"a"), Name::Text("a")];
    let posts = vec![named(names[2], "x"), named(names[1], "y"), named(names[0], "z")];
    let found = evaluate(&input(posts));
    assert_eq!(found.trending.iter().map(|row| row.id).collect::<Vec<_>>(), names);
}

#[test]
fn crowding_ends_with_the_window() {
    let crowding = |between: u64| {
        let first = Post { points: 100, ..post(0, "a") };
        let last = post(1_000, "a");
        // The others have authors of their own by number.
        let other = |id| Post { author: Name::Number(id), points: 50, ..post(id, "") };
        let posts = [first, last].into_iter().chain((1..=between).map(other)).collect();
        evaluate(&input(posts)).trending.last().expect("there are posts").crowding
    };
    assert_eq!(crowding(WINDOW as u64 - 1), 1_000_000);
    assert_eq!(crowding(WINDOW as u64), 0);
}

#[test]
fn rows_max_cuts_both_lists() {
    let posts = (0..9).map(|id| Post { promoted_ok: true, ..post(id, "a") }).collect();
    let parameters = Parameters { rows_max: 4, ..Parameters::default() };
    let found = evaluate(&Input { parameters, ..input(posts) });
    assert_eq!((found.trending.len(), found.promoted.len()), (4, 4));
}
