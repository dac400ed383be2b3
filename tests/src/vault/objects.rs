//! What the three kinds of object have in common: reading, listing, changing attributes, deleting and coming back. What
//! differs is in [`super::secrets`], [`super::certificates`] and [`super::keys`].

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::attributes::{RECOVERABLE_DAYS, VersionPatch};
use super::errors::Refusal;
use super::faults::PageTrouble;
use super::links::Links;
use super::lock::lock;
use super::names::Collection;
use super::pages::{Query, page};
use super::route::{Action, Route};
use super::shelf::{Item, Shelf, ShelfError, Version};
use super::shelves::{ChangeError, Shelves};
use super::world::{Vault, World};

/// An authorised call.
pub(super) struct Call {
    pub(super) world: Arc<World>,
    pub(super) vault: Arc<Vault>,
    pub(super) route: Route,
    pub(super) links: Links,
    pub(super) query: Query,
    pub(super) body: Bytes,
    /// What an armed fault does to the list that this call asks for.
    pub(super) trouble: Option<PageTrouble>,
}

/// One kind of object.
pub(super) trait Kind {
    type Body: Clone;
    const COLLECTION: Collection;

    fn shelf(shelves: &Shelves) -> &Shelf<Self::Body>;

    /// What an answer about one version holds, save a secret's value.
    fn bundle(links: &Links, item: &Item<Self::Body>, version: &Version<Self::Body>) -> Value;

    /// What GET answers; a secret adds its value.
    fn full(links: &Links, item: &Item<Self::Body>, version: &Version<Self::Body>) -> Value {
        Self::bundle(links, item, version)
    }

    /// What a list says of an object, or of one of its versions, under this id.
    fn summary(id: String, item: &Item<Self::Body>, version: &Version<Self::Body>) -> Value;
}

impl Call {
    /// The body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(&self.body)
            // Only the place: the message itself may quote the body.
            .map_err(|error| {
                let (line, column) = (error.line(), error.column());
                Refusal::bad_parameter(format!("The body is not the JSON it should be (line {line}, column {column})."))
            })
    }

    pub(super) fn name(&self) -> &str {
        &self.route.name
    }

    pub(super) fn now(&self) -> i64 {
        self.world.clock.now()
    }
}

/// Does what all kinds do alike; `None` where only the kind itself knows.
pub(super) fn common<K: Kind>(call: &Call) -> Option<Result<Response, Refusal>> {
    Some(match call.route.action {
        Action::Get => get::<K>(call),
        Action::List => list::<K>(call),
        Action::ListVersions => list_versions::<K>(call),
        Action::ListDeleted => list_deleted::<K>(call),
        Action::GetDeleted => get_deleted::<K>(call),
        Action::Update => update::<K>(call),
        Action::Delete => delete::<K>(call),
        Action::Recover => recover::<K>(call),
        Action::Purge => purge::<K>(call),
        _ => return None,
    })
}

/// 200 with a body.
pub(super) fn ok(body: Value) -> Response {
    Json(body).into_response()
}

/// The answer about one version, as it is now.
pub(super) fn answer<K: Kind>(call: &Call, shelves: &Shelves, id: Option<&str>) -> Result<Value, Refusal> {
    let (item, version) = find::<K>(call, shelves, id)?;
    Ok(K::bundle(&call.links, item, version))
}

/// An object and one version of it.
type Found<'a, B> = (&'a Item<B>, &'a Version<B>);

/// A version, or the 404.
pub(super) fn find<'a, K: Kind>(
    call: &Call,
    shelves: &'a Shelves,
    id: Option<&str>,
) -> Result<Found<'a, K::Body>, Refusal> {
    let missing = || Refusal::not_found(K::COLLECTION, call.name());
    let item = K::shelf(shelves).get(call.name()).map_err(|_| missing())?;
    Ok((item, item.version(id).ok_or_else(missing)?))
}

/// The refusal of a change.
pub(super) fn refused(error: ChangeError, name: &str) -> Refusal {
    match error {
        ChangeError::Shelf(ShelfError::Missing, collection) => Refusal::not_found(collection, name),
        ChangeError::Shelf(ShelfError::Deleted, collection) => Refusal::deleted_name(collection, name),
        ChangeError::Shelf(ShelfError::Managed, collection) => Refusal::managed(collection, name),
        other => Refusal::bad_parameter(other.to_string()),
    }
}

fn get<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let shelves = lock(&call.vault.shelves);
    let (item, version) = find::<K>(call, &shelves, call.route.version.as_deref())?;
    if !version.attributes.enabled {
        return Err(Refusal::disabled(K::COLLECTION));
    }
    Ok(ok(K::full(&call.links, item, version)))
}

