//! One request and its answer.

use std::{future::pending, sync::Arc};

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::json;
use tokio::sync::Semaphore;

use super::{
    access::Auth,
    world::{Seen, World},
};

const MAX_BODY: usize = 64 * 1024;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `/v2/`
    Greeting,
    /// HEAD of a manifest.
    Head,
    /// GET of a manifest.
    Manifest,
    /// GET of a blob at the registry.
    Blob,
    /// GET of a blob at `/store`, where redirects lead.
    Stored,
    /// A token, by GET or POST.
    Token,
    /// Azure's `/oauth2/exchange`.
    Exchange,
    /// Anything else.
    Other,
}

/// A fault.
#[derive(Clone, Debug)]
pub enum Does {
    /// Answers with a status, and an error as registries write them.
    Status(u16),
    /// Never answers.
    Hang,
    /// Answers with a body that never ends.
    Endless,
    /// Answers with other content, under the same digest.
    Corrupt,
    /// Answers as ever, but does not tell the digest.
    NoDigest,
    /// Answers 200 with this.
    Body(String),
    /// Answers 307 with this `Location`; `DIGEST` in it becomes the last part of the path.
    Redirect(String),
    /// Answers as ever once the semaphore is closed or has a permit.
    Wait(Arc<Semaphore>),
}

/// A request, read.
pub(super) struct Asked {
    pub(super) seen: Seen,
    query: String,
}

impl Asked {
    pub(super) async fn read(home: bool, request: Request<Body>) -> Self {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path();
        let kind = match path {
            "/v2/" => Kind::Greeting,
            "/token" | "/oauth2/token" => Kind::Token,
            "/oauth2/exchange" => Kind::Exchange,
            _ if path.starts_with("/store/") => Kind::Stored,
            _ if path.contains("/manifests/") && parts.method == "HEAD" => Kind::Head,
            _ if path.contains("/manifests/") => Kind::Manifest,
            _ if path.contains("/blobs/") => Kind::Blob,
            _ => Kind::Other,
        };
        let authorization = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
        let seen = Seen {
            home,
            kind,
            method: parts.method.to_string(),
            path: parts.uri.to_string(),
            authorization: authorization.map(ToOwned::to_owned),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        Self { seen, query: parts.uri.query().unwrap_or_default().to_owned() }
    }

    fn path(&self) -> &str {
        self.seen.path.split('?').next().unwrap_or_default()
    }

    fn last(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }
}

pub(super) async fn answer(world: &World, asked: &Asked, fault: Option<Does>) -> Response {
    match fault {
        None => regular(world, asked),
        Some(Does::Status(status)) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            error(status, "FAULT", &[])
        }
        Some(Does::Hang) => pending().await,
        Some(Does::Endless) => endless(),
        Some(Does::Corrupt) => corrupted(regular(world, asked)).await,
        Some(Does::NoDigest) => {
            let mut response = regular(world, asked);
            response.headers_mut().remove("docker-content-digest");
            response
        }
        Some(Does::Body(body)) => body.into_response(),
        Some(Does::Redirect(to)) => {
            let to = to.replace("DIGEST", asked.last());
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Some(Does::Wait(gate)) => {
            if let Ok(permit) = gate.acquire().await {
                permit.forget();
            }
            regular(world, asked)
        }
    }
}

fn regular(world: &World, asked: &Asked) -> Response {
    match asked.seen.kind {
        Kind::Greeting if world.auth == Auth::Open => StatusCode::OK.into_response(),
        Kind::Greeting => unauthorized(world, ""),
        Kind::Head | Kind::Manifest => guarded(world, asked, "/manifests/", manifest),
        Kind::Blob => guarded(world, asked, "/blobs/", |world, _, digest| blob(world, digest)),
        Kind::Stored => blob(world, asked.last()),
        Kind::Token | Kind::Exchange => token(world, asked),
        Kind::Other => error(StatusCode::NOT_FOUND, "UNSUPPORTED", &[]),
    }
}

/// Answers where the caller may read the repository.
fn guarded(world: &World, asked: &Asked, at: &str, then: impl FnOnce(&World, &str, &str) -> Response) -> Response {
    let path = asked.path().strip_prefix("/v2/").unwrap_or_default();
    let (repository, version) = path.split_once(at).unwrap_or_default();
    let authorization = asked.seen.authorization.as_deref();
    if world.read(|state| state.access.allows(world.auth, repository, authorization)) {
        then(world, repository, version)
    } else {
        unauthorized(world, repository)
    }
}

fn manifest(world: &World, repository: &str, version: &str) -> Response {
    let Some((digest, document)) = world.manifest(repository, version) else {
        return error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN", &[]);
    };
    let headers = [(header::CONTENT_TYPE.as_str(), document.media_type), ("docker-content-digest", digest)];
    (headers, document.bytes).into_response()
}

fn blob(world: &World, digest: &str) -> Response {
    match world.blob(digest) {
        Some(bytes) => bytes.into_response(),
        None => error(StatusCode::NOT_FOUND, "BLOB_UNKNOWN", &[]),
    }
}

fn token(world: &World, asked: &Asked) -> Response {
    let Asked { seen, query } = asked;
    let (field, token) = world.write(|state| match (seen.kind, seen.method.as_str()) {
        (Kind::Exchange, _) => ("refresh_token", state.access.exchanged(&seen.body)),
        (_, "POST") => ("access_token", state.access.refreshed(&seen.body)),
        _ => ("token", state.access.token(query, seen.authorization.as_deref())),
    });
    match token {
        Some(token) => axum::Json(json!({ field: token, "expires_in": 300 })).into_response(),
        None => error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &[]),
    }
}

fn unauthorized(world: &World, repository: &str) -> Response {
    let realm = world.read(|state| state.access.realm.clone()).unwrap_or_else(|| format!("{}/token", world.home()));
    let challenge = match world.auth {
        Auth::Open | Auth::Basic => r#"Basic realm="fake""#.to_owned(),
        Auth::Bearer => format!(r#"Bearer realm="{realm}",service="fake",scope="repository:{repository}:pull""#),
    };
    error(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &[(header::WWW_AUTHENTICATE, challenge)])
}

fn error(status: StatusCode, code: &str, headers: &[(header::HeaderName, String)]) -> Response {
    let words = json!({"errors": [{"code": code, "message": "a message\nof two lines", "detail": null}]});
    let mut response = (status, axum::Json(words)).into_response();
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn endless() -> Response {
    let chunk = Bytes::from_static(&[b' '; 16 * 1024]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()))).into_response()
}

/// One byte more than there was.
async fn corrupted(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap_or_default().to_vec();
    bytes.push(b' ');
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(bytes))
}
