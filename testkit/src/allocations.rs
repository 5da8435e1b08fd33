//! How often a piece of work allocates, and how much it holds at once.
//!
//! A test of its own file sets the allocator, then counts:
//!
//! ```
//! use testkit::allocations::{Counting, count};
//!
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//!
//! let (text, counted) = count(|| "octets".repeat(100));
//! assert_eq!((text.len(), counted.allocations, counted.peak), (600, 1, 600));
//! ```

use core::cell::Cell;
use std::alloc::{GlobalAlloc, Layout, System};

/// The system's allocator, which counts for each thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counting;

/// What a piece of work came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// How often it allocated, or grew an allocation.
    pub allocations: usize,
    /// The most octets that it held at once, above those held before.
    pub peak: usize,
}

/// Counts what this thread allocates during `work`.
///
/// # Panics
///
/// Where [`Counting`] is not the global allocator: then there is nothing to count.
pub fn count<T>(work: impl FnOnce() -> T) -> (T, Counted) {
    let before = STATE.get();
    drop(Box::new(0_u8));
    let begun = STATE.get();
    assert!(
        begun.allocations > before.allocations,
        "testkit::allocations::Counting is not the global allocator of this test"
    );
    STATE.set(State {
        peak: begun.held,
        ..begun
    });
    let result = work();
    let ended = STATE.get();
    let counted = Counted {
        allocations: ended.allocations - begun.allocations,
        peak: usize::try_from(ended.peak - begun.held).unwrap_or_default(),
    };
    (result, counted)
}

#[derive(Clone, Copy)]
struct State {
    allocations: usize,
    /// Octets; less than none where others free what this thread allocated.
    held: isize,
    peak: isize,
}

thread_local! {
    static STATE: Cell<State> = const { Cell::new(State { allocations: 0, held: 0, peak: 0 }) };
}

/// Notes an allocation, if it is one, and how many octets more are held.
fn note(allocations: usize, more: isize) {
    // At the end of a thread there is nothing to count with, or for.
    let _ = STATE.try_with(|state| {
        let State {
            allocations: before,
            held,
            peak,
        } = state.get();
        state.set(State {
            allocations: before + allocations,
            held: held + more,
            peak: peak.max(held + more),
        });
    });
}

/// No allocation is larger than `isize` holds.
fn octets(size: usize) -> isize {
    isize::try_from(size).unwrap_or(isize::MAX)
}

// SAFETY: each call goes on to `System` as it came, so what holds for `System` holds here; counting allocates nothing.
#[expect(
    unsafe_code,
    reason = "a global allocator cannot be written without, and this one is for tests"
)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(1, octets(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(1, octets(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(1, octets(size) - octets(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(0, -octets(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
