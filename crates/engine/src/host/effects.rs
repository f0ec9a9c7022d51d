//! What a run wants to change or to have done outside; a host is asked about it, and applies it
//! once the run has completed.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use kapsule_abi::{Errno, guard};
use kapsule_format::cbor::{self, Fields};
use kapsule_format::package::PackageId;
use kapsule_format::storage::Pairs;
use kapsule_format::{DecodeError, Digest};

/// Greatest length of a host name, in bytes: that of the domain name system.
const HOST_NAME_BYTES_MAX: usize = 253;

/// New values of storage keys; `None` removes a key.
pub type StorageChanges = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// How much the storage of a package holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StorageSize {
    /// Number of keys.
    pub keys: u64,
    /// Bytes of all keys and values together.
    pub bytes: u64,
}

impl StorageSize {
    /// Measures the storage of one package.
    #[must_use]
    pub fn of(pairs: &Pairs) -> Self {
        let bytes = pairs.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum();
        Self { keys: pairs.len() as u64, bytes }
    }
}

/// Everything that a run changes outside of itself.
///
/// It has a meaning only if the outcome is `Completed(0)`; then [`Host::apply`](crate::Host::apply)
/// carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Storage changes by package.
    pub storage: BTreeMap<PackageId, StorageChanges>,
    /// New contents of files by guest path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Proposals that the host took, in order of their index.
    pub proposals: Vec<Proposal>,
}

impl Effects {
    /// Tells whether the run changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.storage.is_empty() && self.files.is_empty() && self.proposals.is_empty()
    }
}

/// An act that a guest proposes.
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
        /// Capsule kind.
        kind: String,
        /// Channel id.
        channel: Option<Digest>,
        /// Ids of the parent capsules.
        parents: Vec<Digest>,
        /// Flags in the clear.
        flags: Vec<String>,
        /// Content.
        body: Vec<u8>,
    },
    /// Run a package.
    Run {
        /// `capsule_hash` of the package.
        package: PackageId,
        /// Entry to call.
        entry: String,
        /// Input of the run.
        input: Vec<u8>,
    },
    /// Tell the user something.
    Notify {
        /// What to tell.
        text: String,
    },
}

impl Act {
    /// Returns the word that reports print.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Publish { .. } => "publish",
            Self::Run { .. } => "run",
            Self::Notify { .. } => "notify",
        }
    }
}

impl Proposal {
    /// Refuses a proposal that costs more than what those taken before left of a budget.
    ///
    /// # Errors
    /// [`Errno::Refused`].
    pub fn within(&self, budget: u64, taken: &[Self]) -> Result<(), Errno> {
        let costs = taken.iter().map(|proposal| proposal.cost);
        let total = costs.fold(self.cost, u64::saturating_add);
        if guard!("engine.host.budget", total > budget) { Err(Errno::Refused) } else { Ok(()) }
    }

    /// Decodes what `propose` was given.
    ///
    /// # Errors
    /// [`Errno::Malformed`] for anything but the closed maps of `spec/abi.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        Self::read(bytes).map_err(|_| Errno::Malformed)
    }

    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(cbor::decode(bytes)?, "proposal")?;
        let act = fields.uint(0, 0..=2)?;
        let cost = fields.required(1)?;
        let act = match act {
            0 => Act::Publish {
                kind: fields.required(2)?,
                channel: fields.optional(3)?,
                parents: fields.required(4)?,
                flags: fields.required(5)?,
                body: fields.required(6)?,
            },
            1 => Act::Run {
                package: PackageId::new(fields.required(2)?),
                entry: fields.required(3)?,
                input: fields.required(4)?,
            },
            _ => Act::Notify { text: fields.required(2)? },
        };
        fields.finish()?;
        Ok(Self { cost, act })
    }
}

/// A network that a request goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetworkKind {
    /// The mesh of Kapsule nodes.
    Mesh,
    /// The ordinary internet.
    Clearnet,
}

/// Bytes for another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetRequest {
    /// Network.
    pub network: NetworkKind,
    /// Name or address.
    pub host: String,
    /// Port, above 0.
    pub port: u16,
    /// Bytes to send.
    pub bytes: Vec<u8>,
}

impl NetRequest {
    /// Decodes what `net_request` was given.
    ///
    /// # Errors
    /// [`Errno::Malformed`] for anything but the closed map of `spec/abi.md`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Errno> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "net-request")?;
            let network = match fields.uint(0, 0..=1)? {
                0 => NetworkKind::Mesh,
                _ => NetworkKind::Clearnet,
            };
            let host: String = fields.required(1)?;
            let port = fields.uint(2, 1..=u64::from(u16::MAX))?;
            let bytes = fields.required(3)?;
            fields.finish()?;
            Ok::<_, DecodeError>(Self {
                network,
                host,
                port: u16::try_from(port).unwrap_or_default(),
                bytes,
            })
        };
        let named = |request: &Self| (1..=HOST_NAME_BYTES_MAX).contains(&request.host.len());
        read().ok().filter(named).ok_or(Errno::Malformed)
    }
}
