//! Who may call what: every method of the descriptors with every kind of caller, against the real broker over TLS. Exactly
//! the allowed cells pass.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "roles/callers.rs"]
mod callers;
#[path = "roles/methods.rs"]
mod methods;

use std::collections::BTreeSet;

use keyward_tests::stand::{Plan, Stand};
use tonic::Code;

use callers::{Caller, Callers};

/// Who may call each method, beside a row for each in the broker itself: written anew here, so that a slip there shows.
const ALLOWED: [(&str, &[Caller]); 11] = [
    ("/keyward.v1.Secrets/Resolve", &[Caller::TokenOnly]),
    ("/keyward.v1.Sync/Fetch", &[Caller::Controller]),
    ("/keyward.v1.Sync/Describe", &[Caller::Controller]),
    ("/keyward.v1.Sync/Watch", &[Caller::Controller]),
    ("/keyward.v1.References/Check", &[Caller::Webhook]),
    ("/keyward.v1.Cache/Status", &[Caller::Operator]),
    ("/keyward.v1.Cache/Refresh", &[Caller::Operator]),
    ("/keyward.v1.Cache/Explain", &[Caller::Operator]),
    ("/grpc.health.v1.Health/Check", &Caller::OF_THIS_AUTHORITY),
    ("/grpc.health.v1.Health/Watch", &Caller::OF_THIS_AUTHORITY),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &Caller::OF_THIS_AUTHORITY),
];

async fn stand() -> Stand {
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
            let right = if allowed { answer == Code::Ok } else { caller.is_refused_by(answer, &path) };
            if !right {
                wrong.push(format!("{caller:?} {path}: {answer:?}, allowed: {allowed}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
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
