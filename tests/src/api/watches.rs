//! Watches: lines of what happens, until they are ended.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use futures::{StreamExt as _, stream};
use serde_json::json;

use super::{
    Shared,
    resource::Resource,
    selector::Selector,
    shape::{self, Shape},
    store::Line,
};

pub(super) fn watch(shared: Arc<Shared>, resource: Resource, selector: Selector, shape: Shape, from: u64) -> Response {
    let (moved, began) = (shared.moved.subscribe(), shared.state().watches);
    let lines = stream::unfold(Some((shared, moved, from)), move |watch| {
        let selector = selector.clone();
        async move {
            let (shared, mut moved, version) = watch?;
            loop {
                let after = {
                    let state = shared.state();
                    if state.watches != began || state.down {
                        return None;
                    }
                    state.store.after(resource, &selector, version)
                };
                let Some((lines, upto)) = after else { return Some((gone(), None)) };
                if !lines.is_empty() {
                    let text = lines.iter().fold(String::new(), |text, told| text + &line(told, resource, shape));
                    return Some((text, Some((shared, moved, upto))));
                }
                if moved.changed().await.is_err() {
                    return None;
                }
            }
        }
    });
    Response::new(Body::from_stream(lines.map(Ok::<String, std::io::Error>)))
}

fn line(told: &Line, resource: Resource, shape: Shape) -> String {
    let (kind, object) = match told {
        Line::Bookmark(version) => ("BOOKMARK", shape.bookmark(resource, *version)),
        Line::Object(kind, object) => (*kind, shape.of(object)),
    };
    format!("{}\n", json!({ "type": kind, "object": object }))
}

fn gone() -> String {
    format!("{}\n", json!({ "type": "ERROR", "object": shape::status(410, "Expired", "too old resource version") }))
}
