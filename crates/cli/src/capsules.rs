//! Capsules on the command line: who writes them, what is in them, and their reports.

use kapsule_abi::{ErrorCode, guard};
use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Body, Capsule, CapsuleId, Held, Keyring, Meta, Opened, Surroundings,
};
use kapsule_format::container::{Entry, Kind, is_kind};
use kapsule_format::encrypt::Identities;
use kapsule_format::hash::encode_hex;
use kapsule_format::key::{Identity, Uses};
use kapsule_format::manifest::Amount;
use kapsule_format::verify::{CheckName, CheckResult, Report};
use serde_json::{Value, json};

use crate::channels::{Channel, Channels};
use crate::cli::Context;
use crate::commands::report_text;
use crate::error::{Done, Failure};
use crate::identities::IdentityArgs;
use crate::keystore::{self, KeyName, StoredIdentity};
use crate::opening::{self, Files, Verifier, now_ms};
use crate::passphrase::PassphraseArgs;
use crate::text::{facts, grouped, plain};
use crate::ui::Tone;
use crate::{kept, storing, words};

/// Who writes a capsule.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AuthorArgs {
    /// Name of the identity that writes; the only one of the home by default
    #[arg(long, value_name = "NAME")]
    key: Option<KeyName>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Sign with a published test key, which proves nothing
    #[arg(long)]
    insecure_dev: bool,
}

impl AuthorArgs {
    /// Opens the keys of the author.
    pub(crate) fn load(&self, context: &Context) -> Result<StoredIdentity, Failure> {
        let name = match &self.key {
            Some(name) => name.clone(),
            None => {
                let names = context.keys()?.names()?;
                let count = names.len();
                <[KeyName; 1]>::try_from(names).map(|[name]| name).map_err(|_| {
                    let hint = "name one with --key; `kapsule key new NAME` makes one";
                    Failure::usage(format!("the key directory holds {count} keys"), hint)
                })?
            }
        };
        self.load_named(context, &name)
    }

    /// Opens the keys of another identity that signs as well.
    pub(crate) fn load_named(
        &self,
        context: &Context,
        name: &KeyName,
    ) -> Result<StoredIdentity, Failure> {
        let signer = context.keys()?.load(name, &self.passphrase)?;
        for key in &signer.keys {
            keystore::refuse_test_key(key.secret.public(), self.insecure_dev)?;
            if guard!("cli.capsule.uses", key.uses != Uses::Sign) {
                let message = "a capsule cannot be signed with this key";
                let hint = "sign with a key made by `kapsule key new NAME`";
                let cause = format!("the key is for {} only", key.uses.names().join(", "));
                return Err(Failure::new(ErrorCode::KeyFileForm, message, hint).cause(cause));
            }
        }
        Ok(signer)
    }
}

/// Draws the salt that hides a body from those who guess it.
pub(crate) fn salt() -> Result<[u8; 32], Failure> {
    let mut salt = [0; 32];
    getrandom::fill(&mut salt).map_err(|error| {
        let hint = "try again on a machine that gives them";
        Failure::internal("no random numbers", hint).cause(error)
    })?;
    Ok(salt)
}

/// Tells whether bytes begin like a capsule.
pub(crate) fn is_capsule(bytes: &[u8]) -> bool {
    is_kind(bytes, Kind::Capsule)
}

/// Decodes a capsule, and says what is wrong with it otherwise.
fn decode(files: &Files) -> Result<Capsule<'_>, Failure> {
    Capsule::decode(files.bytes()).map_err(|error| {
        let message = format!("{} is not a valid capsule", files.name());
        Failure::decode(message, &error, "get it again; `kapsule post` makes one")
    })
}

/// Returns the channel of a capsule, if this home knows it.
fn channel_of(meta: &Meta) -> Result<Option<Channel>, Failure> {
    match crate::paths::Home::from_env() {
        Ok(home) => Channels::of(&home).get(meta.channel_id()),
        Err(_) => Ok(None),
    }
}

