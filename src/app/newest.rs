//! A value that another thread takes over when there is a newer one.
//!
//! ```text
//! main thread --newest value--> capture or file thread
//! ```
//!
//! Guaranteed: asking costs one atomic load where nothing is new, and is done once a batch, never for a packet; what was
//! replaced before it was asked for is never seen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

struct Place<T> {
    is_new: AtomicBool,
    value: Mutex<Option<T>>,
}

/// Where newer values go in.
pub struct Newest<T>(Arc<Place<T>>);

/// Where they come out.
pub struct Newer<T>(Arc<Place<T>>);

/// Both ends of a place for one value.
pub fn newest<T>() -> (Newest<T>, Newer<T>) {
    let place = Arc::new(Place { is_new: AtomicBool::new(false), value: Mutex::new(None) });
    (Newest(Arc::clone(&place)), Newer(place))
}

impl<T> Newest<T> {
    /// Puts it there; whoever asks from now on takes it.
    pub fn set(&self, value: T) {
        *self.0.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        self.0.is_new.store(true, Ordering::Release);
    }
}

impl<T> Newer<T> {
    /// The newest value, once.
    pub fn take(&mut self) -> Option<T> {
        if !self.0.is_new.load(Ordering::Acquire) {
            return None;
        }
        // First: what is put there meanwhile is taken now or the next time.
        self.0.is_new.store(false, Ordering::Release);
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_is_taken_and_only_once() {
        let (newest, mut newer) = newest();
        assert_eq!(newer.take(), None);
        newest.set(1);
        newest.set(2);
        assert_eq!((newer.take(), newer.take()), (Some(2), None));
        newest.set(3);
        assert_eq!(newer.take(), Some(3));
    }
}
