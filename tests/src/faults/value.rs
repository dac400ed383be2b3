//! Values that say what they are: vault, object, and the number of the write. Pure.

use crate::process::MARKER;

/// What the `number`th write of `object` puts into `vault`; numbers begin at 1.
pub fn value(vault: &str, object: usize, number: u64) -> String {
    format!("{MARKER}.{vault}.{object}.{number}.")
}

/// The number, where `value` is one of this object.
pub fn number(vault: &str, object: usize, value: &[u8]) -> Option<u64> {
    let text = str::from_utf8(value).ok()?.strip_prefix(MARKER)?;
    let [vault_of, object_of, number] = text.strip_prefix('.')?.strip_suffix('.')?.split('.').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    let number = number.parse().ok()?;
    (vault_of == vault && object_of.parse() == Ok(object)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_known_by_its_own_object_alone_and_only_whole() {
        let text = value("acme", 3, 17);
        assert_eq!(number("acme", 3, text.as_bytes()), Some(17));
        for (vault, object, bytes) in [
            ("partner", 3, text.as_bytes()),
            ("acme", 4, text.as_bytes()),
            ("acme", 3, &text.as_bytes()[..text.len() - 1]),
            ("acme", 3, &text.as_bytes()[1..]),
            ("acme", 3, &[0xff]),
            ("acme", 3, b""),
        ] {
            assert_eq!(number(vault, object, bytes), None, "{vault} {object} {} bytes", bytes.len());
        }
    }
}
