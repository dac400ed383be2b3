//! Pull secrets from the API server. What may not be read is said so and passed over; who looks the image up names it.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Cluster, Kind, ReadError, Target};
use crate::image::{DockerConfig, PullSecrets, PullSecretsError, Shape};

#[async_trait]
impl PullSecrets for Cluster {
    async fn read(&self, namespace: &str, name: &str) -> Result<Option<DockerConfig>, PullSecretsError> {
        let target = Target::new(Kind::Secret, namespace, name);
        let Some(secret) = self.read(&target).await? else { return Ok(None) };
        docker_config(&secret).map_err(|Malformed| ReadError::Malformed(target).into())
    }

    async fn of_service_account(&self, namespace: &str, name: &str) -> Result<Vec<String>, PullSecretsError> {
        let target = Target::new(Kind::ServiceAccount, namespace, name);
        let Some(account) = self.read(&target).await? else { return Ok(Vec::new()) };
        names(&account).map_err(|Malformed| ReadError::Malformed(target).into())
    }
}

impl From<ReadError> for PullSecretsError {
    fn from(error: ReadError) -> Self {
        let reason = match error {
            ReadError::Forbidden(_) => "the webhook may not read it (403)".to_owned(),
            other => other.to_string(),
        };
        Self { reason }
    }
}

/// The object is not what its kind says.
#[derive(Debug)]
struct Malformed;

/// The kubelet goes by the type, and takes from the data what that type is for.
fn docker_config(secret: &[u8]) -> Result<Option<DockerConfig>, Malformed> {
    #[derive(Deserialize)]
    struct Secret<'a> {
        #[serde(rename = "type")]
        kind: Option<&'a str>,
        #[serde(borrow)]
        data: Option<Data<'a>>,
    }
    /// Borrowed, so that there is no other copy. Base64 needs no escapes.
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(rename = ".dockerconfigjson", borrow)]
        json: Option<&'a str>,
        #[serde(rename = ".dockercfg", borrow)]
        cfg: Option<&'a str>,
    }
    let Secret { kind, data } = serde_json::from_slice(secret).map_err(|_| Malformed)?;
    let Some(Data { json, cfg }) = data else { return Ok(None) };
    let (shape, text) = match kind {
        Some("kubernetes.io/dockerconfigjson") => (Shape::DockerConfigJson, json),
        Some("kubernetes.io/dockercfg") => (Shape::DockerCfg, cfg),
        _ => return Ok(None),
    };
    let Some(text) = text else { return Ok(None) };
    Ok(Some(DockerConfig { shape, bytes: decoded(text)? }))
}

fn decoded(text: &str) -> Result<Zeroizing<Vec<u8>>, Malformed> {
    // Made whole beforehand: a vector that grows leaves copies behind.
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = STANDARD.decode_slice(text, &mut bytes).map_err(|_| Malformed)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn names(account: &[u8]) -> Result<Vec<String>, Malformed> {
    #[derive(Deserialize)]
    struct ServiceAccount {
        #[serde(rename = "imagePullSecrets")]
        secrets: Option<Vec<Reference>>,
    }
    #[derive(Deserialize)]
    struct Reference {
        name: Option<String>,
    }
    let ServiceAccount { secrets } = serde_json::from_slice(account).map_err(|_| Malformed)?;
    Ok(secrets.unwrap_or_default().into_iter().filter_map(|secret| secret.name).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use keyward_tests::api::{ApiServer, Resource};
    use serde_json::{Value, json};

    use super::*;
    use crate::cluster::tests::cluster;

    const LONG: Duration = Duration::from_secs(30);
    const CONFIG: &str = r#"{"auths":{"registry.example":{"password":"kwcanary-pull"}}}"#;

    fn secret(api: &ApiServer, name: &str, kind: &str, data: &Value) {
        let metadata = json!({ "namespace": "shop", "name": name });
        api.put(Resource::CORE_SECRETS, json!({ "metadata": metadata, "type": kind, "data": data }));
    }

    fn account(api: &ApiServer, name: &str, secrets: &Value) {
        let metadata = json!({ "namespace": "shop", "name": name });
        api.put(Resource::SERVICE_ACCOUNTS, json!({ "metadata": metadata, "imagePullSecrets": secrets }));
    }

    async fn read(cluster: &Cluster, name: &str) -> Result<Option<(Shape, String)>, String> {
        let read = PullSecrets::read(cluster, "shop", name).await.map_err(|error| error.to_string())?;
        Ok(read.map(|config| (config.shape, String::from_utf8(config.bytes.to_vec()).unwrap())))
    }

    #[tokio::test]
    async fn both_layouts_are_read_by_the_secrets_type() {
        let api = ApiServer::start().await.unwrap();
        let data = json!({ ".dockerconfigjson": STANDARD.encode(CONFIG), ".dockercfg": STANDARD.encode("{}") });
        secret(&api, "new", "kubernetes.io/dockerconfigjson", &data);
        secret(&api, "old", "kubernetes.io/dockercfg", &data);
        secret(&api, "other", "Opaque", &data);
        secret(&api, "bare", "kubernetes.io/dockercfg", &json!({ ".dockerconfigjson": "e30=" }));
        secret(&api, "null", "kubernetes.io/dockercfg", &Value::Null);
        let cluster = cluster(&api, LONG);
        let new = read(&cluster, "new").await;
        assert!(new == Ok(Some((Shape::DockerConfigJson, CONFIG.to_owned()))), "not what was put in");
        assert_eq!(read(&cluster, "old").await, Ok(Some((Shape::DockerCfg, "{}".to_owned()))));
        for none in ["other", "bare", "null", "missing"] {
            assert_eq!(read(&cluster, none).await, Ok(None), "{none}");
        }
    }

    #[tokio::test]
    async fn what_may_not_be_read_or_makes_no_sense_is_told_without_a_value() {
        let api = ApiServer::start().await.unwrap();
        for (name, text) in [("text", "kwcanary!"), ("cut", "a3d")] {
            secret(&api, name, "kubernetes.io/dockerconfigjson", &json!({ ".dockerconfigjson": text }));
        }
        secret(&api, "number", "kubernetes.io/dockerconfigjson", &json!({ ".dockerconfigjson": 1 }));
        let cluster = cluster(&api, LONG);
        for name in ["text", "cut", "number"] {
            let expected = format!("the API server's answer about Secret shop/{name} makes no sense");
            assert_eq!(read(&cluster, name).await, Err(expected));
        }
        assert!(read(&cluster, "../configmaps/a").await.unwrap_err().ends_with("is not the name of a Secret"));
        api.forbid(Resource::CORE_SECRETS);
        assert_eq!(read(&cluster, "text").await, Err("the webhook may not read it (403)".to_owned()));
    }

    #[tokio::test]
    async fn a_service_account_lends_its_secrets_in_order() {
        let api = ApiServer::start().await.unwrap();
        account(&api, "builder", &json!([{ "name": "b" }, {}, { "name": "a" }]));
        account(&api, "default", &Value::Null);
        let cluster = cluster(&api, LONG);
        let of = async |name| cluster.of_service_account("shop", name).await.map_err(|error| error.to_string());
        assert_eq!(of("builder").await, Ok(vec!["b".to_owned(), "a".to_owned()]));
        for none in ["default", "missing"] {
            assert_eq!(of(none).await, Ok(Vec::new()), "{none}");
        }
        api.forbid(Resource::SERVICE_ACCOUNTS);
        assert_eq!(of("builder").await, Err("the webhook may not read it (403)".to_owned()));
    }
}
