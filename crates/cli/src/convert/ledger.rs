//! Opening balances and a journal, to the input of `transfer`, and its output back to rows.

use std::collections::BTreeMap;

use kapsule_format::DecodeError;
use kapsule_format::cbor::{self, Fields, FromValue, Items, Value};

use super::rows::foreign;
use super::{Converted, Name, Record, UINT_MAX, VERSION, refuse, uint};
use crate::error::Failure;

/// Columns of the opening balances.
const OPENING_FORM: &str = "account,nonce,asset,balance";
/// Columns of the journal.
const JOURNAL_FORM: &str = "transaction,authors,account,asset,debit,credit";

/// Nonce and balances of an account.
type Held = (u64, BTreeMap<Name, u64>);

/// One transaction: authors with their nonces, and postings.
#[derive(Default)]
struct Transaction {
    authors: Vec<Value>,
    postings: Vec<Value>,
}

/// Converts a journal over opening balances; without those every account is empty.
pub(crate) fn convert(held: Option<&[u8]>, journal: &[u8]) -> Result<Converted, Failure> {
    let accounts = opening(held)?;
    let transactions = transactions(journal)?;
    let records = transactions.len() as u64;
    let transaction = |transaction: Transaction| {
        Value::Array(vec![transaction.authors.into(), transaction.postings.into()])
    };
    let transactions = Value::Array(transactions.into_values().map(transaction).collect());
    let input = vec![(0, VERSION.into()), (1, accounts), (2, transactions)];
    Ok(Converted { bytes: cbor::encode(&Value::Map(input)), records })
}

/// Returns the first state of the accounts, empty without a table.
pub(crate) fn opening(table: Option<&[u8]>) -> Result<Value, Failure> {
    Ok(accounts_value(&table.map(accounts).transpose()?.unwrap_or_default()))
}

fn accounts_value(accounts: &BTreeMap<Name, Held>) -> Value {
    let account = |(name, (nonce, balances)): (&Name, &Held)| {
        let balance =
            |(asset, balance): (&Name, &u64)| Value::Array(vec![asset.into(), (*balance).into()]);
        let balances = balances.iter().map(balance).collect();
        Value::Array(vec![name.into(), (*nonce).into(), Value::Array(balances)])
    };
    Value::Array(accounts.iter().map(account).collect())
}

/// Reads the records of a table whose first line names exactly the columns of `form`.
fn records<T>(
    table: &[u8],
    form: &'static str,
    mut read: impl FnMut(&Record<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(table);
    let headers = reader.headers().map_err(|error| refuse(form, error))?;
    let found = headers.iter().collect::<Vec<_>>().join(",");
    if found != form {
        return Err(refuse(form, format!("the first line is {found:?}")));
    }
    let record = |fields: Result<csv::StringRecord, csv::Error>| {
        let fields = fields.map_err(|error| refuse(form, error))?;
        read(&Record { fields: &fields, form })
    };
    reader.records().map(record).collect()
}

fn accounts(table: &[u8]) -> Result<BTreeMap<Name, Held>, Failure> {
    let mut accounts: BTreeMap<Name, Held> = BTreeMap::new();
    records(table, OPENING_FORM, |record| {
        let account = record.read(0, "account", str::parse::<Name>)?;
        let nonce = record.read(1, "nonce", |text| uint(text, UINT_MAX))?;
        let asset = record.read(2, "asset", str::parse::<Name>)?;
        let held = accounts.entry(account).or_insert_with(|| (nonce, BTreeMap::new()));
        record.read(1, "nonce", |_| match held.0 == nonce {
            true => Ok(()),
            false => Err(format!("an earlier line of the account has {}", held.0)),
        })?;
        record.read(3, "balance", |text| {
            let balance = uint(text, UINT_MAX)?;
            match held.1.insert(asset, balance) {
                None if balance > 0 => Ok(()),
                None => Err("a balance is at least 1".to_owned()),
                Some(_) => Err("the account has a line for this asset already".to_owned()),
            }
        })
    })?;
    Ok(accounts)
}

fn transactions(table: &[u8]) -> Result<BTreeMap<u64, Transaction>, Failure> {
    let mut transactions: BTreeMap<u64, Transaction> = BTreeMap::new();
    records(table, JOURNAL_FORM, |record| {
        let number = record.read(0, "transaction", |text| uint(text, UINT_MAX))?;
        let authors = record.read(1, "authors", |text| {
            text.split_whitespace().map(author).collect::<Result<Vec<Value>, String>>()
        })?;
        let posting = posting(record)?;
        let transaction = transactions.entry(number).or_default();
        transaction.authors.extend(authors);
        transaction.postings.push(posting);
        Ok(())
    })?;
    Ok(transactions)
}

/// Reads `NAME:NONCE`.
fn author(text: &str) -> Result<Value, String> {
    let (name, nonce) = text.rsplit_once(':').ok_or("expected NAME:NONCE")?;
    Ok(Value::Array(vec![(&name.parse::<Name>()?).into(), uint(nonce, UINT_MAX)?.into()]))
}

fn posting(record: &Record<'_>) -> Result<Value, Failure> {
    let account = record.read(2, "account", str::parse::<Name>)?;
    let asset = record.read(3, "asset", str::parse::<Name>)?;
    let amount = |index, column| {
        record.read(index, column, |text| match text {
            "" => Ok(None),
            text => uint(text, UINT_MAX).map(Some),
        })
    };
    let (side, amount) = match (amount(4, "debit")?, amount(5, "credit")?) {
        (Some(amount), None) => (0_u64, amount),
        (None, Some(amount)) => (1, amount),
        _ => return record.read(5, "credit", |_| Err("either debit or credit".to_owned())),
    };
    Ok(Value::Array(vec![(&account).into(), (&asset).into(), side.into(), amount.into()]))
}

/// What an account holds after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// Who.
    pub(crate) name: Name,
    /// Nonce of the last transaction.
    pub(crate) nonce: u64,
    /// Asset and balance, ascending by asset.
    pub(crate) balances: Vec<(Name, u64)>,
}

