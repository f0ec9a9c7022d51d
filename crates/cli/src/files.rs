//! Files named on the command line: bounded reading, atomic writing, `-` for stdin and stdout.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};

use crate::error::Failure;
use crate::ui::Ui;

/// Greatest input of a run, in bytes.
///
/// Chosen: a run reads its input into 64 MiB of guest memory at most, usually piece by piece.
pub(crate) const INPUT_BYTES_MAX: u64 = 1 << 30;

/// Tells whether a path means stdin or stdout.
pub(crate) fn is_dash(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Refuses several of these files to be stdin.
pub(crate) fn check_one_stdin(named: &[Option<&Path>]) -> Result<(), Failure> {
    if named.iter().flatten().filter(|path| is_dash(path)).count() > 1 {
        let hint = "give all but one of them as files";
        return Err(Failure::usage("only one of the files can come from stdin", hint));
    }
    Ok(())
}

/// Names a path in a message.
pub(crate) fn name(path: &Path) -> String {
    if is_dash(path) { "stdin".to_owned() } else { path.display().to_string() }
}

/// Reads a whole file, or stdin for `-`, of at most `limit` bytes.
///
/// `what` names the limit in the error, for example `package`.
pub(crate) fn read(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>, Failure> {
    let unreadable = |error: io::Error| {
        let hint = "check the path and its permissions; `-` means stdin";
        Failure::usage(format!("cannot read {what} {}", name(path)), hint).cause(error)
    };
    let mut bytes = Vec::new();
    // One byte more than allowed tells a file at the limit from one above it.
    let read = if is_dash(path) {
        io::stdin().lock().take(limit.saturating_add(1)).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).map_err(unreadable)?;
        // Room for all of it and for the read that finds the end; the length is only a hint.
        let length = file.metadata().map_or(0, |found| found.len()).min(limit);
        bytes.reserve_exact(usize::try_from(length).map_or(0, |length| length + 1));
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)
    };
    read.map_err(unreadable)?;
    if guard!("cli.files.limit", bytes.len() as u64 > limit) {
        return Err(Failure::new(
            ErrorCode::LimitExceeded,
            format!("{what} {} is too large", name(path)),
            "print the limits with `kapsule limits`",
        )
        .cause(format!("{what} exceeds the limit of {limit} bytes")));
    }
    Ok(bytes)
}

/// Refuses a place that cannot be written, before any work is done for it.
pub(crate) fn check_writable(path: &Path) -> Result<(), Failure> {
    if is_dash(path) {
        return Ok(());
    }
    let directory = directory(path);
    if directory.is_dir() && !path.is_dir() {
        return Ok(());
    }
    let found = if path.is_dir() { "it is a directory" } else { "its directory does not exist" };
    let hint = "name a file in a directory that exists";
    Err(Failure::usage(format!("cannot write {}", path.display()), hint).cause(found))
}

/// Refuses a place for the result of a command that cannot be written or is taken.
pub(crate) fn check_result(ui: &Ui, path: &Path) -> Result<(), Failure> {
    if ui.json() && is_dash(path) {
        let hint = "name a file with -o";
        return Err(Failure::usage("--json and `-o -` both need stdout", hint));
    }
    check_writable(path)
}

/// Writes a file so that a reader sees the old bytes or the new ones, or writes to stdout for `-`.
///
/// A link is followed, and what is no ordinary file (a device, a pipe) is written in place.
pub(crate) fn write(ui: &Ui, path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    if is_dash(path) {
        return ui.data(bytes);
    }
    let written = match fs::canonicalize(path) {
        Ok(found) if !found.is_file() => {
            OpenOptions::new().write(true).open(&found).and_then(|mut file| file.write_all(bytes))
        }
        Ok(found) => replace(&found, bytes),
        Err(_) => replace(path, bytes),
    };
    written.map_err(|error| {
        let hint = "check the directory, its permissions and the free space";
        Failure::usage(format!("cannot write {}", path.display()), hint).cause(error)
    })
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, 0o666, bytes)
}

fn replace_with_mode(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_beside(path);
    create_new(&temporary, mode, bytes).and_then(|()| fs::rename(&temporary, path)).inspect_err(
        // The temporary file is ours alone; if it cannot be removed either, the cause is told.
        |_| drop(fs::remove_file(&temporary)),
    )
}

/// Puts other bytes into a secret file, which keeps the mode of one.
///
/// A reader sees the old bytes or the new ones.
pub(crate) fn replace_secret(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_with_mode(path, 0o600, bytes)
}

/// Writes one of many results, whole or not at all; a power cut may still take it.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let temporary = temporary_beside(path);
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        drop(fs::remove_file(&temporary));
        let hint = "check the directory, its permissions and the free space";
        Failure::usage(format!("cannot write {}", path.display()), hint).cause(error)
    })
}

/// Returns the names of the files beside `path` whose name is that of `path`, a dot and more, and
/// that `wanted` accepts; ascending, and at most `limit`.
pub(crate) fn companions(path: &Path, wanted: impl Fn(&str) -> bool, limit: usize) -> Vec<String> {
    let Some(file_name) = path.file_name().filter(|_| !is_dash(path)) else {
        return Vec::new();
    };
    let start = format!("{}.", file_name.to_string_lossy());
    let Ok(entries) = fs::read_dir(directory(path)) else {
        return Vec::new();
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let own = |name: &String| name.starts_with(&start) && wanted(name);
    let mut names: Vec<String> = names.filter(own).collect();
    names.sort();
    names.truncate(limit);
    names
}

/// Creates a file that must not exist, with `mode` less the umask, and writes it through.
pub(crate) fn create_new(path: &Path, mode: u32, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Returns a name in the same directory, since a rename does not cross file systems.
fn temporary_beside(path: &Path) -> PathBuf {
    let mut file = std::ffi::OsString::from(".");
    file.push(path.file_name().unwrap_or_default());
    file.push(format!(".{}.tmp", std::process::id()));
    directory(path).join(file)
}
