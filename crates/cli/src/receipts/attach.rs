//! Attaching entries to a receipt, which never changes its id.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::container::{BLOBS, Container, Kind, Writer};
use kapsule_format::key::{KeyFile, Uses};
use kapsule_format::receipt::{BUNDLE, PACKAGE};

use crate::error::Failure;
use crate::opening::Files;

/// Writes a receipt again with these attached entries, in place of those of the same names.
pub(crate) fn with_entries(
    files: &Files,
    added: Vec<(String, Vec<u8>)>,
) -> Result<Vec<u8>, Failure> {
    let refused = |error| {
        let message = format!("{} cannot be written again", files.name());
        Failure::decode(message, &error, "get the receipt again")
    };
    let container = Container::decode(files.bytes()).map_err(refused)?;
    let mut writer = Writer::new(Kind::Receipt, container.index().to_vec());
    let replaced = |name: &str| added.iter().any(|(other, _)| other == name);
    for entry in container.entries().iter().skip(1).filter(|entry| !replaced(entry.name)) {
        writer.push(entry.name, entry.bytes);
    }
    for (name, bytes) in added {
        writer.push(name, bytes);
    }
    writer.finish().map_err(refused)
}

/// Returns the failure of a receipt that has no number free for one more entry.
pub(crate) fn is_full(files: &Files) -> Failure {
    let message = format!("{} holds 16 entries of this kind already", files.name());
    let hint = "start from the receipt as its issuer gave it to you";
    Failure::new(ErrorCode::LimitExceeded, message, hint)
}

/// Tells whether an entry is one that `kapsule receipt split` moves out: all that is found again by
/// its digest.
pub(crate) fn is_large(name: &str) -> bool {
    matches!(name, PACKAGE | BUNDLE) || name.starts_with(BLOBS)
}

/// Refuses a key that is not meant for signing.
pub(crate) fn check_uses(key: &KeyFile) -> Result<(), Failure> {
    if guard!("cli.receipt.uses", key.uses != Uses::Sign) {
        let message = "the receipt cannot be signed with this key";
        let hint = "sign receipts with a key made by `kapsule key new NAME`";
        let cause = format!("the key is for {} only", key.uses.names().join(", "));
        return Err(Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause));
    }
    Ok(())
}
