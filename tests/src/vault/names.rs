//! The three collections of a vault and what a name may be.

/// One of the three kinds of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Collection {
    /// `/secrets`
    Secrets,
    /// `/certificates`
    Certificates,
    /// `/keys`
    Keys,
}

impl Collection {
    pub(super) const ALL: [Self; 3] = [Self::Secrets, Self::Certificates, Self::Keys];

    /// First segment of its paths.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Secrets => "secrets",
            Self::Certificates => "certificates",
            Self::Keys => "keys",
        }
    }

    /// First segment of the paths of its deleted objects.
    pub(super) fn deleted_path(self) -> &'static str {
        match self {
            Self::Secrets => "deletedsecrets",
            Self::Certificates => "deletedcertificates",
            Self::Keys => "deletedkeys",
        }
    }

    /// How operations and error codes call one of it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Self::Secrets => "Secret",
            Self::Certificates => "Certificate",
            Self::Keys => "Key",
        }
    }
}

/// Whether Key Vault would take this as an object's name.
pub(super) fn is_object_name(name: &str) -> bool {
    (1..=127).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Whether Key Vault would take this as a vault's name.
pub(super) fn is_vault_name(name: &str) -> bool {
    (3..=24).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_hold_letters_digits_and_dashes() {
        let longest = "a".repeat(127);
        for name in ["a", "DB-Password", "0", longest.as_str()] {
            assert!(is_object_name(name), "{name}");
        }
        let too_long = "a".repeat(128);
        for name in ["", "a.b", "a/b", "a_b", "ä", "a b", too_long.as_str()] {
            assert!(!is_object_name(name), "{name}");
        }
    }

    #[test]
    fn vault_names_are_lower_case_labels() {
        assert!(is_vault_name("acme") && is_vault_name("a-1"));
        for name in ["Acme", "ab", "1ab", "abc-", "a.b.c"] {
            assert!(!is_vault_name(name), "{name}");
        }
    }
}
