//! What the API server was asked, by its own word: its counters, which know all callers together, and its audit log, which
//! `tests/cluster` has it keep for Keyward's service accounts.

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::Context as _;
use http::Request;
use kube::Client;
use serde::Deserialize;

/// Verbs, as the counters spell them, that change something.
const WRITES: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// A series of the counters, codes and versions put together.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// In capitals: `GET`, `LIST`, `WATCH`, `POST`, `PUT`, `PATCH`, `APPLY`, `DELETE`, `DELETECOLLECTION`.
    pub verb: String,
    /// API group; empty for the core one.
    pub group: String,
    /// Plural.
    pub resource: String,
    /// Such as `status`; empty for the object itself.
    pub subresource: String,
}

/// How often the API server was asked since it started.
#[derive(Clone, Debug, Default)]
pub struct Counted(BTreeMap<Kind, u64>);

impl Counted {
    /// The counters now.
    pub async fn now(client: &Client) -> anyhow::Result<Self> {
        let request = get("/metrics")?;
        Ok(Self::parse(&client.request_text(request).await.context("the API server's metrics")?))
    }

    fn parse(metrics: &str) -> Self {
        let mut counted = BTreeMap::<_, u64>::new();
        for line in metrics.lines() {
            let Some(sample) = line.strip_prefix("apiserver_request_total{") else { continue };
            let Some((labels, value)) = sample.rsplit_once("} ") else { continue };
            let label = |name: &str| {
                let value = labels.split(',').find_map(|label| label.strip_prefix(name)?.strip_prefix("=\""));
                value.unwrap_or_default().trim_end_matches('"').to_owned()
            };
            let kind = Kind {
                verb: label("verb"),
                group: label("group"),
                resource: label("resource"),
                subresource: label("subresource"),
            };
            // Counters are whole numbers, written as a float only where they are huge.
            *counted.entry(kind).or_default() += value.parse::<u64>().unwrap_or_default();
        }
        Self(counted)
    }

    /// What came since `earlier`, without what did not.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let more = self.0.iter().map(|(kind, count)| {
            let before = earlier.0.get(kind).copied().unwrap_or_default();
            (kind.clone(), count.saturating_sub(before))
        });
        Self(more.filter(|(_, count)| *count > 0).collect())
    }

    /// How many of them are `wanted`.
    pub fn of(&self, wanted: impl Fn(&Kind) -> bool) -> u64 {
        self.0.iter().filter(|(kind, _)| wanted(kind)).map(|(_, count)| count).sum()
    }

    /// How many change a resource of this name, its subresources included.
    pub fn writes(&self, resource: &str) -> u64 {
        self.of(|kind| kind.resource == resource && WRITES.contains(&kind.verb.as_str()))
    }
}

/// A request of one of Keyward's service accounts, as the audit log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// The service account's name, without its namespace.
    pub account: String,
    /// In small letters: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: String,
    /// Plural, and the subresource where there is one: `pods`, `secrets`, `azurekeyvaultsecrets/status`.
    pub resource: String,
    /// Whose; empty where it is in none.
    pub namespace: String,
    /// Which; empty where all are meant.
    pub name: String,
    /// HTTP status of the answer.
    pub code: u16,
    /// Whether the rules allow it. An allowed request may be answered 403 all the same, as in a namespace that ends.
    pub allowed: bool,
}

impl Audited {
    /// Whether it changes something.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch") && self.resource != "leases" && !self.is_review()
    }

    /// Whether it only asks who somebody is or what somebody may.
    pub fn is_review(&self) -> bool {
        matches!(self.resource.as_str(), "tokenreviews" | "subjectaccessreviews" | "selfsubjectaccessreviews")
    }
}

/// The audit log from some moment on.
#[derive(Clone, Debug)]
pub struct Audit {
    file: PathBuf,
    from: usize,
}

impl Audit {
    /// From now on.
    pub fn from_now(file: PathBuf) -> anyhow::Result<Self> {
        let mut audit = Self { file, from: 0 };
        audit.from = audit.text()?.len();
        Ok(audit)
    }

