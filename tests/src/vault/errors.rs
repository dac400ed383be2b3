//! Refusals in the shape Key Vault gives them: `{"error": {"code", "message", "innererror": {"code"}}}`.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::names::Collection;

/// An answer other than success.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
    inner: Option<String>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Refusal {
    /// A refusal without inner error.
    pub(super) fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), inner: None, headers: Vec::new() }
    }

    /// Adds `innererror.code`: what SDKs do not show and readers most need.
    pub(super) fn with_inner(mut self, inner: impl Into<String>) -> Self {
        self.inner = Some(inner.into());
        self
    }

    /// Adds a header.
    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// 400 `BadParameter`.
    pub(super) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    /// 403 with the reason in `innererror`.
    pub(super) fn forbidden(inner: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner(inner)
    }

    /// 404: no such object or version.
    pub(super) fn not_found(collection: Collection, name: &str) -> Self {
        let noun = collection.noun();
        let message = format!(
            "A {} with (name/id) {name} was not found in this key vault. If you recently deleted this {} you may be \
             able to recover it using the correct recovery command.",
            noun.to_ascii_lowercase(),
            noun.to_ascii_lowercase(),
        );
        Self::new(StatusCode::NOT_FOUND, &format!("{noun}NotFound"), message)
    }

    /// 403: the version is there and switched off.
    pub(super) fn disabled(collection: Collection) -> Self {
        let noun = collection.noun();
        let message = format!("Operation get is not allowed on a disabled {}.", noun.to_ascii_lowercase());
        Self::forbidden(&format!("{noun}Disabled"), message)
    }

    /// 409: the name is held by a deleted object.
    pub(super) fn deleted_name(collection: Collection, name: &str) -> Self {
        let noun = collection.noun();
        let message = format!(
            "{noun} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this \
             state, the {} can only be recovered or purged.",
            noun.to_ascii_lowercase(),
        );
        Self::new(StatusCode::CONFLICT, "Conflict", message).with_inner("ObjectIsDeletedButRecoverable")
    }

    /// 403: a certificate owns this object.
    pub(super) fn managed(collection: Collection, name: &str) -> Self {
        let noun = collection.noun();
        let message = format!("{noun} {name} belongs to the certificate of that name; change the certificate instead.");
        Self::forbidden(&format!("{noun}ManagedByKeyVault"), message)
    }

    /// 500: the emulator itself failed. The message names the step, never a value.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }

    /// 501: real, but not offered here.
    pub(super) fn not_offered(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, "NotImplemented", format!("This emulator does not offer {what}."))
    }

    /// 403: the caller's roles do not allow this.
    pub(super) fn unauthorised(client: &str) -> Self {
        let message = format!(
            "Caller is not authorized to perform action on resource. If role assignments, deny assignments or role \
             definitions were changed recently, please observe propagation time. Caller: appid={client}"
        );
        Self::forbidden("ForbiddenByRbac", message)
    }

    /// 429, without a pause asked for.
    pub(super) fn throttled() -> Self {
        let message = "Request was not processed because too many requests were received. Reason: \
                       VaultRequestTypeLimitReached";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", message)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if let Some(inner) = self.inner {
            error["innererror"] = json!({"code": inner});
        }
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