/// Returns those parents of a capsule that the home holds, in the channel or in its store.
fn parents(channel: &Channel, meta: &Meta) -> Result<Vec<Held>, Failure> {
    let mut held = channel.parents(meta)?;
    if held.len() < meta.prev.len()
        && let Some(store) = storing::existing(&crate::paths::Home::from_env()?)?
    {
        let absent = |id: &&CapsuleId| held.iter().all(|own| own.id != **id);
        let found = meta.prev.iter().filter(absent).map(|id| store.view().held(id));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        held.extend(found.into_iter().flatten());
    }
    Ok(held)
}

/// Returns the identities that may open a capsule: those of its channel and those of the home.
fn identities(
    channel: Option<&Channel>,
    meta: &Meta,
    args: &IdentityArgs,
    unlock: bool,
) -> Result<Identities, Failure> {
    let mut all = channel.map_or_else(|| Ok(Identities::default()), Channel::identities)?;
    // A public keyring opens itself.
    let published = meta.keyring.iter().filter_map(|keyring| keyring.identity.as_ref());
    published.filter_map(|text| Identities::decode(text).ok()).for_each(|one| all.extend(one));
    let held = args.read()?;
    if unlock && args.passphrase.is_available() {
        // One passphrase opens all protected identities, and they are read anew for each file.
        if let Some(unlocked) = args.unlock(&held)? {
            all.extend(unlocked.clone());
        }
    }
    all.extend(held.open);
    Ok(all)
}

/// Opens a capsule with what is at hand, and only if that is not enough with what a passphrase
/// protects; `None` where no identity opens it.
fn open(
    capsule: &Capsule<'_>,
    channel: Option<&Channel>,
    args: &IdentityArgs,
) -> Result<Result<Option<Opened>, DecodeError>, Failure> {
    let attempt = |unlock| -> Result<Result<Opened, DecodeError>, Failure> {
        Ok(capsule.open(&identities(channel, capsule.meta(), args, unlock)?))
    };
    let mut opened = attempt(false)?;
    if opened.as_ref().is_err_and(|error| error.code == ErrorCode::KeyNotHeld) {
        opened = attempt(true)?;
    }
    Ok(match opened {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if matches!(error.code, ErrorCode::KeyNotHeld | ErrorCode::EntryAbsent) => {
            Ok(None)
        }
        Err(error) => Err(error),
    })
}

/// Shows what is in a capsule; no signature is verified.
pub(crate) fn inspect(
    context: &Context,
    args: &IdentityArgs,
    files: &Files,
) -> Result<(), Failure> {
    let capsule = decode(files)?;
    let channel = channel_of(capsule.meta())?;
    let opened = open(&capsule, channel.as_ref(), args)?;
    let results = kept::results(context, &capsule.id());
    let ui = &context.ui;
    if ui.json() {
        let entry = |entry: &Entry<'_>| {
            let bytes = entry.bytes.len().to_string();
            json!({ "name": entry.name, "bytes": bytes })
        };
        let mut object = json!({
            "schema": "kapsule/cli-inspect-capsule/1",
            "capsule_id": capsule.id().to_string(),
            "meta": meta_json(capsule.meta()),
            "entries": capsule.container().entries().iter().map(entry).collect::<Vec<_>>(),
            "results": results.iter().map(kept::to_json).collect::<Vec<_>>(),
        });
        match &opened {
            Ok(Some(opened)) => object["opened"] = opened_json(opened),
            Ok(None) => object["opened"] = Value::Null,
            Err(error) => object["problem"] = error.code.to_string().into(),
        }
        return ui.object(&object);
    }
    let title = |words: &str| ui.paint(Tone::Strong, words);
    let entries: Vec<(String, String)> = capsule
        .container()
        .entries()
        .iter()
        .map(|entry| (plain(entry.name), grouped(entry.bytes.len() as u64)))
        .collect();
    let inside = match &opened {
        Ok(Some(opened)) => opened_text(opened),
        Ok(None) => "no identity of this home opens it\n".to_owned(),
        Err(error) => format!("{}: {}\n", error.code, error.detail),
    };
    let keyring = capsule.meta().keyring.as_ref();
    let keyring = keyring
        .map(|keyring| format!("\n{}\n{}", title("Keyring"), facts(&keyring_facts(keyring))));
    let result = |row| format!("\n{}\n{}", title("Result (of this store)"), kept::to_text(row));
    let results: String = results.iter().map(result).collect();
    ui.text(&format!(
        "{}\n{}{}\n{}\n{}\n{}\n{inside}{results}",
        title("Capsule (public)"),
        facts(&meta_facts(&capsule, channel.as_ref())),
        keyring.unwrap_or_default(),
        title("Entries"),
        facts(&entries),
        title("Inside"),
    ))?;
    ui.say("no signature was verified; `kapsule verify` does that");
    Ok(())
}

