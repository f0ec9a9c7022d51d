//! Packages: the fixed values, packing, signing, detached form, and every small damage.

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::envelope::Envelope;
use kapsule_format::hash::{decode_hex, encode_hex, sha256};
use kapsule_format::key::{SecretKey, Suite};
use kapsule_format::manifest::{Manifest, Version};
use kapsule_format::package::{EnvelopeName, Package, PackageBuilder, PackageId, Scope};
use kapsule_format::policy::Policy;
use kapsule_format::verify::{self, CheckName, CheckResult, Options};
use proptest::prelude::*;

/// Sections of the fixed package of the specification.
const MANIFEST: &str = include_str!("data/manifest.json");
const POLICY: &str = include_str!("data/policy.json");
const PAYLOAD: &[u8] = b"\0asm\x01\0\0\0";
const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";

pub(crate) fn manifest() -> Manifest {
    Manifest::decode(MANIFEST.as_bytes()).unwrap()
}

pub(crate) fn policy() -> Policy {
    Policy::decode(POLICY.as_bytes()).unwrap()
}

pub(crate) fn published_key() -> SecretKey {
    SecretKey::from_seed(Suite::Ed25519, &decode_hex(SEED).unwrap()).unwrap()
}

/// A key that no table of published keys lists.
pub(crate) fn private_key(number: u8) -> SecretKey {
    let mut seed = [number; 32];
    seed[0] ^= 0x55;
    SecretKey::from_seed(Suite::Ed25519, &seed).unwrap()
}

pub(crate) fn pack(manifest: Manifest) -> Package {
    PackageBuilder::new(manifest, policy(), PAYLOAD.to_vec()).pack().unwrap().into_inner()
}

/// The fixed package, signed by its author.
pub(crate) fn signed() -> Package {
    let mut package = pack(manifest());
    package.sign(Scope::Author, &published_key(), true).unwrap();
    package
}

fn code(result: Result<impl Sized, DecodeError>) -> ErrorCode {
    result.map(drop).unwrap_err().code
}

#[test]
fn fixed_values_of_the_specification() {
    let package = signed();
    let fixed = |found: &dyn ToString, expect: &str| assert_eq!(found.to_string(), expect);
    fixed(&package.core_hash(), "e7414340732ef25120100b762652a075a086bd45a61a4a0c6e2ffaf021e93865");
    fixed(
        &package.capsule_hash(),
        "82f3b012e59b885c5a863c525089e184ddaa9f043a0b871d826614476534844f",
    );
    fixed(
        &package.body_sha256(),
        "257d03a5bd824460c391cdcad69e64e579f4c5258a1e76c623884e2e832e3225",
    );
    assert_eq!(package.body().len(), 893);
    assert_eq!(package.manifest().encode(), MANIFEST.as_bytes());
    assert_eq!(package.policy().encode(), POLICY.as_bytes());
    let statement = package.statement(Scope::Author);
    assert_eq!(statement.len(), 586);
    fixed(&sha256(&statement), "fbb6c5fecf422f9422c85be2c85f32154447ea314975e2d07b38de6ad3a9ef7c");
    assert_eq!(
        encode_hex(&package.signatures()[0].signature),
        "95c85d0aea379abc942482e50ceadcc298b0fec778c2553769d7ad4e7478118c\
         74a9023751320c642e149c50361c6cfc58c7fd71ac7568554c7e06b9ec5e4a07"
    );
    let file = package.encode();
    assert_eq!(file.len(), 1003);
    fixed(&sha256(&file), "41cb4d21940d8145f3cc61b7efe2bd96dcda9fa8147699eac9cd311ffc8257cf");
    assert_eq!(Package::decode(&file).unwrap().into_inner(), package);
}

#[test]
fn a_signature_changes_no_hash_and_a_payload_byte_changes_both() {
    let (plain, signed) = (pack(manifest()), signed());
    assert_eq!(plain.core_hash(), signed.core_hash());
    assert_eq!(plain.capsule_hash(), signed.capsule_hash());
    let payload = [PAYLOAD, &[0]].concat();
    let other = PackageBuilder::new(manifest(), policy(), payload).pack().unwrap().into_inner();
    assert_ne!(other.core_hash(), plain.core_hash());
    assert_ne!(other.capsule_hash(), plain.capsule_hash());
    assert_eq!(other.manifest().exec.size, 9);
}

