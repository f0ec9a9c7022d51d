//! The CBOR values that hostcalls exchange.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::{Decode, Encode};

/// What the host tells of a capsule without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Decode, Encode)]
#[cbor(map)]
pub struct CapsuleMetadata {
    /// Kind, such as `post`.
    #[n(0)]
    pub kind: String,
    /// Id of the channel, if the capsule belongs to one.
    #[n(1)]
    pub channel: Option<ByteArray<32>>,
    /// Identity id of the author.
    #[n(2)]
    pub author: ByteArray<32>,
    /// Position in the author's sequence.
    #[n(3)]
    pub seq: u64,
    /// Ids of the capsules that this one follows.
    #[n(4)]
    pub parents: Vec<ByteArray<32>>,
    /// Flags in ascending order.
    #[n(5)]
    pub flags: Vec<String>,
    /// Time that the author claims, in milliseconds since 1970-01-01 UTC.
    #[n(6)]
    pub time_ms: u64,
    /// `capsule_hash` of the package that interprets the capsule, if it names one.
    #[n(7)]
    pub logic: Option<ByteArray<32>>,
}

/// What a module found out about a capsule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Decode, Encode)]
#[cbor(map)]
pub struct CapsuleResult {
    /// Score in millionths.
    #[n(0)]
    pub score: Option<u64>,
    /// Verdict, such as `accept`.
    #[n(1)]
    pub verdict: Option<String>,
    /// Labels.
    #[n(2)]
    pub labels: Option<Vec<String>>,
    /// State that the host keeps for the module.
    #[n(3)]
    pub state: Option<ByteVec>,
}

/// One trust statement.
#[derive(Clone, Debug, PartialEq, Eq, Decode, Encode)]
pub struct TrustEdge {
    /// Identity id of who states.
    #[n(0)]
    pub from: ByteArray<32>,
    /// Identity id of whom the statement is about.
    #[n(1)]
    pub to: ByteArray<32>,
    /// How much `from` trusts `to`, in millionths.
    #[n(2)]
    pub weight_ppm: u32,
    /// Whether `from` blocks `to`.
    #[n(3)]
    pub blocked: bool,
    /// When it was stated, in milliseconds since 1970-01-01 UTC.
    #[n(4)]
    pub time_ms: u64,
}
