//! The store of the home: opening it, and what its errors mean to a person.

use kapsule_abi::ErrorCode;
use kapsule_format::hash;
use kapsule_format::key::{SecretKey, Uses};
use kapsule_format::log::LogName;
use kapsule_store::{Opening, Store, StoreError};

use crate::cli::Context;
use crate::error::Failure;
use crate::keystore::KeyName;
use crate::opening;
use crate::passphrase::PassphraseArgs;
use crate::paths::Home;

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let code = error.code();
        let hint = match code {
            ErrorCode::StoreOpen => "`kapsule ingest FILE` makes a store; see KAPSULE_HOME",
            ErrorCode::WriteConflict => "wait until the other command ends, and run this one again",
            ErrorCode::CheckpointInvalid => "name the key of this log with --key",
            ErrorCode::LogTruncated | ErrorCode::LogFork => {
                "keep the file as evidence and restore a copy of the store; `kapsule doctor` says \
                 more"
            }
            _ => "see what is damaged with `kapsule doctor`, and restore a copy of the store",
        };
        let failure = Self::new(code, "the store cannot be used", hint).cause(&error);
        match std::error::Error::source(&error) {
            Some(source) => failure.cause(source),
            None => failure,
        }
    }
}

/// Reads the name of a log on the command line.
pub(crate) fn decode_name(text: &str) -> Result<LogName, String> {
    LogName::new(text).map_err(|error| error.to_string())
}

/// Opens the store of the home.
pub(crate) fn open(context: &Context) -> Result<Store, Failure> {
    let opening = Opening { origin: None, time_ms: opening::now_ms() };
    Ok(Store::open(&context.home()?.data(), opening)?)
}

/// Opens the store of a home if there is one.
pub(crate) fn existing(home: &Home) -> Result<Option<Store>, Failure> {
    let directory = home.data();
    let opening = Opening { origin: None, time_ms: opening::now_ms() };
    let open = || Store::open(&directory, opening).map_err(Failure::from);
    Store::file(&directory).exists().then(open).transpose()
}

/// Opens the store of the home, and makes one where there is none.
///
/// Its log is named by the caller, or at random.
pub(crate) fn open_or_create(
    context: &Context,
    origin: Option<&LogName>,
) -> Result<Store, Failure> {
    let directory = context.home()?.data();
    let exists = Store::file(&directory).exists();
    let origin = match origin {
        Some(_) if exists => {
            let message = "the log of the store has a name already";
            return Err(Failure::usage(message, "leave out --origin, or use another KAPSULE_HOME"));
        }
        Some(origin) => origin.clone(),
        None => random_name()?,
    };
    Ok(Store::open(&directory, Opening { origin: Some(origin), time_ms: opening::now_ms() })?)
}

fn random_name() -> Result<LogName, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        let hint = "try again on a machine that gives them";
        Failure::internal("no random numbers", hint).cause(error)
    })?;
    let name = format!("kapsule.invalid/log/{}", hash::encode_hex(&bytes));
    Ok(LogName::new(name).expect("hex digits have the form of a name"))
}

/// Opens the key of the log.
pub(crate) fn log_key(
    context: &Context,
    name: &KeyName,
    passphrase: &PassphraseArgs,
) -> Result<SecretKey, Failure> {
    let stored = context.keys()?.load(name, passphrase)?;
    let key =
        stored.keys.into_iter().find(|key| matches!(key.uses, Uses::Log | Uses::CosignAndLog));
    let key = key.ok_or_else(|| {
        let message = format!("the key {} does not sign checkpoints", name.as_str());
        let hint = "make a key for the log with `kapsule log key NAME`";
        Failure::new(ErrorCode::KeyFileForm, message, hint)
    })?;
    Ok(key.secret)
}
