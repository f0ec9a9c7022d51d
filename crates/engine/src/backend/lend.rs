//! Lends the dispatcher of a run to a backend's store for the time of one call.
//!
//! A store outlives the run that uses it, and the backends ask of its data that it borrows
//! nothing, while a dispatcher borrows the host, the input and the policy of one run.
//! Both are true at once if the store holds the dispatcher only while the call lasts that borrows
//! it; the type system cannot say that, so this mod does, with two lines of unsafe code and
//! nothing else.
//!
//! `docs/decisions/0024-hostcalls-on-the-guest-stack.md` says why nothing safer is as cheap.
#![expect(unsafe_code, reason = "a lifetime that ends with a call cannot be named in a store")]

use core::mem;
use core::ptr;
use core::sync::atomic::AtomicPtr;

use crate::hostcall::Dispatcher;

/// A place in a store's data for a dispatcher that is lent to it, or for none.
///
/// The pointer is atomic only so that a store can be sent to another thread between calls; it is
/// reached through exclusive references alone.
#[derive(Debug)]
pub(super) struct Lent(AtomicPtr<Dispatcher<'static>>);

/// A store that a dispatcher can be lent to.
pub(super) trait Lender {
    /// Returns the place, always the same one.
    fn lent(&mut self) -> &mut Lent;
}

impl Lent {
    /// Returns an empty place.
    pub(super) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// Hands the dispatcher to `act`, or returns `None` where none is lent.
    ///
    /// While `act` has it, the place is empty, so no second reference can come about.
    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut Dispatcher<'_>) -> R) -> Option<R> {
        let pointer = mem::replace(self.0.get_mut(), ptr::null_mut());
        // SAFETY: only `lend` stores a pointer that is not null; it made it from an exclusive
        // reference that it keeps borrowed until it has taken the pointer back, and the line
        // above took it out of the place, so this reference is the only one.
        let dispatcher = unsafe { pointer.as_mut() }?;
        let value = act(dispatcher);
        *self.0.get_mut() = pointer;
        Some(value)
    }
}

/// Calls into a store with a dispatcher in its place, and takes it back however the call ends.
pub(super) fn lend<S: Lender, R>(
    store: &mut S,
    dispatcher: &mut Dispatcher<'_>,
    call: impl FnOnce(&mut S) -> R,
) -> R {
    struct TakeBack<'s, S: Lender>(&'s mut S);

    impl<S: Lender> Drop for TakeBack<'_, S> {
        fn drop(&mut self) {
            *self.0.lent().0.get_mut() = ptr::null_mut();
        }
    }

    *store.lent().0.get_mut() = ptr::from_mut(dispatcher).cast();
    let store = TakeBack(store);
    call(&mut *store.0)
}