fn meta_facts(capsule: &Capsule<'_>, channel: Option<&Channel>) -> Vec<(&'static str, String)> {
    let meta = capsule.meta();
    let named = channel.map(|channel| format!(" ({})", channel.name)).unwrap_or_default();
    let mut rows = vec![
        ("capsule id", capsule.id().to_string()),
        ("kind", plain(&meta.kind)),
        ("channel", format!("{}{}", meta.channel_id(), plain(&named))),
        ("author", meta.author.id().to_string()),
        ("seq", grouped(meta.seq)),
    ];
    rows.extend(meta.back.iter().map(|id| ("back", id.to_string())));
    rows.extend(meta.prev.iter().map(|id| ("follows", id.to_string())));
    rows.extend([
        ("time", format!("{} ms (claimed)", meta.time_ms)),
        ("flags", meta.flags.join(" ")),
        ("epoch", grouped(meta.epoch)),
        ("readers", format!("{} stanzas {}", meta.stanzas.len(), meta.stanzas[0])),
        ("commitment", meta.commitment.to_string()),
    ]);
    rows.extend(meta.expiry_ms.map(|time| ("expires", format!("{time} ms"))));
    if let Some(logic) = &meta.logic {
        let embedded = if logic.embedded { ", embedded" } else { "" };
        rows.push(("logic", format!("{} {}{embedded}", logic.package, plain(&logic.entry))));
    }
    rows.retain(|(_, value)| !value.is_empty());
    rows
}

fn keyring_facts(keyring: &Keyring) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        ("recipient", plain(&keyring.recipient)),
        ("in force from", format!("{} ms", keyring.not_before_ms)),
    ];
    rows.extend(keyring.owners.iter().map(|owner| ("owner", owner.id().to_string())));
    rows.push(("owners to sign", keyring.threshold.to_string()));
    rows.extend(keyring.writers.iter().map(|writer| ("writer", writer.to_string())));
    rows.extend(keyring.revoked.iter().map(|id| ("revoked", id.to_string())));
    rows.extend(keyring.identity.iter().map(|_| ("public", "everybody can read".to_owned())));
    rows
}

fn keys_json(identity: &Identity) -> Value {
    let keys: Vec<String> = identity.keys().iter().map(ToString::to_string).collect();
    json!({ "id": identity.id().to_string(), "keys": keys })
}

