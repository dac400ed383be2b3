//! An API server of a few objects, which checks revisions, and keeps what it was asked.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Mutex},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::{Client, client::Body};
use serde_json::{Value, json};

pub(super) const HOOKS: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/keyward";
const SECRETS: &str = "/api/v1/namespaces/keyward/secrets";

#[derive(Default)]
pub(super) struct Server(Mutex<Held>);

#[derive(Default)]
struct Held {
    objects: BTreeMap<String, Value>,
    revision: u32,
    /// Method and path; a write of a path that begins so is refused with the code.
    refused: Option<(String, u16)>,
    asked: Vec<(Method, String)>,
    events: Vec<Value>,
}

pub(super) fn secret(name: &str) -> String {
    format!("{SECRETS}/{name}")
}

impl Server {
    pub(super) fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = Arc::clone(&server);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        Client::new(service, "keyward")
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut held = self.0.lock().unwrap();
        let path = head.uri.path().to_owned();
        held.asked.push((head.method.clone(), path.clone()));
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let code = match held.refused.clone() {
            Some((refused, code)) if head.method != Method::GET && path.starts_with(&refused) => Err(code),
            _ => held.handle(&head.method, &path, body),
        };
        let (code, answer) = match code {
            Ok(answer) => (200, answer),
            Err(code) => (code, json!({"kind": "Status", "message": "the scripted server refuses"})),
        };
        let builder = Response::builder().status(StatusCode::from_u16(code).unwrap());
        builder.body(Body::from(answer.to_string().into_bytes())).unwrap()
    }

    pub(super) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().put(path, object);
    }

    pub(super) fn delete(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    pub(super) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().unwrap().objects.get(path).cloned()
    }

    /// Changes an object as somebody else would.
    pub(super) fn edit(&self, path: &str, edit: impl FnOnce(&mut Value)) {
        let mut object = self.get(path).unwrap();
        edit(&mut object);
        self.put(path, object);
    }

    /// Writes to paths that begin so are refused from now on.
    pub(super) fn refuse(&self, path: &str, code: u16) {
        self.0.lock().unwrap().refused = Some((path.to_owned(), code));
    }

    pub(super) fn allow(&self) {
        self.0.lock().unwrap().refused = None;
    }

    /// Writes of objects so far, and forgets them.
    pub(super) fn writes(&self) -> Vec<(Method, String)> {
        let mut asked = std::mem::take(&mut self.0.lock().unwrap().asked);
        asked.retain(|(method, path)| method != Method::GET && !path.contains("events"));
        asked
    }

    /// Reasons of events so far.
    pub(super) fn events(&self) -> Vec<String> {
        self.0.lock().unwrap().events.iter().map(|event| event["reason"].as_str().unwrap().to_owned()).collect()
    }

    /// A text in a Secret.
    pub(super) fn text(&self, name: &str, key: &str) -> Option<String> {
        let object = self.get(&secret(name))?;
        let encoded = object["data"][key].as_str()?;
        Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
    }
}

impl Held {
    fn put(&mut self, path: &str, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        self.objects.insert(path.to_owned(), object);
    }

    fn handle(&mut self, method: &Method, path: &str, body: Value) -> Result<Value, u16> {
        if path.ends_with("/events") {
            self.events.push(body);
            return Ok(json!({"metadata": {}, "action": "", "eventTime": null}));
        }
        let named = if method == Method::POST {
            format!("{path}/{}", body["metadata"]["name"].as_str().unwrap())
        } else {
            path.to_owned()
        };
        let known = self.objects.get(&named).cloned();
        match (method.as_str(), known) {
            ("GET", known) => return known.ok_or(404),
            ("POST", None) if body["metadata"].get("resourceVersion").is_none() => self.put(&named, body),
            ("PUT", Some(known)) if body["metadata"]["resourceVersion"] == known["metadata"]["resourceVersion"] => {
                assert_eq!(body["type"], known["type"], "a type cannot be changed");
                self.put(&named, body);
            }
            ("POST" | "PUT", Some(_)) => return Err(409),
            ("PATCH", Some(mut known)) => {
                patch(&mut known, &body)?;
                self.put(&named, known);
            }
            (_, None) => return Err(404),
            _ => return Err(405),
        }
        Ok(self.objects[&named].clone())
    }
}

/// As far as it is needed here.
fn patch(object: &mut Value, operations: &Value) -> Result<(), u16> {
    for operation in operations.as_array().ok_or(400_u16)? {
        let path = operation["path"].as_str().ok_or(400_u16)?;
        if operation["op"] == "test" {
            (object.pointer(path) == Some(&operation["value"])).then_some(()).ok_or(422_u16)?;
            continue;
        }
        let (parent, name) = path.rsplit_once('/').ok_or(400_u16)?;
        object.pointer_mut(parent).ok_or(422_u16)?[name] = operation["value"].clone();
    }
    Ok(())
}
