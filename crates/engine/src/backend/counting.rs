//! Metering as the compiler gets it.
//!
//! Metering writes the counter to its global before every operator that may trap, since a trap has
//! to find the exact number there.
//! Almost all of these operators are loads and stores, and almost none of them ever traps.
//! The compiler gets the code without the writes that nothing but a load or store outside of the
//! memory could show, and the fuel of a run that ends so is counted on the interpreter, which runs
//! it again from its records (`docs/decisions/0086-fuel-of-a-memory-trap-is-counted-again.md`).
//! It also gets each charge in the form that is shorter as machine code ([`charges`]).

mod charges;
mod writes;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use charges::{Charge, Charging};
use kapsule_meter::exports;
use wasm_encoder::{CodeSection, InstructionSink};
use wasmparser::{ExternalKind, FunctionBody, Operator, Parser, Payload, TypeRef};
use writes::{Kind, Writing};

use super::recode::{relative, with_code};

/// Returns the metered module in that form, or as it is if it counts nothing.
///
/// # Errors
/// What is not valid in the module; what is returned was not validated.
pub(super) fn for_compiler(wasm: &[u8]) -> wasmparser::Result<Cow<'_, [u8]>> {
    let mut bodies = Vec::new();
    let (mut fuel, mut imports) = (None, 0);
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imports += u32::from(matches!(import?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export?;
                    let found = export.kind == ExternalKind::Global && export.name == exports::FUEL;
                    fuel = fuel.or(found.then_some(export.index));
                }
            }
            Payload::CodeSectionEntry(body) => bodies.push(body),
            _ => {}
        }
    }
    let Some(fuel) = fuel else { return Ok(Cow::Borrowed(wasm)) };
    let look = |body| Function::look(body, fuel);
    let own = bodies.iter().map(look).collect::<wasmparser::Result<Vec<Function>>>()?;
    let functions = Functions { fuel, imports, own };
    let mut code = CodeSection::new();
    for (body, function) in bodies.iter().zip(&functions.own) {
        match function.counter {
            Some(counter) => {
                code.raw(&functions.written(body, counter, &functions.edits(body, counter)?))
            }
            None => code.raw(body.as_bytes()),
        };
    }
    with_code(wasm, &code).map(Cow::Owned)
}

/// One change of a body.
struct Edit {
    /// What is left out, from the beginning of the body.
    range: Range<usize>,
    /// What is put in.
    put: Put,
}

/// What is put into a body.
enum Put {
    Nothing,
    /// A write of the counter.
    Write,
    /// A charge in its other form.
    Charge(Charge),
}

/// What has to be known of one function.
struct Function {
    /// Whether it can end a run by an access outside of the memory at most: its callers pay for
    /// such a function, and write the counter before the call.
    quiet: bool,
    /// The local that holds the counter; none in a function that counts nothing.
    counter: Option<u32>,
}

impl Function {
    /// Nothing but metering touches the global, so a local whose value comes from there or goes
    /// there is the counter; every function that counts writes it where the stack is exhausted.
    fn look(body: &FunctionBody<'_>, fuel: u32) -> wasmparser::Result<Self> {
        let mut found = Self { quiet: true, counter: None };
        let mut reader = body.get_operators_reader()?;
        let (mut pushed, mut reads) = (None, false);
        while !reader.eof() {
            let operator = reader.read()?;
            found.quiet &= !matches!(Kind::of(&operator), Kind::Calls(_) | Kind::Traps);
            let was_read = core::mem::take(&mut reads);
            match operator {
                Operator::LocalGet { local_index } => pushed = Some(local_index),
                Operator::LocalSet { local_index } if was_read => {
                    found.counter = found.counter.or(Some(local_index));
                }
                Operator::GlobalGet { global_index } => reads = global_index == fuel,
                Operator::GlobalSet { global_index } if global_index == fuel => {
                    found.counter = found.counter.or(pushed);
                }
                // What is owed may be taken from it on the way.
                Operator::I64Const { .. } | Operator::I64Sub => {}
                _ => pushed = None,
            }
        }
        Ok(found)
    }
}

/// What has to be known of the functions of a module.
struct Functions {
    /// Global of the counter.
    fuel: u32,
    /// Number of functions in front of the module's own.
    imports: u32,
    own: Vec<Function>,
}

