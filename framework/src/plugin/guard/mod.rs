//! Guards: every object that may cross between program and plugin stands behind one of its own trait.
//!
//! A guard is compiled into the image that its object comes from, so panic and `catch_unwind` share one standard library. A panic
//! becomes [`Error::Panicked`], which names component, crate and method; after it the object is not used any more, since nobody knows in
//! what state it is. libtorch's gradient mode is put back as it was.

mod analysis;
mod cell;
mod curriculum;
mod format;
mod rule;
mod task;
#[cfg(test)]
mod tests;

use crate::workers::panic_text;
use crate::{Error, Kind, Problems, Result};
use serde::{Serialize, Serializer};
use std::fmt::{Debug, Formatter};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

/// Catches what an object's methods throw, and remembers it.
struct Fence {
    /// Kind, name and crate, for messages.
    component: Arc<str>,
    failure: OnceLock<String>,
}

impl Fence {
    fn new(component: Arc<str>) -> Self {
        Self { component, failure: OnceLock::new() }
    }

    fn panicked(&self, message: &str) -> Error {
        Error::Panicked { component: self.component.to_string(), message: message.to_string() }
    }

    /// Fails if the object panicked before.
    fn intact(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |message| Err(self.panicked(message)))
    }

    /// Call a method that can fail.
    fn call<R>(&self, method: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
        self.intact()?;
        contained(work).unwrap_or_else(|text| Err(self.panicked(self.remember(method, &text))))
    }

    /// Call a method that cannot fail; should it panic, `otherwise` stands in, and the next method that can fail says so.
    fn fact<R>(&self, method: &str, otherwise: R, work: impl FnOnce() -> R) -> R {
        contained(work).unwrap_or_else(|text| {
            self.remember(method, &text);
            otherwise
        })
    }

    fn remember(&self, method: &str, text: &str) -> &str {
        self.failure.get_or_init(|| format!("{text} (in {method})"))
    }

    /// Run an object's own check, then ask for everything that it may not fail to say.
    fn check(&self, problems: &mut Problems, check: impl FnOnce(&mut Problems), facts: impl FnOnce()) {
        let before = problems.count();
        if let Err(text) = contained(|| check(problems)) {
            self.remember("check", &text);
        } else if problems.count() == before {
            facts();
        }
        if let Err(error) = self.intact() {
            problems.add(
                "",
                error,
                "this is a fault of the component, whatever its options are: report it to its author",
            );
        }
    }
}

/// Run foreign code; a panic becomes its text, and the gradient mode is what it was.
fn contained<R>(work: impl FnOnce() -> R) -> Result<R, String> {
    let gradients = gradient_mode();
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        set_gradient_mode(gradients);
        let text = panic_text(&*payload);
        // What was thrown may throw once more when it is dropped.
        std::mem::forget(payload);
        text
    })
}

/// Whether libtorch follows operations for gradients on this thread.
fn gradient_mode() -> bool {
    let before = set_gradient_mode(false);
    set_gradient_mode(before);
    before
}

/// Set it; says what it was.
fn set_gradient_mode(on: bool) -> bool {
    // SAFETY: the function takes and gives a number, and touches a variable of this thread only.
    unsafe { torch_sys::at_grad_set_enabled(i32::from(on)) != 0 }
}

/// An object that is dropped with its panics caught.
struct Kept<T>(ManuallyDrop<T>);

impl<T> Kept<T> {
    fn new(object: T) -> Self {
        Self(ManuallyDrop::new(object))
    }
}

impl<T> std::ops::Deref for Kept<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> std::ops::DerefMut for Kept<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T> Drop for Kept<T> {
    fn drop(&mut self) {
        // SAFETY: it is dropped here alone, and never used after.
        if let Err(text) = contained(|| unsafe { ManuallyDrop::drop(&mut self.0) }) {
            tracing::warn!("a component panicked while it was dropped: {text}");
        }
    }
}

/// The guard of a component's options.
pub(crate) struct Guard<T> {
    inner: Kept<T>,
    fence: Fence,
}

impl<T> Guard<T> {
    /// A guard around the component that users call `name`.
    pub(crate) fn new(kind: Kind, name: &str, inner: T) -> Self {
        Self { inner: Kept::new(inner), fence: Fence::new(called::<T>(kind, name)) }
    }

    /// A fence for something that the component made.
    fn fence(&self) -> Fence {
        Fence::new(self.fence.component.clone())
    }
}

/// Kind, name and crate, for messages.
fn called<T>(kind: Kind, name: &str) -> Arc<str> {
    format!("{kind} '{name}' of {}", origin::<T>()).into()
}

/// The crate of a type, as cargo writes it.
fn origin<T>() -> String {
    std::any::type_name::<T>().split("::").next().unwrap_or_default().replace('_', "-")
}

/// Run what a component says of itself before there is an object: parsing, defaults.
pub(crate) fn about<T, R>(method: &str, work: impl FnOnce() -> Result<R>) -> Result<R> {
    contained(work).unwrap_or_else(|text| {
        let name = std::any::type_name::<T>().rsplit("::").next().unwrap_or_default();
        Err(Error::Panicked {
            component: format!("{name} of {}", origin::<T>()),
            message: format!("{text} (in {method})"),
        })
    })
}

impl<T: Debug> Debug for Guard<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        contained(|| self.inner.fmt(f)).unwrap_or(Err(std::fmt::Error))
    }
}

impl<T: Serialize> Serialize for Guard<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let panicked = |text| serde::ser::Error::custom(format_args!("{} panicked: {text}", self.fence.component));
        contained(|| self.inner.serialize(serializer)).unwrap_or_else(|text| Err(panicked(text)))
    }
}

/// What typetag asks of every object: its name, and that it was registered.
macro_rules! tagged {
    () => {
        fn typetag_name(&self) -> &'static str {
            self.inner.typetag_name()
        }
        fn typetag_deserialize(&self) {}
    };
}
use tagged;
