//! Policies, explained, and the limits.

use crate::support::{Bench, CLOCK};

#[test]
fn explain_shows_both_sides_and_what_is_left() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]");
    let text = bench.ok(&["policy", "explain", "clock.mod"]).text().to_owned();
    for part in [
        "hostcalls                 now            none           none",
        "hostcalls: without now (narrowed by the host grant)",
        "  now           time    REFUSED",
        "  output_write  always  linked",
        "a run would be refused with E403_IMPORT_REFUSED: if you allow it, run again with \
         `--grant time`",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    let text = bench.ok(&["policy", "explain", "clock.mod", "--grant", "time"]).text().to_owned();
    assert!(text.ends_with("every import of the module is linked\n"), "{text}");

    let refused = &bench.json(&["policy", "explain", "clock.mod"])[0];
    assert_eq!(refused["runs"], false);
    assert_eq!(refused["narrowed"][0]["field"], "hostcalls");
    let granted = &bench.json(&["policy", "explain", "clock.mod", "--grant", "time"])[0];
    assert_eq!((&granted["runs"], &granted["effective"]), (&true.into(), &granted["package"]));
}

#[test]
fn kinds_without_a_common_one_leave_nothing_to_run() {
    let bench = Bench::new();
    bench.pack("clock", CLOCK, "grants = [\"time\"]\nkinds = [\"post\"]");
    let policy = String::from_utf8(bench.ok(&["policy", "show", "clock.mod"]).stdout).unwrap();
    bench.write("host.json", policy.replace("\"post\"", "\"trust\""));
    for args in [["policy", "explain", "clock.mod"].as_slice(), &["run", "clock.mod"]] {
        let args = [args, &["--policy", "host.json"]].concat();
        bench.fails(&args, 11, "E127_RESOURCES_EXCEED_POLICY", "no capsule kind is common");
    }
}

#[test]
fn show_prints_the_one_byte_form() {
    let bench = Bench::with_hello();
    let shown = bench.ok(&["policy", "show", "hello.mod"]).stdout;
    let policy = kapsule_format::policy::Policy::decode(&shown).unwrap();
    assert_eq!(policy.encode(), shown);
    let object = &bench.json(&["policy", "show", "hello.mod"])[0];
    assert_eq!(object["policy_hash"], policy.hash().to_string());
}

#[test]
fn limits_are_printed_from_the_tables() {
    let bench = Bench::new();
    let text = bench.ok(&["limits"]).text().to_owned();
    insta::assert_snapshot!("limits", text);
    let object = &bench.json(&["limits"])[0];
    let formats = object["formats"].as_array().unwrap();
    assert_eq!(formats.len(), kapsule_format::limits::TABLE.len());
    let fuel = formats.iter().find(|limit| limit["name"] == "fuel").unwrap();
    assert_eq!(fuel["hard"], "9007199254740991");
}
