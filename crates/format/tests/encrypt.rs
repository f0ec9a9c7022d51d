//! Encryption to recipients and with passphrases.

use kapsule_abi::ErrorCode;
use kapsule_format::encrypt::{
    Identities, Passphrase, Recipient, encrypt, generate, is_protected, protect, unprotect,
};
use kapsule_format::package::Decrypt;

/// Small, so that a test takes milliseconds; `protect` by default takes a second.
const WORK_FACTOR: u8 = 4;

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text).expect("a passphrase that may be used")
}

#[test]
fn every_recipient_opens_and_nobody_else() {
    let keys: Vec<_> = (0..3).map(|_| generate()).collect();
    let recipients: Vec<Recipient> = keys.iter().map(|(_, to)| to.clone()).collect();
    let file = encrypt(&recipients[..2], b"text").unwrap();
    let open = |index: usize, limit| {
        Identities::decode(&keys[index].0).unwrap().decrypt(&file, limit).map(|text| text.to_vec())
    };
    assert_eq!(open(0, 4), Some(b"text".to_vec()));
    assert_eq!(open(1, 64), Some(b"text".to_vec()));
    assert_eq!(open(2, 64), None);
    assert_eq!(open(0, 3), None, "a longer plaintext than was asked for");
    let mut changed = file.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert!(Identities::decode(&keys[0].0).unwrap().decrypt(&changed, 64).is_none());
}

#[test]
fn a_file_has_1_to_64_recipients_and_each_once() {
    let recipients: Vec<Recipient> = (0..65).map(|_| generate().1).collect();
    let refused = |to: &[Recipient]| encrypt(to, b"text").unwrap_err().code;
    assert_eq!(refused(&[]), ErrorCode::LimitExceeded);
    assert_eq!(refused(&recipients), ErrorCode::LimitExceeded);
    let twice = [recipients[0].clone(), recipients[0].clone()];
    let types = kapsule_format::stanza::read(&encrypt(&twice, b"text").unwrap()).unwrap();
    assert_eq!(types.len(), 1);
}

#[test]
fn files_of_keys_are_read_strictly_and_never_repeated() {
    let (file, recipient) = generate();
    let secret = file.lines().last().unwrap().to_owned();
    let several = format!("# a\n\n{secret}\n{secret}\n");
    assert_eq!(format!("{:?}", Identities::decode(&several).unwrap()), "Identities(2)");
    for text in ["", "# none\n", "AGE-SECRET-KEY-1", &format!(" {secret}"), &secret[..70]] {
        let error = Identities::decode(text).unwrap_err();
        assert_eq!(error.code, ErrorCode::KeyFileForm);
        assert!(!error.detail.contains(&secret[16..40]), "{error}");
    }
    let lines = format!("# a\n{recipient}\n\n{recipient}\n");
    assert_eq!(Recipient::decode_file(&lines).unwrap().len(), 2);
    for text in ["", "age1", "AGE1\n", &secret] {
        assert_eq!(Recipient::decode_file(text).unwrap_err().code, ErrorCode::KeyInvalid);
    }
}

#[test]
fn a_passphrase_opens_what_it_protects() {
    let file = protect(b"secret", &passphrase("horse"), WORK_FACTOR).unwrap();
    assert!(is_protected(&file) && !is_protected(b"{\"created_ms\":0"));
    assert_eq!(unprotect(&file, &passphrase("horse")).unwrap().to_vec(), b"secret");
    let refused = |file: &[u8], text| unprotect(file, &passphrase(text)).unwrap_err().code;
    assert_eq!(refused(&file, "mule"), ErrorCode::KeyFileForm);
    let for_a_key = encrypt(&[generate().1], b"secret").unwrap();
    assert_eq!(refused(&for_a_key, "horse"), ErrorCode::KeyFileForm);
    let error = unprotect(&for_a_key, &passphrase("horse")).unwrap_err();
    assert!(error.detail.contains("one passphrase"), "{error}");
    assert_eq!(Passphrase::new("").unwrap_err().code, ErrorCode::KeyFileForm);
    assert_eq!(format!("{:?}", passphrase("horse")), "Passphrase(..)");
    let error = protect(&file, &passphrase("horse"), WORK_FACTOR).unwrap_err();
    assert!(error.detail.contains("already"), "{error}");
    assert_eq!(Passphrase::new(&"x".repeat(4_097)).unwrap_err().code, ErrorCode::KeyFileForm);
    for factor in [0, 21] {
        let error = protect(b"secret", &passphrase("horse"), factor).unwrap_err();
        assert!(error.detail.contains("allowed 1 to 20"), "{error}");
    }
}

/// Every reason has its own words, since all of them have one code.
#[test]
fn a_file_that_a_passphrase_does_not_open_is_told_why() {
    let refused = |name: &str| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/keys/reject");
        let text = std::fs::read_to_string(format!("{path}/protected-{name}.toml")).unwrap();
        let case: toml::Table = text.parse().unwrap();
        let bytes = crate::vectors::unhex(case["bytes"].as_str().unwrap());
        unprotect(&bytes, &passphrase(case["passphrase"].as_str().unwrap())).unwrap_err().detail
    };
    for (name, text) in [
        ("passphrase", "the passphrase does not open the file"),
        ("work-factor-21", "work factor 21, allowed 1 to 20"),
        ("recipient", "not protected by one passphrase"),
        ("two-stanzas", "not protected by one passphrase"),
        ("twice", "the file is protected twice"),
        ("cut", "cut, changed or longer than 4096 bytes"),
        ("long", "cut, changed or longer than 4096 bytes"),
    ] {
        assert!(refused(name).contains(text), "{name}: {}", refused(name));
    }
}