    /// The same file, from now on.
    pub fn again_from_now(&self) -> anyhow::Result<Self> {
        Self::from_now(self.file.clone())
    }

    /// What was asked since then. A watch is there once it ends.
    pub fn requests(&self) -> anyhow::Result<Vec<Audited>> {
        let text = self.text()?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        text.get(self.from..whole).unwrap_or_default().lines().map(parse).collect()
    }

    fn text(&self) -> anyhow::Result<String> {
        match std::fs::read_to_string(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
            read => read.with_context(|| self.file.display().to_string()),
        }
    }
}

fn parse(line: &str) -> anyhow::Result<Audited> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Line {
        verb: String,
        user: User,
        #[serde(default)]
        object_ref: Object,
        #[serde(default)]
        response_status: Status,
        #[serde(default)]
        annotations: Annotations,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Annotations {
        #[serde(rename = "authorization.k8s.io/decision")]
        decision: String,
    }
    #[derive(Deserialize)]
    struct User {
        username: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Object {
        resource: String,
        subresource: String,
        namespace: String,
        name: String,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        code: u16,
    }
    let Line { verb, user, object_ref: object, response_status, annotations } =
        serde_json::from_str(line).context("a line of the audit log")?;
    let account = user.username.rsplit(':').next().unwrap_or_default().to_owned();
    let slash = if object.subresource.is_empty() { "" } else { "/" };
    Ok(Audited {
        account,
        verb,
        resource: format!("{}{slash}{}", object.resource, object.subresource),
        namespace: object.namespace,
        name: object.name,
        code: response_status.code,
        allowed: annotations.decision != "forbid",
    })
}

/// A `GET` of the API server by path, for what no typed API has.
pub fn get(path: &str) -> anyhow::Result<Request<Vec<u8>>> {
    request("GET", path, None)
}

/// Any method; a body is JSON, and a `PATCH` a merge patch.
pub fn request(method: &str, path: &str, body: Option<&serde_json::Value>) -> anyhow::Result<Request<Vec<u8>>> {
    let media = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let bytes = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
    let request = Request::builder().method(method).uri(path).header("content-type", media);
    request.body(bytes).with_context(|| format!("{method} {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METRICS: &str = r#"
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="APPLY",version="v1"} 3
apiserver_request_total{code="201",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="APPLY",version="v1"} 2
apiserver_request_total{code="200",component="apiserver",dry_run="",group="spv.no",resource="azurekeyvaultsecrets",scope="resource",subresource="status",verb="PATCH",version="v2beta1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="cluster",subresource="",verb="LIST",version="v1"} 9
"#;

    #[test]
    fn writes_are_counted_over_all_codes_and_reads_are_none() {
        let counted = Counted::parse(METRICS);
        assert_eq!((counted.writes("secrets"), counted.writes("azurekeyvaultsecrets")), (5, 7));
        assert_eq!(counted.of(|kind| kind.verb == "LIST"), 9);
    }

    #[test]
    fn a_difference_holds_what_came_since() {
        let more = METRICS.replace("} 7", "} 8");
        let since = Counted::parse(&more).since(&Counted::parse(METRICS));
        assert_eq!((since.of(|_| true), since.of(|kind| kind.subresource == "status")), (1, 1));
    }

    #[test]
    fn a_line_of_the_audit_log_tells_who_asked_what() {
        let line = r#"{"verb":"patch","user":{"username":"system:serviceaccount:keyward:keyward-controller"},
            "objectRef":{"resource":"azurekeyvaultsecrets","subresource":"status","namespace":"shop","name":"db"},
            "responseStatus":{"metadata":{},"code":403},"annotations":{"authorization.k8s.io/decision":"forbid"}}"#;
        let audited = parse(line).unwrap();
        assert_eq!((audited.account.as_str(), audited.code), ("keyward-controller", 403));
        assert_eq!(audited.resource, "azurekeyvaultsecrets/status");
        assert!(audited.is_write() && !audited.allowed);
    }
}
