//! Requests to listed machines: connect, send, read until the other side closes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use kapsule_abi::{Errno, guard};
use kapsule_engine::{NetRequest, NetworkKind};

/// Time that one request may take in all, besides looking up the name.
///
/// Chosen: a slow server answers within it, and a run that waits for a dead one goes on.
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// The machines that a run may talk to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peers {
    allowed: Vec<(String, u16)>,
}

impl Peers {
    pub(crate) fn allow(&mut self, host: &str, port: u16) {
        self.allowed.push((host.to_owned(), port));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.allowed.is_empty()
    }

    /// Sends a request and fills `buffer` with the answer.
    pub(crate) fn request(&self, request: &NetRequest, buffer: &mut [u8]) -> Result<usize, Errno> {
        let listed = |(host, port): &(String, u16)| *host == request.host && *port == request.port;
        if guard!("host.net.listed", !self.allowed.iter().any(listed)) {
            return Err(Errno::Refused);
        }
        // There is no mesh to send anything through.
        if guard!("host.net.mesh", request.network == NetworkKind::Mesh) {
            return Err(Errno::Refused);
        }
        exchange(request, buffer).map_err(|_| Errno::Unreachable)
    }
}

fn exchange(request: &NetRequest, buffer: &mut [u8]) -> io::Result<usize> {
    let start = Instant::now();
    let left = || {
        let left = REQUEST_TIME.saturating_sub(start.elapsed());
        if left.is_zero() { Err(io::ErrorKind::TimedOut) } else { Ok(left) }
    };
    let mut stream = connect(&request.host, request.port, left)?;
    stream.set_write_timeout(Some(left()?))?;
    stream.write_all(&request.bytes)?;
    stream.shutdown(Shutdown::Write)?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Connects to the first address of a name that answers: many names have one of IPv6 and one of
/// IPv4, and a server may listen on either.
fn connect(
    host: &str,
    port: u16,
    left: impl Fn() -> Result<Duration, io::ErrorKind>,
) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left()?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
