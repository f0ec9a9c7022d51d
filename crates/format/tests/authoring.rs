//! Authoring: what packing makes of the files that people write.

use kapsule_abi::{ErrorCode, Grant};
use kapsule_format::authoring::{Draft, Inputs, Source};
use kapsule_format::package::{PackageBuilder, PackageId};
use proptest::prelude::*;

use crate::package::private_key;

const MANIFEST: &str = "name = \"a\"\nversion = \"1.0.0\"\nauthor = \"b\"\nentry = \"a.wasm\"\n";
const PAYLOAD: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_draft_packs_with_keys_and_a_predecessor() {
    let key = private_key(1).public().clone();
    let previous = Some(PackageId::new([9; 32].into()));
    let author_keys = std::slice::from_ref(&key);
    let inputs = Inputs { payload: PAYLOAD, author_keys, previous, ..Inputs::default() };
    let (manifest, policy) = Draft::from_toml(MANIFEST, None).unwrap().finish(&inputs).unwrap();
    let package = PackageBuilder::new(manifest.clone(), policy, PAYLOAD.to_vec()).pack().unwrap();
    // The draft computed what packing sets.
    assert_eq!(*package.peek().manifest(), manifest);
    assert_eq!((manifest.author_keys, manifest.previous), (vec![key], previous));
}

#[test]
fn every_grant_expands_to_the_imports_of_the_abi() {
    for grant in Grant::ALL {
        let text = format!("grants = [\"{}\"]\n", grant.name());
        let policy = Draft::from_toml(MANIFEST, Some(&text)).unwrap().policy().unwrap();
        let mut expect: Vec<&str> = grant.hostcalls().map(|call| call.name).collect();
        expect.sort_unstable();
        assert!(!expect.is_empty());
        assert_eq!(policy.hostcalls, expect);
    }
}

#[test]
fn an_error_names_file_key_and_line() {
    let policy = "\n[limits]\nfuel = 1\nmemory = \"1mb\"\n";
    let error = Draft::from_toml(MANIFEST, Some(policy)).unwrap_err();
    assert_eq!(error.code, ErrorCode::UnitSyntax);
    assert_eq!(
        (error.source, error.key.as_str(), error.line),
        (Source::Policy, "limits.memory", Some(4))
    );
    assert!(error.to_string().ends_with(" (line 4)"), "{error}");
}

#[test]
fn a_named_proof_schema_needs_its_bytes() {
    let text = format!("{MANIFEST}exec.proof_schema = \"s.json\"\n");
    let draft = Draft::from_toml(&text, None).unwrap();
    assert_eq!(draft.proof_schema(), Some("s.json"));
    let inputs = Inputs { payload: PAYLOAD, ..Inputs::default() };
    assert_eq!(draft.finish(&inputs).unwrap_err().code, ErrorCode::SchemaViolation);
}

proptest! {
    #[test]
    fn arbitrary_text_never_panics(text in "(?s).{0,200}", key in "[a-z.]{1,20}") {
        let _ = Draft::from_toml(&text, None);
        let line = format!("{MANIFEST}{key} = {text:?}\n");
        if let Ok(draft) = Draft::from_toml(&line, Some(&text)) {
            let _ = draft.finish(&Inputs { payload: PAYLOAD, ..Inputs::default() });
        }
    }
}
