//! `kapsule channel`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Capsule, Draft, Keyring};
use kapsule_format::encrypt::{Recipient, generate};
use kapsule_format::key::{Identity, IdentityId, SecretKey};
use kapsule_format::limits::CAPSULE_BYTES_MAX;
use serde_json::{Value, json};

use crate::capsules::{AuthorArgs, salt};
use crate::channels::{self, Channel, Channels};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::identities::{self, IdentityArgs};
use crate::keystore::KeyName;
use crate::opening::now_ms;
use crate::text::{Align, grouped, table};
use crate::{batch, files, storing};

const NEW_EXAMPLES: &str = "\
Examples:
  kapsule channel new news --public --key alice
  kapsule channel new team --key alice --reader alice --reader bob.agepub
  kapsule channel new board --key alice --co-owner grace --threshold 2 --reader alice";
const LIST_EXAMPLES: &str = "\
Examples:
  kapsule channel list
  kapsule channel list --json";
const SHARE_EXAMPLES: &str = "\
Examples:
  kapsule channel share team -o team-keyrings";
const JOIN_EXAMPLES: &str = "\
Examples:
  kapsule channel join team-keyrings/keyring-0.kapsule --name team
  kapsule channel join team-keyrings/keyring-1.kapsule";
const ROTATE_EXAMPLES: &str = "\
Examples:
  kapsule channel rotate team --key alice
  kapsule channel rotate team --key alice --drop-reader bob.agepub --revoke HASH";

/// Makes channels: audiences with keys of their own
///
/// A channel is named by the id of its first keyring.
/// A keyring says who decides (owners), who may write (writers; nobody listed means anybody) and
/// holds the key of its epoch, encrypted to the members (readers).
/// What is known of channels is in the directory `channels` of the data directory.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    New(NewArgs),
    List(ListArgs),
    Share(ShareArgs),
    Join(JoinArgs),
    Rotate(RotateArgs),
}

/// Starts a channel
///
/// `--key` is the author and an owner; every `--co-owner` is an owner too, and all of them sign.
/// Members read with their age keys (`kapsule key recipient NAME` makes one); without `--reader`
/// nobody but this home holds the key.
/// With `--public` the key stands in the keyring for everybody.
#[derive(Debug, clap::Args)]
#[command(after_help = NEW_EXAMPLES)]
pub(crate) struct NewArgs {
    /// What you call it; for this home alone
    name: String,
    #[command(flatten)]
    owners: OwnerArgs,
    /// Number of owners that must sign the next keyring
    #[arg(long, value_name = "N", default_value_t = 1)]
    threshold: u64,
    /// Member who can read: a recipient `age1...`, a file of them, or a name of the home; may be
    /// repeated
    #[arg(long = "reader", value_name = "RECIPIENT")]
    readers: Vec<String>,
    /// Identity that may write; may be repeated, by default anybody may
    #[arg(long = "writer", value_name = "ID", value_parser = decode_identity)]
    writers: Vec<IdentityId>,
    /// Publish the key, so that everybody can read
    #[arg(long)]
    public: bool,
}

/// Who signs a keyring.
#[derive(Debug, clap::Args)]
struct OwnerArgs {
    #[command(flatten)]
    author: AuthorArgs,
    /// Name of a further owner that signs; may be repeated
    #[arg(long = "co-owner", value_name = "NAME")]
    others: Vec<KeyName>,
}

/// Lists the channels of this home
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct ListArgs {}

/// Writes the keyrings of a channel into a directory, for others to join
///
/// They hold no secret in the clear, unless the channel is public: only members open them.
#[derive(Debug, clap::Args)]
#[command(after_help = SHARE_EXAMPLES)]
pub(crate) struct ShareArgs {
    /// Channel: its name, its id, or 8 or more digits of the id
    channel: String,
    /// Directory to write to, which is created
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
}

/// Takes keyrings of a channel in, in ascending order of their epochs
///
/// Each is verified: the first by all its owners, each later one by enough owners of the one
/// before.
/// Whether the channel is the one you mean is for you to compare: ask for its id over another way.
#[derive(Debug, clap::Args)]
#[command(after_help = JOIN_EXAMPLES)]
pub(crate) struct JoinArgs {
    /// Keyring files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What you call the channel; needed for the first keyring
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    identities: IdentityArgs,
}

