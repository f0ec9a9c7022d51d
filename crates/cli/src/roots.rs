//! The trust file in use: read with its companions, and followed back to where it is anchored.

use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::known::Known;
use kapsule_format::limits::{ENVELOPE_BYTES_MAX, JSON_FILE_BYTES_MAX, TRUST_COMPANIONS_MAX};
use kapsule_format::trust::{Chain, CompanionName, Link, Trust};
use kapsule_format::{DecodeError, Digest, hash};

use crate::error::Failure;
use crate::files;

/// Greatest number of earlier files that are looked at.
///
/// Chosen: with a new file every week, twenty years.
const CHAIN_FILES_MAX: usize = 1_024;

/// A trust file as it lies on the disk.
pub(crate) struct TrustFile {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// Its companions as (file name, bytes), in order of their names.
    pub(crate) companions: Vec<(String, Vec<u8>)>,
}

impl TrustFile {
    /// Reads a trust file and the companions beside it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let bytes = files::read(path, "trust file", JSON_FILE_BYTES_MAX as u64)?;
        let own = path.file_name().unwrap_or_default().to_string_lossy();
        // The companions of an earlier file begin with the name of this one as well.
        let is_companion = |name: &str| {
            CompanionName::parse(name).is_ok_and(|parsed| parsed.file_name(&own) == name)
        };
        // One more than allowed, so that the reader of the chain notices.
        let names = files::companions(path, is_companion, TRUST_COMPANIONS_MAX + 1);
        let read = |name: String| {
            let path = path.with_file_name(&name);
            let bytes = files::read(&path, "envelope", ENVELOPE_BYTES_MAX as u64)?;
            Ok((name, bytes))
        };
        let companions = names.into_iter().map(read).collect::<Result<_, Failure>>()?;
        Ok(Self { path: path.to_owned(), bytes, companions })
    }

    /// Decodes the file.
    pub(crate) fn trust(&self) -> Result<Trust, Failure> {
        Trust::decode(&self.bytes).map_err(|error| {
            let hint = "write one with `kapsule key trust NAME -o trust.json`";
            Failure::decode(format!("{} is not a trust file", self.path.display()), &error, hint)
        })
    }

    fn link(&self) -> Link<'_> {
        let companions = self.companions.iter();
        Link {
            bytes: &self.bytes,
            companions: companions.map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect(),
        }
    }
}

/// Returns the place where the file of an earlier serial is kept.
pub(crate) fn earlier(path: &Path, serial: u64) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{serial}"));
    path.with_file_name(name)
}

/// Trust roots and where they came from.
pub(crate) struct Roots {
    /// The file.
    pub(crate) path: PathBuf,
    /// Its content.
    pub(crate) trust: Trust,
    /// The chain that leads to it, or why it is not the file to be used.
    pub(crate) chain: Result<Chain, DecodeError>,
    /// The file that is pinned.
    pub(crate) pin: Option<Digest>,
}

impl Roots {
    /// Reads a trust file and follows its chain back to the pin, to what is known, or to serial 1.
    pub(crate) fn read(
        path: &Path,
        pin: Option<&Digest>,
        known: &Known,
        insecure_dev: bool,
    ) -> Result<Self, Failure> {
        let newest = TrustFile::read(path)?;
        let trust = newest.trust()?;
        let chain = follow(path, newest, pin, known)?;
        let chain = verify(&chain, insecure_dev)
            .and_then(|chain| known.check_chain(&chain, pin).map(|()| chain));
        Ok(Self { path: path.to_owned(), trust, chain, pin: pin.copied() })
    }

    /// Says in one line what the file is and why it is used.
    pub(crate) fn describe(&self) -> String {
        let (path, serial) = (self.path.display(), self.trust.serial);
        let chain = match &self.chain {
            Ok(chain) => chain,
            Err(error) => return format!("{path}, serial {serial}, refused: {error}"),
        };
        let signed = match (chain.signers().len(), serial.saturating_sub(1)) {
            (0, _) => String::new(),
            (1, before) => format!(", signed by 1 root identity of serial {before}"),
            (count, before) => format!(", signed by {count} root identities of serial {before}"),
        };
        let first = chain.first_serial();
        let anchor = match &self.pin {
            Some(pin) if !chain.digests().starts_with(&[*pin]) => {
                ", known to follow the pin".into()
            }
            Some(_) if first == serial => ", pinned".into(),
            Some(_) => format!(", pinned by serial {first}"),
            None if first == 1 => ", not pinned".into(),
            None => ", known from before, not pinned".into(),
        };
        format!("{path}, serial {serial}{signed}{anchor}")
    }
}

/// Reads the earlier files as far as they are needed and there, oldest first.
fn follow(
    path: &Path,
    newest: TrustFile,
    pin: Option<&Digest>,
    known: &Known,
) -> Result<Vec<TrustFile>, Failure> {
    let mut files = vec![newest];
    while let Some(oldest) = files.last() {
        let digest = hash::sha256(&oldest.bytes);
        // What an earlier file is said to be is checked with the chain.
        let serial = Trust::decode(&oldest.bytes).map_or(1, |trust| trust.serial);
        let before = earlier(path, serial.saturating_sub(1));
        if serial == 1 || known.is_anchor(&digest, pin) || !before.is_file() {
            break;
        }
        if guard!("cli.trust.chain_files", files.len() > CHAIN_FILES_MAX) {
            let message = format!("{} has too many earlier files", path.display());
            let hint = "pin a later file with `kapsule accept --pin FILE`";
            return Err(Failure::new(ErrorCode::LimitExceeded, message, hint));
        }
        let earlier = TrustFile::read(&before)?;
        files.push(earlier);
    }
    files.reverse();
    Ok(files)
}

fn verify(files: &[TrustFile], insecure_dev: bool) -> Result<Chain, DecodeError> {
    let (first, rest) = files.split_first().expect("the newest file is always there");
    let mut chain = Chain::begin(&first.bytes)?;
    rest.iter().try_for_each(|file| chain.extend(&file.link(), insecure_dev))?;
    Ok(chain)
}
