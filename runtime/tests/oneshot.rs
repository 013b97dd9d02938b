//! The channel for one value: what is received, who is told what, and nothing lost, kept or dropped twice, whatever the wakers do.

mod common;

use common::{Gate, Ledger, caught, each_runtime, poll_once, runtime, throw, thrown, watched};
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};
use std::thread;
use treescope::oneshot::{Receiver, RecvError, Sender, TryRecvError, channel};
use treescope::{Scope, yield_now};

fn poll_by<T>(receiver: &mut Receiver<T>, waker: &Waker) -> Poll<Result<T, RecvError>> {
    Pin::new(receiver).poll(&mut Context::from_waker(waker))
}

/// Counts its wakes.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counter() -> (Arc<Counter>, Waker) {
    let counter = Arc::<Counter>::default();
    (counter.clone(), Waker::from(counter))
}

// ---- what is received --------------------------------------------------------------------------------------

#[test]
fn value_sent_before_is_received_in_the_first_poll() {
    let (sender, mut receiver) = channel();
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(poll_by(&mut receiver, Waker::noop()), Poll::Ready(Ok(7)));
}

#[test]
fn receiver_is_woken_once_by_the_value() {
    let (sender, mut receiver) = channel();
    let (counter, waker) = counter();
    assert!(poll_by(&mut receiver, &waker).is_pending());
    assert_eq!(sender.send(7), Ok(()));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll_by(&mut receiver, &waker), Poll::Ready(Ok(7)));
}

#[test]
fn question_and_answer_between_siblings_borrow_what_their_scope_borrows() {
    each_runtime(|rt, _| {
        let words = [String::from("one"), String::from("three")];
        let lengths = rt.block_on(async |scope| {
            let ask = |words: &str| {
                let (ask, asked) = channel::<Box<str>>();
                let (answer, answered) = channel();
                scope.spawn(async move {
                    let words = asked.await.expect("it is asked");
                    yield_now().await;
                    answer.send(words.len()).expect("it is awaited");
                });
                ask.send(words.into()).expect("it is heard");
                answered
            };
            let [one, three] = [ask(&words[0]), ask(&words[1])];
            (one.await, three.await)
        });
        assert_eq!(lengths, (Ok(3), Ok(5)));
    });
}

#[test]
fn value_may_borrow_from_outside_the_scope() {
    fn asked<'scope, 'env>(scope: &'scope Scope<'scope, 'env>, word: &'env str) -> Receiver<&'env str> {
        let (sender, receiver) = channel();
        scope.spawn(async move { sender.send(word) });
        receiver
    }
    let word = String::from("borrowed");
    each_runtime(|rt, _| {
        assert_eq!(rt.block_on(async |scope| asked(scope, &word).await), Ok("borrowed"));
    });
}

#[test]
fn value_comes_from_and_to_threads_that_are_no_workers() {
    watched(|| {
        let rt = runtime(2);
        let (to, from_outside) = channel();
        let (back, from_inside) = channel();
        let outside = thread::spawn(move || {
            to.send(String::from("from outside")).expect("it is awaited");
            futures_lite::future::block_on(from_inside)
        });
        rt.block_on(async |scope| {
            let child = scope.spawn(from_outside);
            back.send(child.await.map(|text| text.len())).expect("it is awaited");
        });
        assert_eq!(outside.join().unwrap(), Ok(Ok(12)));
    });
}

#[test]
fn values_of_any_size_and_alignment_come_whole() {
    #[repr(align(256))]
    #[derive(Clone, Copy, Debug, PartialEq)]
    struct Aligned([u8; 256]);
    fn comes<T: Clone + PartialEq + std::fmt::Debug>(value: T) {
        let (sender, mut receiver) = channel();
        sender.send(value.clone()).expect("the receiver is there");
        assert_eq!(receiver.try_recv(), Ok(value));
    }
    each_runtime(|rt, _| {
        rt.block_on(async |scope| {
            scope.spawn(async {
                comes(());
                comes(1_u8);
                comes([7_u64; 1_000]);
                comes(Aligned([9; 256]));
                comes(String::from("text"));
            });
        });
    });
}

