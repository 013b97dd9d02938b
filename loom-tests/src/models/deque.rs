//! A worker's lane: its owner against thieves (`sched/deque.rs`).
//!
//! Every token has contents that its taker touches as a writer would: two who get the same token race, and so does a
//! thief that gets it before its pusher's writes are visible. A token that nobody gets leaks, which loom reports.

use loom::thread;
use treescope::model::{Owner, Steal, Stealer, Token, lane};

use super::{ALL, Model};
use crate::seed::{Fault, Seed};

const FILE: &str = "sched/deque.rs";

pub(super) const MODELS: &[Model] = &[
    Model {
        name: "deque::last_item",
        checks: "owner and thief are after the last item: one gets it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: last_item,
        bug: "the owner's swap for the last item is a read and a write",
        seed: Seed::Operation {
            file: FILE,
            anchor: "if left == 0 {",
            operation: "compare_exchange",
            fault: Fault::Split,
        },
    },
    Model {
        name: "deque::two_items_two_steals",
        checks: "owner pops while a thief empties the lane from the other end",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: two_items_two_steals,
        bug: "no fence between the owner's announcement and its look at the top",
        seed: Seed::Operation {
            file: FILE,
            anchor: "// SeqCst: pairs with the fence in `Shared::steal`",
            operation: "fence",
            fault: Fault::Remove,
        },
    },
    Model {
        name: "deque::growth",
        checks: "the ring is replaced under a thief's hands",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: growth,
        bug: "the new ring is published without its contents",
        seed: Seed::Operation {
            file: FILE,
            anchor: "self.shared.ring.store(",
            operation: "store",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "deque::wrap_around",
        checks: "a slot is used again after a thief has emptied it",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: wrap_around,
        bug: "a push is published without the item's contents",
        seed: Seed::Operation {
            file: FILE,
            anchor: "shared.bottom.0.store(bottom.wrapping_add(1)",
            operation: "store",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "deque::slot_used_again",
        checks: "a slot is written again after the thief that won it has read it, be there a take in between",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: slot_used_again,
        bug: "a thief's swap does not say that it has read the slot",
        seed: Seed::Operation {
            file: FILE,
            anchor: "match self.top.0.compare_exchange(",
            operation: "compare_exchange",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "deque::steal_behind_pop",
        checks: "a thief learns of an item from the bottom that a pop has lowered",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: steal_behind_pop,
        bug: "a pop announces itself without the slots below",
        seed: Seed::Operation {
            file: FILE,
            anchor: "shared.bottom.0.store(newest",
            operation: "store",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
    Model {
        name: "deque::two_thieves",
        checks: "two thieves are after the oldest item while the owner pops the newest",
        threads: 3,
        quick: Some(ALL),
        full: ALL,
        body: two_thieves,
        bug: "a thief's swap is a read and a write",
        seed: Seed::Operation {
            file: FILE,
            anchor: "match self.top.0.compare_exchange(",
            operation: "compare_exchange",
            fault: Fault::Split,
        },
    },
    Model {
        name: "deque::oldest_first",
        checks: "the owner takes the oldest too, as from the woken lane",
        threads: 2,
        quick: Some(ALL),
        full: ALL,
        body: oldest_first,
        bug: "whoever steals does not see the slot that the bottom promises",
        seed: Seed::Operation {
            file: FILE,
            anchor: "let bottom = self.bottom.0.load(Ordering::Acquire)",
            operation: "load",
            fault: Fault::Weaken(0, "Relaxed"),
        },
    },
];

/// What a thief gets in so many tries.
fn steal(stealer: &Stealer, tries: usize) -> Vec<Token> {
    let mut got = Vec::new();
    for _ in 0..tries {
        if let Steal::Taken(mut token) = stealer.steal() {
            token.touch();
            got.push(token);
        }
    }
    got
}

fn pop(owner: &Owner) -> Option<Token> {
    let mut token = owner.pop_newest()?;
    token.touch();
    Some(token)
}

/// Takes what is left when all thieves are gone. Every number from 0 to `count` was taken once then.
fn assert_each_once(mut taken: Vec<Token>, owner: &Owner, count: usize) {
    taken.extend(std::iter::from_fn(|| pop(owner)));
    let mut numbers: Vec<_> = taken.iter_mut().map(Token::touch).collect();
    numbers.sort_unstable();
    // Before any token is dropped: one that was taken twice would be freed twice.
    assert!(numbers.iter().copied().eq(0..count), "not each once: {numbers:?}");
}

fn last_item() {
    let (owner, stealer) = lane(2);
    let thief = thread::spawn(move || steal(&stealer, 1));
    owner.push(Token::new(0));
    let popped = pop(&owner);
    let mut taken = thief.join().unwrap();
    taken.extend(popped);
    assert_each_once(taken, &owner, 1);
}

fn two_items_two_steals() {
    let (owner, stealer) = lane(2);
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let thief = thread::spawn(move || steal(&stealer, 2));
    let popped = pop(&owner);
    let mut taken = thief.join().unwrap();
    taken.extend(popped);
    assert_each_once(taken, &owner, 2);
}

fn steal_behind_pop() {
    let (owner, stealer) = lane(2);
    let thief = thread::spawn(move || steal(&stealer, 1));
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let popped = pop(&owner);
    let mut taken = thief.join().unwrap();
    taken.extend(popped);
    assert_each_once(taken, &owner, 2);
}

fn growth() {
    let (owner, stealer) = lane(2);
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let thief = thread::spawn(move || steal(&stealer, 2));
    owner.push(Token::new(2));
    let popped = pop(&owner);
    let mut taken = thief.join().unwrap();
    let numbers: Vec<_> = taken.iter_mut().map(Token::touch).collect();
    assert!(numbers.is_sorted(), "thieves take the oldest first: {numbers:?}");
    taken.extend(popped);
    assert_each_once(taken, &owner, 3);
}

fn wrap_around() {
    let (owner, stealer) = lane(2);
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let thief = thread::spawn(move || steal(&stealer, 2));
    // Newest first, so that the next pushes come to lie in the slots that the thief reads.
    let mut taken: Vec<_> = pop(&owner).into_iter().collect();
    owner.push(Token::new(2));
    taken.extend(pop(&owner));
    owner.push(Token::new(3));
    taken.extend(thief.join().unwrap());
    assert_each_once(taken, &owner, 4);
}

fn slot_used_again() {
    let (owner, stealer) = lane(2);
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let thief = thread::spawn(move || steal(&stealer, 1));
    // A swap of the owner's between the thief's and the look of the push.
    let mut taken: Vec<_> = owner.take_oldest().into_iter().collect();
    owner.push(Token::new(2));
    owner.push(Token::new(3));
    taken.extend(thief.join().unwrap());
    assert_each_once(taken, &owner, 4);
}

fn two_thieves() {
    let (owner, stealer) = lane(2);
    let stealer = loom::sync::Arc::new(stealer);
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let thieves = [(); 2].map(|()| {
        let stealer = stealer.clone();
        thread::spawn(move || steal(&stealer, 1))
    });
    let mut taken: Vec<_> = pop(&owner).into_iter().collect();
    for thief in thieves {
        taken.extend(thief.join().unwrap());
    }
    assert_each_once(taken, &owner, 2);
}

fn oldest_first() {
    let (owner, stealer) = lane(2);
    let thief = thread::spawn(move || steal(&stealer, 2));
    owner.push(Token::new(0));
    owner.push(Token::new(1));
    let mut taken: Vec<_> = owner.take_oldest().into_iter().collect();
    taken.iter_mut().for_each(|token| {
        token.touch();
    });
    taken.extend(thief.join().unwrap());
    assert_each_once(taken, &owner, 2);
}
