//! `AdmissionReview`s as an API server sends them: the pod of a Deployment with its defaults and managed fields, three of its
//! variables references. Each with another pod and another UID.

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::Value;

/// With `{UID}`, `{POD}` and `{IMAGE}` in it.
const REVIEW: &str = include_str!("reviews/review.json");

/// What differs between reviews.
const PLACES: [&str; 3] = ["{UID}", "{POD}", "{IMAGE}"];

/// Makes them.
#[derive(Clone, Debug)]
pub struct Reviews(String);

/// One of them.
#[derive(Clone, Debug)]
pub struct Review {
    /// Comes back in the answer.
    pub uid: String,
    /// What is sent.
    pub body: Bytes,
}

impl Reviews {
    /// Of pods that say what they run.
    pub fn with_command() -> anyhow::Result<Self> {
        Self::of(|_| {})
    }

    /// Of pods whose image says it.
    pub fn without_command() -> anyhow::Result<Self> {
        Self::of(|container| ["command", "args"].iter().for_each(|field| drop(container.remove(*field))))
    }

    fn of(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> anyhow::Result<Self> {
        let mut review: Value = serde_json::from_str(REVIEW)?;
        let container = review.pointer_mut("/request/object/spec/containers/0").and_then(Value::as_object_mut);
        change(container.context("the review has no container")?);
        let text = review.to_string();
        ensure!(PLACES.iter().all(|place| text.contains(place)), "the review lacks one of {PLACES:?}");
        Ok(Self(text))
    }

    /// The review of that number, of a pod with that image.
    pub fn one(&self, number: usize, image: &str) -> Review {
        let uid = format!("705ab4f5-6393-4ee8-a7cc-{number:012x}");
        let pod = format!("checkout-6d5f9c7b8-{number:05x}");
        let values = [uid.as_str(), &pod, image];
        let filled = PLACES.iter().zip(values).fold(self.0.clone(), |text, (place, value)| text.replace(place, value));
        Review { uid, body: filled.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_review_is_another_pods_and_as_large_as_real_ones() {
        let reviews = Reviews::with_command().unwrap();
        let (one, other) = (reviews.one(1, "a:1"), reviews.one(2, "a:1"));
        assert_ne!(one.uid, other.uid);
        assert!((6_000..10_000).contains(&one.body.len()), "{} bytes", one.body.len());
        let read: Value = serde_json::from_slice(&one.body).unwrap();
        assert_eq!(read["request"]["uid"], one.uid);
        assert_eq!(read["request"]["name"], read["request"]["object"]["metadata"]["name"]);
        let container = &read["request"]["object"]["spec"]["containers"][0];
        assert_eq!((&container["image"], container["command"].is_array()), (&Value::from("a:1"), true));
    }

    #[test]
    fn a_pod_whose_image_decides_has_no_command() {
        let review = Reviews::without_command().unwrap().one(1, "a:1");
        let read: Value = serde_json::from_slice(&review.body).unwrap();
        let container = &read["request"]["object"]["spec"]["containers"][0];
        assert_eq!((&container["command"], &container["args"]), (&Value::Null, &Value::Null));
    }
}
