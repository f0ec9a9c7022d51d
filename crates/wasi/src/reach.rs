//! In which functions the program may end.

use alloc::vec;
use alloc::vec::Vec;

use wasmparser::{ConstExpr, ElementItems, Operator};

use crate::program::Program;
use crate::table::Answer;

/// Functions of a program, by index, that may have ended the program when they return.
pub(crate) struct MayExit {
    functions: Vec<bool>,
    /// Whether a call through the table may.
    pub(crate) indirect: bool,
}

impl MayExit {
    /// Tells whether a call of this function may have ended the program.
    pub(crate) fn has(&self, function: u32) -> bool {
        self.functions.get(function as usize).copied().unwrap_or(true)
    }
}

/// What a function calls.
#[derive(Default)]
struct Calls {
    direct: Vec<u32>,
    indirect: bool,
}

/// Finds the functions from which a `proc_exit` can be reached.
///
/// A call through the table counts as a call of everything that a table or `ref.func` names.
pub(crate) fn may_exit(program: &Program<'_>) -> MayExit {
    let named = table_functions(program);
    let calls: Vec<Calls> = program.bodies.iter().map(calls).collect();
    let imports = program.imports.iter().map(|(call, _)| call.answer == Answer::Exit);
    let mut functions: Vec<bool> = imports.collect();
    functions.resize(functions.len() + calls.len(), false);
    let first = program.imports.len();
    loop {
        let indirect = named.iter().any(|index| functions[*index as usize]);
        let mut changed = false;
        for (own, calls) in calls.iter().enumerate() {
            let reaches = (calls.indirect && indirect)
                || calls.direct.iter().any(|callee| functions[*callee as usize]);
            changed |= reaches && !functions[first + own];
            functions[first + own] |= reaches;
        }
        if !changed {
            return MayExit { functions, indirect };
        }
    }
}

fn calls(body: &wasmparser::FunctionBody<'_>) -> Calls {
    let mut calls = Calls::default();
    // The program was validated, so that no operator is unreadable.
    for operator in body.get_operators_reader().into_iter().flatten().flatten() {
        match operator {
            Operator::Call { function_index } => calls.direct.push(function_index),
            Operator::CallIndirect { .. } => calls.indirect = true,
            _ => {}
        }
    }
    calls
}

/// Returns every function that an element segment names.
fn table_functions(program: &Program<'_>) -> Vec<u32> {
    let mut named = vec![];
    for element in program.elements.clone().into_iter().flatten().flatten() {
        match element.items {
            ElementItems::Functions(functions) => named.extend(functions.into_iter().flatten()),
            ElementItems::Expressions(_, expressions) => {
                let expressions = expressions.into_iter().flatten();
                named.extend(expressions.filter_map(|expression| function_of(&expression)));
            }
        }
    }
    named
}

fn function_of(expression: &ConstExpr<'_>) -> Option<u32> {
    expression.get_operators_reader().into_iter().flatten().find_map(|operator| match operator {
        Operator::RefFunc { function_index } => Some(function_index),
        _ => None,
    })
}
