//! Runs of generated modules in the tables of the circuit.

use std::io::Write as _;

use kapsule_testkit::differential::run_all_with;
use kapsule_testkit::traced::{CI_SEEDS, check};

#[test]
fn runs_of_generated_modules_hold_in_the_tables_of_the_circuit() {
    let tally = run_all_with(check, CI_SEEDS, &|_| {});
    std::io::stderr().write_all(format!("generated modules, traced\n{tally}").as_bytes()).unwrap();
    assert_eq!(tally.disagreements, [], "{tally}");
    let seeds = CI_SEEDS.end - CI_SEEDS.start;
    // Shares below which the check would say little.
    assert_eq!(tally.seeds, seeds);
    assert!(tally.traced[0] * 10 > seeds * 18, "too few runs are traced");
    assert!(tally.traced[1] > seeds * 100, "too few steps are traced");
    assert!(tally.trapped.len() >= 5, "too few kinds of traps");
    assert!(tally.calling * 5 > seeds, "too few modules make hostcalls");
    assert!(tally.proven >= 1, "no run is proven");
}
