//! The table of lazily made chunks.

use super::harness::check;
use crate::sync::atomic::{AtomicU32, Ordering::Relaxed};
use crate::sync::{Chunks, UnsafeCell};
use loom::thread;
use std::sync::Arc;

/// A chunk with plain content, so that loom sees whether its making happened before its use.
struct Chunk {
    content: UnsafeCell<u32>,
    uses: AtomicU32,
    alive: Arc<std::sync::atomic::AtomicU32>,
}

// SAFETY: `content` is written before the chunk is shared, and read after.
unsafe impl Sync for Chunk {}
// SAFETY: as above.
unsafe impl Send for Chunk {}

impl Chunk {
    fn new(alive: &Arc<std::sync::atomic::AtomicU32>) -> Chunk {
        alive.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Chunk { content: UnsafeCell::new(7), uses: AtomicU32::new(0), alive: Arc::clone(alive) }
    }

    fn look(&self) {
        // SAFETY: nobody writes after the chunk is made.
        self.content.with(|content| unsafe { assert_eq!(*content, 7) });
        self.uses.fetch_add(1, Relaxed);
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Two threads that make the same chunk get one, whole, and a reader sees none or that one.
#[test]
fn chunks_made_once() {
    check("chunks_made_once", None, || {
        let alive = Arc::default();
        let chunks = Arc::new(Chunks::new(1));
        let maker = (Arc::clone(&chunks), Arc::clone(&alive));
        let maker = thread::spawn(move || maker.0.get_or_make(0, || Chunk::new(&maker.1)).look());
        let reader = Arc::clone(&chunks);
        let reader = thread::spawn(move || reader.get(0).map(Chunk::look).is_some());
        chunks.get_or_make(0, || Chunk::new(&alive)).look();
        maker.join().unwrap();
        let seen = u32::from(reader.join().unwrap());
        assert_eq!(chunks.get(0).unwrap().uses.load(Relaxed), 2 + seen);
        assert_eq!(alive.load(std::sync::atomic::Ordering::Relaxed), 1);
        drop(chunks);
        assert_eq!(alive.load(std::sync::atomic::Ordering::Relaxed), 0);
    });
}
