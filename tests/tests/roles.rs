//! Who may call what: every method of the descriptors with every kind of caller, against the real broker over TLS. Exactly
//! the allowed cells pass.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "roles/callers.rs"]
mod callers;
#[path = "roles/methods.rs"]
mod methods;

use std::collections::BTreeSet;

use keyward_tests::{
    api::{ApiServer, TokenStatus},
    stand::{Plan, Stand},
    vault::ProjectedToken,
};
use tonic::Code;

use callers::{Caller, Callers};

/// Who may call each method, beside a row for each in the broker itself: written anew here, so that a slip there shows.
const ALLOWED: [(&str, &[Caller]); 17] = [
    ("/keyward.v1.Secrets/Resolve", &[Caller::TokenOnly]),
    ("/keyward.v1.Sync/Fetch", &[Caller::Controller]),
    ("/keyward.v1.Sync/Describe", &[Caller::Controller]),
    ("/keyward.v1.Sync/Watch", &[Caller::Controller]),
    ("/keyward.v1.References/Check", &[Caller::Webhook]),
    ("/keyward.v1.Peers/Follow", &[Caller::Broker]),
    ("/keyward.v1.Peers/Read", &[Caller::Broker]),
    ("/keyward.v1.Peers/Check", &[Caller::Broker]),
    ("/keyward.v1.Peers/Hint", &[Caller::Broker]),
    ("/keyward.v1.Peers/Redeem", &[Caller::Broker]),
    ("/keyward.v1.Peers/Entrust", &[Caller::Broker]),
    ("/keyward.v1.Cache/Status", &[Caller::Operator]),
    ("/keyward.v1.Cache/Refresh", &[Caller::Operator]),
    ("/keyward.v1.Cache/Explain", &[Caller::Operator]),
    ("/grpc.health.v1.Health/Check", &Caller::OF_THIS_AUTHORITY),
    ("/grpc.health.v1.Health/Watch", &Caller::OF_THIS_AUTHORITY),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &Caller::OF_THIS_AUTHORITY),
];

/// What an operator's token opens beside what is open to anyone, where there is an API server to ask.
const BY_OPERATOR_TOKEN: [&str; 3] =
    ["/keyward.v1.Cache/Status", "/keyward.v1.Cache/Refresh", "/keyward.v1.Cache/Explain"];

async fn stand() -> Stand {
    Stand::start(plan()).await.unwrap()
}

fn plan() -> Plan {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let objects = "vaults: {acme: {secrets: {db: {value: kwcanary-db}}}}\n\
                   identities:\n  - clientId: 22222222-2222-2222-2222-222222222222\n    \
                   federatedSubjects: [\"system:serviceaccount:keyward:keyward-broker\"]\n";
    let mut plan = Plan { objects: objects.to_owned(), ..Plan::default() };
    let manifests = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: acme, url: https://acme.emulated, namespaces: {names: [shop]}}
---
apiVersion: spv.no/v2beta1
kind: AzureKeyVaultSecret
metadata: {name: db, namespace: shop}
spec: {vault: {name: acme, object: {name: db, type: secret}}, output: {secret: {name: db, dataKey: value}}}
";
    plan.manifests.insert("all.yaml".to_owned(), manifests.to_owned());
    plan
}

/// The same manifests and tokens, which an API server is asked about.
async fn stand_beside(api: &ApiServer) -> Stand {
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), api.kubeconfig("keyward")).unwrap();
    let mut plan = plan();
    plan.without.extend(["KEYWARD_JWKS_ISSUER", "KEYWARD_JWKS_CA_FILE"].map(str::to_owned));
    plan.broker_environment.extend([
        ("KEYWARD_AUTHN".to_owned(), "token-review".to_owned()),
        ("KUBECONFIG".to_owned(), config.path().display().to_string()),
    ]);
    Stand::start(plan).await.unwrap()
}

#[test]
fn every_method_of_the_descriptors_has_a_row() {
    let named: BTreeSet<String> = ALLOWED.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(named, methods::described());
}

