//! Names with `*` for any run of characters, compared without case.

use std::borrow::Cow;

/// A pattern such as `shop`, `team-*` or `*`. The only special character is `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Every text is a pattern; case is folded once, here.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase())
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let name = lower_case(name);
        let Some((first, after)) = self.0.split_once('*') else { return *name == *self.0 };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let (between, last) = after.rsplit_once('*').unwrap_or(("", after));
        for part in between.split('*') {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// A name is asked for on every read, and nearly all are lower case already.
fn lower_case(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, name, expected) in [
            ("shop", "shop", true),
            ("shop", "Shop", true),
            ("SHOP", "shop", true),
            ("shop", "shop2", false),
            ("shop", "myshop", false),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "anything", true),
            ("team-*", "team-", true),
            ("team-*", "team-a", true),
            ("team-*", "team", false),
            ("team-*", "a-team-b", false),
            ("*-prod", "eu-prod", true),
            ("*-prod", "eu-prod2", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("*a*a*", "xaxx", false),
            ("a**b", "ab", true),
            ("a.b", "axb", false),
            ("a?", "ab", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(name), expected, "{pattern} against {name}");
        }
    }
}
