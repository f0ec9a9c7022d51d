//! Whatever is edited with plain SQLite is found and named.

use std::fs;
use std::path::Path;

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::Capsule;
use kapsule_format::hash::sha256;
use kapsule_store::{Damage, Opening, Place, Store};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::support::{filled, log_key, open, refuse, try_open, vkey};

/// Edits a filled store with plain SQLite, triggers out of the way, and returns what is found.
fn edited(sql: &str) -> (TempDir, Vec<Damage>) {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    edit(folder.path(), sql);
    let found = check(folder.path());
    (folder, found)
}

fn edit(directory: &Path, sql: &str) {
    let connection = Connection::open(Store::file(directory)).unwrap();
    let trigger = |name: &str| -> String {
        let text = "SELECT sql FROM sqlite_schema WHERE name = ?1";
        connection.query_row(text, [name], |row| row.get(0)).unwrap()
    };
    let triggers = ["entry_u", "entry_d"].map(trigger);
    connection
        .execute_batch("PRAGMA foreign_keys = OFF; DROP TRIGGER entry_u; DROP TRIGGER entry_d")
        .unwrap();
    connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    // Whoever edits puts the triggers back.
    triggers.iter().for_each(|text| connection.execute_batch(text).unwrap());
}

fn check(directory: &Path) -> Vec<Damage> {
    Store::open_damaged(directory).unwrap().check(Some(&vkey())).unwrap()
}

/// Expects that the first damage is of this place and code, and names this.
fn expect(sql: &str, place: Place, code: ErrorCode, names: &str) {
    let (_folder, found) = edited(sql);
    let told = found.iter().any(|damage| {
        damage.place == place && damage.code == code && damage.detail.contains(names)
    });
    assert!(told, "{sql}: {found:?}");
}

#[test]
fn an_untouched_store_is_whole() {
    assert_eq!(edited("SELECT 1").1, []);
}

#[test]
fn every_edit_of_the_log_is_named() {
    use ErrorCode::{CheckpointInvalid, EpochKeyOrder, LogChainBroken, LogTruncated};
    for (sql, code, names) in [
        (
            "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE idx = 1) WHERE idx = 2",
            LogChainBroken,
            "entry 2",
        ),
        ("UPDATE entry SET hash = zeroblob(32) WHERE idx = 3", LogChainBroken, "entry 3"),
        ("DELETE FROM entry WHERE idx = 2", LogChainBroken, "entry 3"),
        ("UPDATE entry SET idx = 99 WHERE idx = 12", LogChainBroken, "row 99"),
        ("DELETE FROM entry WHERE idx = 12", LogTruncated, "12 entries"),
        (
            "INSERT INTO entry SELECT 13, bytes, hash FROM entry WHERE idx = 12",
            LogChainBroken,
            "entry 13",
        ),
        (
            "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND pos = 0",
            LogChainBroken,
            "node 0 of level 1",
        ),
        ("DELETE FROM node WHERE level = 0 AND pos = 3", LogChainBroken, "1 nodes"),
        ("INSERT INTO node VALUES (0, 99, zeroblob(32))", LogChainBroken, "node 99"),
        ("UPDATE head SET root = zeroblob(32)", LogChainBroken, "head"),
        ("UPDATE head SET hash = zeroblob(32)", LogChainBroken, "head"),
        ("UPDATE head SET size = 12", LogChainBroken, "head says 12"),
        ("UPDATE head SET size = 14", LogTruncated, "head says 14"),
        ("UPDATE identity SET origin = 'other'", LogChainBroken, "entry 0"),
        ("UPDATE identity SET key_epoch = 1", EpochKeyOrder, "key epoch"),
        (
            "UPDATE checkpoint SET
             note = CAST(replace(CAST(note AS TEXT), 'example', 'exbmple') AS BLOB)",
            CheckpointInvalid,
            "checkpoint of 10",
        ),
        ("UPDATE checkpoint SET size = 6", CheckpointInvalid, "another size"),
        ("UPDATE personal SET value = x'00'", ErrorCode::CommitmentMismatch, "path"),
        ("UPDATE personal SET salt = zeroblob(31)", ErrorCode::CommitmentMismatch, "path"),
    ] {
        expect(sql, Place::Log, code, names);
    }
    // Erasing personal values is what they are kept apart for.
    assert_eq!(edited("DELETE FROM personal").1, []);
}

#[test]
fn every_edit_of_a_capsule_is_named() {
    for sql in [
        "UPDATE capsule SET file = x'00' WHERE seq = 1",
        "UPDATE capsule SET file = x'00', sha256 =
         x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d' WHERE seq = 1",
        "UPDATE capsule SET id = zeroblob(32) WHERE seq = 1",
        "UPDATE capsule SET channel = zeroblob(32) WHERE seq = 1",
        "UPDATE capsule SET author = zeroblob(32) WHERE seq = 1",
        "UPDATE capsule SET seq = 9 WHERE seq = 1",
        "UPDATE capsule SET kind = 'trust' WHERE seq = 1",
        "UPDATE capsule SET time_ms = 9 WHERE seq = 1",
        "UPDATE capsule SET epoch = 9 WHERE seq = 1",
        "UPDATE capsule SET size = 9 WHERE seq = 1",
        "UPDATE capsule SET entry = 0 WHERE seq = 1",
        "DELETE FROM capsule WHERE seq = 3",
        "DELETE FROM parent",
        "INSERT INTO parent VALUES (zeroblob(32), zeroblob(32))",
        "UPDATE parent SET parent = zeroblob(32)",
        "UPDATE pruned SET entry = 1",
        "UPDATE pruned SET capsule = (SELECT id FROM capsule WHERE seq = 3)",
        "DELETE FROM pruned",
    ] {
        expect(sql, Place::Capsule, ErrorCode::StoreCorrupt, "");
    }
}