fn meta_json(meta: &Meta) -> Value {
    let text = |id: &dyn std::fmt::Display| id.to_string();
    let keyring = meta.keyring.as_ref().map(|keyring| {
        json!({
            "epoch": keyring.epoch,
            "recipient": keyring.recipient,
            "not_before_ms": keyring.not_before_ms,
            "previous": keyring.previous.as_ref().map(|id| text(id)),
            "owners": keyring.owners.iter().map(keys_json).collect::<Vec<_>>(),
            "writers": keyring.writers.iter().map(|id| text(id)).collect::<Vec<_>>(),
            "public": keyring.identity.is_some(),
            "revoked": keyring.revoked.iter().map(|id| text(id)).collect::<Vec<_>>(),
            "threshold": keyring.threshold,
        })
    });
    let logic = meta.logic.as_ref().map(|logic| {
        json!({
            "package": logic.package.to_string(),
            "entry": logic.entry,
            "policy": logic.policy.to_string(),
            "embedded": logic.embedded,
        })
    });
    json!({
        "kind": meta.kind,
        "channel": meta.channel_id().to_string(),
        "author": keys_json(&meta.author),
        "seq": meta.seq,
        "prev": meta.prev.iter().map(|id| text(id)).collect::<Vec<_>>(),
        "back": meta.back.as_ref().map(|id| text(id)),
        "time_ms": meta.time_ms,
        "flags": meta.flags,
        "logic": logic,
        "stanzas": meta.stanzas.iter().map(|stanza| stanza.name()).collect::<Vec<_>>(),
        "commitment": meta.commitment.to_string(),
        "expiry_ms": meta.expiry_ms,
        "epoch": meta.epoch,
        "keyring": keyring,
    })
}

fn opened_json(opened: &Opened) -> Value {
    let body = match &opened.body {
        Body::Post(post) => json!({ "media_type": post.media_type, "text": post.text }),
        Body::Comment(comment) => {
            json!({ "target": comment.target.to_string(), "text": comment.text })
        }
        Body::Trust(trust) => json!({
            "edges": trust.edges.iter().map(|edge| json!({
                "about": edge.about.to_string(),
                "weight_ppm": edge.weight_ppm,
                "blocked": edge.blocked,
                "expiry_ms": edge.expiry_ms,
            })).collect::<Vec<_>>(),
            "labels": trust.labels.iter().map(|label| json!({
                "about": label.about.to_string(),
                "value": label.value,
                "negated": label.negated,
                "created_ms": label.created_ms,
                "expiry_ms": label.expiry_ms,
            })).collect::<Vec<_>>(),
        }),
        Body::Agent(agent) => json!({
            "goal": agent.goal,
            "params": agent.params.iter().map(|param| json!({
                "name": param.name, "value": encode_hex(&param.value),
            })).collect::<Vec<_>>(),
        }),
        Body::Ledger(ledger) => json!({
            "asset": ledger.asset,
            "transfers": ledger.transfers.iter().map(|transfer| json!({
                "from": transfer.from.to_string(),
                "to": transfer.to.to_string(),
                "amount": transfer.amount.to_string(),
                "nonce": transfer.nonce,
            })).collect::<Vec<_>>(),
        }),
        // The secret of an epoch is printed nowhere.
        Body::Keyring(_) => json!({ "epoch_key": true }),
        Body::Other(bytes) => json!({ "hex": encode_hex(bytes) }),
    };
    let bytes = opened.bytes.len().to_string();
    json!({ "content_type": opened.content_type, "bytes": bytes, "body": body })
}

fn opened_text(opened: &Opened) -> String {
    let lines = |text: &str| {
        let line = |line| format!("  {}\n", plain(line));
        text.split('\n').map(line).collect::<String>()
    };
    let head = facts(&[("content type", plain(&opened.content_type))]);
    let body = match &opened.body {
        Body::Post(post) => lines(&post.text),
        Body::Comment(comment) => {
            format!("{}{}", facts(&[("about", comment.target.to_string())]), lines(&comment.text))
        }
        Body::Trust(trust) => {
            let edge = |edge: &kapsule_format::capsule::Edge| {
                let what = match edge.blocked {
                    true => "blocks".to_owned(),
                    false => format!("trusts {} ppm", grouped(edge.weight_ppm)),
                };
                format!("  {} {what}\n", edge.about)
            };
            let label = |label: &kapsule_format::capsule::Label| {
                let negated = if label.negated { "not " } else { "" };
                format!("  {} {negated}{}\n", label.about, plain(&label.value))
            };
            let edges = trust.edges.iter().map(edge);
            edges.chain(trust.labels.iter().map(label)).collect()
        }
        Body::Agent(agent) => lines(&agent.goal),
        Body::Ledger(ledger) => {
            let asset = plain(&ledger.asset);
            let line = |transfer: &kapsule_format::capsule::Transfer| {
                let (from, to, amount) = (transfer.from, transfer.to, Amount::new(transfer.amount));
                format!("  {from} to {to}: {amount} {asset}\n")
            };
            ledger.transfers.iter().map(line).collect()
        }
        Body::Keyring(_) => "  the key of the epoch, which is not shown\n".to_owned(),
        Body::Other(bytes) => format!("  {} bytes\n", grouped(bytes.len() as u64)),
    };
    format!("{head}{body}")
}

