//! Tables to inputs, outputs to tables, with the standard modules between them.

mod agent;
mod capsules;
mod ledger;
mod sms;

use crate::support::Bench;

/// Writes the trust score of the identity of 32 bytes of value 1; needs the grant `trust.read`.
const JUDGE: &str = r#"(module
  (import "kapsule_v1" "get_trust_score" (func $score (param i32 i32) (result i64)))
  (import "kapsule_v1" "output_write" (func $write (param i32 i32) (result i32)))
  (memory (export "memory") 1 1)
  (func (export "kapsule_abi_version") (result i32) (i32.const 1))
  (func (export "run") (result i32)
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 32))
    (i64.store (i32.const 64) (call $score (i32.const 0) (i32.const 32)))
    (call $write (i32.const 64) (i32.const 8))))"#;

/// Packs the standard modules and copies the sample tables.
fn standard() -> Bench {
    let bench = packed("trust", &[("trust-sample", "ratings"), ("feed-sample", "posts")]);
    bench.pack_standard("rank");
    bench
}

/// Packs a standard module and copies sample tables under other names.
fn packed(name: &str, tables: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    bench.pack_standard(name);
    for (from, to) in tables {
        bench.sample(&format!("{from}.csv"), &format!("{to}.csv"));
    }
    bench
}

#[test]
fn the_sample_goes_from_tables_to_a_ranked_feed() {
    let bench = standard();
    let otc = ["convert", "otc", "ratings.csv", "--viewer", "ada", "-o", "trust.input"];
    assert_eq!(bench.json(&otc)[0]["records"], "68");
    bench.run_trust();
    let scores = bench.ok(&["convert", "scores", "trust.output", "--top", "3"]).text().to_owned();
    let lines: Vec<&str> = scores.lines().collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0], "place,name,score_ppb,flow_ppm,blocked");
    assert!(lines[1].starts_with("1,ada,"), "{scores}");

    let hn = ["convert", "hn", "posts.csv", "--trust", "trust.output", "-o", "rank.input"];
    assert_eq!(bench.json(&hn)[0]["records"], "25");
    bench.ok(&["run", "rank.mod", "--input", "rank.input", "--output", "rank.output"]);
    let args = ["convert", "feed", "rank.output", "--posts", "posts.csv", "-o", "feed.csv"];
    bench.ok(&args);
    let feed = String::from_utf8(bench.read("feed.csv")).unwrap();
    let first = feed.lines().nth(1).unwrap();
    assert!(feed.starts_with("place,post,score_ppm,author_ppm,author,title\n"), "{feed}");
    assert!(!first.contains("promo"), "the ring has the most points and no trust: {first}");
    assert!(bench.ok(&["convert", "feed", "rank.output"]).text().lines().count() > 20);
}

#[test]
fn a_table_with_another_form_is_refused_by_line() {
    let bench = standard();
    bench.write("bad.csv", "ada,bob,9,1\nada,bob,99,1\n");
    let otc = ["convert", "otc", "bad.csv", "--viewer", "ada"];
    let otc = [&otc[..], &["-o", "out"]].concat();
    bench.fails(&otc, 20, "E008_SCHEMA_VIOLATION", "rating \"99\" in line 2");
    assert!(!bench.path("out").exists());
    let hn = ["convert", "hn", "bad.csv", "-o", "out"];
    bench.fails(&hn, 20, "E008_SCHEMA_VIOLATION", "names no column id");
    let set = ["convert", "hn", "posts.csv", "--set", "speed=1", "-o", "out"];
    bench.fails(&set, 2, "USAGE", "there is no parameter \"speed\"");
    let twice =
        ["convert", "hn", "posts.csv", "--set", "rows_max=1", "--set", "rows_max=2", "-o", "out"];
    bench.fails(&twice, 2, "USAGE", "set twice");
    bench.write("no.cbor", "text");
    let trust = ["convert", "hn", "posts.csv", "--trust", "no.cbor", "-o", "out"];
    bench.fails(&trust, 20, "E002_TRUNCATED", "not an output of the trust package");
    bench.fails(&["convert", "feed", "no.cbor", "-o", "out"], 20, "E002_TRUNCATED", "rank");
    let clash = bench.run(&["convert", "otc", "ratings.csv", "--viewer", "ada", "--json"]);
    assert_eq!(clash.code, 2);
}

#[test]
fn a_module_refuses_what_is_out_of_its_range() {
    let bench = standard();
    let set = [
        "convert",
        "otc",
        "ratings.csv",
        "--viewer",
        "ada",
        "--set",
        "damping_ppm=900001",
        "-o",
        "trust.input",
    ];
    bench.ok(&set);
    let run = ["run", "trust.mod", "--grant", "trust.graph", "--input", "trust.input"];
    let ended = bench.run(&run);
    assert_eq!(ended.code, 14);
    assert!(ended.stderr.contains("module says (error): "), "{}", ended.stderr);
    assert!(ended.stderr.contains("completed(16)"), "{}", ended.stderr);
}

#[test]
fn trust_scores_answer_for_identities() {
    let bench = standard();
    let (ones, twos) = ("01".repeat(32), "02".repeat(32));
    bench.write("ids.csv", format!("{twos},{ones},10,1\n{twos},7,10,1\n"));
    bench.ok(&["convert", "otc", "ids.csv", "--viewer", &twos, "-o", "trust.input"]);
    bench.run_trust();
    let scores = bench.ok(&["convert", "scores", "trust.output"]).text().to_owned();
    let row = scores.lines().find(|line| line.contains(&ones)).unwrap();
    let expect: i64 = row.split(',').nth(2).unwrap().parse::<i64>().unwrap() / 1_000;
    assert!(expect > 0, "{scores}");

    bench.pack("judge", JUDGE, "grants = [\"trust.read\"]");
    let judge = ["run", "judge.mod", "--grant", "trust.read"];
    let known = [&judge[..], &["--trust-scores", "trust.output"]].concat();
    assert_eq!(bench.ok(&known).stdout, expect.to_le_bytes());
    assert_eq!(bench.ok(&judge).stdout, (-1_i64).to_le_bytes(), "an empty host knows nobody");
}
