//! Group `klog`: reads the records of `bytes`.

use kapsule_format::klog::{Reader, Writer};

use super::{Case, Verdict};

pub(crate) fn judge(case: &Case) -> Verdict {
    let file = case.bytes("bytes");
    let mut writer = Writer::new();
    let mut printed = Vec::new();
    for record in Reader::new(&file) {
        let record = record?;
        writer.push(&record.value)?;
        printed.push(format!("{} at {}", super::cbor::print(&record.value), record.offset));
    }
    assert_eq!(writer.into_bytes(), file);
    Ok(printed.join("; "))
}
