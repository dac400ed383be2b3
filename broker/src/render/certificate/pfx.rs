//! PKCS#12, RFC 7292, with an empty password or none: PBES2 and the older RC2 and 3DES.
//!
//! The library copies keys in buffers it does not wipe; ours are wiped.

mod null_password;

use der::{Decode as _, Reader as _, SliceReader, asn1::AnyRef};
use p12_keystore::{Pkcs12Archive, error::Error};

use super::{Bundle, CertificateError, PrivateKey};

pub(super) fn read(der: &[u8]) -> Result<Bundle, CertificateError> {
    // The library verifies a MAC where there is one. Without one, anybody could have put anything in.
    if !has_mac(der).map_err(|_| CertificateError::NotPfx)? {
        return Err(CertificateError::NoMac);
    }
    let archive = match Pkcs12Archive::from_pkcs12(der, "") {
        Err(Error::MacError(_)) => Pkcs12Archive::from_pkcs12(&null_password::opened(der)?, ""),
        outcome => outcome,
    };
    let archive = archive.map_err(|error| refusal(&error))?;
    let keys = archive.keys.iter().map(|bag| PrivateKey::from_pkcs8(bag.key.as_der())).collect::<Result<_, _>>()?;
    Bundle::new(keys, archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect())
}

/// Whether the outer structure ends with its optional `MacData`:
/// `PFX ::= SEQUENCE { version INTEGER, authSafe ContentInfo, macData MacData OPTIONAL }`.
fn has_mac(der: &[u8]) -> der::Result<bool> {
    let mut reader = SliceReader::new(der)?;
    let has_mac = reader.sequence(|fields| {
        AnyRef::decode(fields)?;
        AnyRef::decode(fields)?;
        if fields.is_finished() {
            return Ok::<_, der::Error>(false);
        }
        AnyRef::decode(fields)?;
        Ok(true)
    })?;
    reader.finish()?;
    Ok(has_mac)
}

fn refusal(error: &Error) -> CertificateError {
    match error {
        Error::MacError(_) => CertificateError::Password,
        Error::InvalidPrivateKey => CertificateError::BadKey,
        Error::X509Error(_) | Error::UnsupportedCertificateType => CertificateError::Damaged,
        Error::DerError(_) | Error::InvalidVersion | Error::InvalidData | Error::InvalidLength => {
            CertificateError::NotPfx
        }
        _ => CertificateError::Unsupported,
    }
}
