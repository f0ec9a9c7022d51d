//! Chains of trust files, what is remembered of them, and what it is used for.

use kapsule_abi::ErrorCode;
use kapsule_format::acceptance::Acceptance;
use kapsule_format::envelope::Envelope;
use kapsule_format::hash::sha256;
use kapsule_format::key::{Identity, SecretKey, Suite};
use kapsule_format::known::{Known, KnownPackage};
use kapsule_format::manifest::Manifest;
use kapsule_format::package::{Package, PackageId, Scope};
use kapsule_format::trust::{Chain, CompanionName, Link, Revoked, Trust, TrustedKey, statement};
use kapsule_format::verify::{self, CheckName, CheckResult, Level, Options, Report};
use kapsule_format::{DecodeError, Digest};

use crate::package::{manifest, pack, private_key};

/// Someone who keeps a trust file.
pub(crate) struct Keeper(Vec<SecretKey>);

impl Keeper {
    /// Someone with one key.
    pub(crate) fn plain(seed: u8) -> Self {
        Self(vec![private_key(seed)])
    }

    /// Someone with two keys.
    pub(crate) fn double(seed: u8) -> Self {
        Self(vec![private_key(seed), second_key(seed)])
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::new(self.0.iter().map(|key| key.public().clone()).collect()).unwrap()
    }
}

/// A key of suite 3 that is no published test key.
fn second_key(seed: u8) -> SecretKey {
    let mut bytes = [seed; 32];
    bytes[31] = !seed;
    SecretKey::from_seed(Suite::MlDsa44, &bytes).unwrap()
}

/// A trust file of serial 1 with these root identities.
pub(crate) fn first(roots: &[&Keeper], threshold: u64) -> Trust {
    let mut root_keys: Vec<Identity> = roots.iter().map(|keeper| keeper.identity()).collect();
    root_keys.sort_by_key(Identity::id);
    Trust { threshold, ..Trust::first(root_keys) }
}

/// The file that follows `before`.
pub(crate) fn next(before: &Trust) -> Trust {
    let previous = Some(sha256(&before.encode()));
    Trust { serial: before.serial + 1, previous, ..before.clone() }
}

/// A file with its companions, as they lie beside each other.
pub(crate) struct Files {
    pub(crate) bytes: Vec<u8>,
    pub(crate) companions: Vec<(String, Vec<u8>)>,
}

impl Files {
    /// Signs a file by keepers.
    pub(crate) fn signed(trust: &Trust, keepers: &[&Keeper]) -> Self {
        let bytes = trust.encode();
        let statement = statement(&bytes, trust.serial);
        let keys = keepers.iter().flat_map(|keeper| &keeper.0);
        let companion = |key: &SecretKey| {
            let name = CompanionName { suite: key.public().suite(), keyid: key.public().id() };
            (name.file_name("trust.json"), Envelope::sign(&statement, key).encode())
        };
        Self { companions: keys.map(companion).collect(), bytes }
    }

    pub(crate) fn link(&self) -> Link<'_> {
        let companions = self.companions.iter();
        Link {
            bytes: &self.bytes,
            companions: companions.map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect(),
        }
    }
}

/// Follows a chain.
fn chain(files: &[&Files]) -> Result<Chain, DecodeError> {
    let mut chain = Chain::begin(&files[0].bytes)?;
    files[1..].iter().try_for_each(|file| chain.extend(&file.link(), false))?;
    Ok(chain)
}

#[track_caller]
fn refused(files: &[&Files], code: ErrorCode, text: &str) {
    let error = chain(files).unwrap_err();
    assert_eq!(error.code, code, "{error}");
    assert!(error.detail.contains(text), "{error}");
}

