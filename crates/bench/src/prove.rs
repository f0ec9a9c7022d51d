//! Proving: what it costs, program by program, and a reference table for the argument alone.
//!
//! Wall time says little on a shared machine, so the processor time of the whole process stands
//! beside it; memory is the greatest resident size since the program before.

mod counting;
mod measured;
mod phases;
mod programs;
mod reference;
mod report;
mod system;

use kapsule_proof::ParamSet;
use kapsule_prover::prove::STEPS_MAX;

use measured::{Fault, Measured};

/// What a caller chose.
struct Choice<'a> {
    json: bool,
    params: ParamSet,
    names: Vec<&'a str>,
}

/// Measures the named programs, or every one, and returns the lines of the report.
pub(crate) fn measure(arguments: &[&str]) -> Result<Vec<String>, String> {
    if let ["reference"] = arguments {
        return reference::measure();
    }
    let choice = choose(arguments)?;
    phases::install()?;
    let (mut found, mut refused): (Vec<Measured>, Vec<String>) = Default::default();
    for program in programs::named(&choice.names) {
        let program = program?;
        let name = program.name;
        match measured::measure(program, choice.params) {
            Ok(one) => found.push(one),
            Err(Fault::TooLong { steps }) => refused.push(format!(
                "{name}: not proven, {steps} steps where one segment takes {STEPS_MAX}"
            )),
            Err(Fault::Other(error)) => return Err(format!("{name}: {error}")),
        }
    }
    let machine = system::Machine::read();
    Ok(match choice.json {
        true => vec![report::json(&found, &refused, &machine, &choice.params)],
        false => report::text(&found, &refused, &machine, &choice.params),
    })
}

fn choose<'a>(arguments: &[&'a str]) -> Result<Choice<'a>, String> {
    let mut choice = Choice { json: false, params: ParamSet::FAST, names: Vec::new() };
    let (known, sets) = (programs::names(), ParamSet::ALL.map(|set| set.name));
    for argument in arguments {
        if *argument == "--json" {
            choice.json = true;
        } else if let Some(name) = argument.strip_prefix("--params=") {
            let set = ParamSet::from_name(name);
            choice.params = set.ok_or(format!("found set {name:?}, allowed are {sets:?}"))?;
        } else if known.contains(argument) {
            choice.names.push(argument);
        } else {
            return Err(format!(
                "found {argument:?}, allowed are --json, --params=NAME and programs of {known:?}, \
                 or reference alone"
            ));
        }
    }
    Ok(choice)
}
