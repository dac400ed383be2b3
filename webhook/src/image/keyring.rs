//! Which entries of pull secrets fit an image, and in which order: the kubelet's rules.
//!
//! An entry is for a registry, perhaps with a path that the repository must begin with; `*` stands for any part of one
//! label of the host, and ports must be the same. More specific entries come first, which is what sorting backwards
//! gives. `https://`, `/v1/` and `/v2/` mean nothing. For Docker Hub, entries for `index.docker.io` count where none fits.

mod parse;
mod pattern;

use std::fmt;

use zeroize::Zeroizing;

pub(super) use self::parse::KeyringError;
use self::pattern::Pattern;
use super::{reference::DOCKER_HUB, secrets::DockerConfig};

/// What Docker's own configuration calls Docker Hub.
const DOCKER_HUB_LEGACY: &str = "index.docker.io";

/// The entries of several pull secrets.
#[derive(Debug, Default)]
pub(super) struct Keyring(Vec<Key>);

/// An entry.
#[derive(Debug)]
pub(super) struct Key {
    /// The Secret it is from.
    pub(super) secret: String,
    pub(super) credential: Credential,
    pattern: Pattern,
}

/// What is shown to a registry.
pub(super) enum Credential {
    /// A user and its password.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
    /// A refresh token, for the token service only.
    IdentityToken(Zeroizing<String>),
}

impl Keyring {
    /// Adds a Secret's entries, all or none of them.
    pub(super) fn add(&mut self, secret: &str, config: &DockerConfig) -> Result<(), KeyringError> {
        let entries = parse::entries(config)?;
        self.0.extend(entries.into_iter().map(|(registry, credential)| Key {
            secret: secret.to_owned(),
            credential,
            pattern: Pattern::new(&registry),
        }));
        // A stable sort: equal patterns stay in the order of their Secrets.
        self.0.sort_by(|a, b| b.pattern.text().cmp(a.pattern.text()));
        Ok(())
    }

