//! Storage files at the edge of what is allowed; the vectors have the small ones.

use kapsule_abi::ErrorCode;
use kapsule_format::Digest;
use kapsule_format::limits::STORAGE_VALUE_BYTES_MAX;
use kapsule_format::package::PackageId;
use kapsule_format::storage::{Pairs, Storage};

#[test]
fn a_value_has_at_most_a_mebibyte() {
    let file = |length| {
        let pairs = Pairs::from([(b"key".to_vec(), vec![7; length])]);
        Storage { package: PackageId::new(Digest::new([1; 32])), pairs }.encode().unwrap()
    };
    assert!(Storage::decode(&file(STORAGE_VALUE_BYTES_MAX)).is_ok());
    let error = Storage::decode(&file(STORAGE_VALUE_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::LimitExceeded);
    assert!(error.offset.is_some());
}
