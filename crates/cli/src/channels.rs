//! The channels of a home: keyrings that were accepted, keys of epochs, own capsules, heads.
//!
//! One directory for each channel, below `channels` of the data directory:
//!
//! | file | holds |
//! |---|---|
//! | `name` | local name |
//! | `keyring-<epoch>.kapsule` | accepted keyring |
//! | `epoch-<epoch>.ageid` | age identity of an epoch; secret, an ordinary age file |
//! | `readers` | age recipients of the members, for the next epoch |
//! | `heads.json` | [`heads::Heads`] |
//! | `capsules/<capsule id>.kapsule` | capsules written here |

pub(crate) mod heads;

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Body, Capsule, CapsuleId, ChannelId, Finding, Held, KeyringAt, Meta, Surroundings, standing,
};
use kapsule_format::encrypt::{Identities, Recipient};
use kapsule_format::limits::CAPSULE_BYTES_MAX;
use zeroize::Zeroizing;

use crate::error::Failure;
use crate::files;
use crate::keystore::read_secret_file;
use crate::paths::Home;
use crate::reading::verified;
use heads::Heads;

/// Least number of hex digits that may stand for a channel id.
pub(crate) const PREFIX_DIGITS_MIN: usize = 8;

/// The channels of a home.
pub(crate) struct Channels {
    directory: PathBuf,
}

/// One channel, as far as this home knows it.
pub(crate) struct Channel {
    directory: PathBuf,
    /// Its id.
    pub(crate) id: ChannelId,
    /// What this home calls it.
    pub(crate) name: String,
    /// Accepted keyrings, ascending by epoch from 0.
    pub(crate) keyrings: Vec<KeyringAt>,
}

impl Channels {
    /// Finds those of a home.
    pub(crate) fn of(home: &Home) -> Self {
        Self { directory: home.channels() }
    }

    /// Returns every channel, ascending by name.
    pub(crate) fn list(&self) -> Result<Vec<Channel>, Failure> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unusable(&self.directory, &error)),
        };
        let mut channels = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| unusable(&self.directory, &error))?;
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let Some(id) = id {
                channels.push(Channel::read(entry.path(), id)?);
            }
        }
        channels.sort_by(|left, right| (&left.name, left.id).cmp(&(&right.name, right.id)));
        Ok(channels)
    }

    /// Returns the channel with this id, if the home knows it.
    pub(crate) fn get(&self, id: ChannelId) -> Result<Option<Channel>, Failure> {
        let directory = self.directory.join(id.to_string());
        directory.is_dir().then(|| Channel::read(directory, id)).transpose()
    }

    /// Finds a channel by its name, its id or the start of its id; without one, the only channel.
    pub(crate) fn find(&self, named: Option<&str>) -> Result<Channel, Failure> {
        let mut all = self.list()?;
        let count = all.len();
        let hint = "name it as `kapsule channel list` shows it; `kapsule channel new` makes one";
        if let Some(name) = named {
            let is_prefix = name.len() >= PREFIX_DIGITS_MIN;
            all.retain(|channel| {
                channel.name == name || (is_prefix && channel.id.to_string().starts_with(name))
            });
        }
        let found = all.len();
        match <[Channel; 1]>::try_from(all) {
            Ok([channel]) => Ok(channel),
            Err(_) => Err(match named {
                Some(name) => {
                    let message = format!("{name:?} names {found} of {count} channels");
                    Failure::new(ErrorCode::KeyNotFound, message, hint)
                }
                None => Failure::usage(format!("this home has {count} channels"), hint),
            }),
        }
    }

    /// Starts the directory of a channel from its genesis, which the caller has checked.
    pub(crate) fn create(&self, name: &str, genesis: &[u8]) -> Result<Channel, Failure> {
        let capsule = Capsule::decode(genesis).map_err(|error| damaged(&self.directory, &error))?;
        let id = capsule.meta().channel_id();
        let directory = self.directory.join(id.to_string());
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|error| unusable(&directory, &error))?;
        files::write_new(&directory.join("name"), name.as_bytes())?;
        let mut channel = Channel { directory, id, name: name.to_owned(), keyrings: Vec::new() };
        let lock = channel.lock()?;
        channel.add_keyring(&lock, genesis)?;
        Ok(channel)
    }

    /// Refuses a local name that is taken, or that reads like an id.
    pub(crate) fn check_name(&self, name: &str) -> Result<(), Failure> {
        let hint = "choose another name; it is for you alone";
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let good = (1..=64).contains(&name.len()) && name.bytes().all(plain);
        let like_an_id =
            name.len() >= PREFIX_DIGITS_MIN && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !good || like_an_id {
            let message = format!("{name:?} cannot name a channel");
            return Err(Failure::usage(message, hint).cause(
                "allowed are 1 to 64 of A-Z a-z 0-9 . _ -, but not 8 or more hex digits alone",
            ));
        }
        if self.list()?.iter().any(|channel| channel.name == name) {
            let message = format!("there is a channel {name:?} already");
            return Err(Failure::new(ErrorCode::WriteConflict, message, hint));
        }
        Ok(())
    }
}

