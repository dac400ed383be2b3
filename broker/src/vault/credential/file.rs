//! Small files of text that somebody else keeps current: tokens and passwords, as a kubelet mounts them.

use std::path::Path;

use tokio::io::AsyncReadExt as _;
use zeroize::Zeroizing;

use super::SignInError;

/// What was read, which goes with its buffer.
pub(super) type Bytes = Zeroizing<Vec<u8>>;

/// Far above any token the API server signs, any secret, and any chain of certificates with its key.
const MAX_BYTES: usize = 256 * 1024;

/// The file's bytes.
pub(super) async fn bytes(what: &'static str, path: &Path) -> Result<Bytes, SignInError> {
    let unreadable = |cause| SignInError::Read { what, path: path.to_owned(), cause };
    let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
    let length = file.metadata().await.map_err(unreadable)?.len();
    // Room for everything from the start: a buffer that grows leaves unwiped copies behind.
    let room = usize::try_from(length).unwrap_or(MAX_BYTES).min(MAX_BYTES) + 1;
    let mut content = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut content).await.map_err(unreadable)?;
    if content.is_empty() || content.len() > MAX_BYTES {
        return Err(SignInError::Nothing { what, path: path.to_owned() });
    }
    Ok(content)
}

/// The file's one line, without the line break at its end.
pub(super) async fn line(what: &'static str, path: &Path) -> Result<Zeroizing<String>, SignInError> {
    line_of(what, path, &bytes(what, path).await?)
}

/// The one line of `content`, which was found at `path`.
pub(super) fn line_of(what: &'static str, path: &Path, content: &[u8]) -> Result<Zeroizing<String>, SignInError> {
    let text = std::str::from_utf8(content).unwrap_or_default().trim_end_matches(['\r', '\n']);
    if text.is_empty() || text.contains(char::is_control) {
        return Err(SignInError::Nothing { what, path: path.to_owned() });
    }
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_line_break_at_the_end_is_no_part_of_a_secret() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, expected) in [("a b", "a b"), (" a\n", " a"), ("a\r\n", "a"), ("ä\n\n", "ä")] {
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(*line("secret", file.path()).await.unwrap(), expected);
        }
    }

    #[tokio::test]
    async fn a_file_that_holds_no_line_is_named_and_not_quoted() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let long = "kwcanary".repeat(MAX_BYTES / 8 + 1);
        for content in ["", "\n", "kwcanary\nkwcanary", "kwcanary\0", long.as_str()] {
            std::fs::write(file.path(), content).unwrap();
            let error = line("client secret", file.path()).await.unwrap_err().to_string();
            let named = error.contains(&file.path().display().to_string()) && error.contains("client secret");
            assert!(named && !error.contains("kwcanary"), "{error}");
        }
        std::fs::write(file.path(), b"kwcanary\xff").unwrap();
        assert!(line("client secret", file.path()).await.is_err());
        let error = line("client secret", Path::new("/nonexistent/secret")).await.unwrap_err().to_string();
        assert!(error.contains("/nonexistent/secret"), "{error}");
    }
}
