//! How a run ends: closed, deterministic, with the numbers that receipts carry.

/// How a run ended.
///
/// # Spec
/// `spec/transcript.md`, section "Outcome".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The entry returned this value, taken as unsigned; 0 is success (class 0).
    Completed(u32),
    /// The guest failed (class 1).
    Trapped(Trap),
    /// A deterministic limit was reached (class 2).
    LimitReached(Limit),
    /// The policy refused a call (class 3).
    Denied(Rule),
}

/// Why a guest trapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Trap {
    /// `unreachable` was executed.
    Unreachable = 0,
    /// An integer was divided by zero.
    DivisionByZero = 1,
    /// A signed division overflowed.
    IntegerOverflow = 2,
    /// An access lay outside linear memory.
    MemoryOutOfBounds = 3,
    /// A table index lay outside the table.
    UndefinedElement = 4,
    /// The table entry was null.
    UninitialisedElement = 5,
    /// The called function has another type.
    IndirectCallTypeMismatch = 6,
    /// The stack height passed the limit of `stack-1`.
    StackExhausted = 7,
    /// A float does not fit the integer type.
    InvalidConversion = 8,
    /// A buffer passed to a hostcall lay outside memory.
    HostContractViolated = 9,
}

/// Which deterministic limit a run reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Limit {
    /// Granted fuel.
    Fuel = 0,
    /// Storage quota.
    Storage = 1,
    /// Output bytes.
    Output = 2,
    /// Log bytes.
    Log = 3,
    /// Number of hostcalls.
    Calls = 4,
}

/// Which rule denied a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Rule {
    /// The effective policy.
    Policy = 0,
    /// An argument outside what the hostcall accepts.
    Argument = 5,
}

impl Trap {
    /// Every trap in order of its code.
    pub const ALL: [Self; 10] = [
        Self::Unreachable,
        Self::DivisionByZero,
        Self::IntegerOverflow,
        Self::MemoryOutOfBounds,
        Self::UndefinedElement,
        Self::UninitialisedElement,
        Self::IndirectCallTypeMismatch,
        Self::StackExhausted,
        Self::InvalidConversion,
        Self::HostContractViolated,
    ];

    /// Returns the plain name, for example `memory out of bounds`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::DivisionByZero => "division by zero",
            Self::IntegerOverflow => "integer overflow",
            Self::MemoryOutOfBounds => "memory out of bounds",
            Self::UndefinedElement => "undefined element",
            Self::UninitialisedElement => "uninitialised element",
            Self::IndirectCallTypeMismatch => "indirect call type mismatch",
            Self::StackExhausted => "stack exhausted",
            Self::InvalidConversion => "invalid conversion",
            Self::HostContractViolated => "host contract violated",
        }
    }
}

impl Limit {
    /// Every limit in order of its code.
    pub const ALL: [Self; 5] = [Self::Fuel, Self::Storage, Self::Output, Self::Log, Self::Calls];

    /// Returns the plain name, for example `fuel`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Storage => "storage",
            Self::Output => "output",
            Self::Log => "log",
            Self::Calls => "calls",
        }
    }
}

impl Rule {
    /// Returns the plain name, for example `argument`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Policy => "policy",
            Self::Argument => "argument",
        }
    }
}

impl Outcome {
    /// Returns the class number: 0 completed, 1 trapped, 2 limit, 3 denied.
    #[must_use]
    pub const fn class(self) -> u8 {
        match self {
            Self::Completed(_) => 0,
            Self::Trapped(_) => 1,
            Self::LimitReached(_) => 2,
            Self::Denied(_) => 3,
        }
    }

    /// Returns the detail number within the class.
    #[must_use]
    pub const fn detail(self) -> u32 {
        match self {
            Self::Completed(code) => code,
            Self::Trapped(trap) => trap as u32,
            Self::LimitReached(limit) => limit as u32,
            Self::Denied(rule) => rule as u32,
        }
    }

    /// Returns the outcome with these numbers, or `None` where the table has none.
    #[must_use]
    pub fn from_parts(class: u64, detail: u64) -> Option<Self> {
        let detail = u32::try_from(detail).ok()?;
        match class {
            0 => Some(Self::Completed(detail)),
            1 => Trap::ALL.into_iter().find(|t| *t as u32 == detail).map(Self::Trapped),
            2 => Limit::ALL.into_iter().find(|l| *l as u32 == detail).map(Self::LimitReached),
            3 => [Rule::Policy, Rule::Argument]
                .into_iter()
                .find(|r| *r as u32 == detail)
                .map(Self::Denied),
            _ => None,
        }
    }

    /// Returns the code that a tool prints for this outcome, or `None` for success.
    ///
    /// A guest's own error code, `Completed` with another value than 0, prints E406 too.
    #[must_use]
    pub const fn error_code(self) -> Option<crate::ErrorCode> {
        match self {
            Self::Completed(0) => None,
            Self::Completed(_) | Self::Trapped(_) => Some(crate::ErrorCode::Trapped),
            Self::LimitReached(Limit::Fuel) => Some(crate::ErrorCode::OutOfFuel),
            Self::LimitReached(_) => Some(crate::ErrorCode::LimitReached),
            Self::Denied(_) => Some(crate::ErrorCode::HostcallDenied),
        }
    }
}

impl core::fmt::Display for Outcome {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Completed(code) => write!(f, "completed({code})"),
            Self::Trapped(trap) => write!(f, "trapped({})", trap.name()),
            Self::LimitReached(limit) => write!(f, "limit({})", limit.name()),
            Self::Denied(rule) => write!(f, "denied({})", rule.name()),
        }
    }
}
