use super::depot::{ALWAYS, KEPT, size_of_chain};
use super::*;

fn block(steps: usize) -> NonNull<Block> {
    // SAFETY: not of size zero.
    unsafe { fresh(block_of(steps)) }.cast()
}

/// Puts so many fresh blocks by.
fn put(spare: &Spare, depot: &Depot, steps: usize, blocks: usize) {
    // SAFETY: fresh, of that size.
    (0..blocks).for_each(|_| unsafe { spare.put(block(steps), steps, depot) });
}

/// Takes a block, for good; whether there was one.
fn take(spare: &Spare, depot: &Depot, steps: usize) -> bool {
    let taken = spare.take(steps, depot);
    taken.inspect(|block| {
        // SAFETY: of that size, and nobody else's now.
        unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
    });
    taken.is_some()
}

#[test]
fn what_is_put_by_is_taken_newest_first_and_by_size() {
    let (spare, depot) = (Spare::new(), Depot::new());
    let blocks = [(block(1), 1), (block(1), 1), (block(LARGEST), LARGEST)];
    for (block, steps) in blocks {
        // SAFETY: fresh, of that size.
        unsafe { spare.put(block, steps, &depot) };
    }
    assert_eq!(spare.take(2, &depot), None);
    for (block, steps) in [blocks[1], blocks[2], blocks[0]] {
        assert_eq!(spare.take(steps, &depot), Some(block));
        // SAFETY: of that size, and nobody else's now.
        unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(steps)) };
    }
    assert_eq!(spare.take(1, &depot), None);
    assert_eq!(spare.take(LARGEST, &depot), None);
}

#[test]
fn a_worker_keeps_two_chains_and_the_depot_has_the_rest_for_all() {
    for steps in [1, 5, LARGEST] {
        let ([here, there], depot, chain) = ([Spare::new(), Spare::new()], Depot::new(), chain_of(steps));
        put(&here, &depot, steps, 2 * chain);
        assert_eq!(depot.bytes(), 0);
        assert!(!take(&there, &depot, steps), "what a worker has is its own");
        put(&here, &depot, steps, 3 * chain);
        assert_eq!(depot.bytes(), 3 * size_of_chain(steps));
        let taken = std::iter::from_fn(|| take(&there, &depot, steps).then_some(())).count();
        assert_eq!((taken, depot.bytes()), (3 * chain, 0));
        let taken = std::iter::from_fn(|| take(&here, &depot, steps).then_some(())).count();
        assert_eq!(taken, 2 * chain);
    }
}

#[test]
fn a_worker_between_two_chains_does_not_go_to_the_depot_each_time() {
    let (spare, depot, chain) = (Spare::new(), Depot::new(), chain_of(3));
    put(&spare, &depot, 3, chain);
    for _ in 0..10 {
        put(&spare, &depot, 3, 1);
        assert!(take(&spare, &depot, 3) && take(&spare, &depot, 3));
        put(&spare, &depot, 3, 1);
    }
    assert_eq!(depot.bytes(), 0);
}

#[test]
fn whoever_is_no_worker_takes_single_blocks() {
    let (spare, depot, chain) = (Spare::new(), Depot::new(), chain_of(4));
    put(&spare, &depot, 4, 4 * chain);
    let blocks: Vec<_> = std::iter::from_fn(|| depot.take_one(4)).collect();
    assert_eq!((blocks.len(), depot.bytes()), (2 * chain, 0));
    assert_eq!(depot.take_one(3), None);
    // SAFETY: of that size, and nobody else's now.
    blocks.iter().for_each(|block| unsafe { alloc::dealloc(block.as_ptr().cast(), block_of(4)) });
    put(&spare, &depot, 4, 2 * chain);
    let begun = depot.take_one(4).expect("two chains were put by");
    // SAFETY: as above. The rest goes with the depot.
    unsafe { alloc::dealloc(begun.as_ptr().cast(), block_of(4)) };
}

#[test]
fn the_depot_takes_no_more_than_it_may() {
    let (spare, depot) = (Spare::new(), Depot::new());
    let chains = KEPT / size_of_chain(LARGEST);
    put(&spare, &depot, LARGEST, (chains + 10) * chain_of(LARGEST));
    assert_eq!(depot.bytes(), chains * size_of_chain(LARGEST));
    put(&spare, &depot, 1, 10 * chain_of(1));
    assert!(depot.bytes() <= KEPT);
}

#[test]
fn what_a_peak_has_left_goes_chain_by_chain_but_for_what_always_stays() {
    let (spare, depot) = (Spare::new(), Depot::new());
    put(&spare, &depot, 2, 2 * ALWAYS / block_of(2).size());
    put(&spare, &depot, LARGEST, ALWAYS / block_of(LARGEST).size());
    let before = depot.bytes();
    depot.thin_out();
    assert_eq!(depot.bytes(), before - size_of_chain(LARGEST));
    (0..before / (CHAIN / 2)).for_each(|_| depot.thin_out());
    assert!(depot.bytes() <= ALWAYS && depot.bytes() > ALWAYS - CHAIN);
}

#[test]
fn what_is_large_or_widely_aligned_is_the_allocators_alone() {
    let steps = |size, align| {
        steps_for(Layout::from_size_align(size, align).expect("valid"))
            .map(|steps| (block_of(steps).size(), steps))
    };
    let most = LARGEST * STEP + EXTRA;
    assert_eq!(steps(EXTRA + 1, 1), Some((STEP + EXTRA, 1)));
    assert_eq!(steps(EXTRA + STEP, 16), Some((STEP + EXTRA, 1)));
    assert_eq!(steps(EXTRA + STEP + 1, 8), Some((2 * STEP + EXTRA, 2)));
    assert_eq!(steps(most, 16), Some((most, LARGEST)));
    assert_eq!(steps(most + 1, 16), None);
    assert_eq!(steps(64, 32), None);
}
