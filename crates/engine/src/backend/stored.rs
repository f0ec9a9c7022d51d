//! Compiled code of the JIT as bytes that a host can keep, and back.
//!
//! Loading native code is handing over control, so what is loaded has to be what this host made:
//! an entry is authenticated with a key that only the host has, together with everything that the
//! code depends on, before any byte of it is looked at.
//!
//! `docs/decisions/0023-compiled-code-cache.md`
#![expect(unsafe_code, reason = "native code cannot be validated, only authenticated")]

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use kapsule_abi::{Hostcall, guard};
use kapsule_format::cbor::{self, Fields, Value};
use kapsule_format::{DecodeError, Digest};
use kapsule_meter::{METERING, MemoryShape, Profile};
use wasmtime::{Engine, Module};

use super::Facts;
use super::jit::{self, Code, Source, Stops};
use crate::HostError;

/// First bytes of an entry; another layout, or code made in another way, has another number.
const MAGIC: [u8; 8] = *b"KPSLJIT3";
/// Bytes of the keyed hash behind the magic.
const TAG_BYTES: usize = 32;

/// The secret under which one host keeps compiled code: 32 random bytes that never leave it.
#[derive(Clone)]
pub struct CodeKey([u8; 32]);

impl CodeKey {
    /// Takes over random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl core::fmt::Debug for CodeKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("CodeKey(..)")
    }
}

/// What compiled code was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeOrigin {
    /// SHA-256 of the module before metering, `exec.hash` of a package.
    pub module: Digest,
    /// Profile that it was metered under.
    pub profile: Profile,
}

impl CodeOrigin {
    /// Returns the keyed hash of an entry: of its body and of everything that it depends on.
    ///
    /// The native code names the backend's version, its settings and the processor's features
    /// itself, and the backend compares them.
    fn tag(&self, key: &CodeKey, body: &[u8]) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new_keyed(&key.0);
        let context: [&[u8]; 5] = [
            &MAGIC,
            self.module.as_bytes(),
            self.profile.name().as_bytes(),
            METERING.as_bytes(),
            env!("CARGO_PKG_VERSION").as_bytes(),
        ];
        for part in context {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.update(body);
        hasher.finalize()
    }
}

/// Writes an entry.
pub(super) fn store(
    facts: &Facts,
    code: &Code,
    key: &CodeKey,
    origin: &CodeOrigin,
) -> Result<Vec<u8>, HostError> {
    let native = code.module().serialize().map_err(|error| jit::refused(format!("{error:#}")))?;
    let facts = cbor::encode(&facts.to_value());
    let facts_bytes = u32::try_from(facts.len()).unwrap_or(u32::MAX);
    let body = [&facts_bytes.to_le_bytes()[..], &facts, &native].concat();
    let tag = origin.tag(key, &body);
    Ok([&MAGIC[..], tag.as_bytes(), &body].concat())
}

/// Reads an entry, or returns `None` if this host did not make it of that origin with this build.
pub(super) fn load(
    entry: &[u8],
    key: &CodeKey,
    origin: &CodeOrigin,
    wasm: &[u8],
) -> Option<(Facts, Code)> {
    let (magic, rest) = entry.split_first_chunk::<{ MAGIC.len() }>()?;
    let (tag, body) = rest.split_first_chunk::<TAG_BYTES>()?;
    let foreign = *magic != MAGIC || origin.tag(key, body) != blake3::Hash::from_bytes(*tag);
    if guard!("engine.stored.tag", foreign) {
        return None;
    }
    let (length, rest) = body.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (facts, native) = rest.split_at_checked(length)?;
    let facts = Facts::from_value(cbor::decode(facts).ok()?).ok()?;
    debug_assert!(origin.tag(key, body) == blake3::Hash::from_bytes(*tag));
    let module = native_module(jit::engine(Stops::AtHostcalls).ok()?, native)?;
    let source = Source::Plain(wasm.into(), origin.profile);
    let code = Code::link(&module, source, &facts, Stops::AtHostcalls).ok()?;
    Some((facts, code))
}

/// Loads native code that was authenticated.
fn native_module(engine: &Engine, native: &[u8]) -> Option<Module> {
    // SAFETY: `load` has just found the keyed hash of these bytes under the host's own key, so
    // they are what `store` got from `Module::serialize`; code of another version of the backend,
    // other settings or another processor is refused by the backend itself.
    unsafe { Module::deserialize(engine, native) }.ok()
}

impl Facts {
    fn to_value(&self) -> Value {
        let numbers = self.imports.iter().map(|hostcall| u64::from(hostcall.number));
        // Names of exports may hold characters that KCBOR has no text for.
        let names = self.entries.keys().map(String::as_bytes);
        let memory = self.memory.iter();
        let memory = memory.flat_map(|memory| [memory.pages_min, memory.pages_max]);
        Value::Map(vec![
            (0, Value::array(numbers)),
            (1, Value::array(names)),
            (2, Value::array(self.entries.values().copied().map(u64::from))),
            (3, Value::array(memory.map(u64::from))),
            (4, Value::array(self.globals.iter().map(String::as_str))),
            (5, self.has_start.into()),
        ])
    }

    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(value, "facts")?;
        let imports: Vec<u64> = fields.required(0)?;
        let names: Vec<Vec<u8>> = fields.required(1)?;
        let indices: Vec<u64> = fields.required(2)?;
        let memory: Vec<u64> = fields.required(3)?;
        let facts = Self {
            imports: imports.into_iter().filter_map(Hostcall::from_number).collect(),
            entries: names
                .into_iter()
                .filter_map(|name| String::from_utf8(name).ok())
                .zip(indices.into_iter().map(narrow))
                .collect(),
            memory: match memory.as_slice() {
                [min, max] => {
                    Some(MemoryShape { pages_min: narrow(*min), pages_max: narrow(*max) })
                }
                _ => None,
            },
            globals: fields.required(4)?,
            has_start: fields.required(5)?,
        };
        fields.finish()?;
        Ok(facts)
    }
}

/// Takes back what `to_value` widened.
fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