    /// Those for an image, in the order in which they are tried.
    pub(super) fn matching(&self, registry: &str, repository: &str) -> Vec<&Key> {
        let fitting: Vec<&Key> = self.0.iter().filter(|key| key.pattern.fits(registry, repository)).collect();
        if fitting.is_empty() && registry == DOCKER_HUB {
            return self.0.iter().filter(|key| key.pattern.text() == DOCKER_HUB_LEGACY).collect();
        }
        fitting
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::IdentityToken(_) => "IdentityToken",
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use serde_json::{Value, json};

    use super::{super::secrets::Shape, *};

    fn config(shape: Shape, value: &Value) -> DockerConfig {
        DockerConfig { shape, bytes: Zeroizing::new(value.to_string().into_bytes()) }
    }

    /// A keyring of one Secret, whose users are named as their entries are.
    fn keyring(registries: &[&str]) -> Keyring {
        let entry = |registry: &&str| {
            let auth = STANDARD.encode(format!("{registry}:kwcanary"));
            ((*registry).to_owned(), json!({ "auth": auth }))
        };
        let auths: serde_json::Map<String, Value> = registries.iter().map(entry).collect();
        let mut keyring = Keyring::default();
        keyring.add("regcred", &config(Shape::DockerConfigJson, &json!({ "auths": auths }))).unwrap();
        keyring
    }

    fn users(keyring: &Keyring, registry: &str, repository: &str) -> Vec<String> {
        let user = |key: &&Key| match &key.credential {
            Credential::Password { user, .. } => user.clone(),
            Credential::IdentityToken(token) => format!("token {}", token.as_str()),
        };
        keyring.matching(registry, repository).iter().map(user).collect()
    }

    #[test]
    fn entries_fit_as_the_kubelet_has_it() {
        for (entry, registry, repository, fits) in [
            ("registry.example", "registry.example", "app", true),
            ("Registry.Example", "registry.example", "app", true),
            ("https://registry.example", "registry.example", "app", true),
            ("http://registry.example/", "registry.example", "app", true),
            ("https://registry.example/v1/", "registry.example", "app", true),
            ("https://registry.example/v2/", "registry.example", "app", true),
            ("registry.example/v2/team", "registry.example", "team/app", true),
            ("registry.example", "registry.example:5000", "app", false),
            ("registry.example:5000", "registry.example", "app", false),
            ("registry.example:5000", "registry.example:5000", "app", true),
            ("registry.example", "sub.registry.example", "app", false),
            ("example", "registry.example", "app", false),
            ("*.example", "registry.example", "app", true),
            ("*.example", "a.b.example", "app", false),
            ("*.example", "example", "app", false),
            ("*.*.example", "a.b.example", "app", true),
            ("reg*try.example", "registry.example", "app", true),
            ("r*g*y.example", "registry.example", "app", true),
            ("*x.example", "registry.example", "app", false),
            ("*.example:5000", "registry.example:5000", "app", true),
            ("*.example:*", "registry.example:5000", "app", false),
            ("*", "registry.example", "app", false),
            ("*", "localhost", "app", true),
            ("registry.example/team", "registry.example", "team/app", true),
            ("registry.example/team", "registry.example", "other/app", false),
            ("registry.example/team/app", "registry.example", "team", false),
            ("registry.example/te*", "registry.example", "team/app", false),
            ("docker.io", "docker.io", "library/nginx", true),
            ("https://index.docker.io/v1/", "docker.io", "library/nginx", true),
            ("index.docker.io", "docker.io", "library/nginx", true),
            ("index.docker.io", "quay.io", "library/nginx", false),
            ("registry-1.docker.io", "docker.io", "library/nginx", false),
            ("", "registry.example", "app", false),
            ("/", "registry.example", "app", false),
            ("https://", "registry.example", "app", false),
        ] {
            let expected: &[&str] = if fits { &[entry] } else { &[] };
            // The user ends at the first colon.
            let expected: Vec<_> = expected.iter().map(|it| it.split(':').next().unwrap()).collect();
            assert_eq!(
                users(&keyring(&[entry]), registry, repository),
                expected,
                "{entry} for {registry}/{repository}"
            );
        }
    }

    #[test]
    fn more_specific_entries_are_tried_first() {
        let all = keyring(&["r.example", "*.example", "r.example/team/app", "r.example/team", "other.example"]);
        assert_eq!(
            users(&all, "r.example", "team/app"),
            ["r.example/team/app", "r.example/team", "r.example", "*.example"]
        );
        assert_eq!(users(&all, "r.example", "else"), ["r.example", "*.example"]);
    }

    #[test]
    fn docker_hubs_old_name_counts_where_nothing_else_fits() {
        let both = keyring(&["index.docker.io", "docker.io/team"]);
        assert_eq!(users(&both, "docker.io", "team/app"), ["docker.io/team"]);
        assert_eq!(users(&both, "docker.io", "other/app"), ["index.docker.io"]);
    }

    #[test]
    fn secrets_keep_their_order_where_entries_are_equal() {
        let of = |user: &str| json!({"auths": {"r.example": {"username": user, "password": "kwcanary"}}});
        let mut keyring = Keyring::default();
        keyring.add("first", &config(Shape::DockerConfigJson, &of("a"))).unwrap();
        keyring.add("second", &config(Shape::DockerConfigJson, &of("b"))).unwrap();
        keyring
            .add("third", &config(Shape::DockerCfg, &json!({"r.example/app": {"auth": STANDARD.encode("c:d")}})))
            .unwrap();
        assert_eq!(users(&keyring, "r.example", "app"), ["c", "a", "b"]);
        let secrets: Vec<_> = keyring.matching("r.example", "app").iter().map(|key| key.secret.as_str()).collect();
        assert_eq!(secrets, ["third", "first", "second"]);
    }

    #[test]
    fn a_keyring_prints_no_password() {
        let shown = format!("{:?}", keyring(&["r.example"]));
        assert!(shown.contains("r.example") && !shown.contains("kwcanary"), "{shown}");
    }
}