/// Verifies a capsule and prints the report.
pub(crate) fn verify(
    context: &Context,
    verifier: &Verifier<'_>,
    args: &IdentityArgs,
    files: &Files,
) -> Done {
    let capsule = Capsule::decode(files.bytes()).ok();
    let meta = capsule.as_ref().map(Capsule::meta);
    let channel = meta.map_or(Ok(None), channel_of)?;
    let parents = match (&channel, meta) {
        (Some(channel), Some(meta)) => parents(channel, meta)?,
        _ => Vec::new(),
    };
    let keyring = channel.as_ref().zip(meta.and_then(Meta::deciding_epoch));
    let keyring = keyring.and_then(|(channel, epoch)| channel.keyring(epoch));
    let around = Surroundings { keyring, parents: &parents, ..Surroundings::default() };
    let report = |unlock| -> Result<Report, Failure> {
        let identities = match meta {
            Some(meta) => identities(channel.as_ref(), meta, args, unlock)?,
            None => Identities::default(),
        };
        Ok(verifier.capsule(files.bytes(), Some(&around), &identities))
    };
    let mut found = report(false)?;
    if found.result(CheckName::Opened) == Some(CheckResult::NotDone(ErrorCode::KeyNotHeld)) {
        found = report(true)?;
    }
    let ui = &context.ui;
    if ui.json() {
        let mut bytes = found.encode();
        bytes.push(b'\n');
        ui.data(&bytes)?;
        return Ok(found.exit_code());
    }
    let left = found.checks.iter().filter(|check| check.result != CheckResult::Pass);
    let left = left.map(|check| words::of(words::Kind::Capsule, check.name.name()));
    let open: String = left
        .chain(words::NEVER_OF_CAPSULES.iter().copied())
        .map(|line| format!("  {line}\n"))
        .collect();
    let open = format!("not shown:\n{open}");
    let name = files.name();
    ui.text(&report_text(ui, ("capsule", &name), verifier, &found, &derived(&found), &open))?;
    match found.is_accepted() {
        true => Ok(0),
        false => Err(opening::rejected(&name, &found)),
    }
}

fn derived(report: &Report) -> String {
    let known = &report.facts;
    let list = |ids: Vec<String>| if ids.is_empty() { "none".to_owned() } else { ids.join(" ") };
    let mut rows = Vec::new();
    if let Some(capsule) = &known.capsule {
        rows.extend([
            ("capsule id", capsule.capsule_id.to_string()),
            ("kind", plain(&capsule.kind)),
            ("channel", capsule.channel.to_string()),
            ("epoch", capsule.epoch.to_string()),
            ("seq", capsule.seq.to_string()),
        ]);
    }
    rows.extend(known.author.iter().map(|author| ("author", author.to_string())));
    rows.push(("signers", list(known.signers.iter().map(ToString::to_string).collect())));
    let unknown = known.unknown_signers.iter().map(ToString::to_string).collect();
    rows.push(("unknown keys", list(unknown)));
    let aside = |entry: &kapsule_format::receipt::Ignored| {
        ("set aside", plain(&format!("{}: {}", entry.name, entry.code)))
    };
    rows.extend(known.ignored.iter().map(aside));
    facts(&rows)
}

/// Returns the time of the machine, or the one that the caller claims.
pub(crate) fn claimed(time_ms: Option<u64>) -> u64 {
    time_ms.unwrap_or_else(now_ms)
}
