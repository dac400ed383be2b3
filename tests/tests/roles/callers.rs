//! Every kind of caller, and one call of any method with its first answer.

use std::collections::HashMap;

use keyward_tests::{
    ca::{Issued, TestCa, params_for},
    stand::{Stand, TRUST_DOMAIN},
    vault::ProjectedToken,
};
use rcgen::{ExtendedKeyUsagePurpose, SanType};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};

use crate::methods;
use raw::RawCodec;

#[path = "raw.rs"]
mod raw;

/// UID of the pod whose token it is.
pub(crate) const POD_UID: &str = "3f1c2d8e-0000-4000-8000-000000000001";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    Nobody,
    TokenOnly,
    Controller,
    Webhook,
    Operator,
    Broker,
    OtherTrustDomain,
    WithoutUri,
    TwoRoles,
    OtherAuthority,
}

impl Caller {
    pub(crate) const ALL: [Self; 10] = [
        Self::Nobody,
        Self::TokenOnly,
        Self::Controller,
        Self::Webhook,
        Self::Operator,
        Self::Broker,
        Self::OtherTrustDomain,
        Self::WithoutUri,
        Self::TwoRoles,
        Self::OtherAuthority,
    ];

    /// Whose connection stands: all but one whose certificate another authority signed.
    pub(crate) const OF_THIS_AUTHORITY: [Self; 9] = [
        Self::Nobody,
        Self::TokenOnly,
        Self::Controller,
        Self::Webhook,
        Self::Operator,
        Self::Broker,
        Self::OtherTrustDomain,
        Self::WithoutUri,
        Self::TwoRoles,
    ];

    /// Whether this is how it is refused. What is missing is missing, what is wrong is wrong; and `Resolve` looks at no
    /// certificate, so without a token it is always the token that is missing.
    pub(crate) fn is_refused_by(self, code: Code, path: &str) -> bool {
        match self {
            // No request gets through; what the client makes of the broken connection is its own affair.
            Self::OtherAuthority => code != Code::Ok,
            Self::Nobody | Self::TokenOnly => code == Code::Unauthenticated,
            _ if path == "/keyward.v1.Secrets/Resolve" => code == Code::Unauthenticated,
            _ => code == Code::PermissionDenied,
        }
    }
}

pub(crate) struct Callers {
    ca_pem: String,
    url: String,
    /// A pod's.
    pub(crate) token: String,
    certificates: HashMap<Caller, Issued>,
}

impl Callers {
    pub(crate) fn new(stand: &Stand) -> Self {
        let ca = &stand.ca;
        let role = |role: &str| ca.issue_role(role, TRUST_DOMAIN).unwrap();
        let uris = |uris: &[String]| {
            let mut params = params_for("odd").unwrap();
            params.subject_alt_names = uris.iter().map(|uri| SanType::URI(uri.clone().try_into().unwrap())).collect();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            ca.issue(&params).unwrap()
        };
        let uri = |role: &str| format!("spiffe://{TRUST_DOMAIN}/keyward/{role}");
        let stranger = TestCa::new("stranger").unwrap();
        let certificates = HashMap::from([
            (Caller::Controller, role("controller")),
            (Caller::Webhook, role("webhook")),
            (Caller::Operator, role("operator")),
            (Caller::Broker, role("broker")),
            (Caller::OtherTrustDomain, ca.issue_role("operator", "elsewhere.test").unwrap()),
            (Caller::WithoutUri, uris(&[])),
            (Caller::TwoRoles, uris(&[uri("operator"), uri("controller")])),
            (Caller::OtherAuthority, stranger.issue_role("operator", TRUST_DOMAIN).unwrap()),
        ]);
        let token = ProjectedToken::for_pod("shop", "checkout", "checkout-1");
        let token = ProjectedToken { pod_uid: Some(POD_UID.to_owned()), ..token };
        let token = stand.emulator.projected_token(&token).unwrap();
        Self { ca_pem: ca.cert_pem(), url: stand.broker_url(), token, certificates }
    }

    /// How the call is answered.
    pub(crate) async fn call(&self, caller: Caller, path: &str) -> Code {
        code(self.answer(caller, path).await)
    }

    /// The same, with a pod's token beside the certificate.
    pub(crate) async fn call_with_token(&self, caller: Caller, path: &str) -> Code {
        code(self.try_call(caller, path, true).await)
    }

    /// The same, with the whole refusal.
    pub(crate) async fn answer(&self, caller: Caller, path: &str) -> Result<(), Status> {
        self.try_call(caller, path, caller == Caller::TokenOnly).await
    }

    /// How the call is answered of one who shows a token and no certificate.
    pub(crate) async fn call_bearing(&self, token: &str, path: &str) -> Code {
        code(self.ask(Caller::Nobody, path, Some(token)).await)
    }

    async fn try_call(&self, caller: Caller, path: &str, with_token: bool) -> Result<(), Status> {
        self.ask(caller, path, with_token.then_some(self.token.as_str())).await
    }

    async fn ask(&self, caller: Caller, path: &str, token: Option<&str>) -> Result<(), Status> {
        let channel = self.channel(caller).await?;
        let mut client = Grpc::new(channel);
        client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        let mut request = Request::new(tokio_stream::once(methods::request(path)));
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
        }
        // Every kind of method is a streaming one on the wire; one message each way is enough to know.
        let path: PathAndQuery = path.parse().unwrap();
        let mut answers = client.streaming(request, path, RawCodec).await?.into_inner();
        answers.message().await?.map(drop).ok_or_else(|| Status::unknown("no message"))
    }

    async fn channel(&self, caller: Caller) -> Result<Channel, Status> {
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca_pem));
        if let Some(issued) = self.certificates.get(&caller) {
            tls = tls.identity(Identity::from_pem(&issued.cert_pem, &issued.key_pem));
        }
        let endpoint = Endpoint::from_shared(self.url.clone()).unwrap().tls_config(tls).unwrap();
        endpoint.connect().await.map_err(|error| Status::unavailable(error.to_string()))
    }
}

fn code(answer: Result<(), Status>) -> Code {
    answer.map_or_else(|status| status.code(), |()| Code::Ok)
}