#[test]
fn a_body_that_was_taken_out_by_hand_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let rows = store.view().capsules(None).unwrap();
    let row = rows.iter().find(|row| row.seq == 3).unwrap();
    let file = store.view().file(&row.id).unwrap();
    let header = Capsule::decode(&file).unwrap().header().unwrap();
    drop(store);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let sql = format!(
        "UPDATE capsule SET file = x'{}', sha256 = x'{}', size = {} WHERE seq = 3",
        hex(&header),
        sha256(&header),
        header.len()
    );
    edit(folder.path(), &sql);
    let found = check(folder.path());
    assert!(found[0].detail.contains("not the one of the log"), "{found:?}");
}

#[test]
fn an_edited_file_is_not_given_out() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    edit(folder.path(), "UPDATE capsule SET file = x'00' WHERE seq = 1");
    let store = open(folder.path());
    let rows = store.view().capsules(None).unwrap();
    let row = rows.iter().find(|row| row.seq == 1).unwrap();
    let error = store.view().file(&row.id).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreCorrupt, "{error}");
}

#[test]
fn every_edit_of_a_result_or_a_refused_file_is_named() {
    for sql in [
        "UPDATE result SET output = x'00'",
        "UPDATE result SET output = x'00', sha256 =
         x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'",
        "UPDATE result SET sha256 = zeroblob(32)",
        "UPDATE result SET outcome = 'completed(1)'",
        "UPDATE result SET fuel = 1",
        "UPDATE result SET package = zeroblob(32)",
        "UPDATE result SET entry_point = 'other'",
        "UPDATE result SET entry = 1",
        "DELETE FROM result",
        "UPDATE view SET output = x'00'",
        "UPDATE view SET output = x'00', sha256 =
         x'6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d'",
        "UPDATE view SET name = 'other'",
        "UPDATE view SET scope = zeroblob(32)",
        "UPDATE view SET basis = zeroblob(32)",
        "UPDATE view SET package = zeroblob(32)",
        "UPDATE view SET entry_point = 'other'",
        "UPDATE view SET input = zeroblob(32)",
        "UPDATE view SET last = 9",
        "UPDATE view SET now_ms = 9",
        "UPDATE view SET until_ms = 9",
        "UPDATE view SET outcome = 'completed(1)'",
        "UPDATE view SET fuel = 1",
        "UPDATE view SET entry = 1",
        "DELETE FROM view",
    ] {
        expect(sql, Place::Result, ErrorCode::StoreCorrupt, "");
    }
    for sql in [
        "UPDATE proposal SET body = x'00'",
        "UPDATE proposal SET body = x'00' WHERE number = 2",
        "UPDATE proposal SET run = 1",
        "UPDATE proposal SET decision = 'refused' WHERE number = 1",
        "UPDATE proposal SET decision = NULL, entry = NULL",
        "UPDATE proposal SET number = 7 WHERE number = 1",
        "UPDATE proposal SET decision = 'approved', entry = 1 WHERE number = 2",
        "DELETE FROM proposal",
        "DELETE FROM proposal WHERE number = 2",
    ] {
        expect(sql, Place::Proposal, ErrorCode::StoreCorrupt, "");
    }
    for sql in [
        "UPDATE storage SET value = x'00' WHERE key = x'6b'",
        "UPDATE storage SET key = x'00' WHERE key = x'6b'",
        "UPDATE storage SET package = zeroblob(32) WHERE key = x'6b'",
        "INSERT INTO storage VALUES (zeroblob(32), x'00', x'00')",
        "INSERT INTO storage SELECT package, x'00', x'00' FROM storage_head",
        "DELETE FROM storage WHERE key = x'6b'",
        "UPDATE storage_head SET keys = 9",
        "UPDATE storage_head SET bytes = 9",
        "UPDATE storage_head SET root = zeroblob(32)",
        "UPDATE storage_head SET entry = 1",
        "UPDATE storage_head SET entry = NULL",
        "DELETE FROM storage; DELETE FROM storage_head",
    ] {
        expect(sql, Place::Storage, ErrorCode::StoreCorrupt, "");
    }
    for sql in [
        "UPDATE quarantine SET code = 'E001_UNKNOWN_FORMAT'",
        "UPDATE quarantine SET detail = 'nothing'",
        "UPDATE quarantine SET file = x'00'",
        "UPDATE quarantine SET size = 1",
        "UPDATE quarantine SET entry = 1",
        "UPDATE quarantine SET sha256 = zeroblob(32)",
    ] {
        expect(sql, Place::Quarantine, ErrorCode::StoreCorrupt, "");
    }
}