#[test]
fn a_successor_is_signed_by_enough_roots_of_the_file_before() {
    let (ada, bob, eve) = (Keeper::plain(11), Keeper::double(12), Keeper::plain(13));
    let one = first(&[&ada, &bob], 2);
    let two = next(&one);
    let begin = Files::signed(&one, &[]);
    let good = Files::signed(&two, &[&ada, &bob]);
    let follows = chain(&[&begin, &good]).unwrap();
    assert_eq!((follows.serial(), follows.first_serial(), follows.signers().len()), (2, 1, 2));
    assert_eq!(follows.digests(), [sha256(&begin.bytes), sha256(&good.bytes)]);
    let few = Files::signed(&two, &[&ada]);
    refused(&[&begin, &few], ErrorCode::SignerQuorum, "1 root identities of serial 1");
    // Every key of an identity signs.
    let mut half = Files::signed(&two, &[&ada, &bob]);
    half.companions.retain(|(name, _)| !name.contains("mldsa44"));
    refused(&[&begin, &half], ErrorCode::SignerQuorum, "needed are 2");
    // Someone whom the file before does not name counts nothing and does no harm.
    let strange = Files::signed(&two, &[&ada, &eve]);
    refused(&[&begin, &strange], ErrorCode::SignerQuorum, "1 root identities");
    assert!(chain(&[&begin, &Files::signed(&two, &[&ada, &bob, &eve])]).is_ok());
    // The new file does not vouch for itself.
    let taken = Trust { root_keys: vec![eve.identity()], threshold: 1, ..two };
    refused(&[&begin, &Files::signed(&taken, &[&eve])], ErrorCode::SignerQuorum, "0 root");
}

#[test]
fn roots_are_rotated_by_the_roots_before() {
    let (ada, bob) = (Keeper::plain(11), Keeper::plain(12));
    let one = first(&[&ada], 1);
    let two = Trust { root_keys: vec![bob.identity()], ..next(&one) };
    let three = next(&two);
    let files = [Files::signed(&one, &[]), Files::signed(&two, &[&ada])];
    let [begin, rotated] = &files;
    assert!(chain(&[begin, rotated, &Files::signed(&three, &[&bob])]).is_ok());
    let old = Files::signed(&three, &[&ada]);
    refused(&[begin, rotated, &old], ErrorCode::SignerQuorum, "of serial 2 signed serial 3");
    // A root that its own file revokes signs no more.
    let entry = Revoked {
        identity: ada.identity().id(),
        reason: "lost".into(),
        since: 0,
        extensions: Default::default(),
    };
    let one = Trust { revoked: vec![entry], ..one };
    let two = Files::signed(&next(&one), &[&ada]);
    refused(&[&Files::signed(&one, &[]), &two], ErrorCode::SignerQuorum, "0 root identities");
}

#[test]
fn a_link_follows_the_very_file_before() {
    let ada = Keeper::plain(11);
    let one = first(&[&ada], 1);
    let begin = Files::signed(&one, &[]);
    let other = next(&Trust { valid_until: 7, ..one.clone() });
    let other = Files::signed(&other, &[&ada]);
    refused(&[&begin, &other], ErrorCode::TrustPinMismatch, "follows another file");
    let far = Files::signed(&Trust { serial: 3, ..next(&one) }, &[&ada]);
    refused(&[&begin, &far], ErrorCode::TrustFileStale, "serial 3 follows serial 1");
    // The statement names serial and bytes, so a companion belongs to one file alone.
    let (two, rest) = (next(&one), Trust { valid_until: 9, ..next(&one) });
    let mut moved = Files::signed(&two, &[&ada]);
    moved.bytes = rest.encode();
    refused(&[&begin, &moved], ErrorCode::StatementMismatch, "");
    let mut broken = Files::signed(&two, &[&ada]);
    let text = String::from_utf8(broken.companions[0].1.clone()).unwrap();
    let at = text.find("\"sig\":\"").unwrap() + 8;
    let swap = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    broken.companions[0].1 = format!("{}{swap}{}", &text[..at], &text[at + 1..]).into_bytes();
    refused(&[&begin, &broken], ErrorCode::SignatureInvalid, "");
    let mut many = Files::signed(&two, &[&ada]);
    many.companions = vec![many.companions[0].clone(); 65];
    refused(&[&begin, &many], ErrorCode::LimitExceeded, "65 companions");
}

