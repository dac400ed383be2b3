//! Content digests, the proof that bytes are those that were named.

use std::fmt;

use ring::digest::{Algorithm, SHA256, SHA512, digest};

/// `sha256:…` or `sha512:…`, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest(String);

/// Not a digest that can be verified here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no digest that can be verified: those are `sha256:` or `sha512:` and lower-case hexadecimal digits")]
pub struct DigestError(String);

impl Digest {
    /// Takes what [`fmt::Display`] gives.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        match parts(text) {
            Some((algorithm, value)) if value.len() == 2 * algorithm.output_len() && value.bytes().all(hex) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(DigestError(super::error::line(text, 40))),
        }
    }

    /// The SHA-256 of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex(&SHA256, bytes)))
    }

    /// Whether `bytes` have this digest.
    pub fn names(&self, bytes: &[u8]) -> bool {
        parts(&self.0).is_some_and(|(algorithm, value)| hex(algorithm, bytes) == value)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parts(text: &str) -> Option<(&'static Algorithm, &str)> {
    match text.split_once(':')? {
        ("sha256", value) => Some((&SHA256, value)),
        ("sha512", value) => Some((&SHA512, value)),
        _ => None,
    }
}

fn hex(algorithm: &'static Algorithm, bytes: &[u8]) -> String {
    use fmt::Write as _;

    digest(algorithm, bytes).as_ref().iter().fold(String::with_capacity(128), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_names_its_bytes_and_no_others() {
        let digest = Digest::of(b"abc");
        assert_eq!(digest.as_str(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(digest.names(b"abc") && !digest.names(b"abd"));
        let long = Digest::parse(concat!(
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ))
        .unwrap();
        assert!(long.names(b"abc") && !long.names(b"abd"));
    }

    #[test]
    fn what_cannot_be_verified_is_refused() {
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for bad in [
            String::new(),
            digits.to_owned(),
            format!("md5:{digits}"),
            format!("sha384:{digits}"),
            format!("sha256:{}", digits.to_uppercase()),
            format!("sha256:{}", &digits[1..]),
            format!("sha512:{digits}"),
            format!("sha256:{}", "x".repeat(64)),
        ] {
            assert!(Digest::parse(&bad).is_err(), "{bad}");
        }
    }
}
