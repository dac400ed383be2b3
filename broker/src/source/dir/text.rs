//! The text of one manifest, bounded.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

const MAX_BYTES: u64 = 4 << 20;

pub(super) fn read(path: &Path) -> io::Result<String> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut text = String::new();
    // The length is what it was a moment ago.
    if length > MAX_BYTES || file.take(MAX_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("{length} bytes; at most {MAX_BYTES} are read")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit_and_not_beyond() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (length, read_whole) in [(0, true), (MAX_BYTES, true), (MAX_BYTES + 1, false)] {
            file.as_file().set_len(length).unwrap();
            assert_eq!(read(file.path()).is_ok_and(|text| text.len() as u64 == length), read_whole, "{length}");
        }
    }
}
