//! A queue between two threads that is bounded by the weight of what is in it: memory does not grow with the size of
//! things, as it would with their number bounded.
//!
//! A thing is in it from when it is sent until what comes behind it is asked for: whoever takes things is at work on the
//! last one until then. So many things as are wanted may always be in it, that none is too heavy.

use std::sync::mpsc::{Receiver, Sender, channel};

/// A queue that holds things which weigh `most` together, or `always` of any weight.
pub(super) fn queue<T>(most: usize, always: usize) -> (Sending<T>, Taking<T>) {
    let ((things, in_order), (gone, of_gone)) = (channel(), channel());
    let sending = Sending { things, gone: of_gone, most, always, weight: 0, number: 0 };
    (sending, Taking { things: in_order, gone, last: None })
}

/// Its beginning.
pub(super) struct Sending<T> {
    things: Sender<(T, usize)>,
    /// Weights of what is in the queue no longer.
    gone: Receiver<usize>,
    most: usize,
    always: usize,
    /// Of what is in the queue, as far as is known here.
    weight: usize,
    number: usize,
}

/// There is nobody any more to take things.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl<T> Sending<T> {
    /// Sends a thing, once there is room for it.
    pub(super) fn send(&mut self, thing: T, weight: usize) -> Result<(), Gone> {
        while self.is_full(weight) {
            let gone = self.gone.recv().map_err(|_| Gone)?;
            self.without(gone);
        }
        self.things.send((thing, weight)).map_err(|_| Gone)?;
        self.weight += weight;
        self.number += 1;
        Ok(())
    }

    /// Whether there is no room for a thing of this weight.
    pub(super) fn is_full(&mut self, weight: usize) -> bool {
        while let Ok(gone) = self.gone.try_recv() {
            self.without(gone);
        }
        self.number >= self.always && self.weight.saturating_add(weight) > self.most
    }

    fn without(&mut self, weight: usize) {
        self.weight -= weight;
        self.number -= 1;
    }
}

/// Its end: gives things in the order in which they were sent, and ends when nobody sends any more.
pub(super) struct Taking<T> {
    things: Receiver<(T, usize)>,
    gone: Sender<usize>,
    /// Weight of what was given last.
    last: Option<usize>,
}

impl<T> Iterator for Taking<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some(weight) = self.last.take() {
            // At the end nobody asks for room.
            let _ = self.gone.send(weight);
        }
        let (thing, weight) = self.things.recv().ok()?;
        self.last = Some(weight);
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::scope;

    /// Things come in their order, and no more of them are in the queue than may be.
    #[test]
    fn so_much_is_in_it() {
        for (most, always) in [(10, 1), (10, 2), (1, 1), (0, 3), (usize::MAX, 1)] {
            let (mut sending, mut taking) = queue(most, always);
            let weights: Vec<usize> = (0..300).map(|n| [1, 4, 30, 2, 0, 7][n % 6]).collect();
            let out = AtomicUsize::new(0);
            scope(|scope| {
                scope.spawn(|| {
                    for number in 0..300 {
                        sending.send(number, weights[number]).unwrap();
                        let inside = &weights[out.load(Ordering::SeqCst)..=number];
                        let weight: usize = inside.iter().sum();
                        assert!(weight <= most || inside.len() <= always, "{most} {always}: {inside:?}");
                    }
                    drop(sending);
                });
                for number in 0..300 {
                    // All that was given until now is out when the next is asked for.
                    out.store(number, Ordering::SeqCst);
                    assert_eq!(taking.next(), Some(number));
                    std::thread::yield_now();
                }
                assert_eq!(taking.next(), None);
            });
        }
    }

    #[test]
    fn nobody_waits_for_nobody() {
        let (mut sending, mut taking) = queue(3, 1);
        assert_eq!(sending.send('a', 9), Ok(()));
        assert_eq!(taking.next(), Some('a'));
        let waiting = std::thread::spawn(move || sending.send('b', 9));
        drop(taking);
        assert_eq!(waiting.join().unwrap(), Err(Gone));
        let (mut sending, taking) = queue(3, 1);
        drop(taking);
        assert_eq!(sending.send('a', 0), Err(Gone));
        let (sending, mut taking) = queue::<char>(3, 1);
        drop(sending);
        assert_eq!(taking.next(), None);
    }
}
