//! `kapsule post`

use std::path::PathBuf;

use kapsule_abi::ErrorCode;
use kapsule_format::capsule::{Body, CapsuleId, Draft, Logic, Meta, flag};
use kapsule_format::key::SecretKey;
use kapsule_format::limits::CAPSULE_PLAINTEXT_BYTES_MAX;
use serde_json::json;

use crate::capsules::{AuthorArgs, claimed, salt};
use crate::channels::{Channel, Channels};
use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::keystore::StoredIdentity;
use crate::opening::{self, Files};
use crate::{bodies, files, storing};

const EXAMPLES: &str = "\
Examples:
  kapsule post post --channel news --file hello.txt -o hello.kapsule
  echo hello | kapsule post post --file - --flag topic:greeting -o hello.kapsule
  kapsule post comment --reply-to ID --file answer.txt -o answer.kapsule
  kapsule post trust --file trust.toml -o trust.kapsule
  kapsule post post --file hello.txt --logic rank.mod --embed -o hello.kapsule

Forms of files:
  post, comment  text
  trust          [[edge]] about = \"ID\", weight_ppm = 500000, blocked = false, expiry_ms = 0
                 [[label]] about = \"ID\", value = \"spam\", negated = false, expiry_ms = 0
  agent          goal = \"TEXT\", [params] NAME = \"TEXT\"
  ledger         asset = \"TEXT\"
                 [[transfer]] from = \"ID\", to = \"ID\", amount = \"0.5\", nonce = 1
Any other kind is bytes as they are, which relays pass on and this version does not interpret.";

/// Writes a signed, encrypted capsule
///
/// The body is encrypted to the key of the channel's newest epoch in force, and every key of the
/// author signs.
/// The capsule follows everything that this home has said and joined in the channel, and what its
/// store holds of it; a copy stays in the home, so that its author never says two things in one
/// place.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Kind: post, comment, trust, agent, ledger, or another name
    kind: String,
    /// Channel: its name, its id, or 8 or more digits of the id; the only one by default
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    #[command(flatten)]
    author: AuthorArgs,
    /// File with the body, `-` for stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Capsule that this one answers; it has to be known under this id by the readers
    #[arg(long, value_name = "ID", value_parser = decode_capsule)]
    reply_to: Option<CapsuleId>,
    /// Flag that relays see; may be repeated
    #[arg(long = "flag", value_name = "FLAG")]
    flags: Vec<String>,
    /// Package to process the body with
    #[arg(long, value_name = "FILE")]
    logic: Option<PathBuf>,
    /// Entry of that package, by default the one of its manifest
    #[arg(long, value_name = "NAME", requires = "logic")]
    entry: Option<String>,
    /// Put that package into the capsule
    #[arg(long, requires = "logic")]
    embed: bool,
    /// Time after which the capsule is no longer wanted, in ms since 1970
    #[arg(long, value_name = "MS")]
    expiry: Option<u64>,
    /// Claimed time in ms since 1970, by default now
    #[arg(long, value_name = "MS")]
    time: Option<u64>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

/// Reads a capsule id of the command line.
pub(crate) fn decode_capsule(text: &str) -> Result<CapsuleId, String> {
    text.parse().map_err(|error: kapsule_format::DecodeError| error.to_string())
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_writable(&args.output)?;
    let channel = Channels::of(&context.home()?).find(args.channel.as_deref())?;
    let limit = CAPSULE_PLAINTEXT_BYTES_MAX as u64;
    let bytes = files::read(&args.file, "body", limit)?;
    let time_ms = claimed(args.time);
    let body = bodies::read(&args.kind, &bytes, args.reply_to, time_ms)?;
    let author = args.author.load(context)?;
    let mut flags = args.flags.clone();
    if args.reply_to.is_some() {
        flags.push(flag::REPLY.to_owned());
    }
    let logic = args.logic.as_ref().map(|path| logic(args, path)).transpose()?;
    let draft = Words {
        kind: &args.kind,
        body,
        flags,
        parents: &[],
        time_ms,
        expiry_ms: args.expiry,
        logic,
    };
    let said = say(context, &channel, author, draft)?;
    files::write(&context.ui, &args.output, &said.file)?;
    print(context, &channel, &said, &args.output)?;
    Ok(0)
}

/// What is to be said.
pub(super) struct Words<'a> {
    /// Kind.
    pub(super) kind: &'a str,
    /// Body.
    pub(super) body: Body,
    /// Flags.
    pub(super) flags: Vec<String>,
    /// Held capsules that it follows besides the heads.
    pub(super) parents: &'a [CapsuleId],
    /// Claimed time.
    pub(super) time_ms: u64,
    /// Time after which it is no longer wanted.
    pub(super) expiry_ms: Option<u64>,
    /// Package to process it with.
    pub(super) logic: Option<(Logic, Vec<u8>)>,
}

