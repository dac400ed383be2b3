//! The calls. `SHOP` stands for a namespace with a pod `web`, an `AzureKeyVaultSecret` `db`, a Secret `s` and a
//! Deployment `web`.

use std::fmt;

use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/SHOP/pods";
const SECRETS: &str = "/api/v1/namespaces/SHOP/secrets";
const CONFIG_MAPS: &str = "/api/v1/namespaces/SHOP/configmaps";
const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/SHOP/deployments";
const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/SHOP/events";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/keyward/leases";
const AKVS: &str = "/apis/spv.no/v2beta1/namespaces/SHOP/azurekeyvaultsecrets";
const VAULTS: &str = "/apis/keyward.dev/v1alpha1/azurekeyvaults";
const SERVICE_ACCOUNTS: &str = "/api/v1/namespaces/SHOP/serviceaccounts";
const MUTATING: &str = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const TOKEN_REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const ACCESS_REVIEWS: &str = "/apis/authorization.k8s.io/v1/subjectaccessreviews";

/// A request to the API server.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    pub(super) headers: &'static [(&'static str, &'static str)],
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        self.headers.iter().try_for_each(|(name, value)| write!(f, " ({name}: {value})"))
    }
}

fn get(base: &str, rest: &str) -> Call {
    Call { method: "GET", path: format!("{base}{rest}"), body: None, headers: &[] }
}

fn delete(base: &str, rest: &str) -> Call {
    Call { method: "DELETE", ..get(base, rest) }
}

fn post(base: &str, rest: &str, body: Value) -> Call {
    Call { method: "POST", body: Some(body), ..get(base, rest) }
}

fn patch(base: &str, rest: &str, body: Value) -> Call {
    Call { method: "PATCH", body: Some(body), ..get(base, rest) }
}

fn labelled() -> Value {
    json!({"metadata": {"labels": {"e2e.keyward.dev/sealed": "admitted"}}})
}

fn named(name: &str) -> Value {
    json!({"metadata": {"name": name}})
}

fn token_review() -> Value {
    json!({"spec": {"token": "none"}})
}

fn access_review() -> Value {
    json!({"spec": {"user": "somebody", "resourceAttributes": {"verb": "get", "resource": "pods"}}})
}

/// Without these the refusals below might be of an account that may do nothing at all.
pub(super) fn within_controllers_work() -> Vec<Call> {
    vec![
        get("/apis/spv.no/v2beta1/azurekeyvaultsecrets", ""),
        patch(AKVS, "/db/status", json!({"status": {}})),
        get(SECRETS, "/s"),
        post(SECRETS, "", named("new")),
        patch(DEPLOYMENTS, "/web", labelled()),
        get("/api/v1/namespaces", ""),
    ]
}

/// What the controller has no right to, and the broker may have.
pub(super) fn beyond_controllers_work() -> Vec<Call> {
    vec![
        get(VAULTS, ""),
        patch(VAULTS, "/sealed/status", json!({"status": {}})),
        post(TOKEN_REVIEWS, "", token_review()),
        post(ACCESS_REVIEWS, "", access_review()),
        get(PODS, ""),
        get("/api/v1/namespaces/SHOP", ""),
        delete(SECRETS, ""),
        delete(CONFIG_MAPS, ""),
        delete(LEASES, ""),
        get(LEASES, ""),
        get("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", "/node1"),
    ]
}

/// As for the controller.
pub(super) fn within_brokers_work() -> Vec<Call> {
    vec![
        get("/apis/spv.no/v2beta1/azurekeyvaultsecrets", ""),
        get(VAULTS, ""),
        get("/api/v1/namespaces", ""),
        post(TOKEN_REVIEWS, "", token_review()),
        post(ACCESS_REVIEWS, "", access_review()),
        get(PODS, "/web"),
    ]
}

/// What the broker has no right to, and the controller may have: it writes nothing, and reads no Secret.
pub(super) fn beyond_brokers_work() -> Vec<Call> {
    vec![
        get(SECRETS, "/s"),
        get(SECRETS, ""),
        get("/api/v1/secrets", ""),
        get("/api/v1/namespaces/keyward/secrets", ""),
        get("/api/v1/namespaces/kube-system/secrets", ""),
        post(SECRETS, "", named("new")),
        patch(SECRETS, "/s", labelled()),
        delete(SECRETS, "/s"),
        get(CONFIG_MAPS, ""),
        post(CONFIG_MAPS, "", named("new")),
        post(EVENTS, "", named("new")),
        patch(AKVS, "/db/status", json!({"status": {}})),
        get(PODS, ""),
        delete(PODS, "/web"),
        get(DEPLOYMENTS, "/web"),
        patch(DEPLOYMENTS, "/web", labelled()),
        post(LEASES, "", named("new")),
    ]
}

