//! What is told about each request that leaves the process, in labels of bounded number.

use std::time::Duration;

use azure_core::http::Url;

/// Told of every request once, also where its caller gave up. Called on the request's own task: must not block.
pub trait RequestObserver: Send + Sync {
    /// One request ended, `took` after it was sent: with this status, or with none where there was no connection, no
    /// answer in time, or nobody left to wait for it.
    fn request(&self, operation: Operation, status: Option<u16>, took: Duration);
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
    /// `POST /TENANT/oauth2/v2.0/token`
    Token,
    /// Anything else.
    Other,
}

impl Operation {
    /// Reads it from the path.
    pub fn of(url: &Url) -> Self {
        if url.path().ends_with("/oauth2/v2.0/token") {
            return Self::Token;
        }
        match url.path_segments().and_then(|mut segments| segments.next()) {
            Some("secrets") => Self::GetSecret,
            Some("certificates") => Self::GetCertificate,
            Some("keys") => Self::GetKey,
            _ => Self::Other,
        }
    }

    /// A bounded label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetSecret => "get_secret",
            Self::GetCertificate => "get_certificate",
            Self::GetKey => "get_key",
            Self::Token => "token",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operation_is_read_from_the_path() {
        for (path, operation) in [
            ("/secrets/a/", Operation::GetSecret),
            ("/certificates/a", Operation::GetCertificate),
            ("/keys/a", Operation::GetKey),
            ("/secrets/oauth2/v2.0/token", Operation::Token),
            ("/deletedsecrets/a", Operation::Other),
            ("/", Operation::Other),
        ] {
            assert_eq!(Operation::of(&Url::parse(&format!("https://localhost{path}")).unwrap()), operation, "{path}");
        }
    }
}