#[test]
fn a_published_test_key_signs_for_nobody() {
    let secret = SecretKey::from_seed(Suite::Ed25519, &[7; 32]).unwrap();
    let keeper = Keeper(vec![secret]);
    let one = first(&[&keeper], 1);
    let (begin, two) = (Files::signed(&one, &[]), Files::signed(&next(&one), &[&keeper]));
    refused(&[&begin, &two], ErrorCode::SignerQuorum, "0 root identities");
    let mut insecure = Chain::begin(&begin.bytes).unwrap();
    assert!(insecure.extend(&two.link(), true).is_ok());
}

#[test]
fn what_is_known_of_a_chain_does_not_go_back() {
    let ada = Keeper::plain(11);
    let one = first(&[&ada], 1);
    let two = next(&one);
    let three = next(&two);
    let fork = next(&Trust { valid_until: 5, ..two.clone() });
    let files = [&one, &two, &three].map(|trust| Files::signed(trust, &[&ada]));
    let [a, b, c] = &files;
    let mut known = Known::default();
    let learn = |known: &mut Known, files: &[&Files]| known.learn_chain(&chain(files).unwrap());
    assert!(learn(&mut known, &[a, b]).unwrap(), "news");
    assert!(!learn(&mut known, &[a, b]).unwrap(), "no news");
    let check = |known: &Known, files: &[&Files], pin: Option<&Files>| {
        let pin = pin.map(|file| sha256(&file.bytes));
        known.check_chain(&chain(files).unwrap(), pin.as_ref()).map_err(|error| error.code)
    };
    assert_eq!(check(&known, &[a], None), Err(ErrorCode::TrustFileStale));
    assert_eq!(check(&known, &[a, b, c], None), Ok(()));
    // What is known needs no earlier file, and what is not does.
    assert_eq!(check(&known, &[b, c], None), Ok(()));
    assert_eq!(check(&Known::default(), &[b, c], None), Err(ErrorCode::TrustPinMismatch));
    assert_eq!(check(&Known::default(), &[b, c], Some(b)), Ok(()));
    assert_eq!(check(&known, &[b, c], Some(a)), Ok(()), "known to follow the pin");
    assert_eq!(check(&known, &[a, b], Some(b)), Err(ErrorCode::TrustPinMismatch));
    assert_eq!(check(&known, &[a], Some(b)), Err(ErrorCode::TrustPinMismatch));
    assert!(learn(&mut known, &[b, c]).unwrap());
    assert_eq!(check(&known, &[a, b], None), Err(ErrorCode::TrustFileStale));
    let other = Files::signed(&Trust { valid_until: 5, ..two.clone() }, &[&ada]);
    let forked = Files::signed(&fork, &[&ada]);
    assert_eq!(check(&known, &[a, &other, &forked], None), Err(ErrorCode::TrustPinMismatch));
    // A chain of its own is another matter.
    let apart = Files::signed(&first(&[&Keeper::plain(14)], 1), &[]);
    assert_eq!(check(&known, &[&apart], None), Ok(()));
    assert!(learn(&mut known, &[&apart]).unwrap());
    assert_eq!(Known::decode(&known.encode()).unwrap(), known);
}

fn by(keys: &[&SecretKey], version: &str) -> Package {
    let author_keys = keys.iter().map(|key| key.public().clone()).collect();
    let version = version.parse().unwrap();
    let mut package = pack(Manifest { author_keys, version, ..manifest() });
    keys.iter().for_each(|key| package.sign(Scope::Author, key, false).unwrap());
    package
}

fn trusting(key: &SecretKey) -> Trust {
    let identity = Identity::try_from(key.public().clone()).unwrap();
    let entry = TrustedKey::new(identity, "k", vec![kapsule_format::trust::Role::Author]);
    let entry = TrustedKey { not_after: 9_000, not_before: 1_000, ..entry };
    Trust { keys: vec![entry], ..first(&[&Keeper::plain(11)], 1) }
}

fn report(package: &Package, trust: Option<&Trust>, options: &Options<'_>) -> Report {
    verify::package(&package.encode(), trust, Some(5_000), options)
}

fn known_package(package: &Package) -> KnownPackage {
    let manifest = package.manifest();
    KnownPackage {
        name: manifest.name.clone(),
        author: manifest.identity().unwrap().unwrap().id(),
        version: manifest.version.clone(),
        capsule_hash: package.capsule_hash(),
    }
}