#[test]
fn a_receiver_that_is_always_ready_yields_now_and_then() {
    watched(|| {
        let rt = runtime(1);
        let others_turns = AtomicUsize::new(0);
        rt.block_on(async |scope| {
            let talker = scope.spawn(async {
                for _ in 0..10_000 {
                    let (sender, receiver) = channel();
                    sender.send(()).unwrap();
                    receiver.await.unwrap();
                }
                others_turns.load(Ordering::SeqCst)
            });
            scope.spawn(async {
                for _ in 0..10 {
                    others_turns.fetch_add(1, Ordering::SeqCst);
                    yield_now().await;
                }
            });
            assert_eq!(talker.await, 10, "the other had its turns meanwhile");
        });
    });
}

// ---- the other side has gone -------------------------------------------------------------------------------

#[test]
fn dropped_sender_wakes_the_receiver_and_is_an_error() {
    let (sender, mut receiver) = channel::<u8>();
    let (counter, waker) = counter();
    assert!(poll_by(&mut receiver, &waker).is_pending());
    drop(sender);
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert_eq!(poll_by(&mut receiver, &waker), Poll::Ready(Err(RecvError)));
}

#[test]
fn dropped_receiver_gives_the_value_back() {
    let (sender, receiver) = channel();
    assert!(!sender.is_closed());
    drop(receiver);
    assert!(sender.is_closed());
    assert_eq!(sender.send(String::from("kept")), Err(String::from("kept")));
}

#[test]
fn try_recv_tells_what_is_not_there_from_what_will_never_be() {
    let (sender, mut receiver) = channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    let (_, waker) = counter();
    assert!(poll_by(&mut receiver, &waker).is_pending());
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    sender.send(7).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    let (sender, mut receiver) = channel::<u8>();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn polling_a_receiver_after_it_was_ready_panics() {
    let (sender, mut receiver) = channel();
    sender.send(7).unwrap();
    assert_eq!(receiver.try_recv(), Ok(7));
    caught(|| poll_by(&mut receiver, Waker::noop()));
}

#[test]
fn value_that_nobody_receives_is_dropped_with_its_receiver() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |_| {
            let (sender, receiver) = channel();
            sender.send(ledger.item("value")).unwrap_or_else(|_| panic!("the receiver is there"));
            drop(receiver);
            let (sender, receiver) = channel();
            drop(receiver);
            assert!(sender.send(ledger.item("value that comes back")).is_err());
        });
        ledger.assert_settled();
    });
}

#[test]
fn aborted_scope_leaves_neither_value_nor_waker_in_its_childrens_channels() {
    each_runtime(|rt, ledger| {
        rt.block_on(async |root| {
            let aborted = root.scope(async move |scope| {
                // Kept by whom the abort does not reach: here the values' senders, there their receivers.
                let parked = &*scope.alloc(Gate::new());
                let (sender, receiver) = channel::<u8>();
                let (back, answered) = channel();
                back.send(ledger.item("value")).unwrap_or_else(|_| panic!("the receiver is there"));
                scope.spawn(async move {
                    let _kept = (sender, answered);
                    parked.pass().await;
                });
                scope.spawn(receiver);
                yield_now().await;
                scope.abort();
            });
            // Ends by its abort, and has no value.
            drop(aborted);
        });
        ledger.assert_settled();
    });
}

#[test]
fn leaked_sides_do_no_harm_to_the_other() {
    each_runtime(|rt, _| {
        rt.block_on(async |scope| {
            scope.spawn(async {
                let (sender, receiver) = channel::<u8>();
                leak(receiver);
                assert!(!sender.is_closed());
                assert_eq!(sender.send(7), Ok(()), "nobody knows that it will not be received");
                let (sender, mut receiver) = channel::<u8>();
                leak(sender);
                assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
            });
        });
    });
}

/// Keeps a value for ever, where LeakSanitizer does not mind.
fn leak(value: impl Send + 'static) {
    static KEPT: Mutex<Vec<Box<dyn Send>>> = Mutex::new(Vec::new());
    KEPT.lock().unwrap().push(Box::new(value));
}

// ---- wakers ------------------------------------------------------------------------------------------------

#[test]
fn receiver_polled_by_another_waker_wakes_that_one_alone() {
    let (sender, mut receiver) = channel();
    let (one, first) = counter();
    let (other, second) = counter();
    for waker in [&first, &first, &second] {
        assert!(poll_by(&mut receiver, waker).is_pending());
    }
    sender.send(7).unwrap();
    assert_eq!((one.0.load(Ordering::SeqCst), other.0.load(Ordering::SeqCst)), (0, 1));
    assert_eq!((Arc::strong_count(&one), Arc::strong_count(&other)), (2, 2), "the channel keeps neither");
}

