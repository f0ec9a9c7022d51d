//! The hostcall table: number, name, signature, buffers, grant, price and errors of each import.
//!
//! # Spec
//! `spec/abi.md` prints this table; a test compares the two.

mod table;

pub use table::HOSTCALLS;

/// Number of `log`, whose lines are read from the records of a run.
pub const LOG: u16 = 4;
/// Number of `call`, which starts a run inside the run.
pub const CALL: u16 = 23;
/// Bytes before the output in what `call` writes: fuel, outcome class, outcome detail.
pub const CALL_HEADER_BYTES: usize = 16;
/// Bytes of a digest: what `hash` writes, and a capsule id or package hash that a guest passes.
pub const HASH_BYTES: u32 = 32;

/// Type of a parameter or result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
}

/// Whether the host reads or writes a guest buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The host reads the buffer; its bytes are part of the request.
    Read,
    /// The host writes the buffer; its bytes are part of the response.
    Write,
}

/// Where the length of a buffer comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// The parameter with this index, an unsigned 32-bit number of bytes.
    Param(u8),
    /// A fixed number of bytes.
    Fixed(u32),
}

/// One parameter of a hostcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// A plain integer, buffer lengths included.
    Value(&'static str, ValueType),
    /// An i32 pointer to a buffer in the guest's memory.
    Pointer(&'static str, Access, Length),
}

impl Param {
    /// Returns the name used in documents.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Value(name, _) | Self::Pointer(name, ..) => name,
        }
    }

    /// Returns the wasm type of the parameter.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::Value(_, value_type) => *value_type,
            Self::Pointer(..) => ValueType::I32,
        }
    }
}

/// What a hostcall costs: `base + ceil(factor * sum of guest-given buffer lengths / 8)` fuel.
///
/// The products and the sum are taken modulo 2^32; `spec/fuel.md` shows why a wrapped sum cannot
/// be cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Fixed fuel of one call.
    pub base: u32,
    /// Eighths of fuel for each byte of buffer length that the guest passes; at most 16.
    pub factor: u32,
}

/// A named permission that links one or more imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// `agent.propose`
    AgentPropose,
    /// `capsule.metadata`
    CapsuleMetadata,
    /// `capsule.payload`
    CapsulePayload,
    /// `capsule.result`
    CapsuleResult,
    /// `compose`
    Compose,
    /// `dag.read`
    DagRead,
    /// `fs`
    Fs,
    /// `net.clearnet`
    NetClearnet,
    /// `net.mesh`
    NetMesh,
    /// `random`
    Random,
    /// `storage`
    Storage,
    /// `time`
    Time,
    /// `trust.graph`
    TrustGraph,
    /// `trust.read`
    TrustRead,
}

impl Grant {
    /// Every grant in order of its name.
    pub const ALL: [Self; 14] = [
        Self::AgentPropose,
        Self::CapsuleMetadata,
        Self::CapsulePayload,
        Self::CapsuleResult,
        Self::Compose,
        Self::DagRead,
        Self::Fs,
        Self::NetClearnet,
        Self::NetMesh,
        Self::Random,
        Self::Storage,
        Self::Time,
        Self::TrustGraph,
        Self::TrustRead,
    ];

    /// Returns the name that authors and hosts write.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AgentPropose => "agent.propose",
            Self::CapsuleMetadata => "capsule.metadata",
            Self::CapsulePayload => "capsule.payload",
            Self::CapsuleResult => "capsule.result",
            Self::Compose => "compose",
            Self::DagRead => "dag.read",
            Self::Fs => "fs",
            Self::NetClearnet => "net.clearnet",
            Self::NetMesh => "net.mesh",
            Self::Random => "random",
            Self::Storage => "storage",
            Self::Time => "time",
            Self::TrustGraph => "trust.graph",
            Self::TrustRead => "trust.read",
        }
    }

    /// Returns the grant with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|grant| grant.name() == name)
    }

    /// Returns the imports that the grant links, in table order.
    pub fn hostcalls(self) -> impl Iterator<Item = &'static Hostcall> {
        HOSTCALLS.iter().filter(move |call| call.grants.contains(&self))
    }
}

/// A negative result of a hostcall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Errno {
    /// No such capsule, key, record, package or file.
    NotFound = -1,
    /// An argument has a value without meaning, such as an unknown hash algorithm.
    InvalidArgument = -2,
    /// The host does not support the named suite.
    Unsupported = -3,
    /// The host holds no key for this payload.
    KeyNotHeld = -4,
    /// The bytes are not what the hostcall expects, for example not deterministic CBOR.
    Malformed = -5,
    /// The host could do this and does not, for example beyond a budget of its own.
    Refused = -6,
    /// The other side of a network request does not answer.
    Unreachable = -7,
}

impl Errno {
    /// Every error in order of its magnitude.
    pub const ALL: [Self; 7] = [
        Self::NotFound,
        Self::InvalidArgument,
        Self::Unsupported,
        Self::KeyNotHeld,
        Self::Malformed,
        Self::Refused,
        Self::Unreachable,
    ];

    /// Returns the plain name, for example `not found`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not found",
            Self::InvalidArgument => "invalid argument",
            Self::Unsupported => "unsupported",
            Self::KeyNotHeld => "key not held",
            Self::Malformed => "malformed",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
        }
    }

    /// Returns the error with this result value.
    #[must_use]
    pub fn from_value(value: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|errno| i64::from(*errno as i32) == value)
    }
}

/// One function that a module may import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hostcall {
    /// Number in transcripts and proofs; never reused.
    pub number: u16,
    /// Import name.
    pub name: &'static str,
    /// Parameters in signature order.
    pub params: &'static [Param],
    /// Result type, if any.
    pub result: Option<ValueType>,
    /// Grants of which any links the import; none if it is always linked.
    pub grants: &'static [Grant],
    /// Fuel price.
    pub price: Price,
    /// Errors that the call can return.
    pub errors: &'static [Errno],
}

impl Hostcall {
    /// Returns the hostcall with this import name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<&'static Self> {
        HOSTCALLS.iter().find(|call| call.name == name)
    }

    /// Returns the hostcall with this number.
    #[must_use]
    pub fn from_number(number: u64) -> Option<&'static Self> {
        HOSTCALLS.iter().find(|call| u64::from(call.number) == number)
    }

    /// Returns whether the import is linked without being asked for.
    #[must_use]
    pub const fn is_always_granted(&self) -> bool {
        self.grants.is_empty()
    }

    /// Returns the names of the grants as documents print them: `always`, one name, or several
    /// joined by `or`.
    #[must_use]
    pub const fn grant_names(&self) -> GrantNames {
        GrantNames(self.grants)
    }

    /// Returns the buffers as (pointer parameter index, access, length), in signature order.
    pub fn buffers(&self) -> impl Iterator<Item = (usize, Access, Length)> + '_ {
        self.params.iter().enumerate().filter_map(|(index, param)| match param {
            Param::Pointer(_, access, length) => Some((index, *access, *length)),
            Param::Value(..) => None,
        })
    }
}

/// The grants of a hostcall, for printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantNames(&'static [Grant]);

impl core::fmt::Display for GrantNames {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Some((first, rest)) = self.0.split_first() else { return f.pad("always") };
        f.write_str(first.name())?;
        for grant in rest {
            write!(f, " or {}", grant.name())?;
        }
        Ok(())
    }
}
