//! Certificates in the order a TLS server sends them: leaf first, each followed by its issuer (RFC 8446, 4.4.2).
//!
//! What is on no path from the leaf, such as a cross-signed alternative, follows at the end: clients of TLS 1.3 pick
//! from it, and dropping it could break the one client that needs it. Nothing is judged here: trust and validity are
//! the client's to decide.

use std::cmp::Reverse;

use x509_parser::{certificate::X509Certificate, extensions::ParsedExtension, prelude::FromDer as _};

use super::CertificateError;

pub(super) struct Chain<'a> {
    /// DER, every one once.
    pub(super) certificates: Vec<&'a [u8]>,
    /// Where the path from the leaf ends, if it is self-signed.
    pub(super) root: Option<&'a [u8]>,
}

/// Sorts; `leaf` is a position in `certificates`.
pub(super) fn sorted(certificates: &[Vec<u8>], leaf: usize) -> Result<Chain<'_>, CertificateError> {
    let mut rest = Vec::new();
    for der in certificates {
        let certificate = parsed(der)?;
        if !rest.contains(&certificate) {
            rest.push(certificate);
        }
    }
    let leaf = certificates.get(leaf).ok_or(CertificateError::LeafMissing)?;
    let position =
        rest.iter().position(|certificate| certificate.as_raw() == leaf).ok_or(CertificateError::LeafMissing)?;
    let mut path = vec![rest.remove(position)];
    while let Some(position) = path.last().and_then(|last| issuer(last, &rest)) {
        path.push(rest.remove(position));
    }
    let root = path.last().filter(|last| is_self_signed(last)).map(X509Certificate::as_raw);
    Ok(Chain { certificates: path.iter().chain(&rest).map(X509Certificate::as_raw).collect(), root })
}

/// The `SubjectPublicKeyInfo` of a certificate.
pub(super) fn public_key(der: &[u8]) -> Result<&[u8], CertificateError> {
    Ok(parsed(der)?.tbs_certificate.subject_pki.raw)
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Damaged),
    }
}

/// Which of `others` issued `certificate`. Of several with the right name, one whose key made the signature, then one
/// whose key identifier is named, then the first.
fn issuer(certificate: &X509Certificate<'_>, others: &[X509Certificate<'_>]) -> Option<usize> {
    if is_self_signed(certificate) {
        return None;
    }
    let named = |position: &usize| {
        others.get(*position).is_some_and(|other| other.subject().as_raw() == certificate.issuer().as_raw())
    };
    let candidates: Vec<usize> = (0..others.len()).filter(named).collect();
    if candidates.len() <= 1 {
        return candidates.first().copied();
    }
    candidates.into_iter().min_by_key(|position| {
        Reverse(others.get(*position).map(|other| {
            let signed = certificate.verify_signature(Some(other.public_key())).is_ok();
            let identified = authority_key(certificate).is_some() && authority_key(certificate) == subject_key(other);
            (signed, identified)
        }))
    })
}

/// By name and, where it tells, by key identifier: a root that changed its key may have certified the new one under
/// its own name.
fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    let same_key = match (authority_key(certificate), subject_key(certificate)) {
        (Some(authority), Some(subject)) => authority == subject,
        _ => true,
    };
    same_key && certificate.issuer().as_raw() == certificate.subject().as_raw()
}

fn authority_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(authority) => authority.key_identifier.as_ref().map(|key| key.0),
        _ => None,
    })
}

fn subject_key<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(key) => Some(key.0),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
