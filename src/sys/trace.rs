//! Who listens to the kernel calls. One listener per process, set for as long as a primitive is at work; the observer
//! pauses it, because looking is not part of the set-up.

use std::cell::{Cell, RefCell};

type Listener = Box<dyn FnMut(&str)>;

thread_local! {
    static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) };
    static ON: Cell<bool> = const { Cell::new(false) };
}

/// Is anybody listening?
pub fn on() -> bool {
    ON.get()
}

/// From now on `listener` gets every call as one line. `None`: nobody does.
pub fn listen(listener: Option<Listener>) {
    ON.set(listener.is_some());
    LISTENER.with_borrow_mut(|l| *l = listener);
}

/// Hands one line to the listener. A call made by the listener itself is not recorded.
pub fn record(line: &str) {
    ON.set(false);
    LISTENER.with_borrow_mut(|l| {
        if let Some(listener) = l {
            listener(line);
        }
    });
    ON.set(true);
}

/// Runs `f` unheard.
pub fn paused<T>(f: impl FnOnce() -> T) -> T {
    let was = ON.replace(false);
    let value = f();
    ON.set(was);
    value
}
