//! Trainings beside each other.
//!
//! What a training comes to does not depend on its threads. So each has its own, and waits for none of the others: small models
//! have too little work between two places where all threads meet.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rayon::ThreadPoolBuilder;

use crate::error::Result;

/// How many trainings of so many run at the same time.
pub(super) fn workers(jobs: usize) -> usize {
    rayon::current_num_threads().min(jobs).max(1)
}

/// Does `work` for each of the costs, by their place, the dearest first; the results come in the order of the costs. After an
/// error nothing more is begun.
///
/// # Errors
///
/// Those of `work`.
pub(super) fn beside<T: Send>(costs: &[f64], work: &(dyn Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
    let workers = workers(costs.len());
    if workers == 1 {
        return (0..costs.len()).map(work).collect();
    }
    let order = dearest_first(costs);
    let next = AtomicUsize::new(0);
    let some = || {
        let mut own = Vec::new();
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let result = work(at);
            if result.is_err() {
                next.store(order.len(), Ordering::Relaxed);
            }
            own.push((at, result));
        }
        own
    };
    let threads = rayon::current_num_threads() / workers;
    let worker = || match ThreadPoolBuilder::new().num_threads(threads).build() {
        Ok(pool) => pool.install(some),
        // Without threads of its own it shares those of all.
        Err(_) => some(),
    };
    let mut all = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(worker)).collect();
        let all = workers.into_iter().flat_map(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)));
        all.collect::<Vec<_>>()
    });
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, result)| result).collect()
}

/// The places of costs, the highest first.
fn dearest_first(costs: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..costs.len()).collect();
    order.sort_by(|one, other| costs[*other].total_cmp(&costs[*one]));
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn with<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
        ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
    }

    #[test]
    fn results_come_in_order() {
        let work = |at: usize| {
            assert_eq!(rayon::current_num_threads(), 1);
            Ok(10 * at)
        };
        let costs = [1.0, 5.0, 3.0, 2.0, 5.0];
        assert_eq!(dearest_first(&costs), [1, 4, 2, 3, 0]);
        assert_eq!(with(2, || beside(&costs, &work)).unwrap(), [0, 10, 20, 30, 40]);
        assert!(with(2, || beside(&[], &work)).unwrap().is_empty());
    }

    #[test]
    fn few_jobs_share_all_threads() {
        let threads = |_| Ok(rayon::current_num_threads());
        assert_eq!(with(4, || beside(&[1.0; 2], &threads)).unwrap(), [2, 2]);
        assert_eq!(with(4, || beside(&[1.0], &threads)).unwrap(), [4]);
        assert_eq!(with(1, || beside(&[1.0; 3], &threads)).unwrap(), [1, 1, 1]);
    }

    #[test]
    fn nothing_is_begun_after_an_error() {
        let count = AtomicUsize::new(0);
        let work = |_| -> Result<()> {
            count.fetch_add(1, Ordering::Relaxed);
            Err(Error::Interrupted { stage: "probing" })
        };
        assert!(matches!(with(2, || beside(&[1.0; 50], &work)), Err(Error::Interrupted { .. })));
        assert!(count.into_inner() <= 4);
    }
}
