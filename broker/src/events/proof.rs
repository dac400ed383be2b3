//! What a delivery shows, and whether it is taken for that. A handshake must show the same.

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use url::form_urlencoded;

use super::shared_keys::SharedKeys;
use crate::{
    authn::{
        AuthnError,
        entra::{EntraError, EntraTokens},
    },
    grpc::bearer::bearer,
};

/// The header with a shared key: a delivery property of the subscription.
const KEY_HEADER: HeaderName = HeaderName::from_static("keyward-key");
/// The same in the query of the subscription's URL.
const KEY_PARAMETER: &str = "key";

/// What is taken for a proof. Without either nothing is.
#[derive(Default)]
pub struct Proofs {
    /// Shared keys.
    pub keys: Option<SharedKeys>,
    /// Tokens of Entra.
    pub entra: Option<Arc<EntraTokens>>,
}

/// Why a delivery is not taken. The texts are for the log; who delivers is told less.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It shows nothing that could be taken.
    #[error("it shows neither a key nor a token that is asked for")]
    Nothing,
    /// The key is another.
    #[error("its key is none of the two")]
    Key,
    /// The token is not taken.
    #[error(transparent)]
    Token(#[from] EntraError),
}

impl Proofs {
    /// Accepts what is shown, or says why not. A key that is shown decides; only without one a token is looked at.
    pub async fn accept(&self, headers: &HeaderMap, query: Option<&str>) -> Result<(), Denied> {
        if let Some(keys) = &self.keys
            && let Some(shown) = key(headers, query.unwrap_or_default())?
        {
            return if keys.accept(&shown) { Ok(()) } else { Err(Denied::Key) };
        }
        match (&self.entra, bearer(headers)) {
            (Some(entra), Ok(token)) => Ok(entra.accept(token).await?),
            (_, Ok(_) | Err(AuthnError::Missing)) => Err(Denied::Nothing),
            (_, Err(error)) => Err(EntraError::Token(error).into()),
        }
    }
}

/// The one key that is shown. Of several, nobody could tell which is meant.
fn key(headers: &HeaderMap, query: &str) -> Result<Option<Vec<u8>>, Denied> {
    let in_headers = headers.get_all(&KEY_HEADER).iter().map(|value| value.as_bytes().to_vec());
    let pairs = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == KEY_PARAMETER);
    let mut shown = in_headers.chain(pairs.map(|(_, value)| value.into_owned().into_bytes()));
    match (shown.next(), shown.next()) {
        (first, None) => Ok(first),
        (_, Some(_)) => Err(Denied::Key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::testing::{KEY, OTHER_KEY, keys};

    fn headers(values: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[tokio::test]
    async fn a_key_is_taken_from_the_header_or_the_query_and_only_one() {
        let dir = keys(&[KEY, OTHER_KEY]);
        let proofs = Proofs { keys: Some(SharedKeys::load(dir.path()).unwrap()), entra: None };
        let in_query = format!("key={KEY}");
        for (shown, query, expected) in [
            (vec![("keyward-key", KEY)], "", Ok(())),
            (vec![("keyward-key", OTHER_KEY)], "", Ok(())),
            (vec![], &*in_query, Ok(())),
            (vec![], &*format!("a=b&{in_query}&c"), Ok(())),
            (vec![("keyward-key", KEY)], "a=b", Ok(())),
            (vec![], "", Err(Denied::Nothing)),
            (vec![], "Key=x", Err(Denied::Nothing)),
            (vec![("authorization", "Bearer abc")], "", Err(Denied::Nothing)),
            (vec![("authorization", KEY)], "", Err(Denied::Nothing)),
            (vec![("keyward-key", "")], "", Err(Denied::Key)),
            (vec![("keyward-key", "kwcanary")], "", Err(Denied::Key)),
            (vec![("keyward-key", KEY), ("keyward-key", KEY)], "", Err(Denied::Key)),
            (vec![("keyward-key", KEY)], &*in_query, Err(Denied::Key)),
            (vec![], "key=kwcanary", Err(Denied::Key)),
            (vec![], "key=", Err(Denied::Key)),
        ] {
            assert!(proofs.accept(&headers(&shown), Some(query)).await == expected, "{} headers", shown.len());
        }
    }

    #[tokio::test]
    async fn without_a_way_to_prove_anything_nothing_is_taken() {
        for shown in [vec![], vec![("keyward-key", KEY)], vec![("authorization", "Bearer a.b.c")]] {
            let denied = Proofs::default().accept(&headers(&shown), Some("key=a")).await;
            assert_eq!(denied, Err(Denied::Nothing));
        }
    }
}