/// A capsule that was written.
pub(super) struct Said {
    /// Its metadata.
    pub(super) meta: Meta,
    /// Its bytes.
    pub(super) file: Vec<u8>,
}

/// Says something in a channel: behind everything that this home and its store know of it.
pub(super) fn say(
    context: &Context,
    channel: &Channel,
    author: StoredIdentity,
    words: Words<'_>,
) -> Result<Said, Failure> {
    let at = channel.current(words.time_ms)?;
    at.keyring.check_author(&author.identity).map_err(|error| {
        let hint = "ask an owner of the channel for the right to write";
        Failure::decode(format!("channel {} does not let you write", channel.name), &error, hint)
    })?;
    let recipient = at.keyring.recipient.parse().map_err(|error| refused(&error))?;
    let lock = channel.lock()?;
    let mut heads = channel.heads(&lock)?;
    if let Some(store) = storing::existing(&context.home()?)? {
        heads.join(&store.view(), &channel.id, &author.identity.id())?;
    }
    let place = heads.next(&author.identity.id(), words.parents);
    let (epoch, identity) = (at.keyring.epoch, author.identity.clone());
    let draft = Draft::new(channel.id, identity, epoch, words.time_ms, words.kind, &words.body);
    let mut draft = draft.map_err(|error| refused(&error))?;
    (draft.seq, draft.back, draft.prev) = (place.seq, place.back, place.prev);
    draft.flags = words.flags;
    if matches!(words.body, Body::Other(_)) {
        "application/octet-stream".clone_into(&mut draft.content_type);
    }
    draft.expiry_ms = words.expiry_ms;
    draft.logic = words.logic;
    let sealed = draft.seal(salt()?, &[recipient]).map_err(|error| refused(&error))?;
    let (meta, id) = (sealed.meta().clone(), sealed.id());
    let secrets: Vec<SecretKey> = author.keys.into_iter().map(|key| key.secret).collect();
    let file = sealed.sign(&secrets).map_err(|error| refused(&error))?;
    // What was said is kept before anybody sees it: a lost place would be taken twice.
    channel.keep_capsule(&id, &file)?;
    heads.note(&meta, id);
    channel.keep_heads(&lock, &heads)?;
    Ok(Said { meta, file })
}

/// Tells what was written to `output`, unless that is stdout.
pub(super) fn print(
    context: &Context,
    channel: &Channel,
    said: &Said,
    output: &std::path::Path,
) -> Result<(), Failure> {
    let (ui, meta) = (&context.ui, &said.meta);
    if files::is_dash(output) {
        return Ok(());
    }
    if ui.json() {
        return ui.object(&json!({
            "schema": "kapsule/cli-post/1",
            "capsule_id": meta.id().to_string(),
            "channel": channel.id.to_string(),
            "kind": meta.kind,
            "epoch": meta.epoch,
            "seq": meta.seq,
            "prev": meta.prev.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "file": output.display().to_string(),
            "bytes": said.file.len().to_string(),
        }));
    }
    let place = format!("{} {} in {}", meta.kind, meta.seq, channel.name);
    ui.say(&format!("wrote {}: {place}", output.display()));
    ui.text(&format!("{}\n", meta.id()))
}

fn refused(error: &kapsule_format::DecodeError) -> Failure {
    let hint = match error.code {
        ErrorCode::CborNotCanonical => {
            "text holds no tab or other control character; `expand FILE` replaces tabs"
        }
        ErrorCode::LimitExceeded => "send less in one capsule; `kapsule limits` prints the limits",
        _ => "change the arguments; see `kapsule post --help`",
    };
    Failure::decode("no capsule can be made of this", error, hint)
}

/// Returns what to process the body with, and the package itself.
fn logic(args: &Args, path: &std::path::Path) -> Result<(Logic, Vec<u8>), Failure> {
    let files = Files::read(path)?;
    let package = opening::decode(&files)?;
    let exec = &package.manifest().exec;
    let entry = args.entry.clone().unwrap_or_else(|| exec.entry.clone());
    if !exec.has_entry(&entry) {
        let message = format!("{} has no entry {entry:?}", files.name());
        let hint = "`kapsule inspect` lists the entries of a package";
        return Err(Failure::new(ErrorCode::EntryNotFound, message, hint));
    }
    let (package, policy) = (package.capsule_hash(), package.policy_hash());
    let logic = Logic { package, entry, policy, embedded: args.embed };
    Ok((logic, files.bytes().to_vec()))
}