#[test]
fn receiver_handed_from_task_to_task_wakes_the_last_that_polled_it() {
    each_runtime(|rt, _| {
        rt.block_on(async |scope| {
            let (sender, mut receiver) = channel();
            // A task that polls it and gives it away half-way, another that ends up with it, and a foreign waker between them.
            let polled = scope.spawn(async {
                assert!(poll_once(&mut receiver).await.is_pending());
                Some(receiver)
            });
            let mut receiver = polled.await.expect("it is given away");
            let (counter, waker) = counter();
            assert!(poll_by(&mut receiver, &waker).is_pending());
            let last = scope.spawn(receiver);
            yield_now().await;
            sender.send(7).unwrap();
            assert_eq!(last.await, Ok(7));
            assert!(counter.0.load(Ordering::SeqCst) <= 1);
        });
    });
}

#[test]
fn dropped_receiver_leaves_no_waker_behind() {
    let (sender, mut receiver) = channel::<u8>();
    let (counter, waker) = counter();
    assert!(poll_by(&mut receiver, &waker).is_pending());
    drop((receiver, waker));
    assert_eq!(Arc::strong_count(&counter), 1);
    drop(sender);
    assert_eq!(counter.0.load(Ordering::SeqCst), 0);
}

#[test]
fn a_receivers_waker_outlives_its_task_and_its_runtime() {
    watched(|| {
        let (sender, mut receiver) = channel();
        {
            let rt = runtime(1);
            rt.block_on(async |scope| {
                let receiver = &mut receiver;
                // The task's waker stays in the channel when the task has ended.
                scope.spawn(async move { assert!(poll_once(receiver).await.is_pending()) }).await;
            });
        }
        sender.send(7).unwrap();
        assert_eq!(receiver.try_recv(), Ok(7));
    });
}

/// What a waker does not do without a panic.
enum Refuses {
    Wake,
    Drop,
}

impl Wake for Refuses {
    fn wake(self: Arc<Self>) {
        if matches!(*self, Refuses::Wake) {
            throw("wake");
        }
    }
}

impl Drop for Refuses {
    fn drop(&mut self) {
        if matches!(self, Refuses::Drop) {
            throw("drop");
        }
    }
}

/// A waker that cannot be cloned.
fn uncloneable() -> Waker {
    fn nothing(_: *const ()) {}
    fn clone(_: *const ()) -> RawWaker {
        throw("clone")
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);
    // SAFETY: the table's functions do nothing with the data, on whatever thread.
    unsafe { Waker::new(std::ptr::null(), &VTABLE) }
}

/// A channel in which the last waker that refuses so lies.
fn armed<T>(refuses: Refuses) -> (Sender<T>, Receiver<T>) {
    let (sender, mut receiver) = channel();
    assert!(poll_by(&mut receiver, &Waker::from(Arc::new(refuses))).is_pending());
    (sender, receiver)
}

#[test]
fn waker_that_panics_when_cloned_leaves_the_receiver_as_it_was() {
    let ledger = Ledger::new();
    let (sender, mut receiver) = channel();
    let (counter, good) = counter();
    assert!(poll_by(&mut receiver, &good).is_pending());
    assert_eq!(thrown(|| poll_by(&mut receiver, &uncloneable())), "clone");
    sender.send(ledger.item("value")).unwrap_or_else(|_| panic!("the receiver is there"));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1, "the one before is still there");
    drop(receiver.try_recv());
    ledger.assert_settled();
}

