//! `/certificates`

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{AttributesPatch, Tags};
use super::errors::Refusal;
use super::links::Links;
use super::lock::lock;
use super::material::Material;
use super::names::Collection;
use super::objects::{Call, Kind, answer, common, find, ok, refused, summary_of};
use super::policy::Policy;
use super::route::Action;
use super::shelf::{Item, Shelf, Version};
use super::shelves::{CertificateBody, Creation, Dress, Shelves};

/// Marker of the kind.
pub(super) enum Certificates {}

impl Kind for Certificates {
    type Body = CertificateBody;
    const COLLECTION: Collection = Collection::Certificates;

    fn shelf(shelves: &Shelves) -> &Shelf<CertificateBody> {
        &shelves.certificates
    }

    fn bundle(links: &Links, item: &Item<CertificateBody>, version: &Version<CertificateBody>) -> Value {
        let name = &item.name;
        let id = |collection| links.version(collection, name, &version.id);
        let mut json = Self::summary(id(Collection::Certificates), item, version);
        json["kid"] = id(Collection::Keys).into();
        json["sid"] = id(Collection::Secrets).into();
        json["cer"] = STANDARD.encode(&version.body.cer).into();
        json["policy"] = policy_json(links, name, &version.body.policy);
        json["pending"] = json!({"id": pending_id(links, name)});
        json
    }

    fn summary(id: String, item: &Item<CertificateBody>, version: &Version<CertificateBody>) -> Value {
        let mut json = summary_of("id", id, item, version);
        json["x5t"] = version.body.thumbprint().into();
        json["subject"] = version.body.subject.clone().into();
        json
    }
}

fn policy_json(links: &Links, name: &str, policy: &Policy) -> Value {
    policy.to_json(&format!("{}/policy", links.object(Collection::Certificates, name)))
}

fn pending_id(links: &Links, name: &str) -> String {
    format!("{}/pending", links.object(Collection::Certificates, name))
}

#[derive(Deserialize)]
struct CreateRequest {
    #[serde(default)]
    policy: Value,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
}

#[derive(Deserialize)]
struct ImportRequest {
    value: String,
    pwd: Option<String>,
    #[serde(default)]
    policy: Value,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
}

/// Serves a call. Creating a certificate with an RSA key takes a moment.
pub(super) fn serve(call: &Call) -> Result<Response, Refusal> {
    if let Some(answer) = common::<Certificates>(call) {
        return answer;
    }
    match call.route.action {
        Action::Create => create(call),
        Action::Import => import(call),
        Action::GetPending => pending(call),
        Action::GetPolicy => policy(call),
        Action::UpdatePolicy => update_policy(call),
        _ => Err(Refusal::not_offered(&call.route.operation())),
    }
}

/// Answers 202 although the certificate is there already: clients must be able to wait, and to come at once.
fn create(call: &Call) -> Result<Response, Refusal> {
    let request: CreateRequest = call.json()?;
    let name = call.name();
    lock(&call.vault.shelves).admits_certificate(name).map_err(|error| refused(error, name))?;
    let policy = current_policy(call).with(&request.policy)?;
    let material = call.world.chain_authority.issue(&policy, call.now())?;
    let creation =
        Creation { request_id: uuid::Uuid::new_v4().simple().to_string(), issuer: policy.issuer.name.clone() };
    let body = operation(call, &creation, "inProgress");
    put(call, &material, policy, request.attributes, request.tags)?;
    lock(&call.vault.shelves).creations.insert(name.to_ascii_lowercase(), creation.clone());
    let mut response = (StatusCode::ACCEPTED, Json(body)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    let location = format!("{}?api-version=7.6&request_id={}", pending_id(&call.links, name), creation.request_id);
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn import(call: &Call) -> Result<Response, Refusal> {
    let request: ImportRequest = call.json()?;
    let material = Material::parse(&request.value, request.pwd.as_deref().unwrap_or_default())
        .map_err(|error| Refusal::bad_parameter(format!("Property value cannot be imported: {error}.")))?;
    let policy = current_policy(call).with(&request.policy)?;
    put(call, &material, imported(policy, &material), request.attributes, request.tags)?;
    Ok(ok(answer::<Certificates>(call, &lock(&call.vault.shelves), None)?))
}

/// What the certificate itself says goes into its policy; nobody here can issue it anew.
pub(super) fn imported(mut policy: Policy, material: &Material) -> Policy {
    "Unknown".clone_into(&mut policy.issuer.name);
    if let Ok(facts) = material.leaf_facts() {
        policy.x509_props.subject = facts.subject;
        if let Some(key) = super::jwk::from_spki(&facts.spki) {
            let text = |member: &str| key.get(member).and_then(Value::as_str).map(str::to_owned);
            policy.key_props.kty = text("kty").unwrap_or_default();
            policy.key_props.crv = text("crv");
            // Three octets are four characters of base64.
            let octets = |modulus: String| u32::try_from(modulus.len() * 3 / 4).unwrap_or_default();
            policy.key_props.key_size = text("n").map(|modulus| octets(modulus) * 8);
        }
    }
    policy
}

/// The policy a further version starts from.
fn current_policy(call: &Call) -> Policy {
    let shelves = lock(&call.vault.shelves);
    let known = find::<Certificates>(call, &shelves, None).ok().map(|(_, version)| version.body.policy.clone());
    known.unwrap_or_else(|| Policy::default_for(call.name()))
}

fn put(
    call: &Call,
    material: &Material,
    policy: Policy,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
) -> Result<(), Refusal> {
    let dress = Dress { now: call.now(), attributes, tags: tags.unwrap_or_default() };
    let put = lock(&call.vault.shelves).put_certificate(call.name(), dress, material, policy);
    put.map(drop).map_err(|error| refused(error, call.name()))
}

fn operation(call: &Call, creation: &Creation, status: &str) -> Value {
    let name = call.name();
    let mut json = json!({
        "id": pending_id(&call.links, name),
        "issuer": {"name": creation.issuer},
        "cancellation_requested": false,
        "status": status,
        "request_id": creation.request_id,
    });
    if status == "completed" {
        json["target"] = call.links.object(Collection::Certificates, name).into();
    }
    json
}

fn pending(call: &Call) -> Result<Response, Refusal> {
    let creation = lock(&call.vault.shelves).creations.get(&call.name().to_ascii_lowercase()).cloned();
    let creation = creation.ok_or_else(|| {
        let message = format!("Pending certificate not found: {}", call.name());
        Refusal::new(StatusCode::NOT_FOUND, "PendingCertificateNotFound", message)
    })?;
    Ok(ok(operation(call, &creation, "completed")))
}

fn policy(call: &Call) -> Result<Response, Refusal> {
    let shelves = lock(&call.vault.shelves);
    let (item, version) = find::<Certificates>(call, &shelves, None)?;
    Ok(ok(policy_json(&call.links, &item.name, &version.body.policy)))
}

fn update_policy(call: &Call) -> Result<Response, Refusal> {
    let asked: Value = call.json()?;
    let changed = current_policy(call).with(&asked)?;
    let mut shelves = lock(&call.vault.shelves);
    let version = shelves.certificates.version_mut(call.name(), None);
    version.map_err(|_| Refusal::not_found(Collection::Certificates, call.name()))?.body.policy = changed.clone();
    Ok(ok(policy_json(&call.links, call.name(), &changed)))
}
