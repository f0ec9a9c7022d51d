//! The functions that generated code may call.

use super::form::Form;
use kapsule_abi::hostcall::HOSTCALLS;
use kapsule_abi::{Hostcall, Param, ValueType};
use wasm_encoder::{
    EntityType, Function, ImportSection, InstructionSink, Module, TypeSection, ValType,
};

/// Namespace of functions that mask their arguments.
const GUARDED: &str = "kit";
/// Namespace of functions that pass their arguments as they are.
const UNGUARDED: &str = "raw";

/// Pointers of guarded tools reach a quarter of the first page.
const POINTER: i32 = 0x3fff;

/// What a kit function does.
#[derive(Clone, Copy, Debug)]
enum Act {
    Hostcall(&'static Hostcall),
    Fill,
    Copy,
}

/// Hostcalls that one module may make: with more imports, most bytes make no module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Input, output, capsules, trust, cryptography, time and chance.
    Inner,
    /// Storage, the DAG, proposals, other packages, files and the network.
    Outer,
}

impl Family {
    fn has(self, call: &Hostcall) -> bool {
        match self {
            Self::Inner => call.number <= 14,
            // Input and output as well, so that what was answered is seen.
            Self::Outer => call.number >= 15 || matches!(call.number, 2 | 3),
        }
    }
}

/// One kit function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tool {
    act: Act,
    guarded: bool,
}

/// The functions that one module may call.
#[derive(Clone, Debug)]
pub(crate) struct Kit {
    tools: Vec<Tool>,
}

impl Kit {
    /// Nothing: the module computes alone.
    pub(crate) const fn none() -> Self {
        Self { tools: Vec::new() }
    }

    /// A family with masked arguments.
    pub(crate) fn guarded(family: Family) -> Self {
        Self { tools: tools(family, true) }
    }

    /// A family with and without masks.
    pub(crate) fn unguarded(family: Family) -> Self {
        Self { tools: [tools(family, true), tools(family, false)].concat() }
    }

    /// Returns a module whose imports are the kit, as the generator wants to be told.
    pub(crate) fn imports(&self) -> Vec<u8> {
        let (mut types, mut imports) = (TypeSection::new(), ImportSection::new());
        for (index, tool) in (0_u32..).zip(&self.tools) {
            types.ty().function(tool.params(), tool.result());
            imports.import(tool.namespace(), tool.name(), EntityType::Function(index));
        }
        let mut module = Module::new();
        module.section(&types).section(&imports);
        module.finish()
    }

    /// Returns the function that a generated import names.
    pub(super) fn tool(&self, namespace: &str, name: &str) -> Tool {
        let found = self.tools.iter().find(|t| t.namespace() == namespace && t.name() == name);
        *found.expect("the generator imports only what it was offered")
    }
}

fn tools(family: Family, guarded: bool) -> Vec<Tool> {
    let calls = HOSTCALLS.iter().filter(|call| family.has(call));
    let acts = calls.map(Act::Hostcall).chain([Act::Fill, Act::Copy]);
    acts.map(|act| Tool { act, guarded }).collect()
}

impl Tool {
    pub(super) const fn hostcall(&self) -> Option<&'static Hostcall> {
        match self.act {
            Act::Hostcall(hostcall) => Some(hostcall),
            Act::Fill | Act::Copy => None,
        }
    }

    const fn namespace(&self) -> &'static str {
        if self.guarded { GUARDED } else { UNGUARDED }
    }

    const fn name(&self) -> &'static str {
        match self.act {
            Act::Hostcall(hostcall) => hostcall.name,
            Act::Fill => "memory_fill",
            Act::Copy => "memory_copy",
        }
    }

    fn params(&self) -> Vec<ValType> {
        match self.act {
            Act::Hostcall(hostcall) => {
                hostcall.params.iter().map(|param| wasm(param.value_type())).collect()
            }
            Act::Fill | Act::Copy => vec![ValType::I32; 3],
        }
    }

    fn result(&self) -> Option<ValType> {
        self.hostcall().and_then(|hostcall| hostcall.result).map(wasm)
    }

    /// Returns the function: masks, then the hostcall with this index or the memory operation.
    pub(super) fn body(&self, import: u32) -> Function {
        let mut function = Function::new([]);
        let mut sink = function.instructions();
        let form = self.form();
        if let Some(form) = &form {
            form.place(&mut sink, POINTER);
        }
        for (local, param) in (0_u32..).zip(self.params()) {
            if let Some(form) = form.as_ref().filter(|form| form.length_param == local) {
                form.push_length(&mut sink);
            }
            sink.local_get(local);
            if self.guarded {
                mask(&mut sink, param, self.mask(local));
            }
            if let Some(form) = form.as_ref().filter(|form| form.length_param == local) {
                form.choose_length(&mut sink);
            }
        }
        match self.act {
            Act::Hostcall(_) => sink.call(import),
            Act::Fill => sink.memory_fill(0),
            Act::Copy => sink.memory_copy(0, 0),
        };
        sink.end();
        function
    }

    /// Returns the form that the arguments of a guarded tool have.
    fn form(&self) -> Option<Form> {
        self.hostcall().filter(|_| self.guarded).and_then(Form::of)
    }

    /// Returns the bits that a parameter keeps.
    fn mask(&self, param: u32) -> i32 {
        /// Lengths are short, so that limits are reached after many calls and not by the first.
        const LENGTH: i32 = 0x7f;
        /// Codes, indices and cursors: most exist, some do not.
        const CODE: i32 = 3;
        let Act::Hostcall(hostcall) = self.act else {
            return if param == 2 { LENGTH } else { POINTER };
        };
        match hostcall.params.get(param as usize) {
            Some(Param::Pointer(..)) => POINTER,
            Some(Param::Value(name, _)) if name.ends_with("len") => LENGTH,
            _ => CODE,
        }
    }
}

fn mask(sink: &mut InstructionSink<'_>, param: ValType, bits: i32) {
    match param {
        ValType::I64 => sink.i64_const(i64::from(bits)).i64_and(),
        _ => sink.i32_const(bits).i32_and(),
    };
}

const fn wasm(value: ValueType) -> ValType {
    match value {
        ValueType::I32 => ValType::I32,
        ValueType::I64 => ValType::I64,
    }
}
