//! A stamp and what is held → what is to be done. Pure.

use time::OffsetDateTime;

use crate::{budget::Class, object::Stamp, vault::ReadError};

/// What is known of an object before a round.
#[derive(Clone, Debug)]
pub(super) enum Known {
    /// It is held.
    Held {
        /// What it was read with.
        stamp: Stamp,
        /// It was last read so long ago that it is read again whatever the listing says.
        overdue: bool,
    },
    /// The vault refused it, or what it gave could not be used.
    Refused(Option<ReadError>),
}

/// What the listing says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It was not asked, or cannot tell: pinned versions are not listed.
    Unlisted,
    /// It is not there.
    Absent,
    /// It is there.
    Present {
        /// Whether it is enabled.
        enabled: bool,
        /// Its stamp.
        updated: Option<OffsetDateTime>,
    },
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// What is held is still so.
    Confirm,
    /// It is to be read.
    Read(Class),
    /// It is still refused.
    Leave,
}

/// Decides for one object.
pub(super) fn action(known: &Known, seen: Seen) -> Action {
    match (known, seen) {
        (Known::Held { stamp, overdue }, Seen::Present { enabled: true, updated })
            if stamp.updated == updated && updated.is_some() && !stamp.hot =>
        {
            if *overdue {
                Action::Read(Class::Background)
            } else {
                Action::Confirm
            }
        }
        // Changed, disabled, gone, or not listed at all: only the object itself can tell.
        (Known::Held { .. }, _) | (Known::Refused(_), Seen::Unlisted) => Action::Read(Class::ChangeCheck),
        (Known::Refused(Some(ReadError::NotFound)), Seen::Absent)
        | (Known::Refused(Some(ReadError::Disabled)), Seen::Present { enabled: false, .. }) => Action::Leave,
        (Known::Refused(_), _) => Action::Read(Class::Background),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<OffsetDateTime> {
        OffsetDateTime::from_unix_timestamp(seconds).ok()
    }

    fn held(updated: i64, hot: bool, overdue: bool) -> Known {
        Known::Held { stamp: Stamp { updated: at(updated), hot }, overdue }
    }

    fn present(updated: i64) -> Seen {
        Seen::Present { enabled: true, updated: at(updated) }
    }

    const CHECK: Action = Action::Read(Class::ChangeCheck);
    const BACKGROUND: Action = Action::Read(Class::Background);
    const DISABLED: Seen = Seen::Present { enabled: false, updated: None };

    #[test]
    fn only_the_same_cold_stamp_confirms() {
        for (known, seen, expected) in [
            (held(7, false, false), present(7), Action::Confirm),
            (held(7, false, true), present(7), BACKGROUND),
            (held(7, true, false), present(7), CHECK),
            (held(7, false, false), present(8), CHECK),
            (held(7, false, false), present(6), CHECK),
            (held(7, false, false), Seen::Absent, CHECK),
            (held(7, false, false), DISABLED, CHECK),
            (held(7, false, false), Seen::Unlisted, CHECK),
            (
                Known::Held { stamp: Stamp::default(), overdue: false },
                Seen::Present { enabled: true, updated: None },
                CHECK,
            ),
        ] {
            assert_eq!(action(&known, seen), expected, "{known:?} {seen:?}");
        }
    }

    #[test]
    fn a_refused_object_is_read_again_once_the_listing_shows_it_otherwise() {
        let refused = |error| Known::Refused(Some(error));
        for (known, seen, expected) in [
            (refused(ReadError::NotFound), Seen::Absent, Action::Leave),
            (refused(ReadError::NotFound), present(1), BACKGROUND),
            (refused(ReadError::Disabled), DISABLED, Action::Leave),
            (refused(ReadError::Disabled), present(1), BACKGROUND),
            (refused(ReadError::Disabled), Seen::Absent, BACKGROUND),
            (refused(ReadError::Forbidden("ForbiddenByRbac".into())), present(1), BACKGROUND),
            (Known::Refused(None), present(1), BACKGROUND),
        ] {
            assert_eq!(action(&known, seen), expected, "{known:?} {seen:?}");
        }
    }
}
