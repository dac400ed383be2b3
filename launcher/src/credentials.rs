//! The token and CA files. Read anew for each try: the kubelet replaces both while the pod runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Certificate;
use zeroize::Zeroizing;

/// Far more than any token or bundle of authorities; a wrong path to a device or a log must not be read to its end.
const MAX_BYTES: u64 = 1024 * 1024;

/// Why this pod cannot prove itself, or cannot tell a true broker from a false one.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file that cannot be read.
    #[error(
        "cannot read {what} {path}: {source}; is the projected volume with {origin} mounted, or {variable} set?",
        path = .path.display()
    )]
    Read {
        /// Which of the two files.
        what: &'static str,
        /// Where it comes from in a pod.
        origin: &'static str,
        /// The variable that names it.
        variable: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// The system's own reason.
        source: io::Error,
    },
    /// A token file that holds no token.
    #[error("the token file {} does not hold one line of text: is it the projected token?", .0.display())]
    Token(PathBuf),
    /// A CA file that holds no certificate.
    #[error("the CA file {} holds no PEM certificate: does `ca.crt` of ConfigMap keyward-ca hold the broker's authority?", .0.display())]
    Authority(PathBuf),
}

/// One of the two files, for whoever has to find out why it is not there.
struct Kind {
    what: &'static str,
    origin: &'static str,
    variable: &'static str,
}

const TOKEN: Kind = Kind { what: "the token file", origin: "this pod's token", variable: "KEYWARD_TOKEN_FILE" };
const AUTHORITY: Kind =
    Kind { what: "the CA file", origin: "`ca.crt` of ConfigMap keyward-ca", variable: "KEYWARD_CA_FILE" };

/// The token as request metadata, marked so that HTTP/2 neither compresses nor shows it.
pub fn bearer(path: &Path) -> Result<MetadataValue<Ascii>, CredentialsError> {
    let bytes = read(&TOKEN, path)?;
    let invalid = || CredentialsError::Token(path.to_owned());
    let token = std::str::from_utf8(&bytes).map_err(|_| invalid())?.trim_ascii();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid());
    }
    let header = Zeroizing::new(format!("Bearer {token}"));
    let mut value: MetadataValue<Ascii> = header.parse().map_err(|_| invalid())?;
    value.set_sensitive(true);
    Ok(value)
}

/// The authorities to trust.
pub fn authority(path: &Path) -> Result<Certificate, CredentialsError> {
    let bytes = read(&AUTHORITY, path)?;
    let pem = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("-----BEGIN CERTIFICATE-----"));
    pem.map(Certificate::from_pem).ok_or_else(|| CredentialsError::Authority(path.to_owned()))
}

fn read(kind: &Kind, path: &Path) -> Result<Zeroizing<Vec<u8>>, CredentialsError> {
    let Kind { what, origin, variable } = *kind;
    let failed = |source| CredentialsError::Read { what, origin, variable, path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    // Sized once: growing would leave unwiped copies behind.
    let size = file.metadata().map_err(failed)?.len().min(MAX_BYTES);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn a_token_is_one_line_and_never_printed() {
        let value = bearer(file(b"kwcanary.a.b\n").path()).unwrap();
        assert_eq!(value.to_str().unwrap(), "Bearer kwcanary.a.b");
        assert!(!format!("{value:?}").contains("kwcanary"));
        for content in [&b""[..], b"\n", b"a b", b"a\nb", b"\xff", b"a\0"] {
            assert!(matches!(bearer(file(content).path()), Err(CredentialsError::Token(_))), "{content:?}");
        }
    }

    #[test]
    fn an_authority_is_a_pem_certificate() {
        assert!(authority(file(b"-----BEGIN CERTIFICATE-----\n").path()).is_ok());
        for content in [&b""[..], b"-----BEGIN PRIVATE KEY-----\n", b"\xff"] {
            assert!(matches!(authority(file(content).path()), Err(CredentialsError::Authority(_))), "{content:?}");
        }
    }

    #[test]
    fn a_missing_file_is_named_with_its_variable() {
        let error = bearer(Path::new("/nonexistent/token")).unwrap_err().to_string();
        assert!(error.contains("/nonexistent/token") && error.contains("KEYWARD_TOKEN_FILE"), "{error}");
        let error = authority(Path::new("/nonexistent/ca.crt")).unwrap_err().to_string();
        assert!(error.contains("ConfigMap keyward-ca") && error.contains("KEYWARD_CA_FILE"), "{error}");
    }
}
