//! Stable error codes, shared by every crate and printed by every tool.
//!
//! The numbers and names are fixed by the format specification and never change meaning.

/// Declares the code table once, so that enum, names and meanings cannot drift apart.
macro_rules! error_codes {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// A stable error code of the table in `spec/errors.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl ErrorCode {
            /// Every code in ascending order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Returns the upper-case name that follows the number, such as `TRUNCATED`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns the one-line meaning of the code.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

error_codes! {
    UnknownFormat = 1, "UNKNOWN_FORMAT", "magic, index, schema or format name is not one of these formats";
    Truncated = 2, "TRUNCATED", "input ends inside a field";
    TrailingBytes = 3, "TRAILING_BYTES", "bytes after the end";
    LimitExceeded = 4, "LIMIT_EXCEEDED", "a limit of section 12";
    VersionUnsupported = 5, "VERSION_UNSUPPORTED", "unknown version, ABI, profile or trace format";
    CborNotCanonical = 6, "CBOR_NOT_CANONICAL", "not KCBOR";
    JsonNotCanonical = 7, "JSON_NOT_CANONICAL", "not RJSON";
    SchemaViolation = 8, "SCHEMA_VIOLATION", "wrong type, missing field, order or text form";
    UnknownCriticalField = 9, "UNKNOWN_CRITICAL_FIELD", "key or member that is not allowed there";
    CapsuleHashMismatch = 10, "CAPSULE_HASH_MISMATCH", "header hash differs from the body";
    SectionHashMismatch = 11, "SECTION_HASH_MISMATCH", "payload or schema digest differs";
    PolicyHashMismatch = 12, "POLICY_HASH_MISMATCH", "runtime policy digest differs";
    EntryDigestMismatch = 13, "ENTRY_DIGEST_MISMATCH", "entry or blob has another digest or size";
    ChunkRootMismatch = 14, "CHUNK_ROOT_MISMATCH", "chunk root differs";
    CountedRootMismatch = 15, "COUNTED_ROOT_MISMATCH", "count, head or root differs from the records";
    CommitmentMismatch = 16, "COMMITMENT_MISMATCH", "value and salt do not open the commitment";
    FactsConflict = 17, "FACTS_CONFLICT", "two places that must agree differ";
    NotBijective = 18, "NOT_BIJECTIVE", "re-encoding gives other bytes";
    ContainerHeader = 20, "CONTAINER_HEADER", "ustar header field differs from the fixed form";
    ContainerName = 21, "CONTAINER_NAME", "name outside the grammar";
    ContainerOrder = 22, "CONTAINER_ORDER", "entry order or duplicate name";
    ContainerPadding = 23, "CONTAINER_PADDING", "padding or end blocks";
    ContainerUnlisted = 25, "CONTAINER_UNLISTED", "entry neither bound nor attached";
    EnvelopeForm = 30, "ENVELOPE_FORM", "envelope form, type or signature count";
    StatementMismatch = 31, "STATEMENT_MISMATCH", "payload differs from the derived statement";
    SignatureInvalid = 32, "SIGNATURE_INVALID", "signature does not verify";
    SignatureMissing = 33, "SIGNATURE_MISSING", "a key of the identity did not sign";
    SuiteUnsupported = 34, "SUITE_UNSUPPORTED", "suite unknown or not allowed here";
    KeyInvalid = 35, "KEY_INVALID", "weak, malformed or off-curve key";
    SignatureForm = 36, "SIGNATURE_FORM", "length, DER or high S";
    TrailerOrder = 37, "TRAILER_ORDER", "trailer entries unsorted or repeated";
    KeyidMismatch = 38, "KEYID_MISMATCH", "key id, name or suite disagree";
    DepmapOrder = 40, "DEPMAP_ORDER", "length, order or repetition";
    PayloadKindMismatch = 41, "PAYLOAD_KIND_MISMATCH", "first bytes differ from the declared kind";
    UnitSyntax = 42, "UNIT_SYNTAX", "unit, size, time, money or share not understood";
    AuthoringAmbiguous = 43, "AUTHORING_AMBIGUOUS", "duplicate, conflicting or disallowed authoring form";
    CapsuleSequence = 50, "CAPSULE_SEQUENCE", "seq, back or keyring link wrong";
    BindingMismatch = 52, "BINDING_MISMATCH", "inner header or encrypted Module belongs elsewhere";
    PaddingInvalid = 53, "PADDING_INVALID", "padding length or content";
    StanzaMismatch = 54, "STANZA_MISMATCH", "age stanzas differ from the list or are mixed";
    CapsuleFork = 55, "CAPSULE_FORK", "two Capsules with one author and seq";
    EventChainBroken = 56, "EVENT_CHAIN_BROKEN", "event seq, prev or hash";
    ChunkUnavailable = 74, "CHUNK_UNAVAILABLE", "sampled chunk missing after all retries";
    PolicyRuleFailed = 100, "POLICY_RULE_FAILED", "a rule without its own code";
    GpuForbidden = 101, "GPU_FORBIDDEN", "host manifest lists a GPU";
    PublicOutputMissing = 102, "PUBLIC_OUTPUT_MISSING", "required public output absent";
    TrackUnknown = 103, "TRACK_UNKNOWN", "track not in the policy";
    ManifestMissing = 104, "MANIFEST_MISSING", "host or toolchain manifest absent";
    ImageDigestMissing = 105, "IMAGE_DIGEST_MISSING", "container image absent or not listed";
    ManifestSignatureMissing = 106, "MANIFEST_SIGNATURE_MISSING", "no manifest signature";
    ManifestSignatureInvalid = 107, "MANIFEST_SIGNATURE_INVALID", "manifest signature does not verify";
    ManifestSignerUntrusted = 108, "MANIFEST_SIGNER_UNTRUSTED", "signer lacks role manifest";
    RegistryRootMismatch = 109, "REGISTRY_ROOT_MISMATCH", "inclusion proof leads to another root";
    PolicyDocumentMissing = 110, "POLICY_DOCUMENT_MISSING", "policy not supplied";
    PolicyDocumentMismatch = 111, "POLICY_DOCUMENT_MISMATCH", "policy has another digest";
    PolicyNotInRegistry = 112, "POLICY_NOT_IN_REGISTRY", "no inclusion proof, or withdrawn";
    SignerUntrusted = 113, "SIGNER_UNTRUSTED", "signer not in the trust roots for this role";
    SignerRevoked = 114, "SIGNER_REVOKED", "signer revoked or outside its window";
    SignerNotInAcl = 115, "SIGNER_NOT_IN_ACL", "ACL does not allow signer and policy";
    SignerQuorum = 116, "SIGNER_QUORUM", "too few distinct identities or suites";
    TrustPinMismatch = 117, "TRUST_PIN_MISMATCH", "trust or ACL file differs from the pin";
    TrustFileStale = 118, "TRUST_FILE_STALE", "expired, or serial went back";
    TierTooLow = 119, "TIER_TOO_LOW", "capture tier below the rule";
    NetworkUsed = 120, "NETWORK_USED", "network used or possible against the rule";
    NonceMismatch = 121, "NONCE_MISMATCH", "not the verifier's nonce";
    ReceiptReplayed = 122, "RECEIPT_REPLAYED", "requester and nonce already seen";
    LogProofMissing = 123, "LOG_PROOF_MISSING", "inclusion proof required";
    CosignerQuorum = 124, "COSIGNER_QUORUM", "too few cosignatures";
    AuditNotAuthorised = 125, "AUDIT_NOT_AUTHORISED", "no grant or role for this bundle";
    DowngradeRefused = 126, "DOWNGRADE_REFUSED", "older version under a known name";
    ResourcesExceedPolicy = 127, "RESOURCES_EXCEED_POLICY", "more asked than the policy or the grant gives";
    NativePayloadRefused = 128, "NATIVE_PAYLOAD_REFUSED", "native payload kind";
    TestKeyRefused = 129, "TEST_KEY_REFUSED", "published test key";
    FeesInvalid = 130, "FEES_INVALID", "splits, royalties or shares do not add up";
    DependencyUntrusted = 131, "DEPENDENCY_UNTRUSTED", "dependency fails the acceptance file";
    ManifestBinding = 134, "MANIFEST_BINDING", "manifests belong to another run";
    Expired = 135, "EXPIRED", "expiry, age or not-after passed";
    AuthorNotAllowed = 136, "AUTHOR_NOT_ALLOWED", "author not a writer of the epoch";
    KeyringAuthority = 137, "KEYRING_AUTHORITY", "keyring not signed by enough owners";
    EntryAbsent = 201, "ENTRY_ABSENT", "listed entry absent";
    BlobAbsent = 202, "BLOB_ABSENT", "referenced blob absent";
    DependencyAbsent = 203, "DEPENDENCY_ABSENT", "Package of the closure absent";
    AncestorAbsent = 204, "ANCESTOR_ABSENT", "prev Capsule or parent Receipt absent";
    BundleAbsent = 205, "BUNDLE_ABSENT", "audit bundle not found";
    BundleMismatch = 206, "BUNDLE_MISMATCH", "fetched bundle has another digest";
    ChallengeInvalid = 207, "CHALLENGE_INVALID", "challenge malformed or not bound to the Receipt";
    AnswerLate = 208, "ANSWER_LATE", "answered after answer_by";
    ResponseInvalid = 209, "RESPONSE_INVALID", "chunk or path does not lead to the root";
    ProviderTimeout = 210, "PROVIDER_TIMEOUT", "provider did not answer in time";
    CodingUnsupported = 211, "CODING_UNSUPPORTED", "erasure code unknown";
    KeyNotHeld = 212, "KEY_NOT_HELD", "no identity opens the payload";
    NotLookedAt = 213, "NOT_LOOKED_AT", "the verifier had no store, file or clock for this check";
    ProofMissing = 301, "PROOF_MISSING", "promised or required proof absent";
    ProofSystemUnsupported = 303, "PROOF_SYSTEM_UNSUPPORTED", "no backend for the system";
    ProofInputsMismatch = 304, "PROOF_INPUTS_MISMATCH", "public inputs digest differs";
    ProofInvalid = 305, "PROOF_INVALID", "proof does not verify";
    VerifyingKeyUntrusted = 306, "VERIFYING_KEY_UNTRUSTED", "verifying key not listed";
    DevProofRefused = 308, "DEV_PROOF_REFUSED", "development proof";
    CheckpointInvalid = 309, "CHECKPOINT_INVALID", "note form or log signature";
    LogInclusionInvalid = 310, "LOG_INCLUSION_INVALID", "inclusion proof or subject wrong";
    LogConsistencyInvalid = 311, "LOG_CONSISTENCY_INVALID", "consistency proof wrong";
    LogFork = 312, "LOG_FORK", "two checkpoints of one log disagree";
    ProofRunTooLong = 313, "PROOF_RUN_TOO_LONG", "run is longer than one segment proves";
    ProofProgramMismatch = 314, "PROOF_PROGRAM_MISMATCH", "proof of another package or program";
    ProofPolicyMismatch = 315, "PROOF_POLICY_MISMATCH", "proof of a run under another policy";
    ProofEntryMismatch = 316, "PROOF_ENTRY_MISMATCH", "proof of a run of another entry";
    ProofBindingMismatch = 317, "PROOF_BINDING_MISMATCH", "proof bound to something else";
    ProofFuelMismatch = 318, "PROOF_FUEL_MISMATCH", "proof of a run with other fuel";
    ProofOutcomeMismatch = 319, "PROOF_OUTCOME_MISMATCH", "proof of a run that ended otherwise";
    ProofTranscriptMismatch = 320, "PROOF_TRANSCRIPT_MISMATCH", "words are not those that the proof covers, or none that a host gives";
    ProofInputMismatch = 321, "PROOF_INPUT_MISMATCH", "proof of a run that read another input";
    ProofOutputMismatch = 322, "PROOF_OUTPUT_MISMATCH", "proof of a run that wrote another output";
    ModuleInvalid = 401, "MODULE_INVALID", "Wasm validation failed";
    ModuleFeatureRefused = 402, "MODULE_FEATURE_REFUSED", "feature outside the profile";
    ImportRefused = 403, "IMPORT_REFUSED", "import outside the allow-list";
    EntryNotFound = 404, "ENTRY_NOT_FOUND", "no such export or wrong type";
    OutOfFuel = 405, "OUT_OF_FUEL", "granted fuel used up";
    Trapped = 406, "TRAPPED", "guest trap";
    HostcallDenied = 407, "HOSTCALL_DENIED", "argument refused by the policy";
    LimitReached = 408, "LIMIT_REACHED", "storage, output, log or calls";
    HostAbort = 409, "HOST_ABORT", "host ended the run, no Receipt";
    ReplayDiverged = 410, "REPLAY_DIVERGED", "re-execution gives another exec_hash";
    OutputDiverged = 411, "OUTPUT_DIVERGED", "repeated command gives other outputs";
    CaptureIncomplete = 412, "CAPTURE_INCOMPLETE", "capture lost events";
    SandboxUnavailable = 413, "SANDBOX_UNAVAILABLE", "sandbox cannot be set up";
    InputChanged = 414, "INPUT_CHANGED", "input changed during the run";
    EngineDisagreement = 416, "ENGINE_DISAGREEMENT", "two engines give different results";
    StoreOpen = 501, "STORE_OPEN", "store cannot be opened, or wrong schema";
    StoreCorrupt = 503, "STORE_CORRUPT", "stored id differs from recomputed id";
    LogChainBroken = 504, "LOG_CHAIN_BROKEN", "entry hash or prev wrong";
    LogTruncated = 505, "LOG_TRUNCATED", "log shorter than head or checkpoint";
    Quota = 506, "QUOTA", "storage quota reached";
    KeyFileMode = 507, "KEY_FILE_MODE", "key file mode, owner or link";
    KeyNotFound = 508, "KEY_NOT_FOUND", "no such key";
    KeyFileForm = 509, "KEY_FILE_FORM", "key file malformed or inconsistent";
    SnapshotInvalid = 510, "SNAPSHOT_INVALID", "snapshot inconsistent";
    WriteConflict = 511, "WRITE_CONFLICT", "concurrent writer";
    EpochKeyOrder = 512, "EPOCH_KEY_ORDER", "entry under a foreign key epoch";
}

impl ErrorCode {
    /// Returns the number, for example 4 for `E004`.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Returns the process exit code for this error.
    ///
    /// # Spec
    /// `spec/errors.md`: 10 proof, 11 policy, 12 integrity, 13 availability, 14 execution,
    /// 15 store and host, 20 structure.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self.number() {
            74 | 200..=299 => 13,
            10..=17 | 31..=33 | 50..=56 => 12,
            100..=199 => 11,
            300..=399 => 10,
            400..=499 => 14,
            500..=599 => 15,
            _ => 20,
        }
    }
}

impl core::fmt::Display for ErrorCode {
    /// Writes the code as tools print it, for example `E004_LIMIT_EXCEEDED`.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "E{:03}_{}", self.number(), self.name())
    }
}