fn list<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let stale = call.trouble.as_ref().is_some_and(PageTrouble::is_stale);
    let shelves = lock(&call.vault.shelves);
    let rows = |after: Option<&str>| {
        K::shelf(&shelves).after(after).filter_map(|(key, item)| {
            let version = if stale { item.earlier() } else { item.current().filter(|_| item.deleted_at().is_none()) };
            let id = call.links.object(K::COLLECTION, &item.name);
            Some((key.clone(), K::summary(id, item, version?)))
        })
    };
    paged(call, rows, K::COLLECTION.path())
}

fn list_versions<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let shelves = lock(&call.vault.shelves);
    let (item, _) = find::<K>(call, &shelves, None)?;
    let rows = |after: Option<&str>| {
        let mut versions = item.versions_by_id();
        versions.retain(|version| after.is_none_or(|after| version.id.as_str() > after));
        versions.into_iter().map(|version| {
            let id = call.links.version(K::COLLECTION, &item.name, &version.id);
            (version.id.clone(), K::summary(id, item, version))
        })
    };
    paged(call, rows, &format!("{}/{}/versions", K::COLLECTION.path(), item.name))
}

fn list_deleted<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let shelves = lock(&call.vault.shelves);
    let rows = |after: Option<&str>| {
        let deleted = K::shelf(&shelves).after(after).filter(|(_, item)| item.deleted_at().is_some());
        deleted.filter_map(|(key, item)| {
            let id = call.links.object(K::COLLECTION, &item.name);
            let summary = K::summary(id, item, item.current()?);
            Some((key.clone(), with_deletion::<K>(call, item, summary)))
        })
    };
    paged(call, rows, K::COLLECTION.deleted_path())
}

fn paged<R: Iterator<Item = (String, Value)>>(
    call: &Call,
    rows_after: impl FnOnce(Option<&str>) -> R,
    path: &str,
) -> Result<Response, Refusal> {
    let mut page = page(rows_after, &call.query, call.world.page_size, &call.links.list(path))?;
    if let Some(trouble) = &call.trouble {
        trouble.spoil(&mut page);
    }
    Ok(ok(page.into_json()))
}

fn get_deleted<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let shelves = lock(&call.vault.shelves);
    Ok(ok(deleted_answer::<K>(call, &shelves)?))
}

fn deleted_answer<K: Kind>(call: &Call, shelves: &Shelves) -> Result<Value, Refusal> {
    let missing = || Refusal::not_found(K::COLLECTION, call.name());
    let item = K::shelf(shelves).get_deleted(call.name()).map_err(|_| missing())?;
    let bundle = K::bundle(&call.links, item, item.current().ok_or_else(missing)?);
    Ok(with_deletion::<K>(call, item, bundle))
}

fn with_deletion<K: Kind>(call: &Call, item: &Item<K::Body>, mut json: Value) -> Value {
    let deleted = item.deleted_at().unwrap_or_default();
    json["recoveryId"] = call.links.deleted(K::COLLECTION, &item.name).into();
    json["deletedDate"] = deleted.into();
    json["scheduledPurgeDate"] = (deleted + RECOVERABLE_DAYS * 86_400).into();
    json
}

fn update<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let patch: VersionPatch = call.json()?;
    let id = call.route.version.as_deref();
    let mut shelves = lock(&call.vault.shelves);
    let changed = shelves.update(K::COLLECTION, call.name(), id, &patch, call.now());
    changed.map_err(|error| refused(error, call.name()))?;
    Ok(ok(answer::<K>(call, &shelves, id)?))
}

fn delete<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let mut shelves = lock(&call.vault.shelves);
    let deleted = shelves.delete(K::COLLECTION, call.name(), call.now());
    deleted.map_err(|error| refused(error, call.name()))?;
    Ok(ok(deleted_answer::<K>(call, &shelves)?))
}

fn recover<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let mut shelves = lock(&call.vault.shelves);
    shelves.recover(K::COLLECTION, call.name()).map_err(|error| refused(error, call.name()))?;
    Ok(ok(answer::<K>(call, &shelves, None)?))
}

fn purge<K: Kind>(call: &Call) -> Result<Response, Refusal> {
    let mut shelves = lock(&call.vault.shelves);
    shelves.purge(K::COLLECTION, call.name()).map_err(|error| refused(error, call.name()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// What every summary has: the id under its member's name, attributes, tags, and whether a certificate owns it.
pub(super) fn summary_of<B>(member: &str, id: String, item: &Item<B>, version: &Version<B>) -> Value {
    let mut json = json!({"attributes": version.attributes.to_json()});
    json[member] = id.into();
    if !version.tags.is_empty() {
        json["tags"] = json!(version.tags);
    }
    if item.managed {
        json["managed"] = true.into();
    }
    json
}
