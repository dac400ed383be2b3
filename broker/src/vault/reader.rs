//! A vault read by the official SDK clients, one for each kind of object. Made by [`azure`](super::azure).

mod renewal;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use azure_core::{
    http::{ClientOptions, Response, RetryOptions, Transport},
    time::OffsetDateTime,
};
use azure_security_keyvault_certificates::{
    CertificateClient, CertificateClientOptions, models::CertificateClientGetCertificateOptions,
};
use azure_security_keyvault_keys::{
    KeyClient, KeyClientOptions,
    models::{JsonWebKey, KeyClientGetKeyOptions},
};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions, models::SecretClientGetSecretOptions};
use futures::{StreamExt as _, stream::BoxStream};
use keyward_types::{ObjectKind, ObjectName, ObjectVersion, SecretBytes};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    Collection, Page, ReadError, VaultReader, answer,
    credential::{Identity, Renewal, ScopedCredential},
    lane::Lane,
    listing,
    origin::Origin,
    transport::Pinned,
};
use crate::object::{Attributes, ObjectId, RawBody, RawObject, RawSecret, Stamp};

/// The members of a JSON Web Key that are public (RFC 7518, 6); whatever else an answer holds is dropped.
const PUBLIC: [&str; 8] = ["kty", "kid", "key_ops", "crv", "x", "y", "n", "e"];

/// One vault, read as one identity. Safe to share: its clients are opened once, and each is challenged once.
pub struct AzureVault {
    origin: Origin,
    timeout: Duration,
    identity: Arc<Identity>,
    secrets: Lane<SecretClient>,
    certificates: Lane<CertificateClient>,
    keys: Lane<KeyClient>,
}

/// What the three clients of a vault have in common.
pub(super) struct Opening {
    pub(super) origin: Origin,
    pub(super) identity: Arc<Identity>,
    pub(super) transport: Pinned,
    pub(super) api_version: String,
    pub(super) timeout: Duration,
}

/// One version's parts, whatever its kind.
struct Part<B> {
    version: ObjectVersion,
    attributes: Attributes,
    stamp: Stamp,
    body: B,
}

impl AzureVault {
    /// Opens a vault. Nothing is sent.
    pub(super) fn open(opening: Opening) -> azure_core::Result<Self> {
        let Opening { origin, identity, transport, api_version, timeout } = opening;
        let client_options = ClientOptions {
            transport: Some(Transport::new(Arc::new(transport))),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        // The SDK's check wants the vault's host below the audience's, which holds in Azure's clouds and nowhere else.
        // Elsewhere `ScopedCredential`, which knows the audience beforehand, has to suffice.
        let verify_challenge_resource = Some(origin.is_known_cloud());
        let endpoint = Arc::new(origin.to_string());
        let shared = identity.clone();
        let credential = move || ScopedCredential::new(shared.clone());

        let (vault, options) = (
            endpoint.clone(),
            SecretClientOptions {
                api_version: api_version.clone(),
                client_options: client_options.clone(),
                verify_challenge_resource,
            },
        );
        let secrets = Lane::new(credential.clone(), move |by| SecretClient::new(&vault, by, Some(options.clone())))?;

        let (vault, options) = (
            endpoint.clone(),
            CertificateClientOptions {
                api_version: api_version.clone(),
                client_options: client_options.clone(),
                verify_challenge_resource,
            },
        );
        let certificates =
            Lane::new(credential.clone(), move |by| CertificateClient::new(&vault, by, Some(options.clone())))?;

        let options = KeyClientOptions { api_version, client_options, verify_challenge_resource };
        let keys = Lane::new(credential, move |by| KeyClient::new(&endpoint, by, Some(options.clone())))?;
        Ok(Self { origin, timeout, identity, secrets, certificates, keys })
    }

    async fn secret(&self, name: &ObjectName, pinned: Option<&ObjectVersion>) -> Result<Part<RawSecret>, ReadError> {
        let options =
            SecretClientGetSecretOptions { secret_version: pinned.map(ToString::to_string), ..Default::default() };
        let turn = self.secrets.enter().await.map_err(|error| failed(&error))?;
        let response = turn.client().get_secret(name.as_str(), Some(options)).await;
        drop(turn);
        let (answered, mut secret) = model(response)?;
        let value = secret.value.take().map(SecretBytes::from);

        let version =
            answer::identifier::version(secret.id.as_deref(), &self.origin, ObjectKind::Secret, name, pinned)?;
        let told = secret.attributes.unwrap_or_default();
        let attributes = attributes(told.enabled, told.not_before, told.expires, told.created, told.updated)?;
        let value = value.ok_or_else(|| ReadError::Malformed("it has no value".to_owned()))?;
        Ok(Part {
            version,
            attributes,
            stamp: Stamp::new(attributes.updated, answered),
            body: RawSecret { value, content_type: secret.content_type },
        })
    }

    /// The certificate proper, then its twin among the secrets, which has the chain and the key, in that same version.
    async fn certificate(&self, name: &ObjectName, pinned: Option<&ObjectVersion>) -> Result<Part<RawBody>, ReadError> {
        let options = CertificateClientGetCertificateOptions {
            certificate_version: pinned.map(ToString::to_string),
            ..Default::default()
        };
        let turn = self.certificates.enter().await.map_err(|error| failed(&error))?;
        let response = turn.client().get_certificate(name.as_str(), Some(options)).await;
        drop(turn);
        let (_, certificate) = model(response)?;

        let id = certificate.id.as_deref();
        let version = answer::identifier::version(id, &self.origin, ObjectKind::Certificate, name, pinned)?;
        let told = certificate.attributes.unwrap_or_default();
        let attributes = attributes(told.enabled, told.not_before, told.expires, told.created, told.updated)?;
        let leaf = certificate.cer.ok_or_else(|| ReadError::Malformed("it has no `cer`".to_owned()))?;
        let twin = self.secret(name, Some(&version)).await?;
        Ok(Part { version, attributes, stamp: twin.stamp, body: RawBody::Certificate { leaf, twin: twin.body } })
    }

    async fn key(
        &self,
        name: &ObjectName,
        pinned: Option<&ObjectVersion>,
    ) -> Result<Part<Map<String, Value>>, ReadError> {
        let options = KeyClientGetKeyOptions { key_version: pinned.map(ToString::to_string), ..Default::default() };
        let turn = self.keys.enter().await.map_err(|error| failed(&error))?;
        let response = turn.client().get_key(name.as_str(), Some(options)).await;
        drop(turn);
        let (answered, key) = model(response)?;

        let jwk = key.key.ok_or_else(|| ReadError::Malformed("it has no `key`".to_owned()))?;
        let version = answer::identifier::version(jwk.kid.as_deref(), &self.origin, ObjectKind::Key, name, pinned)?;
        let told = key.attributes.unwrap_or_default();
        let attributes = attributes(told.enabled, told.not_before, told.expires, told.created, told.updated)?;
        Ok(Part { version, attributes, stamp: Stamp::new(attributes.updated, answered), body: public_members(&jwk)? })
    }
}

#[async_trait]
impl VaultReader for AzureVault {
    async fn read(&self, object: &ObjectId) -> Result<RawObject, ReadError> {
        let ObjectId { kind, name, version } = object;
        let read = async {
            let pinned = version.as_ref();
            Ok(match kind {
                ObjectKind::Secret => self.secret(name, pinned).await?.into_object(RawBody::Secret),
                ObjectKind::Certificate => self.certificate(name, pinned).await?.into_object(|body| body),
                ObjectKind::Key => self.key(name, pinned).await?.into_object(RawBody::Key),
            })
        };
        let late = |_| Err(ReadError::Unreachable(format!("no answer within {:?}", self.timeout)));
        tokio::time::timeout(self.timeout, read).await.unwrap_or_else(late)
    }

