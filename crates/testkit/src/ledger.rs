//! Random ledgers against the module `transfer` as it is shipped.
//!
//! The model keeps whole numbers with a sign and applies a transaction before it looks whether the
//! result is a ledger; it shares no code with the module and meets it in encoded bytes only.

use std::collections::BTreeMap;

use kapsule_engine::{Backend, MemoryHost};
use kapsule_format::cbor::{Value, decode, encode};
use kapsule_meter::Profile;

use crate::{Random, StandardModule};

/// Transactions in one batch.
pub const BATCH: u64 = 1_000;
/// One batch in this many also runs on the interpreter, which takes about ten times as long.
const ON_BOTH: u64 = 10;
/// Accounts and assets of a ledger; few, so that most transactions meet a balance.
const ACCOUNTS: u64 = 24;
const ASSETS: u64 = 3;
/// Greatest balance.
const MOST: i128 = (1 << 53) - 1;
/// Verdicts of the module by number.
pub const VERDICTS: [&str; 7] =
    ["applied", "repeated", "unbalanced", "unauthorised", "nonce", "insufficient", "overflow"];

/// An account with an asset, and by how much its balance changes.
type Change = (u64, u64, i128);

/// A transaction: authors with nonces, and changes.
#[derive(Clone, Debug, Default)]
struct Transaction {
    authors: Vec<(u64, u64)>,
    changes: Vec<Change>,
}

/// Balances by account and asset, and nonces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    balances: BTreeMap<(u64, u64), i128>,
    nonces: BTreeMap<u64, u64>,
}

/// What a long run counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions by verdict, in the order of [`VERDICTS`].
    pub verdicts: [u64; 7],
    /// Batches on the JIT.
    pub batches: u64,
    /// Batches that also ran on the interpreter and were replayed.
    pub batches_on_both: u64,
    /// Fuel of all batches.
    pub fuel: u64,
}

impl Model {
    /// A ledger with random balances, some of them close to the greatest.
    fn random(random: &mut Random) -> Self {
        let mut model = Self::default();
        for account in 0..ACCOUNTS {
            for asset in 0..ASSETS {
                let balance = match random.below(8) {
                    0 => MOST - i128::from(random.below(50)),
                    1 | 2 => 0,
                    _ => i128::from(random.below(100_000)),
                };
                model.balances.insert((account, asset), balance);
            }
            model.nonces.insert(account, random.below(3));
        }
        model
    }

    /// Returns the verdict on a transaction, and makes its changes if it is 0.
    fn apply(&mut self, transaction: &Transaction) -> usize {
        let mut places: Vec<(u64, u64)> =
            transaction.changes.iter().map(|(account, asset, _)| (*account, *asset)).collect();
        let mut authors: Vec<u64> = transaction.authors.iter().map(|(name, _)| *name).collect();
        let before = (places.len(), authors.len());
        places.sort_unstable();
        places.dedup();
        authors.sort_unstable();
        authors.dedup();
        if (places.len(), authors.len()) != before {
            return 1;
        }
        let mut next = self.clone();
        let mut sums = [0_i128; ASSETS as usize];
        for (account, asset, change) in &transaction.changes {
            sums[*asset as usize] += change;
            *next.balances.entry((*account, *asset)).or_default() += change;
        }
        if sums != [0; ASSETS as usize] {
            return 2;
        }
        let stolen = |(account, _, change): &Change| *change < 0 && !authors.contains(account);
        if transaction.changes.iter().any(stolen) {
            return 3;
        }
        for (author, nonce) in &transaction.authors {
            let last = next.nonces.entry(*author).or_default();
            *last += 1;
            if last != nonce {
                return 4;
            }
        }
        if next.balances.values().any(|balance| *balance < 0) {
            return 5;
        }
        if next.balances.values().any(|balance| *balance > MOST) {
            return 6;
        }
        *self = next;
        0
    }

    /// Returns the state as the module writes and reads it.
    fn value(&self) -> Value {
        let mut accounts = Vec::new();
        for account in 0..ACCOUNTS {
            let nonce = self.nonces.get(&account).copied().unwrap_or(0);
            let balance = |asset: u64| {
                let balance = self.balances.get(&(account, asset)).copied().unwrap_or(0);
                let balance = u64::try_from(balance).expect("a ledger has no negative balance");
                (balance > 0).then(|| Value::array([asset, balance]))
            };
            let balances: Vec<Value> = (0..ASSETS).filter_map(balance).collect();
            if nonce > 0 || !balances.is_empty() {
                accounts.push(Value::Array(vec![account.into(), nonce.into(), balances.into()]));
            }
        }
        Value::Array(accounts)
    }