impl Functions {
    /// Returns the changes of a body whose counter is in this local, in its order.
    fn edits(&self, body: &FunctionBody<'_>, counter: u32) -> wasmparser::Result<Vec<Edit>> {
        let mut edits = Vec::new();
        let mut reader = body.get_operators_reader()?;
        let mut writing = Writing::new(self.fuel, counter);
        let mut charging = Charging::new(counter);
        while !reader.eof() {
            let start = relative(body, reader.original_position());
            let operator = reader.read()?;
            let range = start..relative(body, reader.original_position());
            edits.extend(writing.step(&operator, range.clone(), self.hides(&operator)));
            edits.extend(charging.step(&operator, range));
        }
        Ok(edits)
    }

    /// Tells whether an operator can end a run by an access outside of the memory only.
    fn hides(&self, operator: &Operator<'_>) -> bool {
        match Kind::of(operator) {
            Kind::Accesses => true,
            Kind::Calls(function) => {
                let own = function.checked_sub(self.imports);
                let own = own.and_then(|index| usize::try_from(index).ok());
                own.and_then(|index| self.own.get(index)).is_some_and(|own| own.quiet)
            }
            Kind::Computes | Kind::Traps => false,
        }
    }

    /// Returns the bytes of a body with these changes.
    fn written(&self, body: &FunctionBody<'_>, counter: u32, edits: &[Edit]) -> Vec<u8> {
        let bytes = body.as_bytes();
        let mut copied = 0;
        let mut written = Vec::with_capacity(bytes.len());
        for edit in edits {
            written.extend_from_slice(&bytes[copied..edit.range.start]);
            copied = edit.range.end;
            let mut sink = InstructionSink::new(&mut written);
            match &edit.put {
                Put::Nothing => {}
                Put::Write => {
                    sink.local_get(counter).global_set(self.fuel);
                }
                Put::Charge(charge) => charge.write(&mut sink, counter),
            }
        }
        written.extend_from_slice(&bytes[copied..]);
        written
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use kapsule_meter::{Options, Profile, meter};

    use super::*;

    /// Returns how many writes of the counter less a module has with this entry.
    fn left_out(body: &str) -> usize {
        let wat = format!(
            "(module (memory (export \"memory\") 1)
               (func (export \"kapsule_abi_version\") (result i32) (i32.const 1))
               (func $load (param i32) (result i32) (i32.load (local.get 0)))
               (func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
               (func $loop (loop $up (br_if $up (i32.const 0))))
               (func (export \"run\") (result i32) (local i32) (call $loop) {body}))"
        );
        let wasm = wat::parse_str(wat).expect("a module");
        let metered = meter(&wasm, &Options::new(Profile::Integer1)).expect("a module for the ABI");
        let count = |wasm: &[u8]| {
            wasmparser::validate(wasm).expect("still valid");
            let payloads =
                Parser::new(0).parse_all(wasm).map(|payload| payload.expect("a payload"));
            let operators = payloads.filter_map(|payload| match payload {
                Payload::CodeSectionEntry(body) => Some(body.get_operators_reader()),
                _ => None,
            });
            let operators = operators.flat_map(|body| body.expect("operators").into_iter());
            let written = |operator: &Operator<'_>| matches!(operator, Operator::GlobalSet { .. });
            operators.filter(|operator| written(operator.as_ref().expect("an operator"))).count()
        };
        count(metered.bytes()) - count(&for_compiler(metered.bytes()).expect("a valid module"))
    }

    #[test]
    fn only_writes_that_an_access_alone_could_show_are_left_out() {
        let load = "(i32.load (local.get 0))";
        let divide = "(i32.div_u (i32.const 1) (local.get 0))";
        assert_eq!(left_out("(i32.const 1)"), 0);
        assert_eq!(left_out(load), 1);
        assert_eq!(left_out("(call $load (local.get 0))"), 1);
        assert_eq!(left_out(divide), 0);
        assert_eq!(left_out("(call $divide (local.get 0))"), 0);
        assert_eq!(left_out(&format!("(i32.add {load} {load})")), 1);
        // The write moves to what needs it, or stays where it is.
        assert_eq!(left_out(&format!("(i32.add {load} {divide})")), 0);
        assert_eq!(left_out(&format!("(i32.add {divide} {load})")), 0);
        // A call that is paid for changes the counter, so there were two writes.
        assert_eq!(left_out(&format!("(i32.add {load} (call $divide (local.get 0)))")), 1);
        let arms = format!("(if (result i32) {load} (then {load}) (else {divide}))");
        assert_eq!(left_out(&arms), 2);
    }
}
