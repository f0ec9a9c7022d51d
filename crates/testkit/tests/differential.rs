//! The backends against each other on generated modules.

use std::io::Write as _;

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_testkit::FUEL_GRANTED;
use kapsule_testkit::differential::{CI_SEEDS, run_all};

#[test]
fn the_backends_agree_on_generated_modules_at_every_fuel_limit() {
    let tally = run_all(CI_SEEDS, &|_| {});
    std::io::stderr().write_all(format!("generated modules\n{tally}").as_bytes()).unwrap();
    assert_eq!(tally.disagreements, [], "{tally}");
    let seeds = CI_SEEDS.end - CI_SEEDS.start;
    // Shares below which the comparison would say little.
    assert_eq!(tally.seeds, seeds);
    assert!(tally.completed * 4 > seeds, "too few modules complete");
    assert!(tally.trapped_total() * 10 > seeds, "too few modules trap");
    assert!(tally.trapped.len() >= 9, "too few kinds of traps");
    assert!(tally.out_of_fuel * 10 > seeds, "too few modules run out of fuel");
    assert!(tally.calling * 5 > seeds, "too few modules make hostcalls");
    // Nobody can pay for the others.
    let payable = HOSTCALLS.iter().filter(|hostcall| u64::from(hostcall.price.base) < FUEL_GRANTED);
    let calls = payable.map(|hostcall| {
        let number = u64::from(hostcall.number);
        let [made, answered] = tally.hostcalls.get(&number).copied().unwrap_or_default();
        let enough = made * 40 > seeds && answered * 100 > seeds;
        (enough, format!("{made} calls of {}, {answered} answered", hostcall.name))
    });
    let rare: Vec<_> = calls.filter(|(enough, _)| !enough).map(|(_, line)| line).collect();
    assert_eq!(rare, Vec::<String>::new(), "too few");
    assert!(tally.stopped.len() >= 4, "too few kinds of limits and denials");
    assert!(tally.recounted * 10 > seeds, "the fuel of too few modules is recounted");
    assert!((tally.refused_total() + tally.no_module) * 10 < seeds, "too many are refused");
}