impl Channel {
    fn read(directory: PathBuf, id: ChannelId) -> Result<Self, Failure> {
        let name = files::read(&directory.join("name"), "channel name", 64)?;
        let name = String::from_utf8_lossy(&name).into_owned();
        let mut channel = Self { directory, id, name, keyrings: Vec::new() };
        loop {
            let path = channel.keyring_path(channel.keyrings.len() as u64);
            if !path.exists() {
                return Ok(channel);
            }
            let bytes = files::read(&path, "keyring", CAPSULE_BYTES_MAX)?;
            let at = keyring_at(&bytes).map_err(|error| damaged(&path, &error))?;
            channel.keyrings.push(at);
        }
    }

    /// Returns the path of the keyring of an epoch.
    pub(crate) fn keyring_path(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("keyring-{epoch}.kapsule"))
    }

    fn epoch_path(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("epoch-{epoch}.ageid"))
    }

    fn capsule_path(&self, id: &CapsuleId) -> PathBuf {
        self.directory.join("capsules").join(format!("{id}.kapsule"))
    }

    /// Returns the keyring of an epoch.
    pub(crate) fn keyring(&self, epoch: u64) -> Option<&KeyringAt> {
        self.keyrings.get(usize::try_from(epoch).ok()?)
    }

    /// Returns the keyring that writers use at a time: the highest one that is in force.
    pub(crate) fn current(&self, now_ms: u64) -> Result<&KeyringAt, Failure> {
        let in_force = |at: &&KeyringAt| at.keyring.not_before_ms <= now_ms;
        self.keyrings.iter().rev().find(in_force).ok_or_else(|| {
            let message = format!("channel {} has no epoch in force yet", self.name);
            let hint = "wait until the keyring is in force, or ask an owner of the channel";
            Failure::new(ErrorCode::KeyringAuthority, message, hint)
        })
    }

    /// Returns the identities of all epochs that this home holds or that are public.
    pub(crate) fn identities(&self) -> Result<Identities, Failure> {
        let mut identities = Identities::default();
        for at in &self.keyrings {
            if let Some(text) = self.epoch_key(at)? {
                let read = Identities::decode(&text);
                identities.extend(read.map_err(|error| damaged(&self.directory, &error))?);
            }
        }
        Ok(identities)
    }

    /// Returns the identity of an epoch as text, if this home holds it or it is public.
    pub(crate) fn epoch_key(&self, at: &KeyringAt) -> Result<Option<Zeroizing<String>>, Failure> {
        let path = self.epoch_path(at.keyring.epoch);
        if !path.exists() {
            return Ok(at.keyring.identity.clone().map(Zeroizing::new));
        }
        let bytes = read_secret_file(&path)?;
        let text = std::str::from_utf8(&bytes).map_err(|error| damaged(&path, &error))?;
        Ok(Some(Zeroizing::new(text.to_owned())))
    }

    /// Keeps a keyring that the caller has checked, and follows it.
    pub(crate) fn add_keyring(&mut self, lock: &Lock, bytes: &[u8]) -> Result<(), Failure> {
        let at = keyring_at(bytes).map_err(|error| damaged(&self.directory, &error))?;
        files::write_new(&self.keyring_path(at.keyring.epoch), bytes)?;
        let mut heads = self.heads(lock)?;
        let capsule = Capsule::decode(bytes).map_err(|error| damaged(&self.directory, &error))?;
        heads.note(capsule.meta(), at.id);
        self.keep_heads(lock, &heads)?;
        self.keyrings.push(at);
        Ok(())
    }

    /// Keeps the identity of an epoch.
    pub(crate) fn keep_epoch_key(&self, epoch: u64, text: &str) -> Result<(), Failure> {
        let path = self.epoch_path(epoch);
        let bytes = Zeroizing::new(format!("{}\n", text.trim_end()));
        files::replace_secret(&path, bytes.as_bytes()).map_err(|error| unusable(&path, &error))
    }

    /// Returns the members that the next epoch is encrypted to.
    pub(crate) fn readers(&self) -> Result<Vec<Recipient>, Failure> {
        let path = self.directory.join("readers");
        if !path.exists() {
            return Ok(Vec::new());
        }
        let bytes = files::read(&path, "readers", 65_536)?;
        if bytes.is_empty() {
            return Ok(Vec::new());
        }
        Recipient::decode_file(&String::from_utf8_lossy(&bytes))
            .map_err(|error| damaged(&path, &error))
    }

    /// Keeps the members.
    pub(crate) fn keep_readers(&self, readers: &[Recipient]) -> Result<(), Failure> {
        let lines: String = readers.iter().map(|reader| format!("{reader}\n")).collect();
        files::write_new(&self.directory.join("readers"), lines.as_bytes())
    }

    /// Waits until no other call changes what this home says in the channel.
    pub(crate) fn lock(&self) -> Result<Lock, Failure> {
        let path = self.directory.join("lock");
        let file = File::create(&path).map_err(|error| unusable(&path, &error))?;
        file.lock().map_err(|error| unusable(&path, &error))?;
        Ok(Lock { _file: file })
    }

    /// Reads where the channel ends; the lock keeps others from going on from the same place.
    pub(crate) fn heads(&self, _lock: &Lock) -> Result<Heads, Failure> {
        let path = self.directory.join("heads.json");
        if !path.exists() {
            return Ok(Heads::default());
        }
        let bytes = files::read(&path, "heads", 1 << 24)?;
        Heads::decode(&bytes).map_err(|error| damaged(&path, &error))
    }

    /// Writes where the channel ends.
    pub(crate) fn keep_heads(&self, _lock: &Lock, heads: &Heads) -> Result<(), Failure> {
        files::write_new(&self.directory.join("heads.json"), &heads.encode())
    }

    /// Keeps a capsule that was written here, before anybody else sees it.
    pub(crate) fn keep_capsule(&self, id: &CapsuleId, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.capsule_path(id);
        let directory = path.parent().unwrap_or(&self.directory);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|error| unusable(directory, &error))?;
        files::write_new(&path, bytes)
    }

    /// Returns those parents of a capsule that this home holds.
    pub(crate) fn parents(&self, meta: &Meta) -> Result<Vec<Held>, Failure> {
        let mut held = Vec::new();
        for id in &meta.prev {
            let keyring = self.keyrings.iter().find(|at| at.id == *id);
            let path = keyring
                .map_or_else(|| self.capsule_path(id), |at| self.keyring_path(at.keyring.epoch));
            if !path.exists() {
                continue;
            }
            let bytes = files::read(&path, "capsule", CAPSULE_BYTES_MAX)?;
            let parent = Capsule::decode(&bytes).map_err(|error| damaged(&path, &error))?;
            let meta = parent.meta();
            let (channel, author, seq) = (meta.channel_id(), meta.author.id(), meta.seq);
            held.push(Held { id: parent.id(), channel, author, seq });
        }
        Ok(held)
    }
}

