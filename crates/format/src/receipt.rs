//! Receipt (`.cap`): a signed claim about one run, with what is needed to check and repeat it.
//!
//! # Spec
//! `spec/receipt.md`; vectors in `spec/vectors/receipt/`.

mod bundle;
mod checkpoint;
mod claim;
pub mod da;
mod exec;
mod facts;
mod file;
mod issue;
mod manifests;
mod nested;
mod parts;
mod proof;
mod statement;

pub use bundle::{Bundle, CHECKPOINTS, NESTED, POLICY, Plain, SALT_SEED, TRANSCRIPT};
pub use checkpoint::{Checkpoint, CheckpointKind, read_checkpoints, root, write_checkpoints};
pub use claim::Claim;
pub use exec::{Counted, ExecBody, ExecHash, Sized};
pub use facts::{Difference, differences};
pub use file::{
    BUNDLE, Blobs, Ignored, LOG_PROOFS, MANIFEST_SIGNATURES, PACKAGE, POLICY_PROOF, RECEIPT_POLICY,
    Receipt,
};
pub use issue::{
    Encryptor, Evidence, Extras, Issue, Issued, NestedEvidence, OUTPUT, exec_body, issue, vouch,
};
pub use manifests::{
    Cpu, Gpu, HOST, HostManifest, Lockfile, MANIFESTS_PREDICATE, SELF_REPORTED, TOOLCHAIN,
    ToolchainManifest, UsedTool,
};
pub use nested::{Nested, call_input, nested_seed, write_nested};
pub(crate) use nested::{check_call_count, check_calls};
pub use parts::{Anchor, BundleRef, Context, Events, Job, PolicyRef, PublicOutput, TraceSpec};
pub use proof::{PROOFS, ProofItem, STARK, system_name};
pub use statement::{PREDICATE, Statement, StatementHash, outcome_name, trace_spec_hash};

pub use crate::envelope::SignatureName;
use crate::hash::digest_id;

digest_id!(
    /// SHA-256 of the claim, which names a receipt whatever is attached to it.
    ReceiptId
);
