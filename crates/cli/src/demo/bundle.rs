//! What the demo is made of, built into the command so that it needs no files.

/// A package in parts.
pub(super) struct Source {
    /// Name of the manifest for messages.
    pub(super) manifest_name: &'static str,
    /// Manifest in TOML.
    pub(super) manifest: &'static str,
    /// Module.
    pub(super) payload: &'static [u8],
}

/// The trust package.
pub(super) const TRUST: Source = Source {
    manifest_name: "examples/packages/trust.toml",
    manifest: include_str!("../../../../examples/packages/trust.toml"),
    payload: include_bytes!("../../../../modules/artifacts/trust.wasm"),
};

/// The rank package.
pub(super) const RANK: Source = Source {
    manifest_name: "examples/packages/rank.toml",
    manifest: include_str!("../../../../examples/packages/rank.toml"),
    payload: include_bytes!("../../../../modules/artifacts/rank.wasm"),
};

/// Trust statements of invented people.
pub(super) const STATEMENTS: &str = include_str!("../../../../examples/data/trust-sample.csv");

/// Posts of the same people.
pub(super) const FEED: &str = include_str!("../../../../examples/data/feed-sample.csv");
