//! The SDKs for other languages say what the table of hostcalls says.
//!
//! `KAPSULE_UPDATE=1` writes the parts between the marks instead of comparing them.

use kapsule_abi::hostcall::{Access, Errno, HOSTCALLS, Hostcall, Length, Param, ValueType};
use kapsule_abi::{ABI_VERSION, BUFFER_BYTES_MAX, IMPORT_NAMESPACE};

use crate::support::REPOSITORY;

/// Lines between which a file is made from the table.
const BEGIN: &str = "// -- made from the hostcall table --";
const END: &str = "// -- end of what is made from the table --";

/// Returns what a comment says of a call.
fn facts(call: &Hostcall) -> String {
    let grant = match call.is_always_granted() {
        true => "always linked".to_owned(),
        false => format!("grant {}", call.grant_names()),
    };
    let price = call.price;
    let errors: Vec<&str> = call.errors.iter().map(|errno| errno.name()).collect();
    let errors = if errors.is_empty() { "none".to_owned() } else { errors.join(", ") };
    let number = call.number;
    let price = format!("{} fuel and {}/8 for each byte", price.base, price.factor);
    format!("Hostcall {number}: {grant}; {price}; errors: {errors}.")
}

/// Tells whether a parameter is the length of a buffer, which has no sign.
fn is_length(call: &Hostcall, index: usize) -> bool {
    call.buffers().any(|(_, _, length)| matches!(length, Length::Param(at) if at as usize == index))
}

fn c_value(value: ValueType) -> &'static str {
    match value {
        ValueType::I32 => "int32_t",
        ValueType::I64 => "int64_t",
    }
}

fn c_param(call: &Hostcall, index: usize) -> String {
    match &call.params[index] {
        Param::Value(name, _) if is_length(call, index) => format!("uint32_t {name}"),
        Param::Value(name, value) => format!("{} {name}", c_value(*value)),
        Param::Pointer(name, Access::Read, _) => format!("const void *{name}"),
        Param::Pointer(name, Access::Write, _) => format!("void *{name}"),
    }
}

fn c() -> String {
    let mut text = format!("#define KAPSULE_ABI_VERSION {ABI_VERSION}\n");
    text.push_str(&format!("#define KAPSULE_BUFFER_BYTES_MAX {BUFFER_BYTES_MAX}u\n\nenum {{\n"));
    for errno in Errno::ALL {
        let name = errno.name().to_uppercase().replace(' ', "_");
        text.push_str(&format!("  KAPSULE_{name} = {},\n", errno as i32));
    }
    text.push_str("};\n");
    for call in HOSTCALLS {
        let params: Vec<String> = (0..call.params.len()).map(|at| c_param(call, at)).collect();
        let params = if params.is_empty() { "void".to_owned() } else { params.join(", ") };
        let result = call.result.map_or("void", c_value);
        let (name, facts) = (call.name, facts(call));
        text.push_str(&format!(
            "\n/* {facts} */\nKAPSULE_IMPORT({name}) {result} kapsule_{name}({params});\n"
        ));
    }
    text
}

fn as_param(call: &Hostcall, index: usize) -> String {
    let value = match &call.params[index] {
        Param::Pointer(..) => "usize",
        Param::Value(..) if is_length(call, index) => "u32",
        Param::Value(_, ValueType::I32) => "i32",
        Param::Value(_, ValueType::I64) => "i64",
    };
    format!("{}: {value}", call.params[index].name())
}

fn assembly_script() -> String {
    let mut text = format!("export const ABI_VERSION: i32 = {ABI_VERSION};\n");
    text.push_str(&format!("export const BUFFER_BYTES_MAX: u32 = {BUFFER_BYTES_MAX};\n\n"));
    for errno in Errno::ALL {
        let name = errno.name().to_uppercase().replace(' ', "_");
        text.push_str(&format!("export const {name}: i32 = {};\n", errno as i32));
    }
    for call in HOSTCALLS {
        let params: Vec<String> = (0..call.params.len()).map(|at| as_param(call, at)).collect();
        let result = match call.result {
            None => "void",
            Some(ValueType::I32) => "i32",
            Some(ValueType::I64) => "i64",
        };
        let (name, facts, params) = (call.name, facts(call), params.join(", "));
        text.push_str(&format!(
            "\n/** {facts} */\n// @ts-ignore: decorator\n@external(\"{IMPORT_NAMESPACE}\", \
             \"{name}\")\nexport declare function {name}({params}): {result};\n"
        ));
    }
    text
}

/// Compares the part of a file between the marks, or writes it.
#[track_caller]
fn check(path: &str, expect: &str) {
    let path = format!("{REPOSITORY}/{path}");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(&format!("{BEGIN}\n")).expect("the first mark");
    let (found, after) = rest.split_once(END).expect("the second mark");
    if std::env::var_os("KAPSULE_UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}\n{expect}{END}{after}")).unwrap();
        return;
    }
    for (found, expect) in found.lines().zip(expect.lines()) {
        assert_eq!(found, expect, "{path}: make it anew with KAPSULE_UPDATE=1");
    }
    assert_eq!(found.len(), expect.len(), "{path}: make it anew with KAPSULE_UPDATE=1");
}

#[test]
fn the_header_for_c_is_the_table() {
    check("sdk/c/kapsule.h", &c());
}

#[test]
fn the_bindings_for_assembly_script_are_the_table() {
    check("sdk/assemblyscript/kapsule.ts", &assembly_script());
}
