//! Links, special files, locks, damage, and machines on the loopback interface.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::mpsc::channel;
use std::thread;

use kapsule_abi::{Errno, ErrorCode};
use kapsule_engine::{Effects, Host, MemoryHost};
use kapsule_host::DirectoryHost;

use crate::support::*;

#[test]
fn no_link_leads_out_of_a_directory() {
    let disk = OnDisk::new();
    fs::create_dir(disk.path("secret")).unwrap();
    fs::write(disk.path("secret/key"), b"key").unwrap();
    symlink(disk.path("secret"), disk.path("files/directory")).unwrap();
    symlink(disk.path("secret/key"), disk.path("files/file")).unwrap();
    symlink("dir/a", disk.path("files/inside")).unwrap();
    symlink(disk.path("secret/new"), disk.path("files/dangling")).unwrap();
    let mut host = disk.host();
    for path in ["/data/directory/key", "/data/file", "/data/inside", "/data/dangling"] {
        assert_eq!(read(&mut host, path), Err(Errno::Refused), "{path}");
        assert_eq!(host.file_writable(path).unwrap(), Err(Errno::Refused), "{path}");
        let files = [(path.to_string(), b"over".to_vec())].into();
        host.apply(&Effects { files, ..Effects::default() }).unwrap_err();
    }
    assert_eq!(fs::read(disk.path("secret/key")).unwrap(), b"key");
    assert!(!disk.path("secret/new").exists());
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let disk = OnDisk::new();
    let fifo = disk.path("files/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut host = disk.host();
    for path in ["/data/fifo", "/data/dir"] {
        assert_eq!(read(&mut host, path), Err(Errno::Refused), "{path}");
        assert_eq!(host.file_writable(path).unwrap(), Err(Errno::Refused), "{path}");
    }
    assert_eq!(read(&mut host, "/data/dir/a/below"), Err(Errno::Refused));
    assert_eq!(read(&mut host, "/data/DIR/A"), Err(Errno::NotFound));
    assert_eq!(read(&mut host, "/elsewhere"), Err(Errno::Refused));
}

#[test]
fn a_mount_has_a_guest_path_of_its_own() {
    let disk = OnDisk::new();
    let mut host = disk.host();
    host.mount("/one", &disk.path("files/dir/a")).unwrap();
    assert_eq!(read(&mut host, "/one"), Ok(b"0123456789".to_vec()));
    let refused = |host: &mut DirectoryHost, guest: &str| {
        host.mount(guest, &disk.path("files")).unwrap_err().code
    };
    for guest in ["relative", "/a/../b", "//", ""] {
        assert_eq!(refused(&mut host, guest), ErrorCode::SchemaViolation, "{guest:?}");
    }
    assert_eq!(refused(&mut host, "/data/"), ErrorCode::AuthoringAmbiguous);
    let absent = host.mount("/absent/", &disk.path("absent")).unwrap_err();
    assert_eq!(absent.code, ErrorCode::StoreOpen);
}

#[test]
fn effects_that_cannot_all_be_prepared_change_nothing() {
    let disk = OnDisk::new();
    let mut host = disk.host();
    let change = [(b"a".to_vec(), None)].into();
    let effects = Effects {
        storage: [(package(1), change)].into(),
        files: [("/data/dir/a", "x"), ("/data/none/b", "x")]
            .map(|(path, text)| (path.to_string(), text.as_bytes().to_vec()))
            .into(),
        proposals: vec![],
    };
    host.apply(&effects).unwrap_err();
    assert_eq!(host.storage_get(&package(1), b"a").unwrap(), Some(b"one".to_vec()));
    assert_eq!(read(&mut host, "/data/dir/a"), Ok(b"0123456789".to_vec()));
    let left = fs::read_dir(disk.path("files/dir")).unwrap().count();
    assert_eq!(left, 1, "a temporary file stayed");
}

#[test]
fn one_process_at_a_time_has_a_storage() {
    let disk = OnDisk::new();
    let mut first = disk.host();
    first.open_storage(&package(1)).unwrap();
    let error = disk.host().open_storage(&package(1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::WriteConflict);
    disk.host().open_storage(&package(2)).unwrap();
    drop(first);
    disk.host().open_storage(&package(1)).unwrap();
}

#[test]
fn a_damaged_or_foreign_storage_is_not_opened() {
    let disk = OnDisk::new();
    let file = disk.path("state").join(package(1).to_string()).join("storage.klog");
    let other = disk.path("state").join(package(2).to_string());
    fs::create_dir_all(&other).unwrap();
    fs::copy(&file, other.join("storage.klog")).unwrap();
    let error = disk.host().open_storage(&package(2)).unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = disk.host().open_storage(&package(1)).unwrap_err();
    assert_eq!(error.code, ErrorCode::StoreCorrupt);
    assert!(disk.host().storage_get(&package(1), b"a").is_err());
}

#[test]
fn a_dag_directory_holds_metadata_only() {
    let disk = OnDisk::new();
    let open = || DirectoryHost::new(MemoryHost::default()).dag(&disk.path("dag"));
    open().unwrap();
    fs::write(disk.path("dag/readme.txt"), b"left alone").unwrap();
    open().unwrap();
    let file = disk.path("dag").join(format!("{}.cbor", id(7)));
    fs::write(&file, b"\xa0").unwrap();
    assert_eq!(open().unwrap_err().code, ErrorCode::StoreCorrupt);
    fs::remove_file(&file).unwrap();
    fs::write(disk.path("dag/short.cbor"), graph().metadata[0].encode()).unwrap();
    assert_eq!(open().unwrap_err().code, ErrorCode::StoreCorrupt);
}

/// A folder of `/proc` opens by the number of any thread, and is listed by those of processes only.
#[cfg(target_os = "linux")]
#[test]
fn an_entry_that_its_folder_does_not_list_is_not_found() {
    let mut host = DirectoryHost::new(MemoryHost::default());
    host.mount("/proc/", Path::new("/proc")).unwrap();
    let process = std::process::id();
    assert!(read(&mut host, &format!("/proc/{process}/status")).is_ok());
    let (say, number) = channel();
    let (end, wait) = channel::<()>();
    let thread = thread::spawn(move || {
        let own = fs::read_link("/proc/thread-self").unwrap();
        say.send(own.file_name().unwrap().to_str().unwrap().to_owned()).unwrap();
        wait.recv()
    });
    let number = number.recv().unwrap();
    assert!(fs::metadata(format!("/proc/{number}/status")).unwrap().is_file());
    assert_eq!(read(&mut host, &format!("/proc/{number}/status")), Err(Errno::NotFound));
    drop(end);
    assert!(thread.join().unwrap().is_err());
}

/// Serves one connection: reads all, answers twice what came.
fn echo() -> (u16, thread::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).unwrap();
        stream.write_all(&asked.repeat(2)).unwrap();
        asked
    });
    (port, served)
}

