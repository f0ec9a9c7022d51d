//! Receipts of runs with runs inside them, honest ones and forged ones.

use std::collections::BTreeMap;

use kapsule_engine::Backend;
use kapsule_format::Digest;
use kapsule_format::cbor::{self, Value};
use kapsule_format::container::{Container, EntryRef, Kind, Writer};
use kapsule_format::hash::salt_commitment;
use kapsule_format::limits::{NESTING_MAX, TRANSCRIPT_ENTRIES_MAX};
use kapsule_format::package::PackageId;
use kapsule_format::receipt::{
    BUNDLE, Bundle, BundleRef, Claim, NESTED, Nested, Receipt, SALT_SEED, write_nested,
};
use kapsule_format::transcript::{Entries, Entry, input_commitment, output_commitment};

use super::super::{Composed, key, reissue, rewrite};
use super::{Vector, claim, print, vector};

const OTHER: Digest = Digest::new([9; 32]);

/// The parts of a receipt that its issuer makes up.
struct Forgery {
    claim: Claim,
    nested: Vec<Nested<'static>>,
    /// Bound entries of the bundle; that of the runs inside the run is written from `nested` if it
    /// is there and empty.
    files: BTreeMap<String, Vec<u8>>,
}

/// A name, why it is refused, the code, the check, and what is made up.
type Forged = (&'static str, &'static str, &'static str, &'static str, fn(&mut Forgery));

const COUNTED: &str = "E015_COUNTED_ROOT_MISMATCH";
const CONFLICT: &str = "E017_FACTS_CONFLICT";
const EXCEEDED: &str = "E004_LIMIT_EXCEEDED";
const OPENS: &str = "E016_COMMITMENT_MISMATCH";

/// Forgeries whose digests all agree, so that what contradicts is the content alone.
const FORGED: [Forged; 18] = [
    ("nested-absent", "the runs are missed", "E202_BLOB_ABSENT", "transcript", |f| {
        f.files.remove(NESTED);
    }),
    ("nested-cut", "each run is recorded to its end", COUNTED, "transcript", |f| {
        let mut written = write_nested(&f.nested).expect("they are few");
        let last = write_nested(&f.nested[1..]).expect("they are few").len();
        written.truncate(written.len() - last);
        f.files.insert(NESTED.into(), written);
    }),
    ("nested-more", "no run is recorded that none started", COUNTED, "transcript", |f| {
        let twice = [f.nested.clone(), f.nested[1..].to_vec()].concat();
        f.files.insert(NESTED.into(), write_nested(&twice).expect("they are few"));
    }),
    ("nested-hash", "the claim lists the runs", COUNTED, "transcript", |f| {
        let mut listed = f.nested.clone();
        listed[0].exec.fuel -= 1;
        f.files.insert(NESTED.into(), write_nested(&listed).expect("they are few"));
    }),
    ("nested-record", "the records of a run lead to its root", COUNTED, "transcript", |f| {
        let entries = f.nested[0].entries.to_mut();
        *entries = changed(entries, 0, |_, response| response[0] ^= 1);
    }),
    ("nested-listed", "a run that none started is listed", CONFLICT, "transcript", |f| {
        let again = f.nested[0].clone();
        f.nested.push(again);
    }),
    ("callee-swapped", "the run is of the package called", CONFLICT, "transcript", |f| {
        f.nested[0].exec.capsule_hash = PackageId::new(OTHER);
    }),
    ("callee-entry", "the run is of the entry called", CONFLICT, "transcript", |f| {
        f.nested[0].nested[1].exec.entry = "run".into();
    }),
    ("callee-input", "the run has the input of the call", CONFLICT, "transcript", |f| {
        f.nested[0].exec.input.digest = input_commitment(None, b"Eve");
    }),
    ("callee-fuel", "the call pays for the run", CONFLICT, "transcript", |f| {
        f.nested[0].exec.fuel_used = 999_999;
    }),
    ("callee-outcome", "the call tells how the run ended", CONFLICT, "transcript", |f| {
        f.nested[0].nested[1].exec.outcome = kapsule_abi::Outcome::Completed(0);
    }),
    ("callee-length", "the call tells how long the output is", CONFLICT, "transcript", |f| {
        f.nested[0].exec.output.size += 1;
    }),
    ("callee-output", "the call gives the output", CONFLICT, "transcript", |f| {
        f.nested[0].exec.output.digest = output_commitment(None, b"hello, Eve!");
    }),
    ("callee-rules", "all runs follow one trace spec", CONFLICT, "transcript", |f| {
        f.nested[0].exec.trace_spec = OTHER;
    }),
    ("callee-salt", "a run is salted as its caller is", OPENS, "transcript", |f| {
        f.nested[0].exec.salt_commitment = Some(salt_commitment(&[1; 32]));
    }),
    ("nested-deep", "runs are inside each other to a fixed depth", EXCEEDED, "transcript", |f| {
        let levels = 0..NESTING_MAX;
        let outer = f.nested[0].clone();
        f.nested[0] =
            levels.fold(outer.clone(), |inner, _| Nested { nested: vec![inner], ..outer.clone() });
        relist(&mut f.nested);
        // Each level alone, since no more levels are written together than are read.
        let mut written = Vec::new();
        let mut level = f.nested.first();
        while let Some(one) = level {
            let alone = [Nested { nested: Vec::new(), ..one.clone() }];
            written.extend(write_nested(&alone).expect("it is one"));
            level = one.nested.first();
        }
        f.files.insert(NESTED.into(), written);
    }),
    ("nested-entries", "hostcalls have a limit over all runs", EXCEEDED, "transcript", |f| {
        let written = write_nested(&f.nested[1..]).expect("they are few");
        f.nested[0].exec.transcript.count = TRANSCRIPT_ENTRIES_MAX + 1;
        let first = write_nested(&f.nested[..1]).expect("they are few");
        f.files.insert(NESTED.into(), [first, written].concat());
    }),
    ("salt-unasked", "salts are those of the claim", CONFLICT, "bundle", |f| {
        f.files.insert(SALT_SEED.into(), vec![1; 32]);
    }),
];