#[test]
fn waker_that_panics_when_woken_fails_the_sender_and_not_the_receiver() {
    let ledger = Ledger::new();
    let (sender, mut receiver) = armed(Refuses::Wake);
    let value = ledger.item("value");
    assert_eq!(thrown(|| sender.send(value).is_ok()), "wake");
    assert!(receiver.try_recv().is_ok());
    ledger.assert_settled();
    let (sender, mut receiver) = armed::<u8>(Refuses::Wake);
    assert_eq!(thrown(|| drop(sender)), "wake");
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn waker_that_panics_when_dropped_leaves_each_side_whole() {
    let ledger = Ledger::new();
    // Another takes its place.
    let (sender, mut receiver) = armed(Refuses::Drop);
    let (counter, good) = counter();
    assert_eq!(thrown(|| poll_by(&mut receiver, &good)), "drop");
    sender.send(ledger.item("value")).unwrap_or_else(|_| panic!("the receiver is there"));
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    drop(receiver.try_recv());
    // The receiver goes.
    let (sender, receiver) = armed(Refuses::Drop);
    assert_eq!(thrown(|| drop(receiver)), "drop");
    drop(sender.send(ledger.item("value that comes back")));
    // The value comes.
    let (sender, mut receiver) = armed(Refuses::Drop);
    let value = ledger.item("third value");
    assert_eq!(thrown(|| sender.send(value).is_ok()), "drop");
    assert!(receiver.try_recv().is_ok());
    ledger.assert_settled();
}

#[test]
fn value_whose_drop_panics_is_dropped_once_and_its_memory_goes() {
    struct Grenade<'a>(&'a Cell<u32>);
    impl Drop for Grenade<'_> {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
            throw("value");
        }
    }
    let drops = Cell::new(0);
    let (sender, receiver) = channel();
    sender.send(Grenade(&drops)).unwrap_or_else(|_| panic!("the receiver is there"));
    assert_eq!(thrown(|| drop(receiver)), "value");
    assert_eq!(drops.get(), 1);
}

// ---- types -------------------------------------------------------------------------------------------------

#[test]
fn a_side_may_be_sent_if_its_value_may_and_be_shared_always() {
    /// Which of the two is meant can be told only if one is there.
    trait Unless<Which> {
        fn it_is_send() {}
    }
    struct Send_;
    impl<T: ?Sized> Unless<()> for T {}
    impl<T: ?Sized + Send> Unless<Send_> for T {}
    <Sender<MutexGuard<'_, u8>> as Unless<_>>::it_is_send();
    <Receiver<MutexGuard<'_, u8>> as Unless<_>>::it_is_send();
    fn is_send<T: Send>() {}
    is_send::<Sender<Cell<u8>>>();
    is_send::<Receiver<Cell<u8>>>();
    fn is_sync<T: Sync>() {}
    is_sync::<Sender<Cell<u8>>>();
    is_sync::<Receiver<Cell<u8>>>();
}

// ---- everything at once ------------------------------------------------------------------------------------

/// How many values there have been, and how many have been dropped.
#[derive(Default)]
struct Tally {
    made: AtomicUsize,
    dropped: AtomicUsize,
}

struct Value(Arc<Tally>);

impl Value {
    fn new(tally: &Arc<Tally>) -> Self {
        tally.made.fetch_add(1, Ordering::SeqCst);
        Self(tally.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls by other wakers before it is received, or given up.
async fn receive(mut receiver: Receiver<Value>, kind: usize) {
    let (_, foreign) = counter();
    for _ in 0..kind % 3 {
        if poll_by(&mut receiver, &foreign).is_ready() {
            return;
        }
        yield_now().await;
    }
    if kind % 5 != 4 {
        drop(receiver.await);
    }
}

async fn send(sender: Sender<Value>, kind: usize, tally: &Arc<Tally>) {
    for _ in 0..kind % 4 {
        yield_now().await;
    }
    if kind % 7 != 6 {
        drop(sender.send(Value::new(tally)));
    }
}

#[test]
fn ten_thousand_channels_between_all_workers_and_a_foreign_thread_lose_and_double_nothing() {
    watched(|| {
        let rt = runtime(2);
        for round in 0..20 {
            let tally = Arc::<Tally>::default();
            let channels = (0..500).map(|n| n * 11 + round).map(|n| (n, channel()));
            let (foreign, inside): (Vec<_>, Vec<_>) = channels.partition(|(n, _)| n % 10 == 0);
            rt.block_on(async |scope| {
                let mut senders = Vec::new();
                for (n, (sender, receiver)) in foreign {
                    senders.push(sender);
                    scope.spawn(receive(receiver, n));
                }
                let outside = thread::spawn({
                    let tally = tally.clone();
                    move || senders.into_iter().for_each(|sender| drop(sender.send(Value::new(&tally))))
                });
                for (n, (sender, receiver)) in inside {
                    scope.spawn(receive(receiver, n));
                    scope.spawn(send(sender, n, &tally));
                }
                outside.join().unwrap();
            });
            let [made, dropped] = [&tally.made, &tally.dropped].map(|count| count.load(Ordering::SeqCst));
            assert!(made > 400, "most were sent: {made}");
            assert_eq!(made, dropped);
        }
    });
}
