//! The denial that is sent when there is no decision in time. Pure.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Review<'a> {
    #[serde(borrow)]
    request: Asked<'a>,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    uid: Cow<'a, str>,
}

/// For the review in `body`; `None` where it names no request.
pub(super) fn denial(body: &[u8], limit: Duration) -> Option<Bytes> {
    let Review { request: Asked { uid } } = serde_json::from_slice(body).ok()?;
    let message = format!(
        "keyward-webhook could not decide within {limit:?}: the registry of an image is probably slow. Try again, or set \
         `command` in the containers, so that no registry is asked"
    );
    let status = json!({ "code": 504, "reason": "Timeout", "message": message });
    let response = json!({ "uid": uid, "allowed": false, "status": status });
    let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response });
    serde_json::to_vec(&review).ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn it_answers_the_request_of_the_review_and_says_how_long_was_waited() {
        let body =
            br#"{"kind": "AdmissionReview", "request": {"operation": "CREATE", "uid": "7a\u002d1", "object": {}}}"#;
        let answer: Value = serde_json::from_slice(&denial(body, Duration::from_secs(9)).unwrap()).unwrap();
        assert_eq!(answer["apiVersion"], "admission.k8s.io/v1");
        assert_eq!((&answer["response"]["uid"], &answer["response"]["allowed"]), (&json!("7a-1"), &json!(false)));
        let status = &answer["response"]["status"];
        assert_eq!(status["code"], 504);
        assert!(status["message"].as_str().unwrap().contains("within 9s"), "{status}");
    }

    #[test]
    fn what_names_no_request_has_no_answer() {
        for body in ["", "{}", r#"{"request": {}}"#, r#"{"request": {"uid": 1}}"#] {
            assert_eq!(denial(body.as_bytes(), Duration::from_secs(9)), None, "{body}");
        }
    }
}
