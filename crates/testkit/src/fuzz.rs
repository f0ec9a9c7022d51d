//! Bodies of the fuzz targets: a function of bytes that must return, whatever the bytes are.
//!
//! Each body also checks what must hold of accepted bytes: a reader is bijective, and what the
//! meter writes is valid wasm; it panics where that does not hold.
//! The targets are glue of a few lines; the same bodies run over the saved corpus in plain tests.

mod bodies;

/// A body; returns whether the bytes were accepted.
pub type Body = fn(&[u8]) -> bool;

/// Makes the function of each target, and the table of all.
macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Every body by the name of its target.
        pub const TARGETS: &[(&str, Body)] = &[$((stringify!($name), bodies::$name),)*];

        $(
            $(#[$doc])*
            pub fn $name(bytes: &[u8]) {
                bodies::$name(bytes);
            }
        )*
    };
}

targets! {
    /// Reads an authoring manifest in JSON; the canonical policy that comes of it decodes again.
    authoring_json,
    /// Reads an authoring manifest in TOML; the canonical policy that comes of it decodes again.
    authoring_toml,
    /// Reads an authoring manifest in YAML; the canonical policy that comes of it decodes again.
    authoring_yaml,
    /// Reads a capsule, makes every check and opens it; metadata, container and body have one form.
    capsule,
    /// Takes a container apart; an accepted one is written as the same bytes.
    container,
    /// Decodes an envelope with the statement in it, or a statement alone; what is accepted encodes
    /// to the same bytes.
    envelope,
    /// Decodes one KCBOR item; an accepted one encodes to the same bytes.
    kcbor,
    /// Reads a KLOG file; an accepted one is written as the same bytes.
    klog,
    /// Meters a module under both profiles and import rules; what comes out is valid wasm.
    meter,
    /// Decodes a package; an accepted one encodes to the same bytes.
    mod_decode,
    /// Runs `agent_logic`; what it proposes is within its budget, and its state is read again.
    module_agent_logic,
    /// Runs `blocklist`; an accepted input gives one verdict for each item, twice the same.
    module_blocklist,
    /// Runs `rank`; every post is ranked or hidden once, and twice the same.
    module_rank,
    /// Runs `regression`; an accepted input gives the same bits twice.
    module_regression,
    /// Runs `transfer`; nothing is made or lost, and the state after is one that is read again.
    module_transfer,
    /// Runs `trust`; every score is within the whole, and what is written is read by `rank`.
    module_trust,
    /// Decodes a policy; an accepted one encodes to the same bytes.
    policy,
    /// Verifies a proof file; one that is read has one form, and no changed one is accepted.
    proof,
    /// Verifies a receipt; the claim and the container of one that is read have one form.
    receipt,
    /// Decodes RJSON; an accepted text encodes to the same bytes.
    rjson,
    /// Reads a snapshot; index and container of one that is read have one form.
    snapshot,
    /// Decodes a transcript; an accepted one encodes to the same bytes.
    transcript,
    /// Decodes a trust file, which has one byte form as every JSON text has.
    trust_json,
}