#[test]
fn packing_sorts_dependencies_and_refuses_a_repeated_one() {
    let id = |byte| PackageId::new([byte; 32].into());
    let builder = || PackageBuilder::new(manifest(), policy(), PAYLOAD.to_vec());
    let package = builder().dependency(id(2)).dependency(id(1)).pack().unwrap().into_inner();
    assert_eq!(package.dependencies(), [id(1), id(2)]);
    let repeated = builder().dependency(id(2)).dependency(id(2)).pack();
    assert_eq!(code(repeated), ErrorCode::DepmapOrder);
    let many = |count: u32| {
        (0..count).fold(builder(), |builder, number| {
            let mut bytes = [0; 32];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            builder.dependency(PackageId::new(bytes.into()))
        })
    };
    assert_eq!(many(1024).pack().unwrap().peek().dependencies().len(), 1024);
    assert_eq!(code(many(1025).pack()), ErrorCode::LimitExceeded);
}

#[test]
fn signing_refuses_published_and_foreign_keys() {
    let mut package = pack(manifest());
    let published = published_key();
    assert_eq!(code(package.sign(Scope::Author, &published, false)), ErrorCode::TestKeyRefused);
    let foreign = private_key(1);
    assert_eq!(code(package.sign(Scope::Author, &foreign, false)), ErrorCode::KeyidMismatch);
    assert!(package.signatures().is_empty());
    package.sign(Scope::Publisher, &foreign, false).unwrap();
    package.sign(Scope::Publisher, &foreign, false).unwrap();
    assert_eq!(package.signatures().len(), 1);
}

#[test]
fn a_trailer_holds_sixteen_signatures() {
    let mut package = pack(manifest());
    for number in 0..16 {
        package.sign(Scope::Publisher, &private_key(number), false).unwrap();
    }
    let file = package.encode();
    assert_eq!(Package::decode(&file).unwrap().peek().signatures().len(), 16);
    let refused = package.sign(Scope::Publisher, &private_key(16), false);
    assert_eq!(code(refused), ErrorCode::LimitExceeded);
}

#[test]
fn trailer_entries_become_envelopes_and_come_back() {
    let mut package = signed();
    package.sign(Scope::Publisher, &private_key(1), false).unwrap();
    let mut restored = pack(manifest());
    for (name, envelope) in package.to_envelopes().into_iter().rev() {
        let file_name = name.file_name("foo.mod");
        assert!(file_name.starts_with("foo.mod.") && file_name.ends_with(".dsse.json"));
        let parsed = EnvelopeName::parse(&file_name).unwrap();
        assert_eq!(parsed, name);
        let envelope = Envelope::decode(&envelope.encode()).unwrap();
        restored.attach(&parsed, &envelope).unwrap();
    }
    assert_eq!(restored.encode(), package.encode());
    let (mut other, (name, envelope)) = (manifest(), package.to_envelopes().remove(0));
    other.name = "other".into();
    assert_eq!(code(pack(other).attach(&name, &envelope)), ErrorCode::StatementMismatch);
    for wrong in ["foo.mod.dsse.json", "foo.author-ed25519.dsse.json", "x.owner-ed25519-00.json"] {
        assert_eq!(code(EnvelopeName::parse(wrong)), ErrorCode::KeyidMismatch, "{wrong}");
    }
}

#[test]
fn sections_that_are_too_long_are_refused() {
    let mut long = manifest();
    let text = kapsule_format::json::Value::Text("x".repeat(65_536));
    long.extensions.insert("x_long".into(), text);
    let refused = Manifest::decode(&long.encode());
    assert_eq!(code(refused), ErrorCode::LimitExceeded);
    let packed = PackageBuilder::new(long, policy(), PAYLOAD.to_vec()).pack();
    assert_eq!(packed.map(drop).unwrap_err().offset, Some(5));
    let empty = PackageBuilder::new(manifest(), policy(), Vec::new()).pack();
    assert_eq!(empty.map(drop).unwrap_err().offset, Some(9));
}

#[test]
fn the_longest_manifest_is_accepted() {
    let mut long = manifest();
    let rest = 65_536 - long.encode().len() - r#","x_long":"""#.len();
    let text = kapsule_format::json::Value::Text("x".repeat(rest));
    long.extensions.insert("x_long".into(), text);
    assert_eq!(long.encode().len(), 65_536);
    assert_eq!(pack(long.clone()).manifest().extensions, long.extensions);
}

