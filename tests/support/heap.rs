//! What a thread has allocated: the test binary's allocator is the system's, and counts.
//!
//! Guarantees: bytes asked for and not given back, and the most of them, per thread, so that tests side by side do not see
//! each other; what is allocated here and freed on another thread is not noticed there.

// An allocator cannot be written otherwise; each call is handed on as it is.
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts for [`allocated`].
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATED: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

/// Bytes allocated and not freed by this thread.
pub fn allocated() -> isize {
    ALLOCATED.try_with(Cell::get).unwrap_or(0)
}

/// The most bytes that this thread had allocated at once while it did this, beyond those before.
pub fn most_during<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = allocated();
    MOST.set(before);
    let done = work();
    (done, usize::try_from(MOST.get() - before).unwrap_or(0))
}

fn count(bytes: usize, sign: isize) {
    // Not while the thread ends: then nobody looks any more.
    let _ = ALLOCATED.try_with(|cell| cell.set(cell.get() + sign * bytes as isize));
    let _ = MOST.try_with(|cell| cell.set(cell.get().max(allocated())));
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, 1);
        count(layout.size(), -1);
        unsafe { System.realloc(ptr, layout, size) }
    }
}