/// As for the controller.
pub(super) fn within_webhooks_work() -> Vec<Call> {
    vec![get(CONFIG_MAPS, "/kube-root-ca.crt"), get(SERVICE_ACCOUNTS, "/default")]
}

/// What the webhook has no right to: it lists nothing, writes nothing, and reads no Secret that it was not told of.
pub(super) fn beyond_webhooks_work() -> Vec<Call> {
    vec![
        get(CONFIG_MAPS, ""),
        post(CONFIG_MAPS, "", named("new")),
        get(SERVICE_ACCOUNTS, ""),
        get(SECRETS, "/s"),
        get(SECRETS, ""),
        get("/api/v1/namespaces/keyward/secrets", ""),
        post(SECRETS, "", named("new")),
        get(AKVS, ""),
        get(VAULTS, ""),
        get("/api/v1/namespaces", ""),
        get(PODS, "/web"),
        post(EVENTS, "", named("new")),
        post(LEASES, "", named("new")),
        post(TOKEN_REVIEWS, "", token_review()),
        post(ACCESS_REVIEWS, "", access_review()),
        patch(MUTATING, "/keyward-webhook", labelled()),
        patch(POLICIES, "/keyward-webhook", labelled()),
    ]
}

/// What none may do: become somebody else, widen its rights or the declarations, run or reach into anything.
pub(super) fn beyond_anybodys_work() -> Vec<Call> {
    let pod = json!({"containers": [{"name": "intruder", "image": "registry.local:5000/pause:1"}]});
    let workload = json!({"metadata": {"name": "intruder"}, "spec": {
        "selector": {"matchLabels": {"app": "w"}},
        "template": {"metadata": {"labels": {"app": "w"}}, "spec": pod},
    }});
    let everything = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let binding = json!({
        "metadata": {"name": "keyward-e2e-intruder"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
    });
    let token = json!({"spec": {"audiences": ["keyward-broker"]}});
    let administrator = &[("impersonate-user", "admin"), ("impersonate-group", "system:masters")];
    vec![
        Call { headers: administrator, ..get("/api/v1/nodes", "") },
        post("/api/v1/namespaces/SHOP/serviceaccounts/default/token", "", token.clone()),
        post("/api/v1/namespaces/keyward/serviceaccounts/keyward-broker/token", "", token),
        post(RBAC, "/clusterrolebindings", binding.clone()),
        post(RBAC, "/namespaces/keyward/rolebindings", binding),
        patch(RBAC, "/clusterroles/keyward-controller", everything.clone()),
        patch(RBAC, "/clusterroles/keyward-broker", everything),
        patch(CRDS, "/azurekeyvaults.keyward.dev", labelled()),
        delete(CRDS, "/azurekeyvaultsecrets.spv.no"),
        post(MUTATING, "", named("intruder")),
        patch(AKVS, "/db", json!({"spec": {"vault": {"name": "sealed"}}})),
        delete(AKVS, "/db"),
        patch(VAULTS, "/sealed", json!({"spec": {"namespaces": {"names": ["*"]}}})),
        delete(VAULTS, "/sealed"),
        patch("/api/v1/namespaces/SHOP", "", labelled()),
        delete("/api/v1/namespaces/SHOP", ""),
        post(PODS, "", json!({"metadata": {"name": "intruder"}, "spec": pod})),
        delete(PODS, "/web"),
        get(PODS, "/web/exec?command=id&stdout=true"),
        get(PODS, "/web/log"),
        post(DEPLOYMENTS, "", workload),
        delete(DEPLOYMENTS, "/web"),
        get("/api/v1/nodes", ""),
        get("/api/v1/nodes/node1/proxy/pods", ""),
        get("/api/v1/persistentvolumes", ""),
        get("/apis/certificates.k8s.io/v1/certificatesigningrequests", ""),
        get("/metrics", ""),
    ]
}
