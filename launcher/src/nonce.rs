//! What tells this process from every other that has the pod's token: the broker gives a container's values to one process
//! of each of its starts. Drawn once and sent with every try, so that a try whose reply was lost may be made again.

use rustls::crypto::{GetRandomFailed, ring::default_provider};

/// Nobody draws the same one twice.
const BYTES: usize = 16;

/// The nonce of this process.
pub fn draw() -> Result<Vec<u8>, GetRandomFailed> {
    let mut nonce = vec![0; BYTES];
    default_provider().secure_random.fill(&mut nonce)?;
    Ok(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike_and_the_broker_takes_their_length() {
        let (one, other) = (draw().unwrap(), draw().unwrap());
        assert_ne!(one, other);
        assert!(keyward_proto::NONCE_BYTES.contains(&one.len()));
    }
}
