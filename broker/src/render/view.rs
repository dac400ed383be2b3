//! An object, or the part of it that a reference asks for, as a variable's value.

use keyward_types::SecretBytes;

use super::{
    RenderError, Rendering, basic_auth, bounded,
    content::Content,
    map::{DataByKey, KeyNames},
};
use crate::object::{Certificate, Object, PublicKey};

/// The value of `NAME@azurekeyvault?QUERY`. It is never empty; whether the environment can hold it (it cannot hold a
/// NUL) is for the launcher to see.
pub fn view(object: &Object, rendering: &Rendering, query: Option<&str>) -> Result<SecretBytes, RenderError> {
    let value = match Content::of(object, rendering)? {
        Content::Value(value) => of_secret(value, query),
        Content::Certificate(certificate) => of_certificate(certificate, query),
        Content::Key(key) => of_key(key, query),
        Content::Map(map) => of_map(map, query),
    }?;
    bounded(value)
}

fn of_secret(value: SecretBytes, query: Option<&str>) -> Result<SecretBytes, RenderError> {
    match query {
        None => Ok(value),
        Some("username") => basic_auth::split(&value).map(|(user, _)| user),
        Some("password") => basic_auth::split(&value).map(|(_, password)| password),
        Some(_) => Err(RenderError::NoSuchPart { object: "secret", allowed: "the whole, `?username` or `?password`" }),
    }
}

fn of_certificate(certificate: &Certificate, query: Option<&str>) -> Result<SecretBytes, RenderError> {
    match query {
        None | Some("tls.crt") => Ok(certificate.chain.as_str().into()),
        Some("tls.key") => certificate.key.clone().ok_or(RenderError::NoPrivateKey),
        Some("ca.crt") => certificate.root.as_deref().map(SecretBytes::from).ok_or(RenderError::NoRoot),
        Some(_) => Err(RenderError::NoSuchPart {
            object: "certificate",
            allowed: "the whole (its public chain), `?tls.crt`, `?tls.key` or `?ca.crt`",
        }),
    }
}

fn of_key(key: &PublicKey, query: Option<&str>) -> Result<SecretBytes, RenderError> {
    match query {
        None => Ok(key.pem.as_str().into()),
        Some("jwk") => Ok(key.jwk.as_str().into()),
        Some(_) => Err(RenderError::NoSuchPart { object: "key", allowed: "the whole (PEM) or `?jwk`" }),
    }
}

fn of_map(mut map: DataByKey, query: Option<&str>) -> Result<SecretBytes, RenderError> {
    let query = query.ok_or_else(|| RenderError::KeyNeeded(KeyNames::of(&map)))?;
    map.remove(query).ok_or_else(|| RenderError::NoSuchKey(KeyNames::of(&map)))
}

#[cfg(test)]
mod tests;
