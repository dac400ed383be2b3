//! Keys and a poller that notes what it is told, for the tests of this room.

use std::{
    fs,
    sync::{Mutex, PoisonError},
};

use tempfile::TempDir;

use crate::poll::hints::{Hint, Hinted};

pub(crate) const KEY: &str = "kwcanary-event-grid-0123456789abcdef";
pub(super) const OTHER_KEY: &str = "kwcanary-event-grid-fedcba9876543210";

/// A directory with these keys.
pub(crate) fn keys(keys: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, key) in keys.iter().enumerate() {
        fs::write(dir.path().join(format!("key{}", n + 1)), key).unwrap();
    }
    dir
}

/// What was hinted, in order.
#[derive(Default)]
pub(super) struct Noted(Mutex<Vec<Hint>>);

impl Noted {
    pub(super) fn take(&self) -> Vec<String> {
        let taken = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        taken.iter().map(|Hint { vault, about }| format!("{vault} {about:?}")).collect()
    }
}

impl Hinted for Noted {
    fn hint(&self, hint: Hint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(hint);
    }
}
