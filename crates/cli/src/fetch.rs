//! Files by their SHA-256, from a directory or by plain HTTP.
//!
//! A file is at `blobs/sha256/HEX` below the directory or the address, as it is in a receipt that
//! was unpacked with tar.
//! Whatever comes back is compared with its name before anything reads it.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::Digest;
use kapsule_format::container::BLOBS;
use kapsule_format::hash::sha256;

use crate::error::Failure;
use crate::files;
use crate::ui::Ui;

/// How long a provider is waited for at each step.
const TIMEOUT: Duration = Duration::from_millis(5_000);
/// How often a provider is asked that did not answer.
const TRIES: u32 = 3;
/// Greatest size of what stands before a body in bytes; servers send some hundreds.
const HEAD_BYTES_MAX: usize = 16_384;

/// Where files are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A directory.
    Directory(PathBuf),
    /// A server.
    Http {
        /// Name and port.
        host: String,
        /// Path, without a slash at its end.
        path: String,
    },
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix("http://") else {
            if text.contains("://") {
                return Err("a source is a directory or begins with http://".to_owned());
            }
            return Ok(Self::Directory(text.into()));
        };
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'@');
        if host.is_empty() || !host.bytes().chain(path.bytes()).all(plain) {
            return Err("an address is http://HOST[:PORT][/PATH]".to_owned());
        }
        let port = if host.contains(':') { "" } else { ":80" };
        let path = path.trim_end_matches('/');
        let path = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self::Http { host: format!("{host}{port}"), path })
    }
}

impl Source {
    /// Finds a file; `None` where the source does not have it.
    ///
    /// Reads no more than `limit` bytes, and waits for a server at most some seconds.
    pub(crate) fn get(&self, digest: &Digest, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let name = format!("{BLOBS}{digest}");
        let found = match self {
            Self::Directory(directory) => {
                let path = directory.join(&name);
                match path.is_file() {
                    true => Some(files::read(&path, "file", limit)?),
                    false => None,
                }
            }
            Self::Http { host, path } => ask(host, &format!("{path}/{name}"), limit)?,
        };
        if let Some(bytes) = &found
            && guard!("cli.fetch.digest", sha256(bytes) != *digest)
        {
            let message = format!("what the source has as {digest} is something else");
            let hint = "ask another source; nothing of it was used";
            return Err(Failure::new(ErrorCode::BundleMismatch, message, hint));
        }
        Ok(found)
    }

    /// Finds a file of a directory by its length and by what it is; a server has no list of files.
    pub(crate) fn find(
        &self,
        size: u64,
        is_it: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, Failure> {
        let Self::Directory(directory) = self else { return Ok(None) };
        let entries = fs::read_dir(directory.join(BLOBS)).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let right =
                fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == size);
            if right {
                let bytes = files::read(&path, "file", size)?;
                if is_it(&bytes) {
                    return Ok(Some(bytes));
                }
            }
        }
        Ok(None)
    }
}

/// Keeps a file in a directory under its SHA-256.
pub(crate) fn keep(ui: &Ui, directory: &Path, bytes: &[u8]) -> Result<Digest, Failure> {
    let (digest, folder) = (sha256(bytes), directory.join(BLOBS));
    fs::create_dir_all(&folder).map_err(|error| {
        let message = format!("cannot make {}", folder.display());
        Failure::usage(message, "name a directory that can be made").cause(error)
    })?;
    files::write(ui, &folder.join(digest.to_string()), bytes)?;
    Ok(digest)
}

/// Asks a server, again where it does not answer.
fn ask(host: &str, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
    let mut last = None;
    for _ in 0..TRIES {
        match request(host, path, limit) {
            Ok(answer) => return interpret(host, path, &answer, limit),
            Err(error) => last = Some(error),
        }
    }
    let message = format!("{host} did not answer");
    let hint = "see whether the server is up, or name another source with --fetch";
    let failure = Failure::new(ErrorCode::ProviderTimeout, message, hint);
    Err(last.into_iter().fold(failure, Failure::cause))
}

/// Makes one request of HTTP 1.0, so that the answer ends with the connection.
fn request(host: &str, path: &str, limit: u64) -> std::io::Result<Vec<u8>> {
    let address = host.to_socket_addrs()?.next();
    let address = address.ok_or_else(|| std::io::Error::from(ErrorKind::AddrNotAvailable))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let head = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = Vec::new();
    // One byte more than allowed, so that the reader notices.
    let most = limit.saturating_add(HEAD_BYTES_MAX as u64 + 1);
    stream.take(most).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Returns the body of an answer, or `None` where the server has no such file.
fn interpret(
    host: &str,
    path: &str,
    answer: &[u8],
    limit: u64,
) -> Result<Option<Vec<u8>>, Failure> {
    let odd = |cause: String| {
        let message = format!("{host} gave no file for {path}");
        let hint = "see whether the address is right; plain HTTP without redirection is meant";
        Failure::new(ErrorCode::BundleAbsent, message, hint).cause(cause)
    };
    let end = answer.windows(4).take(HEAD_BYTES_MAX).position(|window| window == b"\r\n\r\n");
    let end = end.ok_or_else(|| odd("the answer has no head".into()))?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let status = head.lines().next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    match status {
        "200" => {}
        "404" | "410" => return Ok(None),
        other => return Err(odd(format!("the status is {other:?}"))),
    }
    let body = &answer[end + 4..];
    if guard!("cli.fetch.limit", body.len() as u64 > limit) {
        let message = format!("what {host} sent is too large");
        return Err(Failure::new(ErrorCode::LimitExceeded, message, "ask another source")
            .cause(format!("the file has more than {limit} bytes")));
    }
    Ok(Some(body.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_directories_and_plain_addresses() {
        let http = |host: &str, path: &str| Source::Http { host: host.into(), path: path.into() };
        for (text, expect) in [
            ("here", Source::Directory("here".into())),
            ("http://a.example", http("a.example:80", "")),
            ("http://a.example:8080/x/y/", http("a.example:8080", "/x/y")),
        ] {
            assert_eq!(text.parse(), Ok(expect));
        }
        for text in ["https://a.example", "http://", "http:///x", "http://a b", "http://a/x?y"] {
            assert!(text.parse::<Source>().is_err(), "{text}");
        }
    }

    #[test]
    fn answers_are_read_to_their_limit() {
        let read = |answer: &str, limit| interpret("h", "/p", answer.as_bytes(), limit);
        let body = read("HTTP/1.1 200 OK\r\nA: b\r\n\r\nxyz", 3).unwrap();
        assert_eq!(body.as_deref(), Some(&b"xyz"[..]));
        assert_eq!(read("HTTP/1.1 404 Not Found\r\n\r\nno", 3).unwrap(), None);
        let code = |answer, limit| read(answer, limit).unwrap_err().kind;
        for (answer, limit, expect) in [
            ("HTTP/1.1 200 OK\r\n\r\nxyz", 2, ErrorCode::LimitExceeded),
            ("HTTP/1.1 301 Moved\r\n\r\n", 3, ErrorCode::BundleAbsent),
            ("HTTP/1.1 200 OK\r\n", 3, ErrorCode::BundleAbsent),
        ] {
            assert_eq!(code(answer, limit), crate::error::Kind::Code(expect));
        }
    }
}
