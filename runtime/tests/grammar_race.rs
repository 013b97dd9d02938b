//! Races: losers have ended before the winner is returned.

mod common;

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use common::{Ledger, OnDrop, each_virtual_runtime, three_deep, throw, thrown};
use treescope::time::{now, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// Gives `outcome` after so many seconds, and holds an item meanwhile.
async fn after<T>(ledger: &Ledger, name: &'static str, seconds: u32, outcome: T) -> T {
    let _item = ledger.item(name);
    sleep(seconds * SECOND).await;
    outcome
}

#[test]
fn losers_of_a_race_have_ended_before_the_winner_is_returned() {
    each_virtual_runtime(|runtime, ledger| {
        let (winner, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let winner = scope.race((1..=9).rev().map(|n| after(ledger, "racer", n, n))).await;
            ledger.mark("returned");
            (winner, now() - start)
        });
        assert_eq!((winner, elapsed), (1, SECOND));
        assert_eq!(ledger.count("racer"), 9);
        ledger.assert_order("racer", "returned");
        ledger.assert_settled();
    });
}

#[test]
fn first_ok_passes_over_errors_and_ends_the_rest() {
    each_virtual_runtime(|runtime, ledger| {
        let (winner, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let outcomes = [(4, Ok(4)), (1, Err(1)), (2, Err(2)), (3, Ok(3))];
            let winner =
                scope.first_ok(outcomes.map(|(n, outcome)| after(ledger, "racer", n, outcome))).await;
            ledger.mark("returned");
            (winner, now() - start)
        });
        assert_eq!((winner, elapsed), (Ok(3), 3 * SECOND));
        ledger.assert_order("racer", "returned");
        ledger.assert_settled();
    });
}

#[test]
fn first_ok_of_failures_gives_all_errors_in_the_order_they_came_in() {
    each_virtual_runtime(|runtime, ledger| {
        let errors = three_deep!(runtime, async |scope| {
            scope.first_ok([3, 1, 2].map(|n| after(ledger, "racer", n, Err::<(), _>(n)))).await
        });
        assert_eq!(errors, Err(vec![1, 2, 3]));
        ledger.assert_settled();
    });
}

#[test]
fn first_ok_of_nobody_is_an_error() {
    each_virtual_runtime(|runtime, _| {
        let nobody: [std::future::Ready<Result<(), ()>>; 0] = [];
        assert_eq!(three_deep!(runtime, async |scope| { scope.first_ok(nobody).await }), Err(vec![]));
    });
}

#[test]
fn all_gives_values_in_the_order_of_the_futures() {
    each_virtual_runtime(|runtime, ledger| {
        let (values, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let values = scope.all([3, 1, 2].map(|n| after(ledger, "one", n, n))).await;
            ledger.mark("returned");
            (values, now() - start)
        });
        assert_eq!((values, elapsed), (vec![3, 1, 2], 3 * SECOND));
        ledger.assert_order("one", "returned");
    });
}

#[test]
fn try_all_gives_values_in_the_order_of_the_futures() {
    each_virtual_runtime(|runtime, ledger| {
        let values = three_deep!(runtime, async |scope| {
            scope.try_all([3, 1, 2].map(|n| after(ledger, "one", n, Ok::<_, ()>(n)))).await
        });
        assert_eq!(values, Ok(vec![3, 1, 2]));
        ledger.assert_settled();
    });
}

#[test]
fn try_all_gives_the_first_error_after_the_rest_have_ended() {
    each_virtual_runtime(|runtime, ledger| {
        let (error, elapsed) = three_deep!(runtime, async |scope| {
            let start = now();
            let outcomes = [(4, Err(4)), (1, Ok(1)), (2, Err(2)), (3, Ok(3))];
            let error = scope.try_all(outcomes.map(|(n, outcome)| after(ledger, "one", n, outcome))).await;
            ledger.mark("returned");
            (error, now() - start)
        });
        assert_eq!((error, elapsed), (Err(2), 2 * SECOND));
        ledger.assert_order("one", "returned");
        ledger.assert_settled();
    });
}

/// A racer is a future; what it opens in a scope outside the race belongs to that scope.
#[test]
fn scope_that_a_loser_opened_outside_the_race_goes_on() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            let racers: [Pin<Box<dyn Future<Output = ()> + Send>>; 2] = [
                Box::pin(after(ledger, "fast", 1, ())),
                Box::pin(async move {
                    let inner =
                        scope.scope(async move |inner| inner.spawn(after(ledger, "opened", 2, ())).await);
                    let _item = ledger.item("loser");
                    inner.await;
                }),
            ];
            scope.race(racers).await;
            ledger.mark("returned");
        });
        ledger.assert_order("loser", "returned");
        ledger.assert_order("returned", "opened");
        ledger.assert_settled();
    });
}

#[test]
fn value_of_a_loser_is_dropped_before_the_winner_is_returned() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            // All are ready in their first poll, those that are polled at all.
            let racers = (0..64).map(|_| {
                let value = ledger.item("value");
                async { value }
            });
            let winner = scope.race(racers).await;
            ledger.mark("returned");
            assert_eq!(ledger.count("value"), 63);
            drop(winner);
        });
        ledger.assert_settled();
    });
}

#[test]
fn racer_that_panics_fails_the_scope_above() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                let racers: [Pin<Box<dyn Future<Output = ()> + Send>>; 2] = [
                    Box::pin(after(ledger, "slow", 1000, ())),
                    Box::pin(async {
                        treescope::yield_now().await;
                        throw("racer")
                    }),
                ];
                scope.race(racers).await;
            });
        });
        assert_eq!(name, "racer");
        ledger.assert_settled();
    });
}

#[test]
fn loser_whose_drop_panics_fails_the_scope_above() {
    each_virtual_runtime(|runtime, ledger| {
        let name = thrown(|| {
            three_deep!(runtime, async |scope| {
                let racers: [Pin<Box<dyn Future<Output = ()> + Send>>; 2] = [
                    Box::pin(after(ledger, "fast", 1, ())),
                    Box::pin(async {
                        let _bomb = OnDrop::new(|| throw("loser"));
                        pending().await
                    }),
                ];
                scope.race(racers).await;
            });
        });
        assert_eq!(name, "loser");
        ledger.assert_settled();
    });
}

#[test]
fn race_in_a_scope_that_is_aborted_ends_all_racers() {
    each_virtual_runtime(|runtime, ledger| {
        three_deep!(runtime, async |scope| {
            scope.scope(async move |outer| {
                let race = outer.race((0..4).map(|_| after(ledger, "racer", 1000, ())));
                sleep(SECOND).await;
                outer.abort();
                race.await;
            });
        });
        assert_eq!(ledger.count("racer"), 4);
        ledger.assert_settled();
    });
}

#[test]
#[should_panic(expected = "a race of nobody has no winner")]
fn race_of_nobody_is_refused() {
    common::runtime(1).block_on(async |scope| {
        let nobody: [std::future::Ready<()>; 0] = [];
        scope.race(nobody).await;
    });
}