/// Held while this home says something in a channel.
pub(crate) struct Lock {
    _file: File,
}

/// Takes the keyring out of a capsule.
pub(crate) fn keyring_at(bytes: &[u8]) -> Result<KeyringAt, DecodeError> {
    let capsule = Capsule::decode(bytes)?;
    let keyring =
        capsule.meta().keyring.clone().ok_or_else(|| {
            DecodeError::new(ErrorCode::SchemaViolation, "the capsule is no keyring")
        })?;
    Ok(KeyringAt { id: capsule.id(), keyring })
}

/// Checks a keyring capsule, against the one of the epoch before if it is not the first one.
pub(crate) fn check_keyring(bytes: &[u8], before: Option<&KeyringAt>) -> Result<(), DecodeError> {
    let owners = before.into_iter().flat_map(|at| &at.keyring.owners);
    let keys: Vec<_> = owners.flat_map(|owner| owner.keys()).collect();
    let (capsule, found) = verified(bytes, &keys)?;
    let around = Surroundings { keyring: before, ..Default::default() };
    match standing(capsule.meta(), &found, &around).authority {
        Finding::Fail(error) | Finding::NotDone(error) if guard!("cli.channel.keyring", true) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// Takes the secret of an epoch out of its keyring.
pub(crate) fn open_keyring(
    bytes: &[u8],
    identities: &Identities,
) -> Result<Zeroizing<String>, DecodeError> {
    match Capsule::decode(bytes)?.open(identities)?.body {
        Body::Keyring(epoch) => Ok(epoch.identity),
        _ => Err(DecodeError::new(ErrorCode::SchemaViolation, "the capsule is no keyring")),
    }
}

fn unusable(path: &Path, error: &io::Error) -> Failure {
    let hint = "check the permissions of the data directory and the free space";
    Failure::new(ErrorCode::StoreOpen, format!("cannot use {}", path.display()), hint).cause(error)
}

fn damaged(path: &Path, cause: &dyn std::fmt::Display) -> Failure {
    let hint = "restore it from a copy, or join the channel again in a new home";
    Failure::new(ErrorCode::StoreCorrupt, format!("{} is damaged", path.display()), hint)
        .cause(cause)
}
