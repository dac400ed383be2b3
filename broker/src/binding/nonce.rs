//! What a launcher drew by chance: it tells one process from every other that has the pod's token.

use std::fmt;

use keyward_proto::NONCE_BYTES;

/// 16 to 64 bytes. Never shown: who knows it and has the token may repeat what it asked for.
#[derive(Clone, PartialEq, Eq)]
pub struct Nonce(Box<[u8]>);

impl Nonce {
    /// Of that many bytes as one has, or none.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        NONCE_BYTES.contains(&bytes.len()).then(|| Self(bytes.into()))
    }

    /// As it travels.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce(..)")
    }
}