/// Starts a new epoch of a channel, with a new key
///
/// Who is no longer a reader cannot read what is written from now on, and keeps what was readable
/// before.
/// Owners, writers and revoked identities stay as they are, but for what is added or dropped here.
#[derive(Debug, clap::Args)]
#[command(after_help = ROTATE_EXAMPLES)]
pub(crate) struct RotateArgs {
    /// Channel: its name, its id, or 8 or more digits of the id
    channel: String,
    #[command(flatten)]
    owners: OwnerArgs,
    /// Further member; may be repeated
    #[arg(long = "reader", value_name = "RECIPIENT")]
    readers: Vec<String>,
    /// Member who can no longer read; may be repeated
    #[arg(long = "drop-reader", value_name = "RECIPIENT")]
    dropped_readers: Vec<String>,
    /// Further identity that may write; may be repeated
    #[arg(long = "writer", value_name = "ID", value_parser = decode_identity)]
    writers: Vec<IdentityId>,
    /// Identity that may no longer write, whatever else says so; may be repeated
    #[arg(long = "revoke", value_name = "ID", value_parser = decode_identity)]
    revoked: Vec<IdentityId>,
    /// Time from which writers use the epoch, in ms since 1970; at once by default
    #[arg(long, value_name = "MS")]
    not_before: Option<u64>,
}

/// Reads an identity id of the command line.
pub(crate) fn decode_identity(text: &str) -> Result<IdentityId, String> {
    text.parse().map_err(|error: kapsule_format::DecodeError| error.to_string())
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::New(args) => new(context, args),
        Command::List(ListArgs {}) => list(context),
        Command::Share(args) => share(context, args),
        Command::Join(args) => join(context, args),
        Command::Rotate(args) => rotate(context, args),
    }
}

/// Who signs: identities, the author first, and all their keys.
struct Signers {
    identities: Vec<Identity>,
    secrets: Vec<SecretKey>,
}

impl Signers {
    fn load(context: &Context, args: &OwnerArgs) -> Result<Self, Failure> {
        let mut signers = Self { identities: Vec::new(), secrets: Vec::new() };
        let first = args.author.load(context)?;
        let others = args.others.iter().map(|name| args.author.load_named(context, name));
        for signer in std::iter::once(Ok(first)).chain(others) {
            let signer = signer?;
            if !signers.identities.contains(&signer.identity) {
                signers.secrets.extend(signer.keys.into_iter().map(|key| key.secret));
                signers.identities.push(signer.identity);
            }
        }
        Ok(signers)
    }

    fn author(&self) -> Identity {
        self.identities[0].clone()
    }
}

fn refused(error: &kapsule_format::DecodeError) -> Failure {
    let hint = "change the arguments; `kapsule limits` prints what a keyring may hold";
    Failure::decode("no keyring can be made of this", error, hint)
}

fn new(context: &Context, args: &NewArgs) -> Done {
    let channels = Channels::of(&context.home()?);
    channels.check_name(&args.name)?;
    let signers = Signers::load(context, &args.owners)?;
    let (epoch_key, recipient) = generate();
    let mut keyring = Keyring::first(recipient.to_string(), signers.author());
    keyring.owners = signers.identities.clone();
    keyring.owners.sort_by_key(Identity::id);
    keyring.threshold = args.threshold;
    keyring.writers = sorted(args.writers.clone());
    keyring.identity = args.public.then(|| secret_line(&epoch_key));
    let readers = identities::recipients(&args.readers)?;
    let mut sealed_to = readers.clone();
    if sealed_to.is_empty() {
        // A payload has a reader; this one holds the key already.
        sealed_to.push(recipient);
    }
    let salt = salt()?;
    let draft = Draft::genesis(signers.author(), now_ms(), keyring, &epoch_key);
    let sealed = draft.and_then(|draft| draft.seal(salt, &sealed_to));
    let file = sealed.and_then(|sealed| sealed.sign(&signers.secrets));
    let file = file.map_err(|error| refused(&error))?;
    channels::check_keyring(&file, None).map_err(|error| refused(&error))?;
    let channel = channels.create(&args.name, &file)?;
    channel.keep_epoch_key(0, &secret_line(&epoch_key))?;
    channel.keep_readers(&readers)?;
    report(context, &channel, "started")
}

/// Returns the line of an identity file with the secret.
fn secret_line(file: &str) -> String {
    file.lines().find(|line| line.starts_with("AGE-SECRET-KEY-1")).unwrap_or_default().to_owned()
}

fn sorted<T: Ord>(mut list: Vec<T>) -> Vec<T> {
    list.sort();
    list.dedup();
    list
}