#[test]
fn a_receipt_that_nobody_verified_is_named() {
    for sql in [
        "INSERT INTO receipt SELECT zeroblob(32), x'', x'', x'', 0",
        "INSERT INTO receipt SELECT zeroblob(32), zeroblob(32), zeroblob(32), x'00', 1",
    ] {
        expect(sql, Place::Receipt, ErrorCode::StoreCorrupt, "");
    }
}

#[test]
fn tables_are_the_ones_that_were_made() {
    for (sql, names) in [
        ("DROP INDEX capsule_seq", "capsule_seq"),
        ("CREATE TABLE more(a)", "more"),
        ("INSERT INTO posting VALUES (0, 0, x'', '', zeroblob(16), 0, 0)", "1 rows of posting"),
    ] {
        expect(sql, Place::Database, ErrorCode::StoreCorrupt, names);
    }
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let connection = Connection::open(Store::file(folder.path())).unwrap();
    connection.execute_batch("DROP TRIGGER entry_u").unwrap();
    assert!(check(folder.path()).iter().any(|damage| damage.detail.contains("entry_u")));
}

#[test]
fn a_changed_or_missing_large_value_is_named() {
    let folder = tempfile::tempdir().unwrap();
    drop(filled(folder.path()));
    let blobs: Vec<_> = fs::read_dir(folder.path().join("blobs")).unwrap().collect();
    let path = blobs[0].as_ref().unwrap().path();
    let mut bytes = fs::read(&path).unwrap();
    bytes[1_000] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let found = check(folder.path());
    assert!(found.iter().any(|damage| damage.place == Place::Blob), "{found:?}");
    fs::remove_file(&path).unwrap();
    let found = check(folder.path());
    assert!(found.iter().any(|damage| damage.place == Place::Blob), "{found:?}");
}

#[test]
fn a_store_whose_end_was_edited_is_not_opened() {
    for (sql, code) in [
        ("DELETE FROM entry WHERE idx = 12", ErrorCode::LogTruncated),
        (
            "INSERT INTO entry SELECT 13, bytes, hash FROM entry WHERE idx = 12",
            ErrorCode::LogChainBroken,
        ),
        (
            "UPDATE entry SET bytes = (SELECT bytes FROM entry WHERE idx = 1) WHERE idx = 12",
            ErrorCode::LogChainBroken,
        ),
        ("UPDATE head SET root = zeroblob(32)", ErrorCode::LogChainBroken),
        ("UPDATE head SET hash = zeroblob(32)", ErrorCode::LogChainBroken),
        (
            "UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND pos = 12",
            ErrorCode::LogChainBroken,
        ),
        ("DELETE FROM node WHERE level = 3", ErrorCode::LogChainBroken),
        ("DELETE FROM head", ErrorCode::StoreCorrupt),
        ("PRAGMA user_version = 2", ErrorCode::StoreOpen),
        ("PRAGMA application_id = 1", ErrorCode::StoreOpen),
    ] {
        let (folder, _) = {
            let folder = tempfile::tempdir().unwrap();
            drop(filled(folder.path()));
            edit(folder.path(), sql);
            (folder, ())
        };
        let error = try_open(folder.path()).unwrap_err();
        assert_eq!(error.code(), code, "{sql}: {error}");
    }
}

#[test]
fn the_last_leaf_is_looked_at_where_the_root_is_made_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = filled(folder.path());
    // Of an even number of leaves the tree's right edge has none.
    refuse(&mut store, b"one more");
    drop(store);
    edit(folder.path(), "UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND pos = 13");
    let error = try_open(folder.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::LogChainBroken, "{error}");
}

#[test]
fn a_log_that_was_cut_and_made_consistent_again_is_told_by_a_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path());
    let saved = store.last_checkpoint().unwrap().unwrap();
    drop(store);
    // The same log, but younger: as if an older copy of the disk had been put back.
    let old = tempfile::tempdir().unwrap();
    let mut younger = open(old.path());
    younger.checkpoint(&log_key()).unwrap();
    let error = younger.check_checkpoint(&saved.checkpoint).unwrap_err();
    assert_eq!(error.code(), ErrorCode::LogTruncated);
    // Another log of the same length.
    let other = tempfile::tempdir().unwrap();
    let other = filled(other.path());
    let error = other.check_checkpoint(&saved.checkpoint).unwrap_err();
    assert_eq!(error.code(), ErrorCode::LogFork);
}

#[test]
fn a_file_that_is_no_store_is_not_opened() {
    let folder = tempfile::tempdir().unwrap();
    let nothing = Store::open(folder.path(), Opening { origin: None, time_ms: 1 }).unwrap_err();
    assert_eq!(nothing.code(), ErrorCode::StoreOpen);
    fs::write(Store::file(folder.path()), b"not a database at all, whatever its name says")
        .unwrap();
    let error = try_open(folder.path()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::StoreCorrupt, "{error}");
}