#[tokio::test]
async fn exactly_the_allowed_cells_pass() {
    let stand = stand().await;
    let callers = Callers::new(&stand);
    let mut wrong = Vec::new();
    for path in methods::described() {
        let allowed = ALLOWED.iter().find(|(named, _)| *named == path).map_or(&[][..], |(_, allowed)| allowed);
        for caller in Caller::ALL {
            let answer = callers.call(caller, &path).await;
            let allowed = allowed.contains(&caller);
            let right = if allowed { answer == methods::answer(&path) } else { caller.is_refused_by(answer, &path) };
            if !right {
                wrong.push(format!("{caller:?} {path}: {answer:?}, allowed: {allowed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn an_operator_s_token_opens_the_cache_and_nothing_else_and_a_pod_s_does_not() {
    let api = ApiServer::start().await.unwrap();
    let stand = stand_beside(&api).await;
    let callers = Callers::new(&stand);
    let operator = stand.emulator.projected_token(&ProjectedToken::unbound("ops", "oncall")).unwrap();
    api.review(&operator, TokenStatus::of_service_account("ops", "oncall"));
    api.review(&callers.token, TokenStatus::of_pod("shop", "checkout", "checkout-1", callers::POD_UID));
    for verb in ["get", "update"] {
        api.allow("system:serviceaccount:ops:oncall", verb);
    }
    for path in methods::described() {
        let anyone = ALLOWED.iter().any(|(named, who)| *named == path && who.contains(&Caller::Nobody));
        let (cache, pods) = (BY_OPERATOR_TOKEN.contains(&path.as_str()), path == "/keyward.v1.Secrets/Resolve");
        let expected = |opens: bool| if anyone || opens { Code::Ok } else { Code::Unauthenticated };
        assert_eq!(callers.call_bearing(&operator, &path).await, expected(cache), "{path}");
        let of_a_pod = if cache { Code::PermissionDenied } else { expected(pods) };
        assert_eq!(callers.call_bearing(&callers.token, &path).await, of_a_pod, "{path}");
    }
}

#[tokio::test]
async fn a_method_that_nobody_serves_is_open_to_nobody() {
    let stand = stand().await;
    let callers = Callers::new(&stand);
    for path in ["/keyward.v1.Cache/Delete", "/keyward.v1.Cache/status", "/keyward.v1.Admin/Do", "/", "/x"] {
        for caller in [Caller::Operator, Caller::Controller, Caller::TokenOnly, Caller::Nobody] {
            assert_eq!(callers.call(caller, path).await, Code::Unimplemented, "{caller:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_roles_certificate_neither_replaces_a_pods_token_nor_takes_from_it() {
    let stand = stand().await;
    let callers = Callers::new(&stand);
    let path = "/keyward.v1.Secrets/Resolve";
    for caller in [Caller::Controller, Caller::Webhook, Caller::Operator, Caller::Broker] {
        assert_eq!(callers.call(caller, path).await, Code::Unauthenticated, "{caller:?}");
        assert_eq!(callers.call_with_token(caller, path).await, Code::Ok, "{caller:?} with a token");
    }
}

#[tokio::test]
async fn a_pods_token_adds_nothing_to_a_certificate() {
    let stand = stand().await;
    let callers = Callers::new(&stand);
    for path in ["/keyward.v1.Sync/Fetch", "/keyward.v1.Cache/Status", "/keyward.v1.References/Check"] {
        assert_eq!(callers.call_with_token(Caller::Broker, path).await, Code::PermissionDenied, "{path}");
    }
}

#[tokio::test]
async fn a_refusal_names_its_reason_for_people_and_for_programs() {
    use tonic_types::StatusExt as _;
    let stand = stand().await;
    let callers = Callers::new(&stand);
    for (caller, reason, words) in [
        (Caller::Nobody, "CERTIFICATE_MISSING", "needs a client certificate of role `operator`"),
        (Caller::Webhook, "ROLE_NOT_ADMITTED", "role `webhook` may not call this method; `operator` may"),
        (Caller::WithoutUri, "CERTIFICATE_WITHOUT_ROLE", "carries 0 URI names"),
        (Caller::TwoRoles, "CERTIFICATE_WITHOUT_ROLE", "carries 2 URI names"),
        (Caller::OtherTrustDomain, "CERTIFICATE_WITHOUT_ROLE", "is no role of trust domain"),
    ] {
        let refused = callers.answer(caller, "/keyward.v1.Cache/Status").await.unwrap_err();
        let info = refused.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "keyward.dev"), "{caller:?}");
        assert!(refused.message().contains(words), "{caller:?}: {}", refused.message());
    }
}
