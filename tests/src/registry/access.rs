//! Who may read which repository, and how callers prove who they are.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use url::form_urlencoded;

/// What a registry asks of those who read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing.
    Open,
    /// User and password.
    Basic,
    /// A token of its token service, which gives some to anybody.
    Bearer,
}

/// Users and rights.
#[derive(Default)]
pub(super) struct Access {
    pub(super) passwords: BTreeMap<String, String>,
    pub(super) private: BTreeMap<String, BTreeSet<String>>,
    pub(super) refresh: BTreeMap<String, String>,
    pub(super) entra: BTreeSet<String>,
    pub(super) realm: Option<String>,
    /// Whom the tokens that were given stand for, and for which scope.
    tokens: BTreeMap<String, (Option<String>, String)>,
}

/// Whom the identity behind a token of Entra is.
const IDENTITY: &str = "identity";

impl Access {
    /// Whether a request may read a repository.
    pub(super) fn allows(&self, auth: Auth, repository: &str, authorization: Option<&str>) -> bool {
        let user = match auth {
            Auth::Open => return true,
            Auth::Basic => match authorization.and_then(|header| self.basic(header)) {
                Some(user) => Some(user),
                None => return false,
            },
            Auth::Bearer => {
                let token = authorization.and_then(|header| header.strip_prefix("Bearer "));
                match token.and_then(|token| self.tokens.get(token)) {
                    Some((user, scope)) if *scope == format!("repository:{repository}:pull") => user.clone(),
                    _ => return false,
                }
            }
        };
        self.private.get(repository).is_none_or(|users| user.is_some_and(|user| users.contains(&user)))
    }

    /// The token service, asked by GET: a token, or `None` for a wrong password.
    pub(super) fn token(&mut self, query: &str, authorization: Option<&str>) -> Option<String> {
        let user = match authorization {
            Some(header) => Some(self.basic(header)?),
            None => None,
        };
        Some(self.give(user, field(query, "scope")?))
    }

    /// The token service, asked by POST, as OAuth has it.
    pub(super) fn refreshed(&mut self, form: &str) -> Option<String> {
        let user = self.refresh.get(&field(form, "refresh_token")?)?.clone();
        (field(form, "grant_type")? == "refresh_token")
            .then(|| field(form, "scope"))?
            .map(|scope| self.give(Some(user), scope))
    }

    /// Azure's exchange: a refresh token for one of Entra.
    pub(super) fn exchanged(&mut self, form: &str) -> Option<String> {
        let known = self.entra.contains(&field(form, "access_token")?);
        if !known || field(form, "grant_type")? != "access_token" || field(form, "service").is_none() {
            return None;
        }
        let token = format!("kwcanary-refresh-{}", self.refresh.len());
        self.refresh.insert(token.clone(), IDENTITY.to_owned());
        Some(token)
    }

    fn give(&mut self, user: Option<String>, scope: String) -> String {
        let token = format!("kwcanary-token-{}", self.tokens.len());
        self.tokens.insert(token.clone(), (user, scope));
        token
    }

    fn basic(&self, header: &str) -> Option<String> {
        let pair = String::from_utf8(STANDARD.decode(header.strip_prefix("Basic ")?).ok()?).ok()?;
        let (user, password) = pair.split_once(':')?;
        (self.passwords.get(user)? == password).then(|| user.to_owned())
    }
}

/// A field of a query or form.
fn field(text: &str, name: &str) -> Option<String> {
    form_urlencoded::parse(text.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