/// The output of `transfer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// The accounts, ascending.
    pub(crate) accounts: Vec<Account>,
    /// A verdict for each transaction.
    pub(crate) verdicts: Vec<u64>,
}

/// Words for the verdicts, by number.
const VERDICTS: [&str; 7] = [
    "applied",
    "repeated",
    "unbalanced",
    "unauthorised",
    "wrong nonce",
    "insufficient",
    "overflow",
];

impl FromValue for Account {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "account", 3..=3)?;
        let (name, nonce) = (items.required()?, items.required()?);
        let balances: Vec<Pair> = items.required()?;
        let balances = balances.into_iter().map(|Pair(asset, balance)| (asset, balance)).collect();
        items.finish().map(|()| Self { name, nonce, balances })
    }
}

struct Pair(Name, u64);

impl FromValue for Pair {
    fn from_value(value: Value) -> Result<Self, DecodeError> {
        let mut items = Items::new(value, "balance", 2..=2)?;
        let pair = Self(items.required()?, items.required()?);
        items.finish().map(|()| pair)
    }
}

impl Ledger {
    /// Decodes the output of the transfer module.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let read = || {
            let mut fields = Fields::new(cbor::decode(bytes)?, "transfer output")?;
            fields.uint(0, VERSION..=VERSION)?;
            let ledger = Self { accounts: fields.required(1)?, verdicts: fields.required(2)? };
            fields.finish().map(|()| ledger)
        };
        read().map_err(|error| foreign("transfer", &error))
    }

    /// Returns the verdict on a transaction in words.
    pub(crate) fn verdict(&self, index: usize) -> &'static str {
        let number = self.verdicts.get(index).and_then(|number| usize::try_from(*number).ok());
        number.and_then(|number| VERDICTS.get(number)).copied().unwrap_or("unknown")
    }

    /// Returns how many transactions had each verdict, in words.
    pub(crate) fn summary(&self) -> String {
        let count = |(number, word): (usize, &&str)| {
            let found = self.verdicts.iter().filter(|verdict| **verdict == number as u64).count();
            (found > 0).then(|| format!("{found} {word}"))
        };
        VERDICTS.iter().enumerate().filter_map(count).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOURNAL: &str = "transaction,authors,account,asset,debit,credit\n";

    fn fails(opening: &str, journal: &str) -> Vec<String> {
        let opening = (!opening.is_empty()).then_some(opening.as_bytes());
        convert(opening, journal.as_bytes()).unwrap_err().causes
    }

    #[test]
    fn tables_become_accounts_and_transactions() {
        let opening = "account,nonce,asset,balance\nbob,0,usd,7\nada,2,usd,5\nada,2,coin,1\n";
        let journal = format!("{JOURNAL}2,ada:3 7:1,ada,usd,5,\n1,bob:1,bob,usd,1,\n2,,7,usd,,5\n");
        let converted = convert(Some(opening.as_bytes()), journal.as_bytes()).unwrap();
        assert_eq!(converted.records, 2);
        let expect = b"\xa3\x00\x01\x01\x82\
            \x83\x63ada\x02\x82\x82\x64coin\x01\x82\x63usd\x05\x83\x63bob\x00\x81\x82\x63usd\x07\
            \x02\x82\x82\x81\x82\x63bob\x01\x81\x84\x63bob\x63usd\x00\x01\
            \x82\x82\x82\x63ada\x03\x82\x07\x01\x82\x84\x63ada\x63usd\x00\x05\
            \x84\x07\x63usd\x01\x05";
        assert_eq!(converted.bytes, expect);
    }

    #[test]
    fn errors_name_line_and_column() {
        for (lines, expect) in [
            ("1,ada,ada,usd,1,\n", "authors \"ada\" in line 2: expected NAME:NONCE"),
            ("1,ada:1,ada,usd,1,1\n", "credit \"1\" in line 2: either debit or credit"),
            ("1,ada:1,ada,usd,,\n", "credit \"\" in line 2: either debit or credit"),
        ] {
            assert_eq!(fails("", &format!("{JOURNAL}{lines}")), [expect]);
        }
        assert_eq!(fails("", "a,b\n"), ["the first line is \"a,b\""]);
        for (lines, expect) in [
            ("ada,0,usd,0\n", "balance \"0\" in line 2: a balance is at least 1"),
            (
                "ada,0,usd,1\nada,1,coin,1\n",
                "nonce \"1\" in line 3: an earlier line of the account has 0",
            ),
            (
                "ada,0,usd,1\nada,0,usd,1\n",
                "balance \"1\" in line 3: the account has a line for this asset already",
            ),
        ] {
            assert_eq!(fails(&format!("{OPENING_FORM}\n{lines}"), JOURNAL), [expect]);
        }
    }

    #[test]
    fn the_summary_counts_verdicts() {
        let ledger = Ledger { accounts: Vec::new(), verdicts: vec![0, 4, 0, 6] };
        assert_eq!(ledger.summary(), "2 applied, 1 wrong nonce, 1 overflow");
    }
}
