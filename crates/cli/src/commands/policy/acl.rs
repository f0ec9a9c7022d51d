//! `kapsule policy acl`

use std::path::PathBuf;

use kapsule_format::hash::sha256;
use kapsule_format::key::Identity;
use kapsule_format::receipt_policy::{Acl, AclEntry, Status};
use kapsule_format::trust::Role;
use serde_json::json;

use crate::cli::Context;
use crate::error::{Done, Failure};
use crate::trustfile::{decode_role, find_identity};
use crate::{files, receipts};

const EXAMPLES: &str = "\
Examples:
  kapsule policy acl alice --policy nightly
  kapsule policy acl alice bob.pub --role issuer --role auditor -o acl.json
  kapsule policy acl --extends acl.json --withdraw bob.pub";

/// Writes an access list: who may issue receipts under which receipt policies
///
/// The file (`kapsule/acl/1`) is what `verify --acl` takes; put it at `acl.json` of the
/// configuration directory to have it used always, and pin it with `kapsule accept --pin-acl`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Names of identities of the home, or paths of `.pub` files
    #[arg(required_unless_present = "extends", value_name = "KEY")]
    keys: Vec<String>,
    /// Id of a policy that they may act under; may be repeated, `*` for all
    #[arg(long = "policy", value_name = "ID", default_value = "*")]
    policies: Vec<String>,
    /// What they may do; may be repeated
    #[arg(long = "role", value_name = "ROLE", value_parser = decode_role)]
    #[arg(default_values_t = [Role::Issuer])]
    roles: Vec<Role>,
    /// Access list to write the successor of: the entries are added, the others stay
    #[arg(long, value_name = "FILE")]
    extends: Option<PathBuf>,
    /// Identity whose rights are taken back; may be repeated
    #[arg(long = "withdraw", value_name = "KEY", requires = "extends")]
    withdrawn: Vec<String>,
    /// File to write, `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "acl.json")]
    output: PathBuf,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    files::check_result(&context.ui, &args.output)?;
    let keys = context.keys()?;
    let find = |names: &[String]| -> Result<Vec<Identity>, Failure> {
        names.iter().map(|name| find_identity(&keys, name).map(|found| found.1)).collect()
    };
    let mut acl = match &args.extends {
        Some(path) => receipts::read_acl(path)?.1,
        None => Acl::default(),
    };
    acl.serial = acl.serial.saturating_add(1);
    let sorted = |mut list: Vec<String>| {
        list.sort();
        list.dedup();
        list
    };
    for identity in find(&args.keys)? {
        let mut roles = args.roles.clone();
        roles.sort();
        roles.dedup();
        acl.entries.retain(|entry| entry.identity != identity.id());
        acl.entries.push(AclEntry {
            identity: identity.id(),
            policies: sorted(args.policies.clone()),
            roles,
            status: Status::Active,
            extensions: Default::default(),
        });
    }
    for identity in find(&args.withdrawn)? {
        let id = identity.id();
        match acl.entries.iter_mut().find(|entry| entry.identity == id) {
            Some(entry) => entry.status = Status::Withdrawn,
            None => {
                let message = format!("the access list has no entry of {id}");
                return Err(Failure::usage(message, "name an identity that it lists"));
            }
        }
    }
    acl.entries.sort_by_key(|entry| entry.identity);
    let bytes = acl.encode();
    // The reader has the rules for names.
    Acl::decode(&bytes).map_err(|error| {
        let hint = "name policies by their ids, or `*` alone";
        Failure::decode("no access list can say this", &error, hint)
    })?;
    files::write(&context.ui, &args.output, &bytes)?;
    let (file, pin) = (args.output.display().to_string(), sha256(&bytes).to_string());
    if context.ui.json() {
        context.ui.object(&json!({
            "schema": "kapsule/cli-acl/1",
            "file": file,
            "serial": acl.serial.to_string(),
            "sha256": pin,
        }))?;
    } else {
        context.ui.say(&format!("wrote {file}, serial {}, pin {pin}", acl.serial));
    }
    Ok(0)
}
