//! Bodies of capsules, from text and TOML files.

use kapsule_abi::ErrorCode;
use kapsule_format::DecodeError;
use kapsule_format::capsule::{
    Agent, Body, CapsuleId, Comment, Edge, Label, Ledger, Param, Post, Transfer, TrustBody, kind,
};
use kapsule_format::key::IdentityId;
use kapsule_format::manifest::Amount;
use serde::Deserialize;

use crate::error::Failure;

/// A trust file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    #[serde(default)]
    edge: Vec<EdgeRow>,
    #[serde(default)]
    label: Vec<LabelRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgeRow {
    about: String,
    #[serde(default)]
    weight_ppm: u64,
    #[serde(default)]
    blocked: bool,
    #[serde(default)]
    expiry_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LabelRow {
    about: String,
    value: String,
    #[serde(default)]
    negated: bool,
    #[serde(default)]
    expiry_ms: u64,
}

/// A goal file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentFile {
    goal: String,
    #[serde(default)]
    params: std::collections::BTreeMap<String, String>,
}

/// A file of transfers.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LedgerFile {
    asset: String,
    transfer: Vec<TransferRow>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TransferRow {
    from: String,
    to: String,
    /// Units, such as `10` or `0.5`; text, since TOML has no number that is exact enough.
    amount: String,
    nonce: u64,
}

/// Makes the body of a kind of what a file holds.
///
/// A post or comment is text, the other kinds are TOML; an unknown kind is kept as it is.
pub(crate) fn read(
    named: &str,
    bytes: &[u8],
    target: Option<CapsuleId>,
    now_ms: u64,
) -> Result<Body, Failure> {
    let text = || text(bytes);
    Ok(match named {
        kind::POST => Body::Post(Post::plain(text()?)),
        kind::COMMENT => {
            let target = target.ok_or_else(|| {
                let hint = "name the capsule with --reply-to ID";
                Failure::usage("a comment is about another capsule", hint)
            })?;
            Body::Comment(Comment::on(target, text()?))
        }
        kind::TRUST => trust(toml(&text()?)?, now_ms)?,
        kind::AGENT => agent(toml(&text()?)?),
        kind::LEDGER => ledger(toml(&text()?)?)?,
        kind::KEYRING => {
            let hint = "use `kapsule channel new` and `kapsule channel rotate`";
            return Err(Failure::usage("a keyring is not posted by hand", hint));
        }
        _ => Body::Other(bytes.to_vec()),
    })
}

fn text(bytes: &[u8]) -> Result<String, Failure> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let hint = "write the file as UTF-8 text";
        Failure::new(ErrorCode::SchemaViolation, "the text cannot be posted", hint).cause(error)
    })?;
    Ok(text.replace("\r\n", "\n"))
}

fn toml<T: for<'d> Deserialize<'d>>(text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(refuse)
}

fn refuse(cause: impl ToString) -> Failure {
    let hint = "see the forms with `kapsule post --help`";
    Failure::new(ErrorCode::SchemaViolation, "the file holds no body of this kind", hint)
        .cause(cause)
}

fn identity(text: &str) -> Result<IdentityId, Failure> {
    text.parse().map_err(|error| refuse(format!("identity {text:?}: {error}")))
}

fn trust(file: TrustFile, now_ms: u64) -> Result<Body, Failure> {
    let edge = |row: EdgeRow| -> Result<Edge, Failure> {
        let EdgeRow { about, weight_ppm, blocked, expiry_ms } = row;
        Ok(Edge { about: identity(&about)?, weight_ppm, blocked, expiry_ms })
    };
    let label = |row: LabelRow| -> Result<Label, Failure> {
        let LabelRow { about, value, negated, expiry_ms } = row;
        Ok(Label { about: identity(&about)?, value, negated, created_ms: now_ms, expiry_ms })
    };
    Ok(Body::Trust(TrustBody {
        edges: file.edge.into_iter().map(edge).collect::<Result<_, _>>()?,
        labels: file.label.into_iter().map(label).collect::<Result<_, _>>()?,
        extensions: Vec::new(),
    }))
}

fn agent(file: AgentFile) -> Body {
    let param = |(name, value): (String, String)| Param { name, value: value.into_bytes() };
    let params = file.params.into_iter().map(param).collect();
    Body::Agent(Agent { goal: file.goal, params, extensions: Vec::new() })
}

fn ledger(file: LedgerFile) -> Result<Body, Failure> {
    let transfer = |row: TransferRow| -> Result<Transfer, Failure> {
        let amount: Amount =
            row.amount.parse().map_err(|error: DecodeError| refuse(error.detail))?;
        let (from, to) = (identity(&row.from)?, identity(&row.to)?);
        Ok(Transfer { from, to, amount: amount.units(), nonce: row.nonce })
    };
    let transfers = file.transfer.into_iter().map(transfer).collect::<Result<_, _>>()?;
    Ok(Body::Ledger(Ledger { asset: file.asset, transfers, extensions: Vec::new() }))
}
