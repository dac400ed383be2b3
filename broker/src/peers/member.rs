//! A replica, as others know it. Pure.

use std::fmt;

/// A process: chosen at random when it starts, so that one that comes back is another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(u64);

impl MemberId {
    /// A new one.
    pub fn random() -> Self {
        Self(fastrand::u64(1..))
    }

    /// As it travels.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl From<u64> for MemberId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What a replica says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It gathers what others hold, and owns nothing yet.
    Warming,
    /// It serves, and owns its part.
    Serving,
    /// It is about to end, and owns nothing any more.
    Leaving,
}

impl State {
    /// `warming`, `serving` or `leaving`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warming => "warming",
            Self::Serving => "serving",
            Self::Leaving => "leaving",
        }
    }
}

/// What a replica tells those who follow it, several times a second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// Who it is.
    pub id: MemberId,
    /// What it says of itself.
    pub state: State,
    /// Whom it sees serve, itself included where it does.
    pub serving: Vec<MemberId>,
}
