//! Several things at a time.

use crate::failure::Failure;
use std::sync::Mutex;

/// How many tests run at the same time; one of them may use several threads as well.
const WORKERS: usize = 2;

/// Calls `work` on every item and returns what it returned, in any order.
///
/// # Errors
/// The first failure of each worker ends that worker.
pub(crate) fn each<T: Send, R: Send>(
    items: Vec<T>,
    work: impl Fn(T) -> Result<R, Failure> + Sync,
) -> Result<Vec<R>, Failure> {
    let queue = Mutex::new(items.into_iter());
    let results = Mutex::new(Vec::new());
    let worker = || -> Result<(), Failure> {
        loop {
            let next = queue.lock().expect("no holder panics").next();
            let Some(item) = next else { return Ok(()) };
            let result = work(item)?;
            results.lock().expect("no holder panics").push(result);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("workers do not panic"))
    })?;
    Ok(results.into_inner().expect("no holder panics"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_worked_on_once_and_a_failure_comes_back() {
        let mut doubled = each((0..100).collect(), |item: u32| Ok(2 * item)).unwrap();
        doubled.sort_unstable();
        assert!(doubled.into_iter().eq((0..200).step_by(2)));
        let failed = each(vec![1, 2, 3], |item| match item {
            2 => Err(Failure::Usage("two".into())),
            item => Ok(item),
        });
        assert!(matches!(failed, Err(Failure::Usage(_))));
    }
}