    fn pages(&self, collection: Collection) -> BoxStream<'_, Result<Page, ReadError>> {
        let Self { origin, timeout, .. } = self;
        match collection {
            Collection::Secrets => listing::secrets(&self.secrets, origin, *timeout).boxed(),
            Collection::Keys => listing::keys(&self.keys, origin, *timeout).boxed(),
        }
    }

    async fn renew(&self) -> bool {
        self.renewed().await == Renewal::Fresh
    }
}

impl<B> Part<B> {
    fn into_object(self, body: impl FnOnce(B) -> RawBody) -> RawObject {
        RawObject { version: self.version, attributes: self.attributes, stamp: self.stamp, body: body(self.body) }
    }
}

fn failed(error: &azure_core::Error) -> ReadError {
    answer::read_error(error, OffsetDateTime::now_utc())
}

/// The model, and when its server says that it answered.
fn model<M: DeserializeOwned>(response: azure_core::Result<Response<M>>) -> Result<(OffsetDateTime, M), ReadError> {
    let response = response.map_err(|error| failed(&error))?;
    let answered = answer::answered_at(response.headers()).unwrap_or_else(OffsetDateTime::now_utc);
    Ok((answered, response.into_model().map_err(|error| failed(&error))?))
}

fn attributes(
    enabled: Option<bool>,
    not_before: Option<OffsetDateTime>,
    expires: Option<OffsetDateTime>,
    created: Option<OffsetDateTime>,
    updated: Option<OffsetDateTime>,
) -> Result<Attributes, ReadError> {
    if enabled == Some(false) {
        return Err(ReadError::Disabled);
    }
    Ok(Attributes { not_before, expires, created, updated })
}

fn public_members(jwk: &JsonWebKey) -> Result<Map<String, Value>, ReadError> {
    let Ok(Value::Object(mut members)) = serde_json::to_value(jwk) else {
        return Err(ReadError::Malformed("its `key` is no JSON Web Key".to_owned()));
    };
    members.retain(|member, _| PUBLIC.contains(&member.as_str()));
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_public_members_of_a_key_are_kept() {
        let jwk: JsonWebKey =
            serde_json::from_str(r#"{"kty":"EC","crv":"P-256","x":"AQ","y":"Ag","d":"a3djYW5hcnk","kid":"k"}"#)
                .unwrap();
        let members = public_members(&jwk).unwrap();
        assert_eq!(members.keys().collect::<Vec<_>>(), ["crv", "kid", "kty", "x", "y"]);
        assert_eq!((&members["x"], &members["y"]), (&"AQ".into(), &"Ag".into()));
    }
}
