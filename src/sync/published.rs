//! One immutable value, replaced as a whole; readers keep a cached copy.

use std::sync::Arc;

/// A value that is swapped atomically. Under loom and shuttle it is a mutex: arc-swap is not ours to
/// model.
pub(crate) struct Published<T> {
    #[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
    current: Arc<arc_swap::ArcSwap<T>>,
    #[cfg(any(fairlane_loom, fairlane_shuttle))]
    current: Arc<super::Mutex<Arc<T>>>,
}

/// One thread's cached view of a [`Published`] value: looking is a load and a compare.
pub(crate) struct Reader<T> {
    #[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
    cache: arc_swap::Cache<Arc<arc_swap::ArcSwap<T>>, Arc<T>>,
    #[cfg(any(fairlane_loom, fairlane_shuttle))]
    source: Arc<super::Mutex<Arc<T>>>,
    #[cfg(any(fairlane_loom, fairlane_shuttle))]
    seen: Arc<T>,
}

#[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Published { current: Arc::new(arc_swap::ArcSwap::from_pointee(value)) }
    }

    pub(crate) fn load(&self) -> Arc<T> {
        self.current.load_full()
    }

    pub(crate) fn store(&self, value: T) {
        self.current.store(Arc::new(value));
    }

    pub(crate) fn reader(&self) -> Reader<T> {
        Reader { cache: arc_swap::Cache::new(Arc::clone(&self.current)) }
    }
}

#[cfg(not(any(fairlane_loom, fairlane_shuttle)))]
impl<T> Reader<T> {
    /// The newest value this thread can see.
    #[inline]
    pub(crate) fn get(&mut self) -> &Arc<T> {
        self.cache.load()
    }
}

#[cfg(any(fairlane_loom, fairlane_shuttle))]
impl<T> Published<T> {
    pub(crate) fn new(value: T) -> Self {
        Published { current: Arc::new(super::Mutex::new(Arc::new(value))) }
    }

    pub(crate) fn load(&self) -> Arc<T> {
        Arc::clone(&self.current.lock().unwrap())
    }

    pub(crate) fn store(&self, value: T) {
        *self.current.lock().unwrap() = Arc::new(value);
    }

    pub(crate) fn reader(&self) -> Reader<T> {
        Reader { source: Arc::clone(&self.current), seen: self.load() }
    }
}

#[cfg(any(fairlane_loom, fairlane_shuttle))]
impl<T> Reader<T> {
    pub(crate) fn get(&mut self) -> &Arc<T> {
        self.seen = Arc::clone(&self.source.lock().unwrap());
        &self.seen
    }
}
