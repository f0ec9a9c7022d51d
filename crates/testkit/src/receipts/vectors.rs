//! The vectors of the groups `container` and `receipt`, made from samples.
//!
//! The expectations stand here and are written, never computed, except for the ids of samples.

mod claims;
mod containers;
mod entries;
mod nested;
mod raw;

use kapsule_engine::Backend;
use kapsule_format::container::Container;
use kapsule_format::receipt::{Claim, Receipt};

use super::{Enforced, STORIES, rewrite, sample};

/// A vector: its file is named by `name`, and its folder by the first character of `expect`.
#[derive(Clone, Debug)]
pub struct Vector {
    /// Group.
    pub group: &'static str,
    /// Name of the file.
    pub name: String,
    /// Why it is there.
    pub why: &'static str,
    /// What an accepted one prints, or the code of a rejected one.
    pub expect: String,
    /// Check of a receipt that gives the code; without one the first that stands in the way.
    pub check: Option<&'static str>,
    /// Further lines of the head, such as what a capsule's reader holds.
    pub more: String,
    /// The file.
    pub bytes: Vec<u8>,
}

/// Returns every vector of both groups.
#[must_use]
pub fn all() -> Vec<Vector> {
    [containers::all(), receipts()].concat()
}

/// Returns what an accepted receipt prints.
#[must_use]
pub fn print(claim: &Claim) -> String {
    let (id, statement) = (claim.id(), claim.statement().hash());
    let (exec, outcome) = (claim.exec.hash(), claim.exec.outcome);
    format!("receipt {id}, exec {exec}, statement {statement}, {outcome}")
}

fn receipts() -> Vec<Vector> {
    let mut vectors: Vec<Vector> = STORIES
        .iter()
        .map(|story| {
            let bytes = sample(story, Backend::Wasmi).bytes;
            let receipt = Receipt::decode(&bytes).expect("a sample is well formed");
            let expect = print(receipt.claim());
            let why = "a receipt of a real run, the same bytes from every backend";
            vector("receipt", story.name, why, &expect, bytes.clone())
        })
        .collect();
    let base = sample(&STORIES[0], Backend::Wasmi).bytes;
    vectors.push(stripped(&base));
    vectors.push(under_policy());
    vectors.extend(claims::all(&base));
    vectors.extend(raw::all(&base));
    vectors.extend(entries::bundles(&base));
    vectors.extend(entries::odd(&base));
    vectors.extend(nested::all());
    vectors
}

fn claim(base: &[u8]) -> Claim {
    Receipt::decode(base).expect("a sample is well formed").claim().clone()
}

/// A receipt that submits to a policy, with the policy in it.
fn under_policy() -> Vector {
    let bytes = Enforced::new(Backend::Wasmi, 0xc3).issued;
    let why = "a receipt under a policy, the same bytes from every backend";
    let expect = print(&claim(&bytes));
    vector("receipt", "under-policy", why, &expect, bytes)
}

/// Everything that may be taken away is taken away; what is signed stays.
fn stripped(base: &[u8]) -> Vector {
    let claim = claim(base);
    let gone: Vec<String> = Container::decode(base)
        .expect("a sample is well formed")
        .entries()
        .iter()
        .map(|entry| entry.name.to_owned())
        .filter(|name| name != "claim.cbor" && !name.starts_with("sig/"))
        .collect();
    let gone: Vec<(&str, Option<Vec<u8>>)> =
        gone.iter().map(|name| (name.as_str(), None)).collect();
    let bytes = rewrite(base, claim.encode(), &gone, "");
    let why = "claim and signature alone; what is absent is not done, and nothing is contradicted";
    vector("receipt", "claim-alone", why, &print(&claim), bytes)
}

/// Makes a vector of what most have.
pub(crate) fn vector(
    group: &'static str,
    name: &str,
    why: &'static str,
    expect: &str,
    bytes: Vec<u8>,
) -> Vector {
    Vector {
        group,
        name: name.to_owned(),
        why,
        expect: expect.to_owned(),
        check: None,
        more: String::new(),
        bytes,
    }
}