#[test]
fn a_version_below_a_trusted_one_is_refused_unless_it_is_asked_for() {
    let (alice, bob) = (private_key(1), private_key(2));
    let mut known = Known::default();
    assert!(known.learn_package(known_package(&by(&[&alice], "1.2.0"))).unwrap());
    assert!(!known.learn_package(known_package(&by(&[&alice], "1.1.9"))).unwrap());
    let result = |package: &Package, expected: Option<PackageId>| {
        let options = Options { known: Some(&known), expected, ..Options::default() };
        let report = report(package, None, &options);
        (report.error_code, report.result(CheckName::Dependencies).unwrap())
    };
    let undone = CheckResult::NotDone(ErrorCode::NotLookedAt);
    let older = ErrorCode::DowngradeRefused;
    for (version, refused) in [
        ("1.2.0", false),
        ("1.2.0+build", false),
        ("1.2.1-rc.1", false),
        ("1.2.0-rc.1", true),
        ("1.1.9", true),
        ("0.9.0", true),
    ] {
        let package = by(&[&alice], version);
        let expect = if refused { (Some(older), CheckResult::Fail(older)) } else { (None, undone) };
        assert_eq!(result(&package, None), expect, "{version}");
        assert_eq!(result(&package, Some(package.capsule_hash())), (None, undone), "{version}");
    }
    assert_eq!(result(&by(&[&bob], "1.0.0"), None), (None, undone), "the name of another author");
    let other = PackageId::new(Digest::new([9; 32]));
    let conflict = result(&by(&[&alice], "1.2.0"), Some(other)).0;
    assert_eq!(conflict, Some(ErrorCode::FactsConflict));
}

#[test]
fn an_identity_that_is_known_does_not_shrink_without_a_trust_file() {
    let (first, second) = (private_key(1), second_key(1));
    let whole = Identity::new(vec![first.public().clone(), second.public().clone()]).unwrap();
    let mut known = Known::default();
    assert!(known.learn_identity(&whole).unwrap());
    assert!(!known.learn_identity(&whole).unwrap());
    assert!(!known.learn_identity(&Identity::try_from(first.public().clone()).unwrap()).unwrap());
    let options = Options { known: Some(&known), ..Options::default() };
    let small = by(&[&first], "1.0.0");
    let refused = report(&small, None, &options);
    assert_eq!(refused.error_code, Some(ErrorCode::SignerUntrusted));
    let check = refused.checks.iter().find(|check| check.name == CheckName::SignerTrusted);
    assert!(check.unwrap().detail.contains("has mldsa44 key"), "{check:?}");
    assert!(report(&by(&[&first, &second], "1.0.0"), None, &options).is_accepted());
    assert!(report(&by(&[&private_key(2)], "1.0.0"), None, &options).is_accepted());
    // A trust file that lists the smaller identity says that it is meant.
    assert!(report(&small, Some(&trusting(&first)), &options).is_accepted());
}

#[test]
fn a_refused_trust_file_trusts_nobody() {
    let key = private_key(1);
    let (package, trust) = (by(&[&key], "1.0.0"), trusting(&key));
    let refused = DecodeError::new(ErrorCode::TrustPinMismatch, "another file is pinned");
    let options = Options { trust_refused: Some(refused), ..Options::default() };
    let report = report(&package, Some(&trust), &options);
    let expect = Some(CheckResult::Fail(ErrorCode::TrustPinMismatch));
    assert_eq!(report.result(CheckName::SignerTrusted), expect);
    assert_eq!(report.level, Level::Rejected);
    assert!(report.result(CheckName::SignerQuorum) != Some(CheckResult::Pass));
}

