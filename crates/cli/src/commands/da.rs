//! `kapsule da`

mod challenge;
mod check;
mod respond;

use std::path::Path;

use kapsule_format::limits::ENVELOPE_BYTES_MAX;
use kapsule_format::receipt::da::SignedChallenge;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::files;

/// Greatest length of a challenge file that is read: one envelope for each suite.
const CHALLENGE_BYTES_MAX: u64 = 4 * (ENVELOPE_BYTES_MAX as u64 + 1);

/// Samples audit bundles that are kept elsewhere: challenges, answers, and what came of them
///
/// A challenger picks chunks of a bundle by random bytes that nobody knew before, a provider shows
/// them with their paths to the root in the claim, and the challenger attests what it saw.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Challenge(challenge::Args),
    Respond(respond::Args),
    Check(check::Args),
}

pub(super) fn run(context: &Context, command: &Command) -> Done {
    match command {
        Command::Challenge(args) => challenge::run(context, args),
        Command::Respond(args) => respond::run(context, args),
        Command::Check(args) => check::run(context, args),
    }
}

/// Reads a challenge.
fn read_challenge(path: &Path) -> Result<SignedChallenge, Failure> {
    let bytes = files::read(path, "challenge", CHALLENGE_BYTES_MAX)?;
    SignedChallenge::decode(&bytes).map_err(|error| {
        let message = format!("{} is not a valid challenge", files::name(path));
        Failure::decode(message, &error, "make one with `kapsule da challenge RECEIPT --key NAME`")
    })
}

/// Returns the failure of a challenge that is about something else.
fn other_bundle(path: &Path, error: &kapsule_format::DecodeError) -> Failure {
    let message = format!("{} is not about this receipt", files::name(path));
    Failure::decode(message, error, "name the receipt that was challenged")
}
