//! Counts what is allocated.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, which counts.
pub(crate) struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: each call goes on to `System` as it came, so what holds for `System` holds here; counting allocates nothing.
#[expect(
    unsafe_code,
    reason = "a global allocator cannot be written without; it is in this program alone"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// How often `work` allocates or grows an allocation.
pub(crate) fn of(work: impl FnOnce()) -> usize {
    let before = COUNT.load(Relaxed);
    work();
    COUNT.load(Relaxed) - before
}
