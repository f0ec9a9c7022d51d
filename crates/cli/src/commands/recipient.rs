//! `kapsule key recipient`

use serde_json::json;

use crate::agekeys;
use crate::cli::Context;
use crate::error::Done;
use crate::keystore::KeyName;
use crate::passphrase::ProtectArgs;
use crate::text::facts;

const EXAMPLES: &str = "\
Examples:
  kapsule key recipient carol
  kapsule key recipient ci-2026 --json";

/// Creates an age key, to which others encrypt modules
///
/// Writes `NAME.ageid` (secret, mode 0600) and `NAME.agepub`, and overwrites nothing.
/// Both are ordinary files of age tools.
/// Give the recipient to authors, who name it with `kapsule pack --encrypt-to`; `kapsule run` and
/// `kapsule replay` find the secret by themselves.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Name of the key: letters, digits and `@._-`
    name: KeyName,
    #[command(flatten)]
    protect: ProtectArgs,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let protection = args.protect.protection(args.name.as_str())?;
    let key = agekeys::create(&context.home()?, &args.name, protection.as_ref())?;
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-recipient/1",
            "name": args.name.as_str(),
            "recipient": key.recipient.to_string(),
            "identity_file": key.secret_path.display().to_string(),
            "recipient_file": key.public_path.display().to_string(),
        }))?;
    } else {
        context.ui.text(&facts(&[
            ("name", args.name.as_str().to_owned()),
            ("recipient", key.recipient.to_string()),
            ("identity file", key.secret_path.display().to_string()),
            ("recipient file", key.public_path.display().to_string()),
        ]))?;
    }
    context.ui.say(
        "the identity file is the only copy; without it nobody can open what is \
                    encrypted to it",
    );
    Ok(0)
}
