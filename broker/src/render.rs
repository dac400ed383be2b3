//! What a vault object becomes: parsed once per version, then viewed as a variable's value or as a Secret's data.
//!
//! Pure: bytes in, bytes out, no I/O and no clock. The cache calls [`parse`] with what the vault answered, `Resolve`
//! calls [`view`], the controller's fetch calls [`output`]. No error holds a part of a value, so all may be logged.
//!
//! | room | holds |
//! |---|---|
//! | `certificate` | PFX or PEM to a chain in order and the key that belongs to it |
//! | `jwk` | JSON Web Key to a public key in PEM |
//! | `content` | an object read as its `AzureKeyVaultSecret` says: transforms applied, map split |
//! | `view`, `output` | the two uses of a content |

mod basic_auth;
mod certificate;
mod content;
mod error;
mod jwk;
mod map;
mod output;
mod pem;
mod transform;
mod view;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod hostile_input;

pub use certificate::CertificateError;
pub use error::RenderError;
pub use jwk::JwkError;
pub use map::{KeyNames, MapError};
pub use output::{DataMap, SecretData, output};
pub use view::view;

use keyward_types::SecretBytes;

use crate::object::{Object, RawBody};

/// The most bytes a value may have, before and after each step. Key Vault holds at most 25 KiB a secret; the rest is
/// room for certificates with long chains. It is also what a Kubernetes Secret holds at most.
pub const MAX_BYTES: usize = 1 << 20;

/// Reads what the vault answered. The result holds all that any view of the version needs.
pub fn parse(raw: &RawBody) -> Result<Object, RenderError> {
    match raw {
        RawBody::Secret(secret) => Ok(Object::Secret(bounded(secret.value.clone())?)),
        RawBody::Certificate { leaf, twin } => {
            if twin.value.len() > MAX_BYTES {
                return Err(RenderError::TooLarge);
            }
            Ok(Object::Certificate(Box::new(certificate::from_twin(leaf, twin)?)))
        }
        RawBody::Key(key) => Ok(Object::Key(Box::new(jwk::public_key(key)?))),
    }
}

/// Passes on what is neither empty nor too large: an app must never start with an empty secret.
fn bounded(value: SecretBytes) -> Result<SecretBytes, RenderError> {
    match value.len() {
        0 => Err(RenderError::Empty),
        length if length > MAX_BYTES => Err(RenderError::TooLarge),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::RawSecret;

    fn secret(value: impl Into<Vec<u8>>) -> RawBody {
        RawBody::Secret(RawSecret { value: SecretBytes::new(value), content_type: None })
    }

    #[test]
    fn a_secret_is_kept_as_it_is() {
        for value in [&b" kwcanary\n"[..], b"\0", &[0xff, 0xfe]] {
            match parse(&secret(value)) {
                Ok(Object::Secret(parsed)) => assert_eq!(parsed.expose(), value),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_empty_or_oversize_secret_is_refused() {
        assert_eq!(parse(&secret("")).unwrap_err(), RenderError::Empty);
        assert_eq!(parse(&secret(vec![b'x'; MAX_BYTES + 1])).unwrap_err(), RenderError::TooLarge);
        assert!(parse(&secret(vec![b'x'; MAX_BYTES])).is_ok());
    }
}
