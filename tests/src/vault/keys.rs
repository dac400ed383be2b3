//! `/keys`: public halves only; there are no cryptographic operations.

use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::attributes::{AttributesPatch, Tags};
use super::errors::Refusal;
use super::jwk::Jwk;
use super::keymaker::KeySpec;
use super::links::Links;
use super::lock::lock;
use super::names::Collection;
use super::objects::{Call, Kind, answer, common, ok, refused, summary_of};
use super::route::Action;
use super::shelf::{Item, Shelf, Version};
use super::shelves::{Dress, KeyBody, Shelves, all_key_ops};

/// Members of a JSON Web Key that may be shown.
const PUBLIC_MEMBERS: [&str; 6] = ["kty", "n", "e", "crv", "x", "y"];

/// Marker of the kind.
pub(super) enum Keys {}

impl Kind for Keys {
    type Body = KeyBody;
    const COLLECTION: Collection = Collection::Keys;

    fn shelf(shelves: &Shelves) -> &Shelf<KeyBody> {
        &shelves.keys
    }

    fn bundle(links: &Links, item: &Item<KeyBody>, version: &Version<KeyBody>) -> Value {
        let mut key = version.body.jwk.clone();
        key.insert("kid".to_owned(), links.version(Collection::Keys, &item.name, &version.id).into());
        key.insert("key_ops".to_owned(), json!(version.body.key_ops));
        let mut json = json!({"key": key, "attributes": version.attributes.to_json()});
        if !version.tags.is_empty() {
            json["tags"] = json!(version.tags);
        }
        if item.managed {
            json["managed"] = true.into();
        }
        json
    }

    fn summary(id: String, item: &Item<KeyBody>, version: &Version<KeyBody>) -> Value {
        summary_of("kid", id, item, version)
    }
}

#[derive(Deserialize)]
struct CreateRequest {
    kty: String,
    key_size: Option<u32>,
    crv: Option<String>,
    key_ops: Option<Vec<String>>,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
}

#[derive(Deserialize)]
struct ImportRequest {
    key: Jwk,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
}

/// Serves a call. Creating an RSA key takes a moment.
pub(super) fn serve(call: &Call) -> Result<Response, Refusal> {
    if let Some(answer) = common::<Keys>(call) {
        return answer;
    }
    match call.route.action {
        Action::Create => create(call),
        Action::Import => import(call),
        _ => Err(Refusal::not_offered(&call.route.operation())),
    }
}

fn create(call: &Call) -> Result<Response, Refusal> {
    let request: CreateRequest = call.json()?;
    let spec = KeySpec::from_request(&request.kty, request.key_size, request.crv.as_deref());
    let key = spec.and_then(KeySpec::make_public).map_err(|error| Refusal::bad_parameter(error.to_string()))?;
    let body = body(key, &request.kty, request.key_ops);
    put(call, body, request.attributes, request.tags)
}

fn import(call: &Call) -> Result<Response, Refusal> {
    let request: ImportRequest = call.json()?;
    let key: Jwk =
        request.key.clone().into_iter().filter(|(name, _)| PUBLIC_MEMBERS.contains(&name.as_str())).collect();
    let has = |names: &[&str]| names.iter().all(|name| key.get(*name).is_some_and(Value::is_string));
    let kty = key.get("kty").and_then(Value::as_str).unwrap_or_default().to_owned();
    let complete = match kty.trim_end_matches("-HSM") {
        "RSA" => has(&["n", "e"]),
        "EC" => has(&["crv", "x", "y"]),
        _ => false,
    };
    if !complete {
        return Err(Refusal::bad_parameter("Property key is neither a whole RSA key nor a whole EC key."));
    }
    let key_ops = request.key.get("key_ops").and_then(|ops| serde_json::from_value(ops.clone()).ok());
    put(call, body(key, &kty, key_ops), request.attributes, request.tags)
}

/// Keeps `-HSM` in `kty`, as the service does for keys in hardware.
pub(super) fn body(mut jwk: Jwk, kty: &str, key_ops: Option<Vec<String>>) -> KeyBody {
    jwk.insert("kty".to_owned(), kty.into());
    KeyBody { jwk, key_ops: key_ops.filter(|ops| !ops.is_empty()).unwrap_or_else(all_key_ops) }
}

fn put(
    call: &Call,
    body: KeyBody,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
) -> Result<Response, Refusal> {
    let dress = Dress { now: call.now(), attributes, tags: tags.unwrap_or_default() };
    let mut shelves = lock(&call.vault.shelves);
    shelves.put_key(call.name(), &dress, body).map_err(|error| refused(error, call.name()))?;
    Ok(ok(answer::<Keys>(call, &shelves, None)?))
}