#[test]
fn a_listed_machine_is_asked_once() {
    for (len, expect) in [(64, "pingping"), (5, "pingp")] {
        let (port, served) = echo();
        let mut host = DirectoryHost::new(MemoryHost::default());
        host.allow("127.0.0.1", port);
        let mut buffer = vec![0; len];
        let count = host.net_request(&request(port), &mut buffer).unwrap().unwrap();
        assert_eq!(&buffer[..count], expect.as_bytes());
        assert_eq!(served.join().unwrap(), b"ping");
        assert!(!host.reset(), "a request cannot be unsent");
    }
}

#[test]
fn every_address_of_a_name_is_tried() {
    // On many machines the name has the address ::1 too, and the server does not listen there.
    let (port, served) = echo();
    let mut host = DirectoryHost::new(MemoryHost::default());
    host.allow("localhost", port);
    let mut by_name = request(port);
    by_name.host = "localhost".into();
    assert_eq!(host.net_request(&by_name, &mut [0; 64]).unwrap(), Ok(8));
    assert_eq!(served.join().unwrap(), b"ping");
}

#[test]
fn a_machine_that_is_not_listed_or_not_there_is_not_talked_to() {
    // Nobody listens on a port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut host = DirectoryHost::new(MemoryHost::default());
    assert!(host.reset());
    assert_eq!(host.net_request(&request(free), &mut [0; 9]).unwrap(), Err(Errno::Refused));
    host.allow("127.0.0.1", free);
    assert_eq!(host.net_request(&request(free), &mut [0; 9]).unwrap(), Err(Errno::Unreachable));
    let mut mesh = request(free);
    mesh.network = kapsule_engine::NetworkKind::Mesh;
    assert_eq!(host.net_request(&mesh, &mut [0; 9]).unwrap(), Err(Errno::Refused));
    let mut other = request(free);
    other.host = "localhost".into();
    assert_eq!(host.net_request(&other, &mut [0; 9]).unwrap(), Err(Errno::Refused));
}
