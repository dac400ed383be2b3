//! Reads a certificate directory: `tls.crt`, `tls.key` and `ca.crt`, all of one moment.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use zeroize::Zeroizing;

const MAX_FILE: u64 = 1024 * 1024;

/// Why a certificate directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Files are not there, or not yet: a Secret that is mounted as optional appears later.
    #[error("{} lacks {}", directory.display(), files.join(", "))]
    Missing {
        /// The directory.
        directory: PathBuf,
        /// Which of tls.crt, tls.key and ca.crt.
        files: Vec<&'static str>,
    },
    /// A file is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file holds no PEM of the kind it should.
    #[error("{} holds no {what} in PEM", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The certificate and the key are refused.
    #[error("tls.crt and tls.key of {} cannot be used together: {source}", directory.display())]
    Pair {
        /// The directory.
        directory: PathBuf,
        /// rustls' reason.
        source: rustls::Error,
    },
    /// A certificate of the CA file is refused.
    #[error("ca.crt of {} cannot be used: {reason}", directory.display())]
    Authority {
        /// The directory.
        directory: PathBuf,
        /// rustls' reason.
        reason: String,
    },
    /// A certificate does not tell until when it is valid.
    #[error("{} holds a certificate that does not parse", path.display())]
    Dates {
        /// The file.
        path: PathBuf,
    },
}

/// The three files' contents.
pub(super) struct Files {
    pub(super) cert: Vec<u8>,
    pub(super) key: Zeroizing<Vec<u8>>,
    pub(super) ca: Vec<u8>,
}

/// SHA-256 of the contents: two directories of one fingerprint hold the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Files {
    pub(super) fn read(directory: &Path) -> Result<Self, TlsError> {
        // The kubelet swaps `..data` from one directory to the next. Following it once keeps a swap between two reads
        // from pairing a new certificate with an old key.
        let moment = directory.join("..data").canonicalize().unwrap_or_else(|_| directory.to_owned());
        let mut files = Vec::new();
        let mut read = |name| match read_bounded(&moment.join(name)) {
            Ok(content) => Ok(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                files.push(name);
                Ok(Vec::new())
            }
            Err(source) => Err(TlsError::Read { path: directory.join(name), source }),
        };
        let read = Self { cert: read("tls.crt")?, key: read("tls.key")?.into(), ca: read("ca.crt")? };
        if files.is_empty() { Ok(read) } else { Err(TlsError::Missing { directory: directory.to_owned(), files }) }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Context::new(&SHA256);
        for content in [&self.cert, &*self.key, &self.ca] {
            // The length keeps apart contents that only together are the same bytes.
            hash.update(&content.len().to_le_bytes());
            hash.update(content);
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hash.finish().as_ref());
        Fingerprint(bytes)
    }
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(cert: &str, key: &str, ca: &str) -> Files {
        Files { cert: cert.into(), key: Vec::from(key).into(), ca: ca.into() }
    }

    #[test]
    fn fingerprints_tell_contents_and_their_order_apart() {
        let one = files("a", "b", "c").fingerprint();
        assert_eq!(one, files("a", "b", "c").fingerprint());
        for other in [files("ab", "", "c"), files("b", "a", "c"), files("a", "b", "d")] {
            assert_ne!(one, other.fingerprint());
        }
    }

    #[test]
    fn every_missing_file_is_named_with_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let missing = |path: &Path| Files::read(path).err().unwrap().to_string();
        let nowhere = dir.path().join("nowhere");
        assert_eq!(missing(&nowhere), format!("{} lacks tls.crt, tls.key, ca.crt", nowhere.display()));
        File::create(dir.path().join("tls.crt")).unwrap();
        assert_eq!(missing(dir.path()), format!("{} lacks tls.key, ca.crt", dir.path().display()));
    }

    #[test]
    fn a_huge_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        File::create(dir.path().join("tls.crt")).unwrap().set_len(MAX_FILE + 1).unwrap();
        let error = Files::read(dir.path()).err().unwrap();
        assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
    }
}
