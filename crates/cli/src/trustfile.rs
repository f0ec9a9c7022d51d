//! Trust files as their keepers write them: a first one, its successors, and signatures.

use std::path::Path;

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::envelope::Envelope;
use kapsule_format::hash;
use kapsule_format::key::{Identity, PublicLine, Uses};
use kapsule_format::log::VerifierKey;
use kapsule_format::receipt_policy::Registry;
use kapsule_format::trust::{self, CompanionName, Revoked, Role, Trust, TrustedKey, statement};

use crate::error::Failure;
use crate::files;
use crate::keystore::{self, KeyName, KeyStore, StoredIdentity};
use crate::roots::{TrustFile, earlier};
use crate::ui::Ui;

/// Greatest size of a file of public lines in bytes; one of four suites takes about 3,000.
const PUBLIC_FILE_BYTES_MAX: u64 = 16_384;

/// Roles that a new trust file gives unless the caller says otherwise.
pub(crate) const DEFAULT_ROLES: [Role; 2] = [Role::Author, Role::Publisher];

/// What a trust file is to say, or how it is to change.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// Identities that are trusted, with their names.
    pub(crate) listed: Vec<(String, Identity)>,
    /// Packages that they are trusted for.
    pub(crate) packages: Vec<String>,
    /// What they are trusted as.
    pub(crate) roles: Vec<Role>,
    /// Identities that sign the next file; none leaves them as they are.
    pub(crate) roots: Vec<Identity>,
    /// How many of them sign it.
    pub(crate) threshold: Option<u64>,
    /// Identities that are trusted no longer.
    pub(crate) revoked: Vec<Identity>,
    /// Last millisecond at which the file may be used.
    pub(crate) valid_until: Option<u64>,
    /// Registries of receipt policies that are pinned, each in place of one of the same name.
    pub(crate) registries: Vec<Registry>,
    /// Keys of logs, each added to those of its origin.
    pub(crate) logs: Vec<VerifierKey>,
    /// Keys of cosigners that are added.
    pub(crate) cosigners: Vec<VerifierKey>,
    /// How many cosigners a checkpoint needs.
    pub(crate) quorum: Option<u64>,
}

impl Change {
    /// Returns the first file of a chain; the listed identities are its roots unless others are.
    pub(crate) fn first(self) -> Result<Trust, Failure> {
        let roots = self.listed.iter().map(|(_, identity)| identity.clone()).collect();
        let empty = Trust::first(ascending(roots));
        self.apply(empty, 0)
    }

    /// Returns the file that follows `file`.
    pub(crate) fn next(self, file: &TrustFile, now_ms: u64) -> Result<Trust, Failure> {
        let before = file.trust()?;
        let serial = before.serial.saturating_add(1);
        self.apply(Trust { serial, previous: Some(hash::sha256(&file.bytes)), ..before }, now_ms)
    }

    fn apply(mut self, mut trust: Trust, now_ms: u64) -> Result<Trust, Failure> {
        self.packages.sort();
        self.packages.dedup();
        self.roles.sort();
        self.roles.dedup();
        for (name, identity) in self.listed {
            trust.keys.retain(|known| known.identity != identity);
            let known = TrustedKey::new(identity, &name, self.roles.clone());
            trust.keys.push(TrustedKey { packages: self.packages.clone(), ..known });
        }
        trust.keys.sort_by_key(|known| known.identity.id());
        for identity in self.revoked {
            let (identity, reason) = (identity.id(), "revoked by the keepers of this file".into());
            trust.revoked.retain(|known| known.identity != identity);
            let extensions = Default::default();
            trust.revoked.push(Revoked { identity, reason, since: now_ms, extensions });
        }
        trust.revoked.sort_by_key(|known| known.identity);
        if !self.roots.is_empty() {
            trust.root_keys = ascending(self.roots);
        }
        for registry in self.registries {
            let (root, size) = (registry.root(), registry.policies.len() as u64);
            let (id, extensions) = (registry.id, Default::default());
            trust.registries.retain(|known| known.id != id);
            trust.registries.push(trust::Registry { id, root, size, extensions });
        }
        trust.registries.sort_by(|left, right| left.id.cmp(&right.id));
        for vkey in self.logs {
            add_log(&mut trust, &vkey);
        }
        trust.cosigners.extend(self.cosigners.iter().map(ToString::to_string));
        trust.cosigners.sort();
        trust.cosigners.dedup();
        trust.quorum = self.quorum.unwrap_or(trust.quorum);
        trust.threshold = self.threshold.unwrap_or(trust.threshold);
        trust.valid_until = self.valid_until.unwrap_or(trust.valid_until);
        // The reader has the rules for names, globs and thresholds.
        Trust::decode(&trust.encode()).map_err(|error| {
            let hint = "write a package as its name, with a final `*` for any rest, and a \
                        threshold that the root identities can reach";
            Failure::decode("no trust file can say this", &error, hint)
        })
    }
}