#[test]
fn an_acceptance_file_demands_more() {
    let key = private_key(1);
    let (package, trust) = (by(&[&key], "1.0.0"), trusting(&key));
    let code = |json: &str, now_ms| {
        let text = format!("{{\"level\":\"proof-only\",{json}\"schema\":\"kapsule/accept/1\"}}");
        let mut options = Options::default();
        Acceptance::decode(text.as_bytes()).unwrap().apply(&mut options);
        verify::package(&package.encode(), Some(&trust), Some(now_ms), &options).error_code
    };
    assert_eq!(code("", 5_000), None);
    assert_eq!(
        code(r#""min_signers":2,"require":["signer.quorum"],"#, 5_000),
        Some(ErrorCode::SignerQuorum)
    );
    assert_eq!(code(r#""require":["proof"],"#, 5_000), Some(ErrorCode::ProofMissing));
    assert_eq!(code(r#""require":["statement"],"#, 5_000), Some(ErrorCode::SignatureMissing));
    assert_eq!(code(r#""require":["dependencies"],"#, 5_000), Some(ErrorCode::NotLookedAt));
    assert_eq!(code(r#""require":["opened","signature","trees"],"#, 5_000), None);
    assert_eq!(code("", 9_001), Some(ErrorCode::SignerRevoked));
    assert_eq!(code(r#""max_skew_ms":1,"#, 9_001), None);
    assert_eq!(code(r#""max_skew_ms":1,"#, 999), None);
    assert_eq!(code(r#""max_skew_ms":1,"#, 998), Some(ErrorCode::SignerRevoked));
    let unsuitable = r#"{"level":"proof-only","schema":"kapsule/accept/1","suites":[2,3]}"#;
    let mut options = Options::default();
    Acceptance::decode(unsuitable.as_bytes()).unwrap().apply(&mut options);
    let refused = report(&package, Some(&trust), &options);
    assert_eq!(refused.error_code, Some(ErrorCode::SuiteUnsupported));
}

#[test]
fn files_and_lists_keep_their_limits() {
    let large = vec![b' '; (1 << 24) + 1];
    let code = |error: DecodeError| error.code;
    assert_eq!(Acceptance::decode(&large).map_err(code), Err(ErrorCode::LimitExceeded));
    assert_eq!(Known::decode(&large).map_err(code), Err(ErrorCode::LimitExceeded));
    let digests = |count: u32| {
        let digest = |index: u32| format!("\"{index:064x}\"");
        let list: Vec<String> = (1..=count).map(digest).collect();
        format!("[{{\"serial\":70000,\"sha256\":[{}]}}]", list.join(","))
    };
    let known = |count: u32| {
        let empty = r#"{"identities":[],"packages":[],"schema":"kapsule/known/1","trust":"#;
        Known::decode(format!("{empty}{}}}", digests(count)).as_bytes())
    };
    assert_eq!(known(65_537).map_err(code), Err(ErrorCode::LimitExceeded));
    // A full record stays as it is.
    let mut full = known(65_536).unwrap();
    let before = full.clone();
    let begin = Chain::begin(&first(&[&Keeper::plain(11)], 1).encode()).unwrap();
    assert_eq!(full.learn_chain(&begin).map_err(code), Err(ErrorCode::Quota));
    assert_eq!(full, before);
}

#[test]
fn a_record_is_sorted_and_stays_so() {
    let mut known = Known::default();
    for (key, version) in [(1, "1.0.0"), (2, "1.0.0"), (3, "2.0.0"), (1, "1.0.1")] {
        assert!(known.learn_package(known_package(&by(&[&private_key(key)], version))).unwrap());
        assert!(
            known.learn_identity(&Keeper::double(key).identity()).unwrap() != (version == "1.0.1")
        );
    }
    for seed in 21..25 {
        let begin = Chain::begin(&first(&[&Keeper::plain(seed)], 1).encode()).unwrap();
        assert!(known.learn_chain(&begin).unwrap());
    }
    let bytes = known.encode();
    assert_eq!(Known::decode(&bytes).unwrap(), known);
    // Any two items of a list in the other order are refused.
    let text = String::from_utf8(bytes).unwrap();
    let at = text.find("\"trust\":[").unwrap();
    let (head, list) = text.split_at(at);
    let items: Vec<&str> = list[9..list.len() - 2].split("},{").collect();
    assert_eq!(items.len(), 4);
    let (a, b) = (items[0].trim_start_matches('{'), items[1]);
    let swapped = list.replacen(a, "@", 1).replacen(b, a, 1).replacen('@', b, 1);
    let error = Known::decode(format!("{head}{swapped}").as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::SchemaViolation, "{error}");
    assert!(error.detail.contains("ascending"), "{error}");
}
