//! Requests in, answers out.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Query, Request, State as Extracted},
    http::{
        HeaderMap, Method, StatusCode, Uri,
        header::{ACCEPT, CONTENT_TYPE},
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::Value;

use super::{
    Asked, Shared,
    resource::{Location, Resource},
    selector::Selector,
    shape::{self, Shape},
    store::{Key, Refusal, Store},
    watches,
};

/// As much as etcd takes, and its base64.
const MAX_BODY: usize = 4 * 1024 * 1024;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new().fallback(answer).with_state(shared)
}

/// What is asked, parsed.
struct Asking {
    method: Method,
    headers: HeaderMap,
    location: Location,
    parameters: HashMap<String, String>,
    body: Bytes,
}

/// Writes every request down. While the server is down, none is answered.
async fn answer(Extracted(shared): Extracted<Arc<Shared>>, request: Request) -> Response {
    let (Parts { method, uri, headers, .. }, body) = request.into_parts();
    let asked = Asked { method: method.to_string(), uri: uri.to_string(), accept: text(&headers, ACCEPT.as_str()) };
    let down = shared.change(|state| {
        state.requests.push(asked);
        state.down
    });
    let body = to_bytes(body, MAX_BODY).await;
    let (false, Ok(body)) = (down, body) else {
        return Response::new(Body::from_stream(stream::iter([Err::<&str, _>(std::io::Error::other("down"))])));
    };
    match (uri.path(), Location::of(uri.path())) {
        ("/apis/authentication.k8s.io/v1/tokenreviews", _) => {
            Json(shared.change(|state| state.reviews.token(parsed(&body)))).into_response()
        }
        ("/apis/authorization.k8s.io/v1/subjectaccessreviews", _) => {
            Json(shared.change(|state| state.reviews.access(parsed(&body)))).into_response()
        }
        (_, Some(location)) => {
            let parameters = parameters(&uri);
            asked_about(shared, Asking { method, headers, location, parameters, body }).await
        }
        (_, None) => refusal(403, "Forbidden"),
    }
}

async fn asked_about(shared: Arc<Shared>, asking: Asking) -> Response {
    let Location { resource, namespace, name, .. } = asking.location.clone();
    let namespace = namespace.unwrap_or_default();
    match (asking.method.as_str(), name) {
        ("GET", None) => collection(shared, &asking).await,
        ("GET", Some(name)) => named(&shared, resource, &namespace, &name).await,
        ("POST", None) => {
            let body = parsed(&asking.body);
            let key = (resource, namespace, body["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            written(&shared, 201, |store| store.create(key, &asking.manager(), body))
        }
        ("PUT", Some(name)) => {
            written(&shared, 200, |store| store.replace((resource, namespace, name), parsed(&asking.body)))
        }
        ("PATCH", Some(name)) => written(&shared, 200, |store| patched(store, (resource, namespace, name), &asking)),
        ("DELETE", Some(name)) => written(&shared, 200, |store| {
            store.delete(&(resource, namespace, name), &parsed(&asking.body)["preconditions"])
        }),
        _ => refusal(405, "MethodNotAllowed"),
    }
}

fn patched(store: &mut Store, key: Key, asking: &Asking) -> Result<Value, Refusal> {
    let body = parsed(&asking.body);
    match (text(&asking.headers, CONTENT_TYPE.as_str()).as_str(), asking.location.status) {
        ("application/merge-patch+json", true) => store.merge_status(key, &body),
        ("application/merge-patch+json", false) => store.merge(key, &body),
        ("application/json-patch+json", false) => store.edit(key, &body),
        ("application/apply-patch+yaml", false) => store.apply(key, &asking.manager(), body),
        _ => Err(Refusal::Invalid),
    }
}

async fn collection(shared: Arc<Shared>, asking: &Asking) -> Response {
    let Asking { location: Location { resource, namespace, .. }, parameters, .. } = asking;
    if namespace.as_ref().is_some_and(|namespace| shared.state().closed.contains(namespace)) {
        return refusal(403, "Forbidden");
    }
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse::<u64>().ok());
    let selector = Selector::new(namespace.as_deref(), parameters);
    let shape = Shape::asked_for(&text(&asking.headers, ACCEPT.as_str()));
    if parameters.get("watch").is_some_and(|watch| watch == "true") {
        return watches::watch(shared, *resource, selector, shape, number("resourceVersion").unwrap_or_default());
    }
    released(&shared, *resource).await;
    let [skip, limit] = [("continue", 0), ("limit", usize::MAX)]
        .map(|(name, default)| number(name).map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX)));
    let state = shared.state();
    let all = state.store.all(*resource, &selector);
    Json(shape.list(*resource, state.store.version(), &all, skip, limit)).into_response()
}

/// Returns once nothing of this kind is kept back.
async fn released(shared: &Shared, resource: Resource) {
    let mut moved = shared.moved.subscribe();
    while shared.state().held.contains(&resource) {
        // The sender lives as long as `shared`.
        let _ = moved.changed().await;
    }
}

async fn named(shared: &Shared, resource: Resource, namespace: &str, name: &str) -> Response {
    released(shared, resource).await;
    let state = shared.state();
    if state.forbidden.contains(&resource) {
        return refusal(403, "Forbidden");
    }
    match state.store.get(resource, namespace, name) {
        Some(object) => Json(object).into_response(),
        None => refusal(404, "NotFound"),
    }
}

fn written(shared: &Shared, code: u16, write: impl FnOnce(&mut Store) -> Result<Value, Refusal>) -> Response {
    match shared.change(|state| write(&mut state.store)) {
        Ok(object) => (status_code(code), Json(object)).into_response(),
        Err(Refusal::NotFound) => refusal(404, "NotFound"),
        Err(Refusal::AlreadyExists) => refusal(409, "AlreadyExists"),
        Err(Refusal::Conflict) => refusal(409, "Conflict"),
        Err(Refusal::Invalid) => refusal(422, "Invalid"),
    }
}

impl Asking {
    fn manager(&self) -> String {
        self.parameters.get("fieldManager").cloned().unwrap_or_default()
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

fn parameters(uri: &Uri) -> HashMap<String, String> {
    Query::try_from_uri(uri).map(|Query(parameters)| parameters).unwrap_or_default()
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

fn status_code(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn refusal(code: u16, reason: &str) -> Response {
    let message = format!("the scripted server says {reason}");
    (status_code(code), Json(shape::status(code, reason, &message))).into_response()
}