/// Lists one more key of a log.
fn add_log(trust: &mut Trust, vkey: &VerifierKey) {
    let (origin, text) = (vkey.name().as_str(), vkey.to_string());
    match trust.logs.iter_mut().find(|log| log.origin == origin) {
        Some(log) => {
            log.vkeys.push(text);
            log.vkeys.sort();
            log.vkeys.dedup();
        }
        None => {
            let extensions = Default::default();
            let log = trust::Log { origin: origin.to_owned(), vkeys: vec![text], extensions };
            trust.logs.push(log);
            trust.logs.sort_by(|left, right| left.origin.cmp(&right.origin));
        }
    }
}

/// Reads a role of the command line.
pub(crate) fn decode_role(name: &str) -> Result<Role, String> {
    Role::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("roles are {}", names.join(", "))
    })
}

fn ascending(mut identities: Vec<Identity>) -> Vec<Identity> {
    identities.sort_by_key(Identity::id);
    identities.dedup();
    identities
}

/// Signs a trust file with every key of an identity: returns the companions with their names.
pub(crate) fn sign(
    bytes: &[u8],
    serial: u64,
    signer: &StoredIdentity,
    insecure_dev: bool,
) -> Result<Vec<(CompanionName, Vec<u8>)>, Failure> {
    let statement = statement(bytes, serial);
    let sign = |key: &kapsule_format::key::KeyFile| {
        if guard!("cli.trust.uses", key.uses != Uses::Sign) {
            let uses = key.uses.names().join(", ");
            let hint = "sign with a key made by `kapsule key new NAME`";
            let message = "the trust file cannot be signed with this key";
            return Err(Failure::new(ErrorCode::KeyFileForm, message, hint)
                .cause(format!("the key is for {uses} only")));
        }
        keystore::refuse_test_key(key.secret.public(), insecure_dev)?;
        let public = key.secret.public();
        let name = CompanionName { suite: public.suite(), keyid: public.id() };
        Ok((name, Envelope::sign(&statement, &key.secret).encode()))
    };
    signer.keys.iter().map(sign).collect()
}

/// Writes companions beside the trust file at `path`.
pub(crate) fn write_companions(
    ui: &Ui,
    path: &Path,
    companions: &[(CompanionName, Vec<u8>)],
) -> Result<(), Failure> {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    companions.iter().try_for_each(|(name, bytes)| {
        files::write(ui, &path.with_file_name(name.file_name(&file)), bytes)
    })
}

/// Keeps a trust file and every earlier one beside `target`, where a successor of it is written.
///
/// Its companions would be those of another file there, so they go with it.
pub(crate) fn keep_earlier(ui: &Ui, file: &TrustFile, target: &Path) -> Result<(), Failure> {
    let serial = file.trust()?.serial;
    keep(ui, file, &earlier(target, serial))?;
    for serial in (1..serial).rev() {
        let (from, to) = (earlier(&file.path, serial), earlier(target, serial));
        if from == to || !from.is_file() {
            break;
        }
        keep(ui, &TrustFile::read(&from)?, &to)?;
    }
    let stale = TrustFile::read(target).map(|file| file.companions).unwrap_or_default();
    for (name, _) in stale {
        let path = target.with_file_name(name);
        std::fs::remove_file(&path).map_err(|error| {
            let hint = "remove it; it is kept with the earlier file";
            Failure::usage(format!("cannot remove {}", path.display()), hint).cause(error)
        })?;
    }
    Ok(())
}

fn keep(ui: &Ui, file: &TrustFile, target: &Path) -> Result<(), Failure> {
    files::write(ui, target, &file.bytes)?;
    let parse = |(name, bytes): &(String, Vec<u8>)| {
        CompanionName::parse(name).ok().map(|name| (name, bytes.clone()))
    };
    let companions: Vec<_> = file.companions.iter().filter_map(parse).collect();
    write_companions(ui, target, &companions)
}

/// Finds an identity: a path if the name has a slash or ends in `.pub`, else one of the home.
pub(crate) fn find_identity(keys: &KeyStore, name: &str) -> Result<(String, Identity), Failure> {
    if !name.contains('/') && !name.ends_with(".pub") {
        let parsed: Result<KeyName, String> = name.parse();
        let hint = "name a key of `kapsule key list`, or the path of a `.pub` file";
        let parsed = parsed
            .map_err(|cause| Failure::usage(format!("{name:?} names no key"), hint).cause(cause))?;
        return Ok((name.to_owned(), keys.look(&parsed)?.identity));
    }
    let bytes = files::read(Path::new(name), "public key", PUBLIC_FILE_BYTES_MAX)?;
    PublicLine::decode_identity(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        let hint = "name a file as `kapsule key new` or `kapsule key export` writes it";
        Failure::decode(format!("{name} is no public identity"), &error, hint)
    })
}
