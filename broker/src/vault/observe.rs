//! What is told about each request that leaves the process, in labels of bounded number.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use azure_core::http::Url;

use crate::budget::Closed;

/// Told of every request once, also where its caller gave up. Called on the request's own task: must not block.
pub trait RequestObserver: Send + Sync {
    /// One request ended, `took` after it was sent: with this status, or with none where there was no connection, no
    /// answer in time, or nobody left to wait for it.
    fn request(&self, operation: Operation, status: Option<u16>, took: Duration);

    /// Asked before every request, since one call may take several: whether they are to be left unsent for now.
    fn permitted(&self) -> Result<(), Closed> {
        Ok(())
    }
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    /// `GET /secrets/…`
    GetSecret,
    /// `GET /certificates/…`
    GetCertificate,
    /// `GET /keys/…`
    GetKey,
    /// `GET /secrets`
    ListSecrets,
    /// `GET /keys`
    ListKeys,
    /// `POST /TENANT/oauth2/v2.0/token`
    Token,
    /// Anything else.
    Other,
}

impl Operation {
    /// Each.
    pub const ALL: [Self; 7] = [
        Self::GetSecret,
        Self::GetCertificate,
        Self::GetKey,
        Self::ListSecrets,
        Self::ListKeys,
        Self::Token,
        Self::Other,
    ];

    /// Reads it from the path.
    pub fn of(url: &Url) -> Self {
        if url.path().ends_with("/oauth2/v2.0/token") {
            return Self::Token;
        }
        // Some clients write `//secrets`, and some end with a `/`.
        let segments: Vec<&str> = url.path().split('/').filter(|segment| !segment.is_empty()).take(2).collect();
        match segments[..] {
            ["secrets"] => Self::ListSecrets,
            ["keys"] => Self::ListKeys,
            ["secrets", _] => Self::GetSecret,
            ["certificates", _] => Self::GetCertificate,
            ["keys", _] => Self::GetKey,
            _ => Self::Other,
        }
    }

    /// A bounded label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetSecret => "get_secret",
            Self::GetCertificate => "get_certificate",
            Self::GetKey => "get_key",
            Self::ListSecrets => "list_secrets",
            Self::ListKeys => "list_keys",
            Self::Token => "token",
            Self::Other => "other",
        }
    }
}

/// The statuses that Key Vault is known to send, each by itself: whatever a server makes up, labels stay few.
const STATUSES: [(Option<u16>, &str); 11] = [
    (None, "none"),
    (Some(200), "200"),
    (Some(401), "401"),
    (Some(403), "403"),
    (Some(404), "404"),
    (Some(408), "408"),
    (Some(429), "429"),
    (Some(500), "500"),
    (Some(503), "503"),
    (Some(504), "504"),
    (Some(0), "other"),
];

/// Requests by operation and status.
#[derive(Debug, Default)]
pub struct Requests([[AtomicU64; STATUSES.len()]; Operation::ALL.len()]);

impl Requests {
    /// One more.
    pub fn count(&self, operation: Operation, status: Option<u16>) {
        let known = STATUSES.iter().position(|(known, _)| *known == status);
        self.0[operation as usize][known.unwrap_or(STATUSES.len() - 1)].fetch_add(1, Ordering::Relaxed);
    }

    /// Every count that is not zero, with its labels.
    pub fn all(&self) -> impl Iterator<Item = ((Operation, &'static str), u64)> + '_ {
        Operation::ALL.into_iter().zip(&self.0).flat_map(|(operation, counts)| {
            let counts =
                STATUSES.iter().zip(counts).map(|((_, status), count)| (*status, count.load(Ordering::Relaxed)));
            counts.filter(|(_, count)| *count > 0).map(move |(status, count)| ((operation, status), count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_read_from_the_path() {
        for (path, operation) in [
            ("/secrets/a/", Operation::GetSecret),
            ("/secrets", Operation::ListSecrets),
            ("//secrets/", Operation::ListSecrets),
            ("/keys", Operation::ListKeys),
            ("/certificates/a", Operation::GetCertificate),
            ("/keys/a", Operation::GetKey),
            ("/secrets/oauth2/v2.0/token", Operation::Token),
            ("/deletedsecrets/a", Operation::Other),
            ("/", Operation::Other),
        ] {
            assert_eq!(Operation::of(&Url::parse(&format!("https://localhost{path}")).unwrap()), operation, "{path}");
        }
    }

    #[test]
    fn what_a_server_makes_up_is_counted_under_one_label() {
        let requests = Requests::default();
        for status in [None, Some(200), Some(299), Some(418), Some(200)] {
            requests.count(Operation::GetSecret, status);
        }
        let counted: Vec<_> = requests.all().map(|((_, status), count)| (status, count)).collect();
        assert_eq!(counted, [("none", 1), ("200", 2), ("other", 2)]);
    }
}