#[test]
fn extensions_are_preserved_in_every_object() {
    let text = std::fs::read_to_string(
        crate::vectors::spec_folder().join("vectors/mod/accept/all-members.toml"),
    )
    .unwrap();
    let table: toml::Table = text.parse().unwrap();
    let bytes = crate::vectors::unhex(table["bytes"].as_str().unwrap());
    let package = Package::decode(&bytes).unwrap().into_inner();
    let manifest = package.manifest();
    assert!(manifest.extensions.contains_key("x_note"));
    assert!(manifest.exec.extensions.contains_key("x_exec"));
    assert!(manifest.resources.as_ref().unwrap().extensions.contains_key("x_r"));
    assert!(manifest.exec.has_entry("a") && manifest.exec.has_entry("run"));
    assert!(!manifest.exec.has_entry("b"));
}

#[test]
fn versions_have_the_precedence_of_semantic_versioning() {
    let order = [
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
        "999999999999999999.0.0",
    ];
    let versions: Vec<Version> = order.iter().map(|text| text.parse().unwrap()).collect();
    for (left, a) in versions.iter().enumerate() {
        for (right, b) in versions.iter().enumerate() {
            assert_eq!(a.precedence(b), left.cmp(&right), "{a} against {b}");
        }
    }
    let build: Version = "1.0.0+x-y.01".parse().unwrap();
    assert_eq!(build.precedence(&versions[7]), core::cmp::Ordering::Equal);
    for text in ["1.0.0-", "1.0.0+", "1.0.0-a..b", "1.0.0-a_b", "v1.0.0", "1.0.0+a+b", ""] {
        assert_eq!(code(text.parse::<Version>()), ErrorCode::SchemaViolation, "{text}");
    }
}

#[test]
fn every_flipped_byte_is_refused() {
    let file = signed().encode();
    let options = Options { insecure_dev: true, ..Options::default() };
    assert!(verify::package(&file, None, None, &options).is_accepted());
    for index in 0..file.len() {
        for mask in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[index] ^= mask;
            let report = verify::package(&damaged, None, None, &options);
            assert!(!report.is_accepted(), "byte {index} ^ {mask:02x}");
            // The trailer is outside the hashes, so there the ids stay and the signature goes.
            if index >= 893 && report.facts.core_hash.is_some() {
                assert_eq!(report.facts.core_hash, Some(signed().core_hash()));
                let result = report.result(CheckName::Signature);
                let form = report.result(CheckName::Form);
                let stops = |result| !matches!(result, Some(CheckResult::Pass));
                assert!(stops(result) || stops(form), "byte {index} ^ {mask:02x}");
            }
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let file = signed().encode();
    let options = Options { insecure_dev: true, ..Options::default() };
    for length in 0..file.len() {
        let report = verify::package(&file[..length], None, None, &options);
        assert!(!report.is_accepted(), "{length} bytes");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Package::decode(&bytes).is_err());
        prop_assert!(Manifest::decode(&bytes).is_err());
        let _ = Policy::decode(&bytes);
    }

    #[test]
    fn a_damaged_tail_never_panics(
        start in 0_usize..1003,
        bytes in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        let mut file = signed().encode();
        let original = file.clone();
        file.splice(start.., bytes);
        prop_assume!(file != original);
        let options = Options { insecure_dev: true, ..Options::default() };
        prop_assert!(!verify::package(&file, None, None, &options).is_accepted());
    }

    #[test]
    fn decoding_what_was_packed_is_the_identity(
        payload in proptest::collection::vec(any::<u8>(), 0..200),
        name in "[a-z][a-z0-9._-]{0,63}",
        author in "[^\\p{C}]{1,60}",
        dependencies in proptest::collection::btree_set(any::<[u8; 32]>(), 0..5),
        signers in 0_u8..4,
    ) {
        let manifest = Manifest { name, author, author_keys: Vec::new(), ..manifest() };
        let payload = [PAYLOAD, &payload].concat();
        let builder = PackageBuilder::new(manifest, policy(), payload);
        let builder = dependencies
            .iter()
            .fold(builder, |builder, id| builder.dependency(PackageId::new((*id).into())));
        let mut package = builder.pack().unwrap().into_inner();
        for number in 0..signers {
            package.sign(Scope::Publisher, &private_key(number), false).unwrap();
        }
        let decoded = Package::decode(&package.encode()).unwrap().into_inner();
        prop_assert_eq!(decoded, package);
    }
}
