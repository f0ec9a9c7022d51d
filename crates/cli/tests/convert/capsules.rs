//! Tables to capsules of a public channel.

use std::collections::BTreeMap;

use kapsule_format::capsule::{Body, Capsule, Meta, Opened};
use kapsule_format::encrypt::Identities;

use crate::support::Bench;

/// Converts a table and returns its capsules in order, with what is inside.
fn converted(form: &str, table: &str) -> Vec<(Meta, Opened)> {
    let bench = Bench::new();
    bench.write("table", table);
    let made = &bench.json(&["convert", "capsules", form, "table", "-o", "out"])[0];
    let mut names: Vec<_> =
        std::fs::read_dir(bench.path("out")).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    assert_eq!(made["capsules"], names.len().to_string());
    let files: Vec<Vec<u8>> = names.iter().map(|name| std::fs::read(name).unwrap()).collect();
    let genesis = Capsule::decode(&files[0]).unwrap();
    assert_eq!(made["channel"], genesis.id().to_string());
    let public = genesis.meta().keyring.clone().unwrap().identity.unwrap();
    let reads = Identities::decode(&public).unwrap();
    let mut heads: BTreeMap<_, (u64, _)> = BTreeMap::new();
    let open = |bytes: &Vec<u8>| {
        let capsule = Capsule::decode(bytes).unwrap();
        let meta = capsule.meta().clone();
        capsule.check_bound().unwrap();
        meta.check_facts().unwrap();
        capsule.signatures([]).check_own(&meta.author).unwrap();
        capsule.check_links().unwrap();
        assert!(meta.has_flag("test:converted"), "{:?}", meta.flags);
        // Each author's capsules follow one another without gaps.
        let before = heads.insert(meta.author.id(), (meta.seq, capsule.id()));
        assert_eq!(meta.back, before.map(|(_, id)| id));
        assert_eq!(meta.seq, before.map_or(0, |(seq, _)| seq + 1));
        let opened = capsule.open(&reads).unwrap();
        (meta, opened)
    };
    files.iter().map(open).collect()
}

#[test]
fn a_story_becomes_a_post_of_its_author() {
    let table = "id,title,url,num_points,num_comments,author,created_at\n\
        1,\"A\ttab\",http://a.org/x,386,52,ada,8/4/2016 11:52\n\
        2,B,,1,0,bob,8/4/2016 11:50\n\
        3,C,,2,3,ada,8/4/2016 11:53\n";
    let made = converted("hn", table);
    let texts: Vec<String> = made[1..]
        .iter()
        .map(|(_, opened)| match &opened.body {
            Body::Post(post) => post.text.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(texts, ["B", "A tab\nhttp://a.org/x", "C"]);
    assert!(made[1..].is_sorted_by_key(|(meta, _)| meta.time_ms));
    assert_eq!(made[2].0.author, made[3].0.author);
    let Body::Post(post) = &made[2].1.body else { unreachable!() };
    assert_eq!(post.extensions, [(64, 386_u64.into()), (65, 52_u64.into())]);
}

#[test]
fn ratings_of_thirty_days_are_one_capsule_and_names_are_identities() {
    let day = 24 * 3_600;
    let table =
        format!("1,2,10,{}\n1,3,-1,{}\n1,4,5,{}\n2,1,1,{}\n", day, 2 * day, 31 * day, 3 * day);
    let made = converted("otc", &table);
    let edges: Vec<Vec<(u64, bool)>> = made[1..]
        .iter()
        .map(|(_, opened)| match &opened.body {
            Body::Trust(trust) => {
                trust.edges.iter().map(|edge| (edge.weight_ppm, edge.blocked)).collect()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    let first = vec![(1_000_000, false), (0, true)];
    assert_eq!(edges, [first, vec![(100_000, false)], vec![(500_000, false)]]);
    let Body::Trust(trust) = &made[2].1.body else { unreachable!() };
    assert_eq!(trust.edges[0].about, made[1].0.author.id(), "2 rates whoever 1 is");
}

#[test]
fn messages_are_comments_on_one_post() {
    let made = converted("sms", "Label\tSMS\nham\tone\nspam\ttwo\n");
    let Body::Comment(comment) = &made[2].1.body else { panic!("a comment") };
    assert_eq!((comment.target, &*comment.text), (made[1].0.id(), "one"));
    assert_eq!(made.len(), 4);
}
