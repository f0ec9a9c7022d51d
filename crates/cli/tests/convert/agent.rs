//! Scenarios of the agent, from files through the package to what was chosen.

use super::packed;
use crate::support::{Bench, REPOSITORY};

/// Packs the module and copies the scenarios that its tests play.
fn scenarios() -> Bench {
    let bench = packed("agent_logic", &[]);
    for name in ["answer-comments", "beyond-the-budget", "host-refuses", "wait-for-effects"] {
        let path = format!("{REPOSITORY}/modules/agent_logic/scenarios/{name}.toml");
        bench.write(&format!("{name}.toml"), std::fs::read(path).unwrap());
    }
    bench
}

/// Runs the agent under a host with this budget and returns the table of what it chose.
fn play(bench: &Bench, scenario: &str, budget: &str) -> String {
    bench.ok(&["convert", "agent", scenario, "-o", "agent.input"]);
    let run = ["run", "agent-logic.mod", "--grant", "agent.propose", "--budget", budget];
    let outputs = ["wasmi", "jit"].map(|engine| {
        let files = ["--input", "agent.input", "--output", "agent.output", "--engine", engine];
        bench.ok(&[&run[..], &files].concat());
        bench.read("agent.output")
    });
    assert_eq!(outputs[0], outputs[1], "{scenario}");
    bench.ok(&["convert", "plan", "agent.output"]).text().to_owned()
}

#[test]
fn scenarios_play_as_they_expect_and_a_smaller_budget_is_noticed() {
    let bench = scenarios();
    for (name, budget, small) in [
        ("answer-comments", "25", "24"),
        ("beyond-the-budget", "20", "19"),
        ("wait-for-effects", "10", "9"),
    ] {
        let scenario = format!("{name}.toml");
        let expect = ["convert", "plan", "agent.output", "--expect", &scenario, "-o", "plan.csv"];
        play(&bench, &scenario, small);
        bench.fails(&expect, 12, "E017_FACTS_CONFLICT", "found");
        let table = play(&bench, &scenario, budget);
        bench.ok(&expect);
        assert_eq!(bench.read("plan.csv"), table.as_bytes());
    }
    let scripted = ["convert", "agent", "host-refuses.toml", "-o", "out"];
    bench.fails(&scripted, 20, "E008_SCHEMA_VIOLATION", "only a test can script");
}

#[test]
fn each_budget_refuses_by_itself() {
    let bench = scenarios();
    let corpus = "crates/testkit/corpus/module_agent_logic/accept-beyond-the-budget";
    let head = "place,action,goal,cost,verdict\n";
    for (budget, expect) in [
        (
            "1000",
            "1,replicate,five copies,10,proposed\n2,replicate,five copies,10,proposed\n\
            3,replicate,five copies,10,beyond the budget\n",
        ),
        ("19", "1,replicate,five copies,10,proposed\n2,replicate,five copies,10,refused\n"),
        ("0", "1,replicate,five copies,10,refused\n"),
    ] {
        let table = play(&bench, "beyond-the-budget.toml", budget);
        assert_eq!(table, format!("{head}{expect}"), "a host's budget of {budget}");
    }
    let input = std::fs::read(format!("{REPOSITORY}/{corpus}")).unwrap();
    assert_eq!(bench.read("agent.input"), input, "the reference writes the same input");
    let run = ["run", "agent-logic.mod", "--input", "agent.input"];
    bench.fails(&run, 14, "E403_IMPORT_REFUSED", "agent.propose");
}

#[test]
fn the_state_of_one_run_goes_on_in_the_next() {
    let bench = scenarios();
    let first = play(&bench, "beyond-the-budget.toml", "20");
    bench.write("later.toml", "now = 5001\n");
    let agent = String::from_utf8(bench.read("beyond-the-budget.toml")).unwrap();
    bench.write("agent.toml", agent.replace("now = 5000\n", ""));
    let convert = ["convert", "agent", "agent.toml", "--events", "later.toml"];
    let more = ["--state", "agent.output", "-o", "agent.input"];
    bench.ok(&[&convert[..], &more].concat());
    let run = ["run", "agent-logic.mod", "--grant", "agent.propose", "--budget", "20"];
    bench.ok(&[&run[..], &["--input", "agent.input", "--output", "agent.output"]].concat());
    let second = bench.ok(&["convert", "plan", "agent.output"]);
    let expect = "place,action,goal,cost,verdict\n1,replicate,five copies,10,beyond the budget\n";
    assert_eq!(second.text(), expect, "the period has not ended, after {first}");
    bench.write("no.cbor", "text");
    let foreign =
        ["convert", "agent", "agent.toml", "--events", "later.toml", "--state", "no.cbor"];
    let foreign = [&foreign[..], &["-o", "out"]].concat();
    bench.fails(&foreign, 20, "E002_TRUNCATED", "not an output of the agent-logic package");
}
