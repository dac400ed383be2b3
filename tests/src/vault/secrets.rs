//! `/secrets`

use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::attributes::{AttributesPatch, Tags};
use super::errors::Refusal;
use super::links::Links;
use super::lock::lock;
use super::names::Collection;
use super::objects::{Call, Kind, common, find, ok, refused, summary_of};
use super::route::Action;
use super::shelf::{Item, Shelf, Version};
use super::shelves::{Dress, SecretBody, Shelves};

/// The longest value Key Vault takes.
const MAX_VALUE: usize = 25_600;

/// Marker of the kind.
pub(super) enum Secrets {}

impl Kind for Secrets {
    type Body = SecretBody;
    const COLLECTION: Collection = Collection::Secrets;

    fn shelf(shelves: &Shelves) -> &Shelf<SecretBody> {
        &shelves.secrets
    }

    fn bundle(links: &Links, item: &Item<SecretBody>, version: &Version<SecretBody>) -> Value {
        let mut json = Self::summary(links.version(Collection::Secrets, &item.name, &version.id), item, version);
        if item.managed {
            json["kid"] = links.version(Collection::Keys, &item.name, &version.id).into();
        }
        json
    }

    fn full(links: &Links, item: &Item<SecretBody>, version: &Version<SecretBody>) -> Value {
        let mut json = Self::bundle(links, item, version);
        json["value"] = version.body.value.clone().into();
        json
    }

    fn summary(id: String, item: &Item<SecretBody>, version: &Version<SecretBody>) -> Value {
        let mut json = summary_of("id", id, item, version);
        if let Some(content_type) = &version.body.content_type {
            json["contentType"] = content_type.clone().into();
        }
        json
    }
}

#[derive(Deserialize)]
struct SetRequest {
    value: String,
    #[serde(rename = "contentType")]
    content_type: Option<String>,
    attributes: Option<AttributesPatch>,
    tags: Option<Tags>,
}

/// Serves a call.
pub(super) fn serve(call: &Call) -> Result<Response, Refusal> {
    if let Some(answer) = common::<Secrets>(call) {
        return answer;
    }
    match call.route.action {
        Action::Set => set(call),
        _ => Err(Refusal::not_offered(&call.route.operation())),
    }
}

fn set(call: &Call) -> Result<Response, Refusal> {
    let request: SetRequest = call.json()?;
    if request.value.len() > MAX_VALUE {
        return Err(Refusal::bad_parameter(format!("The secret is longer than {MAX_VALUE} bytes.")));
    }
    let dress = Dress { now: call.now(), attributes: request.attributes, tags: request.tags.unwrap_or_default() };
    let body = SecretBody { value: request.value, content_type: request.content_type };
    let mut shelves = lock(&call.vault.shelves);
    shelves.put_secret(call.name(), &dress, body).map_err(|error| refused(error, call.name()))?;
    let (item, version) = find::<Secrets>(call, &shelves, None)?;
    Ok(ok(Secrets::full(&call.links, item, version)))
}
