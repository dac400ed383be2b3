//! A cluster around a rendered chart: the release's pods with the labels and ports of their own templates, and others that
//! may or may not reach them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::Path,
};

use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::Value;

use super::semantics::{Labels, Party, Pod, Port, Verdict, verdict};

/// Where the charts are rendered to.
const NAMESPACE: &str = "keyward";

/// Others by what they are called in tables: namespace and its label, own labels.
const PODS: [(&str, &str, &str, &str); 12] = [
    ("launcher", "shop", "azure-key-vault-env-injection=enabled", "app=web"),
    ("disabled", "shop-2", "azure-key-vault-env-injection=disabled", "app=web"),
    ("stranger", "plain", "team=none", "app=web"),
    ("neighbour", NAMESPACE, "team=platform", "app=web"),
    (
        "impostor",
        "plain",
        "team=none",
        "app.kubernetes.io/name=keyward,app.kubernetes.io/instance=keyward,app.kubernetes.io/component=controller",
    ),
    (
        "other release",
        NAMESPACE,
        "team=platform",
        "app.kubernetes.io/name=keyward,app.kubernetes.io/instance=other,app.kubernetes.io/component=controller",
    ),
    ("prometheus", "monitoring", "team=none", "app.kubernetes.io/name=prometheus"),
    ("false prometheus", "shop", "azure-key-vault-env-injection=enabled", "app.kubernetes.io/name=prometheus"),
    ("dns", "kube-system", "team=none", "k8s-app=kube-dns"),
    ("konnectivity", "kube-system", "team=none", "app=konnectivity-agent"),
    ("ingress", "traefik", "kubernetes.io/metadata.name=traefik", "app.kubernetes.io/name=traefik"),
    ("neighbour of the ingress", "traefik", "kubernetes.io/metadata.name=traefik", "app=web"),
];

/// Addresses by what they are called in tables.
const ADDRESSES: [(&str, &str); 7] = [
    ("node", "10.224.0.5"),
    ("node of another pool", "10.225.0.5"),
    ("api server", "10.0.3.4"),
    ("vault", "20.50.1.2"),
    ("vault by IPv6", "2603:1020::1"),
    ("imds", "169.254.169.254"),
    ("local dns", "169.254.10.11"),
];

/// A chart as rendered, and everybody who may want to reach its pods.
pub(crate) struct Cluster {
    policies: Vec<NetworkPolicy>,
    parties: BTreeMap<String, Party>,
    /// What the release's own pods listen at, by component.
    listening: BTreeMap<String, BTreeSet<i32>>,
}

impl Cluster {
    /// `charts/tests/rendered/NAME.yaml`
    pub(crate) fn rendered(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../charts/tests/rendered/{name}.yaml"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut cluster = Self { policies: Vec::new(), parties: others(), listening: BTreeMap::new() };
        for document in text.split("\n---").map(|document| document.trim_start_matches("---")) {
            let value: Value = serde_saphyr::from_str(document).unwrap();
            cluster.add(value);
        }
        cluster
    }

    fn add(&mut self, object: Value) {
        match object["kind"].as_str().unwrap_or_default() {
            "NetworkPolicy" => self.policies.push(serde_json::from_value(object).unwrap()),
            "Deployment" | "StatefulSet" | "Job" => self.add_pod(&object["spec"]["template"]),
            "Pod" => self.add_pod(&object),
            _ => {}
        }
    }

    fn add_pod(&mut self, pod: &Value) {
        let labels: Labels = serde_json::from_value(pod["metadata"]["labels"].clone()).unwrap();
        let component = labels["app.kubernetes.io/component"].clone();
        let containers = pod["spec"]["containers"].as_array().unwrap().iter();
        let ports = containers.flat_map(|container| container["ports"].as_array().into_iter().flatten());
        let ports = ports.map(|port| i32::try_from(port["containerPort"].as_i64().unwrap()).unwrap());
        self.listening.entry(component.clone()).or_default().extend(ports);
        let address = IpAddr::from([10, 244, 1, u8::try_from(self.listening.len()).unwrap()]);
        let namespace_labels = namespace_labels(NAMESPACE, "team=platform");
        let pod = Pod { namespace: NAMESPACE.to_owned(), namespace_labels, labels, address };
        self.parties.insert(component, Party::Pod(pod));
    }

    /// What becomes of a connection between two that tables name.
    pub(crate) fn verdict(&self, from: &str, to: &str, port: Port) -> Verdict {
        let party = |name: &str| self.parties.get(name).unwrap_or_else(|| panic!("there is no {name}"));
        verdict(&self.policies, party(from), party(to), port)
    }

    /// The release's own pods by component, with the ports of their containers.
    pub(crate) fn listening(&self) -> &BTreeMap<String, BTreeSet<i32>> {
        &self.listening
    }

    /// Everybody.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.parties.keys().map(String::as_str)
    }

    /// Takes the egress rules away that say ports alone.
    pub(crate) fn forget_rules_without_peers(&mut self) {
        for policy in &mut self.policies {
            let rules = policy.spec.as_mut().and_then(|spec| spec.egress.as_mut());
            rules.unwrap().retain(|rule| rule.to.as_ref().is_some_and(|peers| !peers.is_empty()));
        }
    }

    /// The policies.
    pub(crate) fn policies(&self) -> &[NetworkPolicy] {
        &self.policies
    }
}

fn others() -> BTreeMap<String, Party> {
    let pods = PODS.iter().zip(1..).map(|((name, namespace, label, labels), number)| {
        let namespace_labels = namespace_labels(namespace, label);
        let address = IpAddr::from([10, 244, 2, number]);
        let pod = Pod { namespace: (*namespace).to_owned(), namespace_labels, labels: labels_of(labels), address };
        ((*name).to_owned(), Party::Pod(pod))
    });
    let addresses =
        ADDRESSES.iter().map(|(name, address)| ((*name).to_owned(), Party::Outside(address.parse().unwrap())));
    pods.chain(addresses).collect()
}

fn namespace_labels(name: &str, label: &str) -> Labels {
    let mut labels = labels_of(label);
    labels.insert("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    labels
}

fn labels_of(text: &str) -> Labels {
    let pairs = text.split(',').map(|pair| pair.split_once('=').unwrap());
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}
