//! Token endpoints: who gets one, who does not and why, and what a token opens.

use keyward_tests::vault::{Emulator, ProjectedToken};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::support::{CLIENT, CLIENT_SECRET, Raw, SCOPE, TENANT, answer, ask_token, empty, emulator, http};

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn broker() -> ProjectedToken {
    ProjectedToken::for_pod("keyward", "keyward-broker", "keyward-broker-0").audience("api://AzureADTokenExchange")
}

async fn by_assertion(emulator: &Emulator, assertion: &str) -> (StatusCode, Value) {
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_assertion_type", JWT_BEARER),
        ("client_assertion", assertion),
        ("scope", SCOPE),
    ];
    ask_token(emulator, &fields).await
}

#[tokio::test]
async fn a_listed_service_account_signs_in_with_its_projected_token() {
    let emulator = emulator("vaults: {acme: {secrets: {a: {value: kwcanary}}}}").await;
    let assertion = emulator.projected_token(&broker()).unwrap();
    // As read from a file that ends in a newline.
    let (status, body) = by_assertion(&emulator, &format!("{assertion}\n")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
    let url = format!("{}/secrets/a?api-version=7.6", emulator.vault_url("acme"));
    let request = http(&emulator).get(url).bearer_auth(body["access_token"].as_str().unwrap());
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn other_assertions_are_refused_with_entras_numbers() {
    let emulator = empty().await;
    let forge = emulator.forge();
    let mut foreign = forge.claims(&broker());
    foreign["iss"] = json!("https://elsewhere.example");
    for (what, assertion, number) in [
        ("another audience", emulator.projected_token(&broker().audience("keyward-broker")).unwrap(), 700_212),
        (
            "another subject",
            emulator
                .projected_token(
                    &ProjectedToken::for_pod("shop", "checkout", "checkout-1").audience("api://AzureADTokenExchange"),
                )
                .unwrap(),
            700_213,
        ),
        ("expired", forge.expired(&broker()).unwrap(), 700_024),
        ("another key", forge.wrong_key(&broker()).unwrap(), 700_211),
        ("alg none", forge.unsigned(&broker()), 700_211),
        ("another issuer", forge.sign(&foreign).unwrap(), 700_211),
        ("no token", "x".to_owned(), 700_211),
    ] {
        let (status, body) = by_assertion(&emulator, &assertion).await;
        assert_eq!((status, &body["error"]), (StatusCode::UNAUTHORIZED, &json!("invalid_client")), "{what}");
        assert_eq!(body["error_codes"], json!([number]), "{what}");
        assert!(body["error_description"].as_str().unwrap().starts_with(&format!("AADSTS{number}: ")), "{what}");
    }
}

#[tokio::test]
async fn other_requests_are_refused_with_entras_numbers() {
    let emulator = empty().await;
    let good = [
        ("grant_type", "client_credentials"),
        ("client_id", CLIENT),
        ("client_secret", CLIENT_SECRET),
        ("scope", SCOPE),
    ];
    for (field, value, status, error, number) in [
        ("client_secret", "wrong", 401, "invalid_client", 7_000_215),
        ("client_secret", "", 401, "invalid_client", 7_000_218),
        ("client_id", "nobody", 400, "unauthorized_client", 700_016),
        ("grant_type", "password", 400, "unsupported_grant_type", 70_003),
        ("scope", "", 400, "invalid_request", 900_144),
        ("scope", "openid", 400, "invalid_scope", 1_002_012),
    ] {
        let fields = good.map(|(name, usual)| (name, if name == field { value } else { usual }));
        let (got, body) = ask_token(&emulator, &fields).await;
        assert_eq!((got.as_u16(), &body["error"]), (status, &json!(error)), "{field}={value}");
        assert_eq!(body["error_codes"], json!([number]), "{field}={value}");
        assert!(!body.to_string().contains(CLIENT_SECRET), "a refusal must not quote the secret");
    }
    let url = format!("{}/another-tenant/oauth2/v2.0/token", emulator.authority());
    let unknown = answer(http(&emulator).post(url).body("grant_type=client_credentials").send().await.unwrap()).await;
    assert_eq!(unknown.body["error_codes"], json!([90_002]));
}

#[tokio::test]
async fn discovery_names_the_endpoints_of_entra_and_of_the_cluster() {
    let emulator = empty().await;
    let client = http(&emulator);
    let read = async |url: String| answer(client.get(url).send().await.unwrap()).await.body;
    let authority = emulator.authority();
    let entra = read(format!("{authority}/{TENANT}/v2.0/.well-known/openid-configuration")).await;
    assert_eq!(entra["token_endpoint"], format!("{authority}/{TENANT}/oauth2/v2.0/token"));
    assert!(read(entra["jwks_uri"].as_str().unwrap().to_owned()).await["keys"].is_array());
    assert!(read(format!("{authority}/common/discovery/instance")).await["metadata"].is_array());

    let cluster = read(format!("{}/.well-known/openid-configuration", emulator.issuer())).await;
    assert_eq!((&cluster["issuer"], &cluster["jwks_uri"]), (&json!(emulator.issuer()), &json!(emulator.jwks_url())));
    let keys = read(emulator.jwks_url()).await;
    assert_eq!((&keys["keys"][0]["alg"], &keys["keys"][0]["use"]), (&json!("RS256"), &json!("sig")));
}

#[tokio::test]
async fn the_issuer_gives_a_projected_token_for_the_asking() {
    let emulator = empty().await;
    let url = format!("{}/projected-token", emulator.issuer());
    let ask = json!({"namespace": "keyward", "serviceAccount": "keyward-broker", "pod": "p",
                     "audience": "api://AzureADTokenExchange", "expirationSeconds": 600});
    let got = answer(http(&emulator).post(&url).json(&ask).send().await.unwrap()).await;
    let (status, _) = by_assertion(&emulator, got.body["token"].as_str().unwrap()).await;
    assert_eq!(status, StatusCode::OK);
    let bad = answer(http(&emulator).post(&url).json(&json!({"namespace": "a"})).send().await.unwrap()).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn managed_identity_needs_its_headers_and_answers_times_as_strings() {
    let emulator = empty().await;
    let client = http(&emulator);
    let endpoints = emulator.endpoints();
    let imds = format!(
        "{}/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fvault.azure.net",
        endpoints.http
    );
    let service = format!("{}?api-version=2019-08-01&resource=https://vault.azure.net", endpoints.identity_endpoint);
    let header = endpoints.identity_header.as_str();
    for (what, url, headers, status) in [
        ("IMDS", &imds, vec![("metadata", "true")], 200),
        ("IMDS without header", &imds, vec![], 400),
        ("IMDS, forwarded", &imds, vec![("metadata", "true"), ("x-forwarded-for", "10.0.0.1")], 400),
        ("App Service", &service, vec![("x-identity-header", header)], 200),
        ("App Service, wrong header", &service, vec![("x-identity-header", "x")], 401),
        ("App Service without header", &service, vec![], 401),
    ] {
        let request = headers.iter().fold(client.get(url), |request, (name, value)| request.header(*name, *value));
        let got = answer(request.send().await.unwrap()).await;
        assert_eq!(got.status.as_u16(), status, "{what}");
        if status == 200 {
            assert!(got.body["expires_on"].is_string(), "{what}");
            assert_eq!(got.body["resource"], "https://vault.azure.net", "{what}");
        }
    }
    let other = client.get(format!("{imds}&client_id=unknown")).header("metadata", "true").send().await.unwrap();
    assert_eq!(answer(other).await.body["error_description"], "Identity not found");
}

#[tokio::test]
async fn access_is_what_the_list_says_and_can_be_taken_away() {
    let vaults = "vaults: {acme: {secrets: {a: {value: kwcanary}}}, shut: {refuse: ForbiddenByConnection}}";
    let emulator = emulator(vaults).await;
    let raw = Raw::new(&emulator, "acme").await;
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    let grant = keyward_tests::vault::config::Grant { vault: None, operations: vec!["SecretGet".into()] };
    emulator.identities().set_access(CLIENT, Some(&[grant]));
    assert_eq!(raw.get("/secrets/a").await.status, StatusCode::OK);
    let list = raw.get("/secrets").await;
    assert_eq!((list.status, list.error()), (StatusCode::FORBIDDEN, ("Forbidden", Some("ForbiddenByRbac"))));
    let shut =
        raw.send_url(Method::GET, &format!("{}/secrets?api-version=7.6", emulator.vault_url("shut")), None).await;
    assert_eq!(shut.error(), ("Forbidden", Some("ForbiddenByConnection")));
}
