//! Messages through the package `blocklist`, with precision and recall.

use std::path::Path;

use super::packed;
use crate::support::{Bench, REPOSITORY};

/// Runs the package on both engines, which must agree, and returns the lines of the measurement.
fn judged(bench: &Bench, table: &str, options: &[&str]) -> Vec<String> {
    let rules = format!("{REPOSITORY}/examples/data/sms-rules.toml");
    let args = ["convert", "sms", table, "--rules", &rules, "-o", "blocklist.input"];
    bench.ok(&[&args[..], options].concat());
    let outputs = ["wasmi", "jit"].map(|engine| {
        let run = ["run", "blocklist.mod", "--input", "blocklist.input", "--engine", engine];
        bench.ok(&[&run[..], &["--output", "blocklist.output"]].concat());
        bench.read("blocklist.output")
    });
    assert_eq!(outputs[0], outputs[1]);
    let args = ["convert", "verdicts", "blocklist.output", "--messages", table, "-o", "out.csv"];
    let words = bench.ok(&args).stderr;
    words.lines().filter(|line| line.contains("precision")).map(str::to_owned).collect()
}

#[test]
fn the_sample_messages_are_judged() {
    let bench = packed("blocklist", &[]);
    let sample = format!("{REPOSITORY}/examples/data/sms-sample.tsv");
    let lines = judged(&bench, &sample, &[]);
    assert_eq!(lines[0], "warned or hidden: precision 100.00 %, recall 100.00 %, 5 of 12 messages");
    let table = String::from_utf8(bench.read("out.csv")).unwrap();
    assert!(table.starts_with("place,item,action,labels\n1,1,show,\n2,2,hide,spam="), "{table}");
    let disguised = table.lines().find(|line| line.starts_with("6,")).unwrap();
    assert!(disguised.contains("evasion="), "{table}");
    bench.write("no.cbor", "text");
    let args = ["convert", "verdicts", "no.cbor", "-o", "out"];
    bench.fails(&args, 20, "E002_TRUNCATED", "not an output of the blocklist package");
    bench.write("bad.toml", "x = 1\n");
    let args = ["convert", "sms", &sample, "--rules", "bad.toml", "-o", "out"];
    bench.fails(&args, 20, "E008_SCHEMA_VIOLATION", "the rule file cannot be converted");
}

/// Share in hundredths of a percent behind a word of a line.
fn share(line: &str, word: &str) -> u64 {
    let rest = line.split_once(word).unwrap().1;
    let digits = rest.split_whitespace().next().unwrap().replace('.', "");
    digits.parse().unwrap()
}

#[test]
fn rules_fitted_to_one_half_hold_on_the_other() {
    let data = std::env::var("KAPSULE_DATA").unwrap_or(format!("{REPOSITORY}/../shared/data"));
    let table = Path::new(&data).join("sms-spam.tsv");
    if !table.is_file() {
        std::io::Write::write_all(
            &mut std::io::stderr(),
            format!("skipped: {} is not there\n", table.display()).as_bytes(),
        )
        .unwrap();
        return;
    }
    let bench = packed("blocklist", &[]);
    let lines = judged(&bench, &table.display().to_string(), &["--part", "second"]);
    let (warned, hidden) = (&lines[0], &lines[1]);
    assert!(share(warned, "precision ") >= 9_700 && share(warned, "recall ") >= 8_700, "{warned}");
    assert!(share(hidden, "precision ") >= 9_900 && share(hidden, "recall ") >= 8_400, "{hidden}");
}
