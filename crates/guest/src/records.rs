//! The CBOR values that hostcalls exchange.

use alloc::string::String;
use alloc::vec::Vec;

use minicbor::bytes::{ByteArray, ByteVec};
use minicbor::encode::{self, Write};
use minicbor::{Decode, Encode, Encoder};

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

/// Which capsules of the DAG are meant; an absent field matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Decode, Encode)]
#[cbor(map)]
pub struct DagQuery {
    /// Kind, such as `post`.
    #[n(0)]
    pub kind: Option<String>,
    /// Id of the channel.
    #[n(1)]
    pub channel: Option<ByteArray<32>>,
    /// Identity id of the author.
    #[n(2)]
    pub author: Option<ByteArray<32>>,
    /// Least claimed time, in milliseconds since 1970-01-01 UTC.
    #[n(3)]
    pub from_ms: Option<u64>,
    /// Greatest claimed time, in milliseconds since 1970-01-01 UTC.
    #[n(4)]
    pub until_ms: Option<u64>,
}

/// An act for the host to consider after the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// What it costs of the host's budget, in units of the host's choice.
    pub cost: u64,
    /// What is to be done.
    pub act: Act,
}

/// What a proposal asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Publish a capsule.
    Publish {
        /// Kind, such as `comment`.
        kind: String,
        /// Id of the channel.
        channel: Option<ByteArray<32>>,
        /// Ids of the capsules that it follows.
        parents: Vec<ByteArray<32>>,
        /// Flags in ascending order.
        flags: Vec<String>,
        /// Content.
        body: ByteVec,
    },
    /// Run a package.
    Run {
        /// `capsule_hash` of the package.
        package: ByteArray<32>,
        /// Entry to call.
        entry: String,
        /// Input of the run.
        input: ByteVec,
    },
    /// Tell the user something.
    Notify {
        /// What to tell.
        text: String,
    },
}

impl<C> Encode<C> for Proposal {
    fn encode<W: Write>(
        &self,
        encoder: &mut Encoder<W>,
        context: &mut C,
    ) -> Result<(), encode::Error<W::Error>> {
        match &self.act {
            Act::Publish { kind, channel, parents, flags, body } => {
                let entries = 6 + u64::from(channel.is_some());
                encoder.map(entries)?.u8(0)?.u8(0)?.u8(1)?.u64(self.cost)?.u8(2)?.str(kind)?;
                if let Some(channel) = channel {
                    encoder.u8(3)?.bytes(&channel[..])?;
                }
                encoder.u8(4)?.encode_with(parents, context)?;
                encoder.u8(5)?.encode_with(flags, context)?;
                encoder.u8(6)?.bytes(body)?;
            }
            Act::Run { package, entry, input } => {
                encoder.map(5)?.u8(0)?.u8(1)?.u8(1)?.u64(self.cost)?;
                encoder.u8(2)?.bytes(&package[..])?.u8(3)?.str(entry)?.u8(4)?.bytes(input)?;
            }
            Act::Notify { text } => {
                encoder.map(3)?.u8(0)?.u8(2)?.u8(1)?.u64(self.cost)?.u8(2)?.str(text)?;
            }
        }
        Ok(())
    }
}

/// A network that a request may go through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Decode, Encode)]
#[cbor(index_only)]
pub enum Network {
    /// The mesh of Kapsule nodes.
    #[n(0)]
    Mesh,
    /// The ordinary internet.
    #[n(1)]
    Clearnet,
}

/// Bytes for another host.
#[derive(Clone, Debug, PartialEq, Eq, Decode, Encode)]
#[cbor(map)]
pub struct NetRequest {
    /// Network.
    #[n(0)]
    pub network: Network,
    /// Name or address.
    #[n(1)]
    pub host: String,
    /// Port.
    #[n(2)]
    pub port: u16,
    /// Bytes to send.
    #[n(3)]
    pub bytes: ByteVec,
}
