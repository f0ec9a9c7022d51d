//! What each check of a report is about, in plain words.

/// Kinds of artefacts that have words of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A package.
    Package,
    /// A receipt.
    Receipt,
    /// A capsule.
    Capsule,
}

/// One check: its name, and what passing it shows of a package and of a receipt.
struct Words(&'static str, &'static str, &'static str);

const RUN_TRUST: &str = "that whoever issued it is someone you trust to issue receipts";

/// Every check that a report of this version may list.
const WORDS: &[Words] = &[
    Words("form", "that the file is well formed", "that the file is well formed"),
    Words(
        "hashes",
        "that its sections are the ones its hashes name",
        "that the entries in it, with the package, are the ones that the claim names",
    ),
    Words(
        "statement",
        "that the detached signatures are about this package",
        "that the signatures are about this claim",
    ),
    Words(
        "signature",
        "that its author signed it with every key",
        "that the issuer signed the claim with every key",
    ),
    Words("sections", "that its parts keep their rules", "that its parts keep their rules"),
    Words("claim", "that it agrees with itself", "that the claim agrees with itself"),
    Words(
        "proof",
        "what the promised proof would show",
        "that a proof of the run verifies, without running it",
    ),
    Words("signer.trusted", "that its author is someone you trust", RUN_TRUST),
    Words(
        "signer.quorum",
        "that enough people whom you trust signed it",
        "that enough people whom you trust signed it",
    ),
    Words("signer.acl", "", "that your access list lets the issuer act under the policy"),
    Words("policy.document", "", "that the receipt submits to a policy and you hold it"),
    Words("policy.registry", "", "that the policy stands in the registry that you pinned"),
    Words("policy.rules", "", "that the rules of the policy hold"),
    Words("manifests", "", "on which machine and with which tools it ran"),
    Words("job", "", "that the run was made for you: the nonce is the one that you gave"),
    Words("log", "", "that a public log lists it"),
    Words("dependencies", "that the packages it needs are here and accepted", ""),
    Words("ancestors", "", "that the receipts it builds on are here"),
    Words("opened", "that what is encrypted in it is the module that its author committed to", ""),
    Words("entries", "", "that every file that the claim binds is here"),
    Words("blobs", "", "that input and output are here and are the ones of the claim"),
    Words("bundle", "", "that the audit bundle is here and is the one of the claim"),
    Words("events", "", "that the events lead to the root of the claim"),
    Words("transcript", "", "that the recorded hostcalls lead to the root of the claim"),
    Words("checkpoints", "", "that the recorded states lead to the root of the claim"),
    Words("availability", "", "that what an audit needs can be had"),
    Words(
        "reexec",
        "",
        "that the run happened as claimed: only repeating it, or a proof, shows that",
    ),
];

/// What passing a check shows of a capsule.
const CAPSULES: &[(&str, &str)] = &[
    ("form", "that the file is well formed"),
    ("hashes", "that the entries in it are the ones that its metadata name"),
    ("statement", "that the signatures are about this capsule"),
    ("signature", "that its author signed it with every key"),
    ("links", "that it follows what it says it follows"),
    ("signer.trusted", "that its author is someone you trust"),
    ("signer.quorum", "that enough people whom you trust signed it"),
    ("authority", "that its author may write in the channel: you need its keyring for that"),
    ("fork", "that its author said nothing else in the same place"),
    ("expiry", "that its time has not passed"),
    ("log", "that a public log lists it"),
    ("ancestors", "that the capsules it follows are here"),
    ("opened", "that its text is what its author signed: you need a key of its channel for that"),
    ("entries", "that every part of it is here"),
];

/// What no report about a capsule shows.
pub(crate) const NEVER_OF_CAPSULES: &[&str] = &[
    "that what it says is true",
    "when it was made: the time is its author's word",
    "who else can read it",
];

/// What no report about a package shows.
pub(crate) const NEVER_OF_PACKAGES: &[&str] = &[
    "that the module does what its description says, or any good",
    "when it was made or signed",
    "that its author made no newer version",
];

/// What no report about a receipt shows.
pub(crate) const NEVER_OF_RECEIPTS: &[&str] = &[
    "that the module does what its description says, or any good",
    "when the run was: the times are the issuer's word",
    "what the host told the module: time, storage and network answers are the issuer's word",
];

/// Tells whether other checks that passed show what a check would.
///
/// A proof over the recorded hostcalls shows that the run happened as claimed, like a repetition.
pub(crate) fn is_shown_by_others(name: &str, passed: impl Fn(&str) -> bool) -> bool {
    name == "reexec" && passed("proof") && passed("transcript")
}

/// Returns what passing a check shows.
pub(crate) fn of(kind: Kind, name: &str) -> &'static str {
    let found = WORDS.iter().find(|words| words.0 == name);
    let text = found.map_or("", |words| match kind {
        Kind::Package => words.1,
        Kind::Receipt => words.2,
        Kind::Capsule => "",
    });
    let of_capsules = CAPSULES.iter().find(|words| kind == Kind::Capsule && words.0 == name);
    let text = of_capsules.map_or(text, |words| words.1);
    if text.is_empty() { "something that this version has no words for" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kapsule_format::verify::CheckName;

    #[test]
    fn every_check_has_words() {
        for name in CheckName::ALL {
            let kinds = [Kind::Package, Kind::Receipt, Kind::Capsule];
            let of_any = kinds.map(|kind| of(kind, name.name()));
            assert!(of_any.iter().any(|text| text.starts_with(['t', 'w', 'o'])), "{name}");
            assert!(of_any.iter().any(|text| !text.starts_with("something")), "{name}");
        }
        let known = |name: &str| CheckName::from_name(name).is_some();
        assert!(WORDS.iter().all(|words| known(words.0)));
        assert!(CAPSULES.iter().all(|words| known(words.0)));
    }
}
