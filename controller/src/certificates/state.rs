//! The authority's Secret from one state to the next: what a step makes of it. It makes keys and takes the time, and does no
//! I/O.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use super::{
    certificate::Certificate,
    issue::{self, IssueError},
    plan::Step,
    seen::Dated,
    slots::{Active, Other, Slots, SlotsError},
};
use crate::plan::Observed;

/// Annotations: when the next one was known everywhere, when nothing was left of the retired one, and a wish.
const PUBLISHED: &str = "keyward.dev/published";
const REISSUED: &str = "keyward.dev/reissued";
const ROTATE: &str = "keyward.dev/rotate";
/// The Secret's type.
pub(super) const SECRET_TYPE: &str = "Opaque";

/// Why the Secret cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unusable {
    /// Somebody else's.
    #[error("it is of type {0} and not {SECRET_TYPE}")]
    Type(String),
    /// Its content.
    #[error(transparent)]
    Slots(#[from] SlotsError),
}

impl Dated {
    /// Without stamps and wishes.
    pub(super) fn new(slots: Slots) -> Self {
        Self { slots, published: None, reissued: None, rotate: false }
    }

    /// As the Secret has it.
    pub(super) fn read(secret: &Observed) -> Result<Self, Unusable> {
        if let Some(other) = secret.secret_type.as_ref().filter(|secret_type| *secret_type != SECRET_TYPE) {
            return Err(Unusable::Type(other.clone()));
        }
        let stamp = |name| secret.annotations.get(name).and_then(|text| humantime::parse_rfc3339(text).ok());
        Ok(Self {
            slots: Slots::read(&secret.data)?,
            published: stamp(PUBLISHED),
            reissued: stamp(REISSUED),
            rotate: secret.annotations.contains_key(ROTATE),
        })
    }

    /// The Secret's annotations, beside other people's.
    pub(super) fn annotate(&self, annotations: &mut BTreeMap<String, String>) {
        for (name, stamp) in [(PUBLISHED, self.published), (REISSUED, self.reissued)] {
            match stamp {
                Some(stamp) => annotations.insert(name.to_owned(), humantime::format_rfc3339_millis(stamp).to_string()),
                None => annotations.remove(name),
            };
        }
        if !self.rotate {
            annotations.remove(ROTATE);
        }
    }

    /// What `step` makes of it; `None` where it has nothing to do with it.
    pub(super) fn after(&self, step: Step, now: SystemTime, lifetime: Duration) -> Option<Result<Self, IssueError>> {
        let slots = self.slots.clone();
        Some(Ok(match step {
            Step::Replace => match issue::authority(now, lifetime) {
                Ok(signer) => Self { rotate: self.rotate, ..Self::new(slots.replaced(signer)) },
                Err(error) => return Some(Err(error)),
            },
            Step::Prepare => match issue::authority(now, lifetime) {
                Ok(signer) => Self::new(slots.prepared(signer)),
                Err(error) => return Some(Err(error)),
            },
            Step::TakeUp => Self { rotate: false, ..self.clone() },
            Step::StampPublished => Self { published: Some(now), ..self.clone() },
            Step::Activate => Self { rotate: self.rotate, ..Self::new(slots.activated()) },
            Step::StampReissued => Self { reissued: Some(now), ..self.clone() },
            Step::Retire => Self { rotate: self.rotate, ..Self::new(slots.forgotten()) },
            _ => return None,
        }))
    }

    /// The first one; `lost` are the certificates that are still in use and that nobody can sign for any more.
    pub(super) fn first(lost: Vec<Certificate>, now: SystemTime, lifetime: Duration) -> Result<Self, IssueError> {
        let signer = issue::authority(now, lifetime)?;
        Ok(Self::new(if lost.is_empty() {
            Slots::new(signer)
        } else {
            Slots { active: Active::Orphaned(lost), other: Other::Next(signer) }
        }))
    }
}
