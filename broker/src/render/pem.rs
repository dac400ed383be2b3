//! PEM, RFC 7468: reading leniently (any line length, text between blocks), writing strictly (64 columns).
//!
//! Own code because private keys pass through: every intermediate buffer is wiped.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const COLUMNS: usize = 64;

/// One block, not decoded.
pub(super) struct Block<'a> {
    pub(super) label: &'a str,
    body: &'a str,
}

/// A block without its end, or whose body is not base64.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The blocks of `text`, in order.
pub(super) fn blocks(text: &str) -> Result<Vec<Block<'_>>, Damaged> {
    let mut blocks = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (label, body) = begun.split_once(DASHES).ok_or(Damaged)?;
        if !label.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ') {
            return Err(Damaged);
        }
        let (body, after) = body.split_once(&format!("-----END {label}-----")).ok_or(Damaged)?;
        blocks.push(Block { label, body });
        rest = after;
    }
    Ok(blocks)
}

impl Block<'_> {
    /// The decoded body. A block with headers, as old encrypted keys have, is damaged.
    pub(super) fn der(&self) -> Result<Zeroizing<Vec<u8>>, Damaged> {
        decode_base64(self.body.as_bytes()).ok_or(Damaged)
    }

    /// Whether it is a private key, in whatever form.
    pub(super) fn is_private_key(&self) -> bool {
        self.label.ends_with("PRIVATE KEY")
    }
}

/// Standard base64 with white space anywhere.
pub(super) fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(text.len()));
    packed.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    STANDARD.decode(packed.as_slice()).ok().map(Zeroizing::new)
}

/// Writes one block.
pub(super) fn armor(label: &str, der: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Room for everything from the start: a string that grows leaves unwiped copies behind.
    let frame = 2 * label.len() + 2 * (BEGIN.len() + DASHES.len() + 1);
    let mut text = Zeroizing::new(String::with_capacity(body.len() + body.len() / COLUMNS + 1 + frame));
    text.extend([BEGIN, label, "-----\n"]);
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(COLUMNS));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, "-----\n"]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_back() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let der: Vec<u8> = (0..=255).cycle().take(length).collect();
            let text = armor("EC PRIVATE KEY", &der);
            let blocks = blocks(&text).unwrap();
            assert_eq!(blocks.len(), 1);
            assert_eq!(blocks[0].label, "EC PRIVATE KEY");
            assert_eq!(*blocks[0].der().unwrap(), der);
            assert!(text.lines().all(|line| line.len() <= COLUMNS));
            assert!(text.capacity() >= text.len());
        }
    }

    #[test]
    fn text_around_blocks_and_long_lines_are_skipped_and_joined() {
        let text = "Bag Attributes\n-----BEGIN A-----\r\nAAAA\r\n AAAA\r\n-----END A-----\nsubject=x\n-----BEGIN B-----AAAA-----END B-----";
        let blocks = blocks(text).unwrap();
        assert_eq!(blocks.iter().map(|block| block.label).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(*blocks[0].der().unwrap(), [0; 6]);
    }

    #[test]
    fn damaged_blocks_are_refused() {
        for text in
            ["-----BEGIN A", "-----BEGIN A-----\nAAAA", "-----BEGIN A-----\nAAAA\n-----END B-----", "-----BEGIN a-----"]
        {
            assert!(blocks(text).is_err(), "{text}");
        }
        let encrypted = "-----BEGIN A-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END A-----";
        assert!(blocks(encrypted).unwrap()[0].der().is_err());
    }
}