fn to_json(channel: &Channel) -> Result<Value, Failure> {
    let Some(at) = channel.keyrings.last() else {
        return Ok(json!({ "id": channel.id.to_string(), "name": channel.name }));
    };
    let keyring = &at.keyring;
    let ids = |list: &[IdentityId]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
    Ok(json!({
        "id": channel.id.to_string(),
        "name": channel.name,
        "epoch": keyring.epoch,
        "keyring": at.id.to_string(),
        "public": keyring.identity.is_some(),
        "owners": keyring.owners.iter().map(|owner| owner.id().to_string()).collect::<Vec<_>>(),
        "threshold": keyring.threshold,
        "writers": ids(&keyring.writers),
        "revoked": ids(&keyring.revoked),
        "recipient": keyring.recipient,
        "readable": channel.epoch_key(at)?.is_some(),
    }))
}

fn report(context: &Context, channel: &Channel, what: &str) -> Done {
    if context.ui.json() {
        let mut object = to_json(channel)?;
        object["schema"] = "kapsule/cli-channel/1".into();
        context.ui.object(&object)?;
        return Ok(0);
    }
    let epoch = channel.keyrings.last().map_or(0, |at| at.keyring.epoch);
    context.ui.say(&format!("{what} channel {}, epoch {epoch}", channel.name));
    context.ui.text(&format!("{}\n", channel.id))?;
    Ok(0)
}

fn list(context: &Context) -> Done {
    let channels = Channels::of(&context.home()?).list()?;
    if context.ui.json() {
        for channel in &channels {
            let mut object = to_json(channel)?;
            object["schema"] = "kapsule/cli-channel/1".into();
            context.ui.object(&object)?;
        }
        return Ok(0);
    }
    let mut rows = vec![["NAME", "EPOCH", "ACCESS", "ID"].map(String::from).to_vec()];
    for channel in &channels {
        let Some(at) = channel.keyrings.last() else { continue };
        let access = match (&at.keyring.identity, channel.epoch_key(at)?) {
            (Some(_), _) => "public",
            (None, Some(_)) => "member",
            (None, None) => "sealed",
        };
        let epoch = grouped(at.keyring.epoch);
        rows.push(vec![channel.name.clone(), epoch, access.to_owned(), channel.id.to_string()]);
    }
    context.ui.text(&table(&[Align::Left, Align::Right, Align::Left, Align::Left], &rows))?;
    Ok(0)
}

fn share(context: &Context, args: &ShareArgs) -> Done {
    let channel = Channels::of(&context.home()?).find(Some(&args.channel))?;
    batch::prepare(&args.output)?;
    let mut written = Vec::new();
    for at in &channel.keyrings {
        let source = channel.keyring_path(at.keyring.epoch);
        let bytes = files::read(&source, "keyring", CAPSULE_BYTES_MAX)?;
        let path = args.output.join(format!("keyring-{}.kapsule", at.keyring.epoch));
        files::write_new(&path, &bytes)?;
        written.push(path.display().to_string());
    }
    if context.ui.json() {
        let id = channel.id.to_string();
        context.ui.object(&json!({
            "schema": "kapsule/cli-channel-share/1", "id": id, "files": written,
        }))?;
    } else {
        context.ui.say(&format!("wrote {}; its id is", written.join(" and ")));
        context.ui.text(&format!("{}\n", channel.id))?;
    }
    Ok(0)
}

fn join(context: &Context, args: &JoinArgs) -> Done {
    let channels = Channels::of(&context.home()?);
    let mut joined = None;
    for path in &args.files {
        joined = Some(join_one(context, &channels, args, path)?);
    }
    match joined {
        Some(channel) => report(context, &channel, "joined"),
        None => Ok(0),
    }
}

fn join_one(
    context: &Context,
    channels: &Channels,
    args: &JoinArgs,
    path: &std::path::Path,
) -> Result<Channel, Failure> {
    let refused = |error: &kapsule_format::DecodeError| {
        let hint = "get it again from a member; keyrings are taken in order of their epochs";
        Failure::decode(format!("{} is refused", files::name(path)), error, hint)
    };
    let bytes = files::read(path, "keyring", CAPSULE_BYTES_MAX)?;
    let capsule = Capsule::decode(&bytes).map_err(|error| refused(&error))?;
    let at = channels::keyring_at(&bytes).map_err(|error| refused(&error))?;
    let known = channels.get(capsule.meta().channel_id())?;
    let channel = match known {
        Some(channel) if channel.keyrings.iter().any(|held| held.id == at.id) => channel,
        Some(mut channel) => {
            let before = at.keyring.epoch.checked_sub(1).and_then(|epoch| channel.keyring(epoch));
            channels::check_keyring(&bytes, before).map_err(|error| refused(&error))?;
            if channel.keyring(at.keyring.epoch).is_some() {
                let message = format!("epoch {} of the channel is another one", at.keyring.epoch);
                let hint = "the owners forked the channel; ask them which one is meant";
                return Err(Failure::new(ErrorCode::CapsuleFork, message, hint));
            }
            let lock = channel.lock()?;
            channel.add_keyring(&lock, &bytes)?;
            channel
        }
        None => {
            channels::check_keyring(&bytes, None).map_err(|error| refused(&error))?;
            let name = args.name.as_deref().ok_or_else(|| {
                Failure::usage("the channel is new to this home", "name it with --name NAME")
            })?;
            channels.check_name(name)?;
            channels.create(name, &bytes)?
        }
    };
    learn_epoch(context, args, &channel, &bytes, at.keyring.epoch)?;
    Ok(channel)
}

