//! `USER:PASSWORD`, split at the first colon: a password may hold more of them.

use keyward_types::SecretBytes;

use super::{RenderError, bounded};

/// User and password, neither of them empty: for a variable, which a program must never find empty.
pub(super) fn split(value: &SecretBytes) -> Result<(SecretBytes, SecretBytes), RenderError> {
    let (user, password) = halves(value)?;
    Ok((bounded(user)?, bounded(password)?))
}

/// User and password, either of which may be empty: `:TOKEN` is how some servers take a token.
pub(super) fn halves(value: &SecretBytes) -> Result<(SecretBytes, SecretBytes), RenderError> {
    let bytes = value.expose();
    let colon = bytes.iter().position(|byte| *byte == b':').ok_or(RenderError::NoColon)?;
    let (user, password) = bytes.split_at(colon);
    Ok((SecretBytes::new(user), SecretBytes::new(password.get(1..).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_colon_splits() {
        for (value, user, password) in [("kw:canary", "kw", "canary"), ("u:p:q:", "u", "p:q:"), ("u: p ", "u", " p ")] {
            let (found_user, found_password) = split(&value.into()).unwrap();
            assert_eq!(
                (found_user.expose(), found_password.expose()),
                (user.as_bytes(), password.as_bytes()),
                "{value}"
            );
        }
    }

    #[test]
    fn a_half_may_be_empty_where_it_is_allowed_to() {
        for (value, user, password) in [(":kwcanary", "", "kwcanary"), ("kwcanary:", "kwcanary", "")] {
            let (found_user, found_password) = halves(&value.into()).unwrap();
            assert_eq!((found_user, found_password), (user.into(), password.into()));
        }
        assert_eq!(halves(&"kwcanary".into()).unwrap_err(), RenderError::NoColon);
    }

    #[test]
    fn a_missing_colon_or_half_is_refused() {
        for (value, error) in
            [("kwcanary", RenderError::NoColon), (":kwcanary", RenderError::Empty), ("kwcanary:", RenderError::Empty)]
        {
            assert_eq!(split(&value.into()).unwrap_err(), error, "{value}");
        }
    }
}
