//! How tests ask the broker: as a pod, as an operator, as a role.

use std::{fmt, time::Duration};

use keyward_proto::v1::{
    CheckRequest, DescribeRequest, DescribeResponse, ExplainRequest, ExplainResponse, FetchRequest, FetchResponse,
    Reference, RefreshRequest, RefreshResponse, ResolveRequest, StatusRequest, StatusResponse, Verdict,
    cache_client::CacheClient, explain_request::Who, references_client::ReferencesClient,
    secrets_client::SecretsClient, sync_client::SyncClient,
};
use keyward_tests::{
    ca::{CaError, TestCa},
    stand::TRUST_DOMAIN,
};
use tonic::{
    Code, Request, Status,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::wait::{Look, SOON, until};

/// The longest that a call is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Everybody who asks a broker.
#[derive(Clone, Debug)]
pub struct Callers {
    nobody: Channel,
    controller: Channel,
    webhook: Channel,
    operator: Channel,
}

/// Values as a pod gets them. Nothing prints them.
#[derive(PartialEq, Eq)]
pub struct Values(Vec<Vec<u8>>);

impl Values {
    /// Whether they are these.
    pub fn are(&self, values: &[&str]) -> bool {
        self.0.iter().map(Vec::as_slice).eq(values.iter().map(|value| value.as_bytes()))
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} values)", self.0.len())
    }
}

impl Callers {
    /// Those of the broker at `url`. No connection is made before one is needed.
    pub fn new(url: &str, ca: &TestCa) -> anyhow::Result<Self> {
        let channel = |identity: Option<Identity>| -> anyhow::Result<Channel> {
            let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca.cert_pem()));
            if let Some(identity) = identity {
                tls = tls.identity(identity);
            }
            Ok(Endpoint::from_shared(url.to_owned())?.timeout(DEADLINE).tls_config(tls)?.connect_lazy())
        };
        let role = |role: &str| -> Result<Identity, CaError> {
            let issued = ca.issue_role(role, TRUST_DOMAIN)?;
            Ok(Identity::from_pem(issued.cert_pem, issued.key_pem))
        };
        Ok(Self {
            nobody: channel(None)?,
            controller: channel(Some(role("controller")?))?,
            webhook: channel(Some(role("webhook")?))?,
            operator: channel(Some(role("operator")?))?,
        })
    }

    /// A launcher: `Resolve` of whole objects with a pod's token.
    pub async fn resolve(&self, token: &str, names: &[&str]) -> Result<Values, Status> {
        let references = names.iter().map(|name| Reference { name: (*name).to_owned(), query: None }).collect();
        let request = bearing(token, ResolveRequest { references, ..ResolveRequest::default() })?;
        Ok(Values(SecretsClient::new(self.nobody.clone()).resolve(request).await?.into_inner().values))
    }

    /// The same, once the broker has heard of what was just declared.
    pub async fn resolve_soon(&self, token: &str, names: &[&str]) -> anyhow::Result<Values> {
        let look = async || match self.resolve(token, names).await {
            Ok(values) => Ok(Look::Found(values)),
            Err(status) if is_early(&status) => Ok(Look::NotYet(format!("{:?}: {}", status.code(), status.message()))),
            Err(status) => Err(status.into()),
        };
        until("the values", SOON, look).await
    }

    /// The controller: `Fetch`.
    pub async fn fetch(&self, request: FetchRequest) -> Result<FetchResponse, Status> {
        Ok(SyncClient::new(self.controller.clone()).fetch(request).await?.into_inner())
    }

    /// The controller: `Describe`.
    pub async fn describe(&self, request: DescribeRequest) -> Result<DescribeResponse, Status> {
        Ok(SyncClient::new(self.controller.clone()).describe(request).await?.into_inner())
    }

    /// The webhook: what `Check` says of one reference.
    pub async fn check(&self, namespace: &str, name: &str) -> Result<Verdict, Status> {
        let references = vec![format!("{name}@azurekeyvault")];
        let request = CheckRequest { namespace: namespace.to_owned(), references };
        let checked = ReferencesClient::new(self.webhook.clone()).check(request).await?.into_inner();
        Ok(checked.references.first().map_or(Verdict::Unspecified, keyward_proto::v1::CheckedReference::verdict))
    }

    /// The webhook, once `Check` says this.
    pub async fn until_checked(&self, namespace: &str, name: &str, wanted: Verdict) -> anyhow::Result<()> {
        let look = async || {
            let verdict = self.check(namespace, name).await?;
            Ok(if verdict == wanted { Look::Found(()) } else { Look::NotYet(verdict) })
        };
        until(&format!("{namespace}/{name} {wanted:?}"), SOON, look).await
    }

    /// An operator whose right may have been given just now: `Status`.
    pub async fn status_soon(&self, token: &str) -> anyhow::Result<StatusResponse> {
        let look = async || match self.status(token).await {
            Ok(status) => Ok(Look::Found(status)),
            Err(status) if status.code() == Code::PermissionDenied => Ok(Look::NotYet(status.message().to_owned())),
            Err(status) => Err(status.into()),
        };
        until("the status", SOON, look).await
    }

    /// An operator: `Status` with a token.
    pub async fn status(&self, token: &str) -> Result<StatusResponse, Status> {
        Ok(self.cache().status(bearing(token, StatusRequest::default())?).await?.into_inner())
    }

    /// An operator: `Refresh` of a vault with a token.
    pub async fn refresh(&self, token: &str, vault: &str) -> Result<RefreshResponse, Status> {
        Ok(self.cache().refresh(bearing(token, RefreshRequest { vault: vault.to_owned() })?).await?.into_inner())
    }

    /// An operator: `Explain` with a token why a namespace may read a reference.
    pub async fn explain(&self, token: &str, namespace: &str, name: &str) -> Result<ExplainResponse, Status> {
        let who = Some(Who::Namespace(namespace.to_owned()));
        let request = ExplainRequest { who, reference: format!("{name}@azurekeyvault") };
        Ok(self.cache().explain(bearing(token, request)?).await?.into_inner())
    }

    /// An operator: `Refresh` of every vault with a certificate.
    pub async fn refresh_by_certificate(&self) -> Result<RefreshResponse, Status> {
        let request = RefreshRequest { vault: String::new() };
        Ok(CacheClient::new(self.operator.clone()).refresh(request).await?.into_inner())
    }

    fn cache(&self) -> CacheClient<Channel> {
        CacheClient::new(self.nobody.clone())
    }
}

fn bearing<T>(token: &str, message: T) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    let header = format!("Bearer {token}").parse().map_err(|_| Status::new(Code::Internal, "no token for a header"))?;
    request.metadata_mut().insert("authorization", header);
    Ok(request)
}

/// Whether it may end once the broker has heard of a namespace, its labels, a declaration, or of the API server.
fn is_early(status: &Status) -> bool {
    matches!(status.code(), Code::NotFound | Code::PermissionDenied | Code::Unavailable)
}

/// The refusal that a call ended with, if it has this code; an error that says what came instead. A message of the broker
/// is shown, values never.
pub fn refused<T: fmt::Debug>(what: &str, code: Code, answer: Result<T, Status>) -> anyhow::Result<Status> {
    match answer {
        Err(status) if status.code() == code => Ok(status),
        Err(status) => anyhow::bail!("{what}: {:?} and not {code:?}: {}", status.code(), status.message()),
        Ok(_) => anyhow::bail!("{what}: granted and not {code:?}"),
    }
}
