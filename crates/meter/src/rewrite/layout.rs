//! Where things stand in the index spaces of the metered module, and how its functions are called.
//!
//! Behind the author's functions follow, in this order: a *stub* for each import, the *routines*
//! of the memory operators, a *door* for each bare function that a table or an export names, and
//! a *gate* for each exported function.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use wasmparser::FuncType;

use super::code::Globals;
use super::routines::Routines;
use super::types::Types;
use crate::plan::{FunctionPlan, Plan};
use crate::scan::{Body, EventKind, ExportKind, Scan};

/// How the counters get into a function and back, which its type decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passing {
    /// Fuel and height are the last two parameters, fuel is the last result; the function has
    /// this type in the metered module.
    Carried(u32),
    /// Fuel and height are left in their globals, and the function keeps its type.
    Global,
}

/// Greatest number of parameters with which the counters are carried.
///
/// Chosen: the backends take 1,000 parameters.
const CARRIED_PARAMS_MAX: usize = 998;
/// Greatest number of results with which fuel is carried.
///
/// Chosen: the interpreter moves each further result twice, and compilers give one result.
const CARRIED_RESULTS_MAX: usize = 1;

impl Passing {
    fn new(function: &FuncType, index: u32, types: &mut Types) -> Self {
        let (params, results) = (function.params().len(), function.results().len());
        if params > CARRIED_PARAMS_MAX || results > CARRIED_RESULTS_MAX {
            return Self::Global;
        }
        Self::Carried(types.carried(index))
    }
}

/// A function that pays nothing itself: it is one metering block, calls nothing, and so its
/// callers can charge it and check its height before they enter it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bare {
    pub(super) cost: u32,
    pub(super) weight: u32,
    /// Whether it may trap, so that the counter must be in its global while it runs.
    pub(super) traps: bool,
}

impl Bare {
    fn new(body: &Body, plan: &FunctionPlan) -> Option<Self> {
        let charges_once = plan.charges.iter().all(|charge| charge.operator == 0);
        if plan.calls || !charges_once || body.calls_routines {
            return None;
        }
        let cost = plan.charges.first().map_or(0, |charge| u32::from(charge.cost));
        Some(Self { cost, weight: plan.weight, traps: body.traps })
    }
}

/// Indices and ways of calling.
pub(super) struct Layout {
    imports: u32,
    stubs: u32,
    pub(super) globals: Globals,
    pub(super) routines: Routines,
    /// For each type of the module.
    passings: Vec<Option<Passing>>,
    /// For each defined function.
    bare: Vec<Option<Bare>>,
    /// Bare functions that have a door, with its index.
    pub(super) doors: BTreeMap<u32, u32>,
    /// Exported functions that have a gate, with its index.
    pub(super) gates: BTreeMap<u32, u32>,
}

impl Layout {
    pub(super) fn new(scan: &Scan, plan: &Plan, types: &mut Types) -> Self {
        let count = |length: usize| u32::try_from(length).expect("wasmparser bounds the count");
        let imports = scan.import_count();
        let stubs = imports + count(scan.functions.len());
        let routines = Routines::after(stubs + imports, scan, types);
        let mut layout = Self {
            imports,
            stubs,
            globals: Globals::after(count(scan.globals.len())),
            routines,
            passings: alloc::vec![None; scan.types.len()],
            bare: Vec::new(),
            doors: BTreeMap::new(),
            gates: BTreeMap::new(),
        };
        layout.learn_passings(scan, types);
        let carried = |type_index: &u32| matches!(layout.passing(*type_index), Passing::Carried(_));
        let bodies = scan.bodies.iter().zip(&plan.functions).zip(&scan.functions);
        let bare =
            bodies.map(|((body, plan), kind)| Bare::new(body, plan).filter(|_| carried(kind)));
        layout.bare = bare.collect();
        layout.place_doors_and_gates(scan);
        layout
    }

    /// Finds out how functions of each type are called that a function or a call names.
    fn learn_passings(&mut self, scan: &Scan, types: &mut Types) {
        let bodies = scan.bodies.iter().filter(|body| body.calls_indirect);
        let events = bodies.flat_map(|body| scan.events(body));
        let indirect = events.filter_map(|event| match event.kind {
            EventKind::CallIndirect(type_index) => Some(type_index),
            _ => None,
        });
        let imports = scan.imports.iter().map(|import| import.type_index);
        for index in scan.functions.iter().copied().chain(imports).chain(indirect) {
            let slot = &mut self.passings[index as usize];
            if slot.is_none() {
                *slot = Some(Passing::new(&scan.types[index as usize], index, types));
            }
        }
    }

    fn place_doors_and_gates(&mut self, scan: &Scan) {
        let exported: BTreeSet<u32> = scan
            .exports
            .iter()
            .filter(|export| export.kind == ExportKind::Function)
            .map(|export| export.index)
            .chain(scan.start)
            .collect();
        let in_table = scan.elements.iter().flat_map(|element| &element.functions).copied();
        let named: BTreeSet<u32> = exported.iter().copied().chain(in_table).collect();
        let doors = named.into_iter().filter(|index| self.bare(*index).is_some());
        let first = self.routines.end();
        self.doors = doors.zip(first..).collect();
        let first = first + u32::try_from(self.doors.len()).expect("fewer than functions");
        let carried = |index: &u32| {
            let type_index = scan.function_type_index(*index);
            type_index.is_some_and(|kind| matches!(self.passing(kind), Passing::Carried(_)))
        };
        self.gates = exported.into_iter().filter(carried).zip(first..).collect();
    }

    /// Returns how many functions the metered module defines.
    pub(super) fn function_count(&self) -> u32 {
        let last_gate = self.gates.values().next_back().map(|gate| gate + 1);
        let last_door = self.doors.values().next_back().map(|door| door + 1);
        last_gate.or(last_door).unwrap_or(self.routines.end()) - self.imports
    }

    /// Returns how functions of a type are called.
    pub(super) fn passing(&self, type_index: u32) -> Passing {
        self.passings[type_index as usize].expect("learnt, since a function or a call names it")
    }

    /// Returns what a caller has to pay for a bare function.
    pub(super) fn bare(&self, function: u32) -> Option<Bare> {
        let defined = function.checked_sub(self.imports)?;
        self.bare.get(defined as usize).copied().flatten()
    }

    /// Returns the function that a call of the module reaches: the stub of an import.
    pub(super) fn callee(&self, function: u32) -> u32 {
        if function < self.imports { self.stubs + function } else { function }
    }

    /// Returns the function that a table holds, which is called as its type says.
    pub(super) fn in_table(&self, function: u32) -> u32 {
        self.doors.get(&function).copied().unwrap_or_else(|| self.callee(function))
    }

    /// Returns the function that an export names, which is called from outside.
    pub(super) fn exported(&self, function: u32) -> u32 {
        self.gates.get(&function).copied().unwrap_or_else(|| self.callee(function))
    }
}
