//! Group `storage`: decodes `bytes` and prints the number of pairs, the package and the root.

use kapsule_format::storage::{Storage, root};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let file = case.bytes("bytes");
    let storage = Storage::decode(&file)?;
    assert_eq!(storage.encode().unwrap(), file);
    let Storage { package, pairs } = storage;
    Ok(format!("{} pairs of {package}, root {}", pairs.len(), root(&pairs)))
}
