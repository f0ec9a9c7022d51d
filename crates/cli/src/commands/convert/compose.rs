//! `kapsule convert compose`

use std::path::PathBuf;

use kapsule_format::cbor::{self, Value};

use crate::cli::Context;
use crate::convert::VERSION;
use crate::error::Failure;
use crate::files::{self, INPUT_BYTES_MAX};
use crate::opening::{self, Files};

const COMPOSE_EXAMPLES: &str = "\
Examples:
  kapsule convert compose trust.input rank.input --trust trust.mod --rank rank.mod -o feed.input";

/// Joins the inputs of the trust and rank packages to the input of the feed package, which calls
/// both
///
/// The input of rank is that of `kapsule convert hn` without `--trust`: the scores come from the
/// run of trust.
#[derive(Debug, clap::Args)]
#[command(after_help = COMPOSE_EXAMPLES)]
pub(crate) struct ComposeArgs {
    /// Input of the trust package, `-` for stdin
    trust_input: PathBuf,
    /// Input of the rank package
    rank_input: PathBuf,
    /// Package that computes the scores
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Package that orders the posts
    #[arg(long, value_name = "FILE")]
    rank: PathBuf,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    pub(super) output: PathBuf,
}

pub(super) fn convert(context: &Context, args: &ComposeArgs) -> Result<(Vec<u8>, u64), Failure> {
    let id = |path: &PathBuf| -> Result<Value, Failure> {
        let package = opening::decode(&Files::read(path)?)?;
        Ok(package.capsule_hash().digest().as_bytes().to_vec().into())
    };
    let input = |path: &PathBuf| -> Result<Value, Failure> {
        let bytes = files::read(path, "input", INPUT_BYTES_MAX)?;
        cbor::decode(&bytes).map_err(|error| {
            let message = format!("{} is no input of a standard package", files::name(path));
            Failure::decode(message, &error, "make it with `kapsule convert otc` or `convert hn`")
        })
    };
    let progress = context.ui.begin(&format!("joining {}", files::name(&args.trust_input)));
    let items = [id(&args.trust)?, id(&args.rank)?, input(&args.trust_input)?];
    let items = std::iter::once(VERSION.into()).chain(items).chain([input(&args.rank_input)?]);
    let bytes = cbor::encode(&Value::Map((0..).zip(items).collect()));
    progress.end("joined two inputs");
    Ok((bytes, 2))
}
