//! What a registry asks for: the `WWW-Authenticate` of its 401.

use http::{HeaderMap, header::WWW_AUTHENTICATE};
use http_auth::{ChallengeParser, ChallengeRef};

/// A challenge that can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// User and password to the registry itself.
    Basic,
    /// A token of a token service.
    Bearer {
        /// The token service's URL, unchecked.
        realm: String,
        /// Whom the token is for.
        service: Option<String>,
    },
}

/// The best of the challenges; a token before a password, as every client does it.
pub(super) fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let challenges: Vec<Challenge> =
        texts.flat_map(|text| ChallengeParser::new(text).map_while(Result::ok)).filter_map(|it| known(&it)).collect();
    let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or(challenges.first()).cloned()
}

fn known(challenge: &ChallengeRef<'_>) -> Option<Challenge> {
    let parameter = |wanted: &str| {
        let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.to_unescaped())
    };
    if challenge.scheme.eq_ignore_ascii_case("bearer") {
        Some(Challenge::Bearer { realm: parameter("realm")?, service: parameter("service") })
    } else if challenge.scheme.eq_ignore_ascii_case("basic") {
        Some(Challenge::Basic)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        challenge(&headers)
    }

    #[test]
    fn tokens_are_preferred_to_passwords() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.into(), service: service.map(Into::into) })
        };
        let hub =
            r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a:pull""#;
        assert_eq!(of(&[hub]), bearer("https://auth.docker.io/token", Some("registry.docker.io")));
        assert_eq!(of(&[r#"Basic realm="Registry""#]), Some(Challenge::Basic));
        assert_eq!(of(&["BASIC"]), Some(Challenge::Basic));
        assert_eq!(of(&[r#"Basic realm="r""#, r#"bearer realm="https://a/t""#]), bearer("https://a/t", None));
        assert_eq!(of(&[r#"Basic realm="r", Bearer realm="https://a/\"t""#]), bearer("https://a/\"t", None));
    }

    #[test]
    fn what_cannot_be_answered_is_no_challenge() {
        for values in [&[][..], &[""], &["Bearer"], &["Digest realm=\"x\""], &["Bearer service=\"x\""], &["=,;"]] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }
}
