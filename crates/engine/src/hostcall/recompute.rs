//! Answers that follow from the question alone, computed again from a record.

use alloc::vec::Vec;

use kapsule_abi::{Access, Hostcall, Length};

use super::{Reply, Request, STATUS_ENDED, handlers};

/// Tells whether a recorded answer is the one that everybody computes from what was asked.
///
/// Returns `None` for a hostcall whose answer depends on anything else, as most do, and for a call
/// that ended its run at a limit, which depends on the policy.
///
/// # Determinism
/// Depends on the arguments alone.
///
/// # Examples
/// ```
/// use kapsule_abi::Hostcall;
/// use kapsule_engine::recomputed;
///
/// // An algorithm that does not exist, of no bytes.
/// let hash = Hostcall::from_number(11).expect("it is in the table");
/// let request = [99u64, 0, 0, 64].map(u64::to_le_bytes).concat();
/// assert_eq!(recomputed(hash, 0, &request, &[0; 16]), Some(false));
/// let clock = Hostcall::from_number(13).expect("it is in the table");
/// assert_eq!(recomputed(clock, 0, &[], &[0; 8]), None);
/// ```
#[must_use]
pub fn recomputed(
    hostcall: &'static Hostcall,
    status: u64,
    request: &[u8],
    response: &[u8],
) -> Option<bool> {
    let compute: fn(&Request<'_>) -> Reply = match hostcall.number {
        11 => handlers::hash,
        12 => handlers::signature_verify,
        _ => return None,
    };
    if status >= STATUS_ENDED {
        return None;
    }
    let Some((args, rest)) = request.split_at_checked(8 * hostcall.params.len()) else {
        return Some(false);
    };
    let args: Vec<u64> = args.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect();
    let Some(request) = Request::recorded(hostcall, &args, rest) else { return Some(false) };
    let reply = compute(&request);
    let same = reply.status() == status;
    let mut made = Vec::new();
    let answer = reply.into_response(hostcall, None);
    answer.record(&request, |part| made.extend_from_slice(part));
    Some(same && made == response)
}

impl<'r> Request<'r> {
    /// Takes a request out of a record, `rest` being what comes after the arguments; `None` if it
    /// has not the length that its arguments say.
    fn recorded(hostcall: &'static Hostcall, args: &'r [u64], mut rest: &'r [u8]) -> Option<Self> {
        let mut this = Self::new(hostcall, args, 0, 0);
        let mut inputs = this.inputs.iter_mut();
        for (index, access, length) in hostcall.buffers() {
            let length = match length {
                Length::Param(index) => args.get(usize::from(index)).copied()?,
                Length::Fixed(bytes) => u64::from(bytes),
            };
            match access {
                Access::Read => {
                    let taken = rest.split_at_checked(usize::try_from(length).ok()?)?;
                    (*inputs.next()?, rest) = taken;
                }
                Access::Write => {
                    this.writable = length;
                    this.target = args.get(index).copied();
                }
            }
        }
        rest.is_empty().then_some(this)
    }
}