    /// Makes a transaction that is right more often than not.
    fn transaction(&self, random: &mut Random) -> Transaction {
        let mut made = Transaction::default();
        let asset = random.below(ASSETS);
        let mut sum = 0;
        for _ in 0..=random.below(2) {
            let payer = random.below(ACCOUNTS);
            let held = self.balances.get(&(payer, asset)).copied().unwrap_or(0);
            let share = u64::try_from(held).unwrap_or(0) / (2 + random.below(50));
            let amount = if random.one_in(12) { 1 + random.below(1 << 53) } else { share.max(1) };
            let amount = i128::from(amount.min((1 << 53) - 1));
            let nonce = self.nonces.get(&payer).copied().unwrap_or(0) + 1;
            made.authors.push((payer, nonce + u64::from(random.one_in(12))));
            made.changes.push((payer, asset, -amount));
            sum += amount;
        }
        if random.one_in(16) {
            made.authors[0].0 = random.below(ACCOUNTS);
        }
        let payee = random.below(ACCOUNTS);
        if random.one_in(4) && sum > 1 {
            made.changes.push((random.below(ACCOUNTS), asset, sum / 2));
            sum -= sum / 2;
        }
        let sum = (sum + i128::from(random.one_in(20))).min(MOST);
        let asset = if random.one_in(20) { random.below(ASSETS) } else { asset };
        made.changes.push((payee, asset, sum));
        made
    }
}

impl Transaction {
    fn value(&self) -> Value {
        let author = |(name, nonce): &(u64, u64)| Value::array([*name, *nonce]);
        let posting = |(account, asset, change): &Change| {
            let amount = u64::try_from(change.unsigned_abs()).expect("below 2^53");
            Value::array([*account, *asset, u64::from(*change > 0), amount])
        };
        let authors = Value::Array(self.authors.iter().map(author).collect());
        Value::Array(vec![authors, Value::Array(self.changes.iter().map(posting).collect())])
    }
}

/// Sends random transactions through the module, batch by batch, and compares each with the model.
///
/// Every batch runs on the JIT, one in ten on both backends with a replay.
///
/// # Errors
/// The first difference, with the batch.
pub fn soak(seed: u64, transactions: u64, progress: &dyn Fn(u64)) -> Result<Counts, String> {
    let module = StandardModule::load("transfer", Profile::Integer1, &[]);
    let mut random = Random::new(seed);
    let mut counts = Counts::default();
    let mut model = Model::random(&mut random);
    for batch in 0..transactions.div_ceil(BATCH) {
        // A new ledger now and then: old ones run dry of what is interesting.
        if batch % 16 == 15 {
            model = Model::random(&mut random);
        }
        let size = BATCH.min(transactions - batch * BATCH);
        check(&module, &mut model, &mut random, (batch, size), &mut counts)
            .map_err(|what| format!("seed {seed}, batch {batch}: {what}"))?;
        progress(batch * BATCH + size);
    }
    Ok(counts)
}

fn check(
    module: &StandardModule,
    model: &mut Model,
    random: &mut Random,
    (batch, size): (u64, u64),
    counts: &mut Counts,
) -> Result<(), String> {
    let before = model.value();
    let (mut transactions, mut verdicts) = (Vec::new(), Vec::new());
    for _ in 0..size {
        let transaction = model.transaction(random);
        let verdict = model.apply(&transaction);
        transactions.push(transaction.value());
        verdicts.push(verdict as u64);
        counts.verdicts[verdict] += 1;
    }
    let input = vec![(0, 1_u64.into()), (1, before), (2, Value::Array(transactions))];
    let input = encode(&Value::Map(input));
    let host = MemoryHost::default();
    let run = if batch.is_multiple_of(ON_BOTH) {
        counts.batches_on_both += 1;
        module.run(&input, &host)
    } else {
        module.run_on(Backend::Jit, &input, &mut host.clone())
    };
    counts.batches += 1;
    counts.fuel += run.usage.fuel;
    let expect = vec![(0, 1_u64.into()), (1, model.value()), (2, Value::array(verdicts))];
    match decode(&run.output) {
        Ok(found) if found == Value::Map(expect) => Ok(()),
        Ok(_) => Err("verdicts or state differ from the model".into()),
        Err(error) => Err(format!("{:?} with an output that is no CBOR: {error}", run.outcome)),
    }
}
