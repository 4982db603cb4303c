//! Work that all threads do beside each other, whose results are taken in the order in which it was handed out.
//!
//! Each thread takes the next job as soon as it is done with one, and waits for no other. (Where all jobs of a batch had to
//! be done before the next batch began, threads that share two processors with those that read and write stood still for
//! an eighth of the time.) A job brings along the place where its result is to go, and the places are taken in order.
//!
//! Each thread has a worker of its own, which it keeps from job to job: what a worker has learned then stands in the caches
//! of the thread's processor. A job that waits for the pool may come to do another job meanwhile, which needs a second
//! worker: no thread holds a lock while it works.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};

use super::queue::{Gone, Sending, Taking, queue};

/// Hands jobs out.
pub(super) struct Hands<'h, J, R> {
    begin: &'h dyn Fn(J, SyncSender<R>),
    places: Sending<Receiver<R>>,
}

impl<J, R> Hands<'_, J, R> {
    /// Hands a job out, once there is room for its weight; or not, if nobody takes results any more.
    pub(super) fn hand_out(&mut self, job: J, weight: usize) -> Result<(), Gone> {
        let (result, place) = sync_channel(1);
        // Called on a thread of the pool, it does jobs itself while it waits.
        while self.places.is_full(weight) && rayon::yield_now() == Some(rayon::Yield::Executed) {}
        self.places.send(place, weight)?;
        (self.begin)(job, result);
        Ok(())
    }
}

/// The results in order. They end behind the last one, or where a job has panicked, as then the whole does.
pub(super) struct Results<R>(Taking<Receiver<R>>);

impl<R> Iterator for Results<R> {
    type Item = R;

    fn next(&mut self) -> Option<R> {
        self.0.next()?.recv().ok()
    }
}

/// `hand_out` hands out jobs, here; the threads of the pool do them, each by a worker of its own, and one more thread takes
/// the results. Jobs that weigh more than `most` together are not under way at once, from when they are handed out until
/// what comes behind their results is asked for; but two may always be.
pub(super) fn in_order<J: Send, R: Send, W: FnMut(J) -> R + Send, H, T: Send>(
    most: usize,
    worker: impl Fn() -> W + Sync,
    take: impl FnOnce(Results<R>) -> T + Send,
    hand_out: impl FnOnce(&mut Hands<'_, J, R>) -> H,
) -> (H, T) {
    // Those of each thread that do no job. One more than there are threads, for a job that none of them does.
    let workers: Vec<Mutex<Vec<W>>> = (0..=rayon::current_num_threads()).map(|_| Mutex::default()).collect();
    let work = &|job| {
        let thread = rayon::current_thread_index().unwrap_or(workers.len() - 1);
        let free = || workers[thread].lock().unwrap_or_else(PoisonError::into_inner);
        let kept = free().pop();
        let mut own = kept.unwrap_or_else(&worker);
        let result = own(job);
        free().push(own);
        result
    };
    let (places, results) = queue(most, 2);
    std::thread::scope(|threads| {
        let taking = threads.spawn(move || take(Results(results)));
        let handed_out = rayon::in_place_scope_fifo(|scope| {
            let begin = |job, result: SyncSender<R>| {
                scope.spawn_fifo(move |_| {
                    // Nobody takes results after an error elsewhere.
                    let _ = result.send(work(job));
                });
            };
            hand_out(&mut Hands { begin: &begin, places })
        });
        (handed_out, taking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    /// Results are in order whatever each job takes, and all jobs are done, by workers that are kept.
    #[test]
    fn results_are_in_order() {
        let workers = AtomicUsize::new(0);
        let worker = || {
            workers.fetch_add(1, Ordering::Relaxed);
            |job: u64| {
                std::thread::sleep(Duration::from_micros(job * 7919 % 200));
                job
            }
        };
        let all = |most| {
            let (handed_out, taken) = in_order(most, worker, Results::collect::<Vec<_>>, |hands| {
                (0..200).try_for_each(|job| hands.hand_out(job, job as usize % 9))
            });
            assert_eq!((handed_out, taken), (Ok(()), (0..200).collect()));
        };
        for (threads, most) in [(1, 0), (2, 5), (3, 1000), (8, 40)] {
            workers.store(0, Ordering::Relaxed);
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| all(most));
            assert!((1..=threads).contains(&workers.load(Ordering::Relaxed)), "{threads}: {workers:?}");
        }
        all(20);
    }

    /// Each of two jobs waits until the other has begun.
    #[test]
    fn jobs_are_done_beside_each_other() {
        let begun = AtomicUsize::new(0);
        let worker = || {
            |_: u32| {
                begun.fetch_add(1, Ordering::SeqCst);
                let start = Instant::now();
                while begun.load(Ordering::SeqCst) < 2 && start.elapsed() < Duration::from_secs(20) {
                    std::thread::yield_now();
                }
                begun.load(Ordering::SeqCst)
            }
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let both = |hands: &mut Hands<'_, u32, usize>| (0..2).try_for_each(|job| hands.hand_out(job, 1));
        let (_, taken) = pool.install(|| in_order(9, worker, Results::collect::<Vec<_>>, both));
        assert_eq!(taken, [2, 2]);
    }

    /// A job waits for a part of it that another thread does, and does another job meanwhile. (With a lock held, each thread
    /// soon waited for itself.)
    #[test]
    fn jobs_may_use_the_pool() {
        let worker = || {
            let mut busy = false;
            move |job: u64| {
                assert!(!std::mem::replace(&mut busy, true), "a worker does two jobs");
                let pause = || std::thread::sleep(Duration::from_micros(job * 7919 % 300));
                rayon::join(pause, pause);
                busy = false;
                job
            }
        };
        let (done, wait) = std::sync::mpsc::channel();
        // From outside of the pool: a thread of it that is done helps the others then before it takes the next job.
        std::thread::spawn(move || {
            let hand_out = |hands: &mut Hands<'_, u64, u64>| (0..500).try_for_each(|job| hands.hand_out(job, 1));
            done.send(in_order(20, worker, Results::collect::<Vec<_>>, hand_out).1).unwrap();
        });
        let taken = wait.recv_timeout(Duration::from_secs(60)).expect("threads wait for each other");
        assert_eq!(taken, (0..500).collect::<Vec<_>>());
    }

    /// Where the results are no longer taken, no more jobs are handed out.
    #[test]
    fn it_ends_where_taking_ends() {
        let take = |mut results: Results<u32>| results.find(|result| *result == 5);
        let (handed_out, taken) = in_order(
            20,
            || |job: u32| job,
            take,
            |hands| {
                let mut jobs = 0..1_000_000;
                (jobs.try_for_each(|job| hands.hand_out(job, 1)), jobs.start)
            },
        );
        assert_eq!(taken, Some(5));
        assert!(handed_out.0 == Err(Gone) && handed_out.1 < 100, "{handed_out:?}");
    }

    #[test]
    #[should_panic = "no such job"]
    fn a_panic_is_a_panic() {
        let worker = || |job: u32| assert!(job < 3, "no such job");
        let _ = in_order(20, worker, Results::count, |hands| (0..9).try_for_each(|job| hands.hand_out(job, 1)));
    }
}
