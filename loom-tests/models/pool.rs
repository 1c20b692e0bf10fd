//! The pool of blocks: each is in one place at a time, whoever takes and gives.

use super::harness::check;
use crate::ring::{Pool, Returns};
use loom::thread;
use std::sync::Arc;

/// Blocks of one slot in magazines of `size`, at hand in `stripes`.
fn pool(blocks: u32, size: u32, stripes: usize) -> Arc<Pool<u64>> {
    Arc::new(Pool::shaped(1, blocks, size, stripes))
}

fn give(pool: &Pool<u64>, block: u32) {
    pool.give(&mut Returns::new(), block);
}

/// Takes every block, and says which.
fn all(pool: &Pool<u64>) -> Vec<u32> {
    let mut free: Vec<_> = std::iter::from_fn(|| pool.take(0)).collect();
    free.sort_unstable();
    free
}

/// The depot does not take a first block for the one it was before: a thread that has read it
/// sleeps while another takes two blocks and gives the first back. At most 4 preemptions.
#[test]
fn pool_depot_aba() {
    check("pool_depot_aba", Some(4), || {
        let pool = pool(2, 1, 2);
        let blocks = [pool.take(0).unwrap(), pool.take(0).unwrap()];
        blocks.into_iter().for_each(|block| give(&pool, block));
        let other = Arc::clone(&pool);
        let other = thread::spawn(move || other.take(0));
        let mine = [pool.take(0), pool.take(0)];
        mine[0].into_iter().for_each(|block| give(&pool, block));
        let mut held: Vec<_> = [mine[1], other.join().unwrap()].into_iter().flatten().collect();
        held.extend(all(&pool));
        held.sort_unstable();
        assert_eq!(held, [0, 1]);
    });
}

/// Two threads that take what they can of too few blocks, and give it back, neither lose a block
/// nor get one twice. At most 3 preemptions.
#[test]
fn pool_exhaustion() {
    check("pool_exhaustion", Some(3), || {
        let pool = pool(2, 1, 1);
        let other = Arc::clone(&pool);
        let turn = |pool: &Pool<u64>| {
            let taken = [pool.take(0), pool.take(0)];
            taken.into_iter().flatten().for_each(|block| give(pool, block));
            taken
        };
        let other = thread::spawn(move || turn(&other));
        let mine = turn(&pool);
        let theirs = other.join().unwrap();
        for taken in [mine, theirs] {
            assert!(taken[0].is_none() || taken[0] != taken[1]);
        }
        assert_eq!(pool.blocks_out(), 0, "every block is in the depot");
        assert_eq!(all(&pool), [0, 1]);
    });
}

/// Magazines of two move as one: the numbers inside are seen by whoever takes it. At most
/// 3 preemptions.
#[test]
fn pool_magazines() {
    check("pool_magazines", Some(3), || {
        let pool = pool(4, 2, 2);
        let blocks: Vec<_> = (0..4).filter_map(|_| pool.take(0)).collect();
        let other = Arc::clone(&pool);
        let theirs = blocks[2..].to_vec();
        let other = thread::spawn(move || {
            let mut returns = Returns::new();
            theirs.into_iter().for_each(|block| other.give(&mut returns, block));
            other.flush(&mut returns);
        });
        let mut taken: Vec<_> = pool.take(0).into_iter().collect();
        let mut returns = Returns::new();
        blocks[..2].iter().for_each(|&block| pool.give(&mut returns, block));
        taken.extend(pool.take(0));
        other.join().unwrap();
        taken.extend(all(&pool));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3]);
    });
}

/// Two threads that need the first chunk of memory get the same one, and whoever did not make it
/// sees it made.
#[test]
fn pool_first_chunk() {
    check("pool_first_chunk", None, || {
        let pool = pool(2, 1, 2);
        let other = Arc::clone(&pool);
        let other = thread::spawn(move || other.take(0).unwrap());
        let mut taken = vec![pool.take(0).unwrap(), other.join().unwrap()];
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}