/// Forgeries of the salted sample.
const SALTED: [Forged; 3] = [
    ("salt-other", "the claim commits to the salt seed", OPENS, "bundle", |f| {
        f.files.insert(SALT_SEED.into(), vec![1; 32]);
    }),
    ("salt-short", "a salt seed has 32 bytes", "E008_SCHEMA_VIOLATION", "bundle", |f| {
        f.files.insert(SALT_SEED.into(), vec![1; 31]);
    }),
    ("salt-absent", "the salt seed is missed", "E202_BLOB_ABSENT", "blobs", |f| {
        f.files.remove(SALT_SEED);
    }),
];

fn changed(entries: &Entries, at: usize, change: impl Fn(&mut Vec<u8>, &mut Vec<u8>)) -> Entries {
    let parts = entries.iter().enumerate().map(|(seq, entry)| {
        let (mut request, mut response) = (entry.request.to_vec(), entry.response.to_vec());
        if seq == at {
            change(&mut request, &mut response);
        }
        (entry, request, response)
    });
    let parts: Vec<_> = parts.collect();
    let made = parts.iter().map(|(entry, request, response)| Entry { request, response, ..*entry });
    made.collect()
}

/// Makes every run list those inside it again, and the claim the outermost ones.
fn relist(nested: &mut [Nested<'_>]) -> Vec<kapsule_format::receipt::ExecHash> {
    let one = |one: &mut Nested<'_>| {
        one.exec.nested = relist(&mut one.nested);
        one.exec.hash()
    };
    nested.iter_mut().map(one).collect()
}

impl Forgery {
    fn of(base: &[u8]) -> Self {
        let receipt = Receipt::decode(base).expect("a sample is well formed");
        let bundle = receipt.bundle().expect("a sample has a bundle");
        let bundle = Bundle::decode(bundle).expect("it is well formed");
        let nested = bundle.nested(&receipt.claim().exec).expect("it is well formed");
        let held = |entry: &EntryRef| {
            let bytes = bundle.container().get(&entry.name).expect("it is there");
            (entry.name.clone(), if entry.name == NESTED { Vec::new() } else { bytes.to_vec() })
        };
        Self {
            claim: receipt.claim().clone(),
            nested: nested.expect("it is there"),
            files: bundle.entries.iter().map(held).collect(),
        }
    }

    /// Writes the bundle and the receipt, signed by the issuer.
    fn finish(mut self, base: &[u8]) -> Vec<u8> {
        self.claim.exec.nested = relist(&mut self.nested);
        if let Some(bytes) = self.files.get_mut(NESTED).filter(|bytes| bytes.is_empty()) {
            *bytes = write_nested(&self.nested).expect("they are few");
        }
        let entry = |(name, bytes): (&String, &Vec<u8>)| {
            let EntryRef { name, size, sha256 } = EntryRef::of(name, bytes);
            Value::Array(vec![name.as_str().into(), size.into(), sha256.into()])
        };
        let index = Value::Map(vec![
            (0, 1.into()),
            (1, self.claim.job.run_id.to_vec().into()),
            (15, Value::array(self.files.iter().map(entry))),
        ]);
        let mut writer = Writer::new(Kind::Bundle, cbor::encode(&index));
        self.files.into_iter().for_each(|(name, bytes)| writer.push(name, bytes));
        let receipt = Receipt::decode(base).expect("a sample is well formed");
        let old = Container::decode(receipt.bundle().expect("a sample has a bundle"));
        for blob in old.expect("it is well formed").below("blobs/") {
            writer.push(blob.name, blob.bytes);
        }
        let forged = writer.finish().expect("the entries fit a container");
        self.claim.bundle = Some(BundleRef::of(&forged));
        let bytes = rewrite(base, self.claim.encode(), &[(BUNDLE, Some(forged))], "");
        reissue(&bytes, &self.claim, &key())
    }
}

/// Makes the vectors.
pub(super) fn all() -> Vec<Vector> {
    let plain = Composed::new(Backend::Wasmi, false, None).bytes;
    let salted = Composed::new(Backend::Wasmi, true, None).bytes;
    let forge = |base: &[u8], (name, why, code, check, change): Forged| {
        let mut forgery = Forgery::of(base);
        change(&mut forgery);
        let bytes = forgery.finish(base);
        Vector { check: Some(check), ..vector("receipt", name, why, code, bytes) }
    };
    let accepted = |name, why, bytes: &[u8]| {
        vector("receipt", name, why, &print(&claim(bytes)), bytes.to_vec())
    };
    let inside = "runs inside a run, the same bytes from every backend";
    let hidden = "the same under salts, whose seed the bundle holds";
    let good = [accepted("composed", inside, &plain), accepted("composed-salted", hidden, &salted)];
    let bad = FORGED.into_iter().map(|forged| forge(&plain, forged));
    let bad = bad.chain(SALTED.into_iter().map(|forged| forge(&salted, forged)));
    good.into_iter().chain(bad).collect()
}
