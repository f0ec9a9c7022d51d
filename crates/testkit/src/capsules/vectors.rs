//! The vectors of the group `capsule`.
//!
//! The expectations stand here and are written, never computed, except for the ids of samples.

mod accepted;
mod closed;
mod opened;
mod refused;
mod standing;

use super::{Channel, EPOCH_KEY, MEMBER_KEY};
use crate::receipts::vectors::{self, Vector};

/// Returns every vector of the group.
#[must_use]
pub fn all() -> Vec<Vector> {
    let channel = Channel::new(|_| ());
    let shut = closed::channel();
    let mut all = accepted::all(&channel, &shut);
    all.extend(refused::metadata(&channel));
    all.extend(refused::keyrings(&channel));
    all.extend(refused::entries(&channel));
    all.extend(opened::all(&channel));
    all.extend(standing::all(&channel, &shut));
    all
}

fn vector(name: &str, why: &'static str, expect: &str, bytes: Vec<u8>) -> Vector {
    vectors::vector("capsule", name, why, expect, bytes)
}

/// Adds what a reader holds, as lines of the head.
fn held(vector: Vector, more: &str) -> Vector {
    Vector { more: more.to_owned(), ..vector }
}

/// Adds the identity of the epoch.
fn readable(vector: Vector) -> Vector {
    held(vector, &format!("identity = \"{EPOCH_KEY}\"\n"))
}

/// Adds the identity of a member, who opens keyrings.
fn for_member(vector: Vector) -> Vector {
    held(vector, &format!("identity = \"{MEMBER_KEY}\"\n"))
}
