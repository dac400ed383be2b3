//! Requests in, answers out.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, Request, State as Extracted},
    http::{StatusCode, header::ACCEPT},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, patch, post},
};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use super::{Asked, Shared, State, store::Resource};

type Parameters = Query<HashMap<String, String>>;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let mut router = Router::new()
        .route("/api/v1/namespaces/{namespace}/configmaps/{name}", patch(apply))
        .route("/apis/keyward.dev/v1alpha1/azurekeyvaults/{name}/status", patch(status))
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(token_review))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(access_review));
    for resource in Resource::LISTED {
        let path = format!("{}/{}", resource.base, resource.plural);
        let answer = move |Extracted(shared): Extracted<Arc<Shared>>, parameters: Parameters| async move {
            collection(shared, resource, None, &parameters).await
        };
        router = router.route(&path, get(answer));
        let path = format!("{}/namespaces/{{namespace}}/{}", resource.base, resource.plural);
        let answer = move |Extracted(shared): Extracted<Arc<Shared>>,
                           Path(namespace): Path<String>,
                           parameters: Parameters| async move {
            collection(shared, resource, Some(namespace), &parameters).await
        };
        router = router.route(&path, get(answer));
    }
    for resource in Resource::NAMED {
        let path = format!("{}/namespaces/{{namespace}}/{}/{{name}}", resource.base, resource.plural);
        let answer = move |Extracted(shared): Extracted<Arc<Shared>>,
                           Path((namespace, name)): Path<(String, String)>| async move {
            named(&shared, resource, &namespace, &name).await
        };
        router = router.route(&path, get(answer));
    }
    router
        .fallback(|| async { refusal(403, "Forbidden") })
        .layer(middleware::from_fn_with_state(Arc::clone(&shared), noted))
        .with_state(shared)
}

/// Writes every request down. While the server is down, none is answered.
async fn noted(Extracted(shared): Extracted<Arc<Shared>>, request: Request, next: Next) -> Response {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default().to_owned();
    let asked = Asked { method: request.method().to_string(), uri: request.uri().to_string(), accept };
    let down = shared.change(|state| {
        state.requests.push(asked);
        state.down
    });
    if down {
        return Response::new(Body::from_stream(stream::iter([Err::<&str, _>(std::io::Error::other("down"))])));
    }
    next.run(request).await
}

/// Of one namespace or of all.
async fn collection(
    shared: Arc<Shared>,
    resource: Resource,
    namespace: Option<String>,
    parameters: &HashMap<String, String>,
) -> Response {
    if namespace.as_ref().is_some_and(|namespace| shared.state().closed.contains(namespace)) {
        return refusal(403, "Forbidden");
    }
    let number = |name: &str| parameters.get(name).and_then(|text| text.parse::<u64>().ok());
    if parameters.get("watch").is_some_and(|watch| watch == "true") {
        return watched(shared, resource, namespace, number("resourceVersion").unwrap_or_default());
    }
    released(&shared, resource).await;
    let [skip, limit] = [("continue", 0), ("limit", usize::MAX)]
        .map(|(name, default)| number(name).map_or(default, |number| usize::try_from(number).unwrap_or(usize::MAX)));
    Json(shared.state().store.page(resource, namespace.as_deref(), skip, limit)).into_response()
}

/// Returns once nothing of this kind is kept back.
async fn released(shared: &Shared, resource: Resource) {
    let mut moved = shared.moved.subscribe();
    while shared.state().held.contains(&resource) {
        // The sender lives as long as `shared`.
        let _ = moved.changed().await;
    }
}

/// Lines of what happens, until watches are ended.
fn watched(shared: Arc<Shared>, resource: Resource, namespace: Option<String>, from: u64) -> Response {
    let (moved, began) = (shared.moved.subscribe(), shared.state().watches);
    let lines = stream::unfold(Some((shared, moved, namespace, from)), move |watch| async move {
        let (shared, mut moved, namespace, version) = watch?;
        loop {
            let after = {
                let state = shared.state();
                if state.watches != began || state.down {
                    return None;
                }
                state.store.after(resource, namespace.as_deref(), version)
            };
            match after {
                None => return Some((gone(), None)),
                Some((lines, upto)) if !lines.is_empty() => {
                    let text = lines.iter().fold(String::new(), |text, line| text + &line.to_string() + "\n");
                    return Some((text, Some((shared, moved, namespace, upto))));
                }
                Some(_) => {}
            }
            if moved.changed().await.is_err() {
                return None;
            }
        }
    });
    Response::new(Body::from_stream(lines.map(Ok::<String, std::io::Error>)))
}

fn gone() -> String {
    let status = json!({ "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": "too old resource version", "reason": "Expired", "code": 410 });
    format!("{}\n", json!({ "type": "ERROR", "object": status }))
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

async fn apply(
    Extracted(shared): Extracted<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    Query(parameters): Parameters,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    let manager = parameters.get("fieldManager").cloned().unwrap_or_default();
    let key = (Resource::CONFIG_MAPS, namespace.as_str(), name.as_str());
    match shared.change(|state: &mut State| state.store.apply(key, &manager, body)) {
        Ok(object) => Json(object).into_response(),
        Err(()) => refusal(409, "Conflict"),
    }
}

async fn status(Extracted(shared): Extracted<Arc<Shared>>, Path(name): Path<String>, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap_or_default();
    match shared.change(|state: &mut State| state.store.patch_status(super::VAULTS, &name, &body)) {
        Some(Ok(object)) => Json(object).into_response(),
        Some(Err(())) => refusal(409, "Conflict"),
        None => refusal(404, "NotFound"),
    }
}

async fn token_review(Extracted(shared): Extracted<Arc<Shared>>, Json(review): Json<Value>) -> Response {
    Json(shared.change(|state| state.reviews.token(review))).into_response()
}

async fn access_review(Extracted(shared): Extracted<Arc<Shared>>, Json(review): Json<Value>) -> Response {
    Json(shared.change(|state| state.reviews.access(review))).into_response()
}

fn refusal(code: u16, reason: &str) -> Response {
    let status = json!({ "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "message": format!("the scripted server says {reason}"), "reason": reason, "code": code });
    (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), Json(status)).into_response()
}
