//! The objects of one kind as they are held, and beside them those of a list that is not complete yet. Pure.

/// What is held of one kind.
#[derive(Debug, Default)]
pub(super) struct Table<T> {
    held: T,
    /// The objects of a list whose end has not come. Until then what is held stays.
    incoming: Option<T>,
    synced: bool,
}

impl<T: Default> Table<T> {
    /// A list begins. One that did not end is forgotten.
    pub(super) fn begin(&mut self) {
        self.incoming = Some(T::default());
    }

    /// What the list has brought so far.
    pub(super) fn incoming(&mut self) -> &mut T {
        self.incoming.get_or_insert_default()
    }

    /// The same, to look at; none where no list is under way.
    pub(super) fn incoming_so_far(&self) -> Option<&T> {
        self.incoming.as_ref()
    }

    /// The list is complete: whatever is not in it is not there any more.
    pub(super) fn end(&mut self) {
        self.held = self.incoming.take().unwrap_or_default();
        self.synced = true;
    }

    /// Whether a list was ever complete.
    pub(super) fn is_synced(&self) -> bool {
        self.synced
    }

    /// What is held.
    pub(super) fn held(&self) -> &T {
        &self.held
    }

    /// What is held, to be changed.
    pub(super) fn held_mut(&mut self) -> &mut T {
        &mut self.held
    }
}
