//! The attributes every version has, and how requests change them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

/// Days a deleted object can be recovered.
pub(super) const RECOVERABLE_DAYS: i64 = 90;

/// Attributes of a version; times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub(super) enabled: bool,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
    pub(super) created: i64,
    pub(super) updated: i64,
}

/// Attributes in a request. What a caller may not set is ignored, as Key Vault does.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct AttributesPatch {
    pub(super) enabled: Option<bool>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
}

/// Tags of a version.
pub(super) type Tags = BTreeMap<String, String>;

/// What `PATCH /COLLECTION/NAME/VERSION` may carry.
#[derive(Clone, Default, Deserialize)]
pub(super) struct VersionPatch {
    #[serde(default)]
    pub(super) attributes: Option<AttributesPatch>,
    pub(super) tags: Option<Tags>,
    #[serde(rename = "contentType")]
    pub(super) content_type: Option<String>,
    pub(super) key_ops: Option<Vec<String>>,
}

impl Attributes {
    /// Of a version made now.
    pub(super) fn new(now: i64, asked: Option<AttributesPatch>) -> Self {
        let asked = asked.unwrap_or_default();
        Self { enabled: asked.enabled.unwrap_or(true), nbf: asked.nbf, exp: asked.exp, created: now, updated: now }
    }

    /// Changes what the request names; `updated` moves in any case.
    pub(super) fn change(&mut self, now: i64, asked: Option<AttributesPatch>) {
        let asked = asked.unwrap_or_default();
        self.enabled = asked.enabled.unwrap_or(self.enabled);
        self.nbf = asked.nbf.or(self.nbf);
        self.exp = asked.exp.or(self.exp);
        self.updated = now;
    }

    /// As answers carry them.
    pub(super) fn to_json(&self) -> Value {
        let mut json = json!({
            "enabled": self.enabled,
            "created": self.created,
            "updated": self.updated,
            "recoveryLevel": "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        });
        for (name, time) in [("nbf", self.nbf), ("exp", self.exp)] {
            if let Some(time) = time {
                json[name] = time.into();
            }
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_what_it_does_not_name_and_moves_updated() {
        let mut attributes = Attributes::new(10, Some(AttributesPatch { exp: Some(99), ..Default::default() }));
        attributes.change(20, Some(AttributesPatch { enabled: Some(false), ..Default::default() }));
        let expected = Attributes { enabled: false, nbf: None, exp: Some(99), created: 10, updated: 20 };
        assert_eq!(attributes, expected);
    }

    #[test]
    fn absent_times_are_left_out_of_answers() {
        let json = Attributes::new(10, None).to_json();
        assert!(json.get("nbf").is_none() && json.get("exp").is_none());
        assert_eq!(json["recoverableDays"], 90);
    }
}