/// Keeps the key of an epoch, if an identity of this home opens its keyring.
fn learn_epoch(
    context: &Context,
    args: &JoinArgs,
    channel: &Channel,
    bytes: &[u8],
    epoch: u64,
) -> Result<(), Failure> {
    let held = args.identities.read()?;
    let mut opened = channels::open_keyring(bytes, &held.open);
    if opened.as_ref().is_err_and(|error| error.code == ErrorCode::KeyNotHeld)
        && args.identities.passphrase.is_available()
        && let Some(unlocked) = args.identities.unlock(&held)?
    {
        opened = channels::open_keyring(bytes, unlocked);
    }
    match opened {
        Ok(secret) => channel.keep_epoch_key(epoch, &secret),
        Err(error) if error.code == ErrorCode::KeyNotHeld => {
            if channel.keyring(epoch).is_some_and(|at| at.keyring.identity.is_none()) {
                context
                    .ui
                    .warn("no key here opens it: you can verify the channel, but not read it");
            }
            Ok(())
        }
        Err(error) => {
            let hint = "tell the owners of the channel; the keyring was not made well";
            Err(Failure::decode("the keyring does not hold its key", &error, hint))
        }
    }
}

fn rotate(context: &Context, args: &RotateArgs) -> Done {
    let mut channel = Channels::of(&context.home()?).find(Some(&args.channel))?;
    let signers = Signers::load(context, &args.owners)?;
    let lock = channel.lock()?;
    let mut heads = channel.heads(&lock)?;
    if let Some(store) = storing::existing(&context.home()?)? {
        heads.join(&store.view(), &channel.id, &signers.author().id())?;
    }
    let before = channel.keyrings.last().cloned().ok_or_else(|| {
        let hint = "join it again from its first keyring";
        Failure::new(ErrorCode::StoreCorrupt, "the channel has no keyring", hint)
    })?;
    let dropped = identities::recipients(&args.dropped_readers)?;
    let mut readers = channel.readers()?;
    readers.extend(identities::recipients(&args.readers)?);
    let is_dropped =
        |reader: &Recipient| dropped.iter().any(|other| other.to_string() == reader.to_string());
    readers.retain(|reader| !is_dropped(reader));
    let (epoch_key, recipient) = generate();
    let mut keyring = before.keyring.clone();
    keyring.epoch += 1;
    keyring.recipient = recipient.to_string();
    keyring.not_before_ms = args.not_before.unwrap_or(before.keyring.not_before_ms);
    keyring.previous = Some(before.id);
    keyring.identity = keyring.identity.is_some().then(|| secret_line(&epoch_key));
    keyring.writers = sorted([keyring.writers, args.writers.clone()].concat());
    keyring.revoked = sorted([keyring.revoked, args.revoked.clone()].concat());
    keyring.writers.retain(|writer| !args.revoked.contains(writer));
    let place = heads.next(&signers.author().id(), &[]);
    let epoch = keyring.epoch;
    let mut sealed_to = readers.clone();
    if sealed_to.is_empty() {
        sealed_to.push(recipient);
    }
    let salt = salt()?;
    let draft = Draft::keyring(channel.id, signers.author(), now_ms(), keyring, &epoch_key);
    let sealed = draft.and_then(|mut draft| {
        (draft.seq, draft.back) = (place.seq, place.back);
        // The keyring before takes one of the places.
        draft.prev.extend(place.prev.iter().copied().take(15));
        draft.seal(salt, &sealed_to)
    });
    let file = sealed.and_then(|sealed| sealed.sign(&signers.secrets));
    let file = file.map_err(|error| refused(&error))?;
    channels::check_keyring(&file, Some(&before)).map_err(|error| {
        let hint = "let enough owners sign: --key NAME, --co-owner NAME";
        Failure::decode("the keyring would not be accepted", &error, hint)
    })?;
    // Without its key the epoch would be lost, so the key is kept first.
    channel.keep_epoch_key(epoch, &secret_line(&epoch_key))?;
    channel.keep_readers(&readers)?;
    channel.add_keyring(&lock, &file)?;
    report(context, &channel, "rotated")
}
