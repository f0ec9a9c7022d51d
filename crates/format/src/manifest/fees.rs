//! Fees: money, shares, royalties, and whether they add up.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use kapsule_abi::{ErrorCode, guard};

use super::{Extensions, names};
use crate::DecodeError;
use crate::key::PublicKey;
use crate::text::{is_made_of, shown};

/// Parts per million of a whole.
pub const PPM_WHOLE: u64 = 1_000_000;
/// Greatest sum of all royalties in parts per million.
pub(super) const ROYALTIES_PPM_MAX: u64 = 500_000;
/// Decimal places of an amount.
const DECIMALS: usize = 18;
/// Greatest number of digits before the point.
const WHOLE_DIGITS_MAX: usize = 20;

/// What a run of a package costs and who is paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fees {
    /// Fee that royalties and splits divide.
    pub base: Money,
    /// Paid whole to a third party that verifies.
    pub bounty: Option<Money>,
    /// Paid whole to the executor.
    pub execution: Option<Money>,
    /// Shares that come off the base first, ascending by payee.
    pub royalties: Vec<Royalty>,
    /// Whether seeders have a split.
    pub share_seeders: bool,
    /// Whether verifiers have a split.
    pub share_verifiers: bool,
    /// Shares of the rest, ascending by role name.
    pub splits: Vec<Split>,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A sum of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    /// How much.
    pub amount: Amount,
    /// Asset name, `[A-Z][A-Z0-9]{1,15}`.
    pub asset: String,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A share of the base for one payee.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Royalty {
    /// Key text of suite 1, 2 or 4, or `eip155:<chain>:0x<40 hex digits>`.
    pub payee: String,
    /// Parts per million of the base.
    pub ppm: u64,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

/// A share of the rest for one role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    /// Parts per million of what royalties leave.
    pub ppm: u64,
    /// Who is paid.
    pub role: Role,
    /// Members that start with `x_`.
    pub extensions: Extensions,
}

names! {
    /// Who is paid by a split, in the order of the names.
    Role {
        /// The author of the package.
        Developer = "developer",
        /// The host that ran it.
        Executor = "executor",
        /// Those who carried messages.
        Relays = "relays",
        /// Those who kept the package available.
        Seeders = "seeders",
        /// The common treasury.
        Treasury = "treasury",
        /// Those who checked the run.
        Verifiers = "verifiers",
    }
}

/// An amount as a count of 10^-18 units.
///
/// Twenty digits before the point times 10^18 stay below 2^128.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u128);

impl Amount {
    /// Takes a count of 10^-18 units.
    #[must_use]
    pub const fn new(units: u128) -> Self {
        Self(units)
    }

    /// Returns the count of 10^-18 units.
    #[must_use]
    pub const fn units(self) -> u128 {
        self.0
    }
}

impl FromStr for Amount {
    type Err = DecodeError;

    /// Reads `(0|[1-9][0-9]{0,19})(\.[0-9]{0,17}[1-9])?`.
    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let wrong = || {
            DecodeError::new(
                ErrorCode::SchemaViolation,
                format!("{:?} is not an amount such as `12` or `0.0001`", shown(text)),
            )
        };
        let (whole, fraction) = match text.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let digits = |text: &str, max| is_made_of(text, max, |byte| byte.is_ascii_digit());
        let whole_form =
            digits(whole, WHOLE_DIGITS_MAX) && (whole == "0" || !whole.starts_with('0'));
        if guard!("format.fees.amount_whole", !whole_form) {
            return Err(wrong());
        }
        let fraction_form =
            fraction.is_none_or(|part| digits(part, DECIMALS) && !part.ends_with('0'));
        if guard!("format.fees.amount_fraction", !fraction_form) {
            return Err(wrong());
        }
        let units = format!("{whole}{:0<DECIMALS$}", fraction.unwrap_or(""));
        units.parse().map(Self).map_err(|_| wrong())
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = 10u128.pow(18);
        let fraction = format!("{:018}", self.0 % unit);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}", self.0 / unit),
            fraction => write!(f, "{}.{fraction}", self.0 / unit),
        }
    }
}

/// Tells whether `asset` matches `[A-Z][A-Z0-9]{1,15}`.
pub(crate) fn is_asset(asset: &str) -> bool {
    asset.len() >= 2
        && asset.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
        && is_made_of(asset, 16, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Checks that `payee` has one of the two forms of a payee.
pub(crate) fn check_payee(payee: &str) -> Result<(), DecodeError> {
    let Some(account) = payee.strip_prefix("eip155:") else {
        let suite = PublicKey::from_str(payee)?.suite();
        if guard!("format.fees.payee_suite", suite.is_additive()) {
            return Err(DecodeError::new(
                ErrorCode::SuiteUnsupported,
                format!("payee is a key of suite {suite}, allowed are ed25519, p256, secp256k1"),
            ));
        }
        return Ok(());
    };
    if guard!("format.fees.account", !is_account(account)) {
        return Err(DecodeError::new(
            ErrorCode::SchemaViolation,
            format!("{:?} is not `eip155:<chain>:0x<40 hex digits>`", shown(payee)),
        ));
    }
    Ok(())
}

fn is_account(account: &str) -> bool {
    let Some((chain, address)) = account.split_once(":0x") else {
        return false;
    };
    is_made_of(chain, 19, |byte| byte.is_ascii_digit())
        && !chain.starts_with('0')
        && crate::text::is_hex(address, 40, 40)
}

impl Fees {
    /// Checks that shares, royalties and splits add up.
    ///
    /// # Errors
    /// E130 otherwise.
    pub fn check_shares(&self) -> Result<(), DecodeError> {
        let wrong = |detail: String| DecodeError::new(ErrorCode::FeesInvalid, detail);
        let zero_royalty = self.royalties.iter().any(|royalty| royalty.ppm == 0);
        if guard!("format.fees.royalty_zero", zero_royalty) {
            return Err(wrong("a royalty has 0 ppm, allowed is at least 1".to_string()));
        }
        let royalties = sum(self.royalties.iter().map(|royalty| royalty.ppm));
        if guard!("format.fees.royalty_sum", royalties > ROYALTIES_PPM_MAX) {
            return Err(wrong(format!(
                "royalties add up to {royalties} ppm, allowed are {ROYALTIES_PPM_MAX}"
            )));
        }
        if guard!("format.fees.split_zero", self.splits.iter().any(|split| split.ppm == 0)) {
            return Err(wrong("a split has 0 ppm, allowed is at least 1".to_string()));
        }
        let splits = sum(self.splits.iter().map(|split| split.ppm));
        if guard!("format.fees.split_sum", splits != PPM_WHOLE) {
            return Err(wrong(format!("splits add up to {splits} ppm instead of {PPM_WHOLE}")));
        }
        let has = |role| self.splits.iter().any(|split| split.role == role);
        if guard!("format.fees.seeders", !self.share_seeders && has(Role::Seeders)) {
            return Err(wrong("seeders have a split although share_seeders is false".to_string()));
        }
        if guard!("format.fees.verifiers", !self.share_verifiers && has(Role::Verifiers)) {
            return Err(wrong(
                "verifiers have a split although share_verifiers is false".to_string(),
            ));
        }
        Ok(())
    }
}

/// Adds shares, which are at most 2^53-1 each and few.
fn sum(shares: impl Iterator<Item = u64>) -> u64 {
    shares.fold(0, u64::saturating_add)
}
