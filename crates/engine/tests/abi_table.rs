//! `spec/abi.md` and the table in code say the same.

use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{Access, Errno, Hostcall, Length, ValueType};

const SPEC: &str = include_str!("../../../spec/abi.md");

fn value_type(value: ValueType) -> &'static str {
    match value {
        ValueType::I32 => "i32",
        ValueType::I64 => "i64",
    }
}

fn buffers(call: &Hostcall, wanted: Access) -> String {
    let buffers = call.buffers().filter(|(_, access, _)| *access == wanted);
    let texts = buffers.map(|(index, _, length)| {
        let length = match length {
            Length::Param(index) => call.params[usize::from(index)].name().to_string(),
            Length::Fixed(bytes) => bytes.to_string(),
        };
        format!("{}[{length}]", call.params[index].name())
    });
    or_dash(&texts.collect::<Vec<_>>())
}

fn or_dash(texts: &[String]) -> String {
    if texts.is_empty() { "-".into() } else { texts.join(", ") }
}

fn row(call: &Hostcall) -> String {
    let params =
        call.params.iter().map(|p| format!("{}: {}", p.name(), value_type(p.value_type())));
    let result = call.result.map_or(String::new(), |v| format!(" -> {}", value_type(v)));
    let errors = call.errors.iter().map(|errno| errno.name().to_string());
    format!(
        "| {} | `{}` | `({}){result}` | {} | {} | {} | {} | {} | {} |",
        call.number,
        call.name,
        params.collect::<Vec<_>>().join(", "),
        buffers(call, Access::Read),
        buffers(call, Access::Write),
        call.price.base,
        call.price.factor,
        call.grant_names(),
        or_dash(&errors.collect::<Vec<_>>()),
    )
}

#[test]
fn the_specification_prints_the_table_of_the_code() {
    let rows: Vec<&str> = SPEC.lines().filter(|line| line.contains("| `")).collect();
    let expect: Vec<String> = HOSTCALLS.iter().map(row).collect();
    assert_eq!(rows, expect);
}

#[test]
fn the_specification_prints_every_error() {
    for errno in Errno::ALL {
        let row = format!("| {} | {} |", errno.name(), errno as i32);
        assert!(SPEC.lines().any(|line| line == row), "{row}");
    }
}

#[test]
fn every_call_has_a_section() {
    for call in HOSTCALLS {
        let heading = format!("### {}", call.name);
        assert!(SPEC.lines().any(|line| line == heading), "{heading}");
    }
}
