//! The evaluator itself, by what Kubernetes' documentation says of each part of a policy.

use k8s_openapi::api::networking::v1::NetworkPolicy;

use super::semantics::{Labels, Party, Pod, Port, Verdict, verdict};

/// Between a pod of namespace a with the label app=server, and others.
const CASES: &[(&str, &str, &str, Port, Verdict)] = &[
    // No policy, or none that selects the pod: everything is open.
    ("", "a/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    ("podSelector: {matchLabels: {app: other}}, ingress: []", "a/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    // Selected, and nothing listed: closed in the directions of its types, and in no other.
    ("podSelector: {}", "a/client", "a/server", Port::Tcp(80), Verdict::Denied),
    ("policyTypes: [Ingress]", "a/client", "a/server", Port::Tcp(80), Verdict::Denied),
    ("policyTypes: [Ingress]", "a/server", "b/client", Port::Tcp(80), Verdict::Allowed),
    ("policyTypes: [Egress]", "b/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    ("policyTypes: [Egress]", "a/server", "b/client", Port::Tcp(80), Verdict::Denied),
    // Without types: Ingress always, Egress where it has egress rules.
    ("egress: [{}]", "b/client", "a/server", Port::Tcp(80), Verdict::Denied),
    ("egress: [{}]", "a/server", "b/client", Port::Tcp(80), Verdict::Allowed),
    ("ingress: [{}]", "a/server", "b/client", Port::Tcp(80), Verdict::Allowed),
    // An empty rule is everything, and so is an empty list of peers.
    ("ingress: [{}]", "203.0.113.1", "a/server", Port::Udp(1), Verdict::Allowed),
    ("ingress: [{from: []}]", "b/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    // Policies concern their own namespace.
    ("podSelector: {}", "a/client", "b/server", Port::Tcp(80), Verdict::Allowed),
    // A podSelector alone means pods of the policy's namespace.
    (FROM_CLIENTS, "a/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    (FROM_CLIENTS, "a/other", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_CLIENTS, "b/client", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_CLIENTS, "10.0.0.1", "a/server", Port::Tcp(80), Verdict::Denied),
    // A namespaceSelector alone means every pod there, also of an own namespace that has the label.
    (
        "ingress: [{from: [{namespaceSelector: {matchLabels: {name: b}}}]}]",
        "b/other",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{from: [{namespaceSelector: {matchLabels: {name: b}}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Denied,
    ),
    ("ingress: [{from: [{namespaceSelector: {}}]}]", "b/other", "a/server", Port::Tcp(80), Verdict::Allowed),
    // Both in one peer: and. In two peers: or.
    (FROM_CLIENTS_OF_B, "b/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    (FROM_CLIENTS_OF_B, "b/other", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_CLIENTS_OF_B, "a/client", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_CLIENTS_AND_B, "b/other", "a/server", Port::Tcp(80), Verdict::Allowed),
    (FROM_CLIENTS_AND_B, "a/client", "a/server", Port::Tcp(80), Verdict::Allowed),
    (FROM_CLIENTS_AND_B, "a/other", "a/server", Port::Tcp(80), Verdict::Denied),
    // Peers and ports of one rule: and. Several rules: or.
    (
        "ingress: [{ports: [{port: 80}], from: [{podSelector: {}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{ports: [{port: 80}], from: [{podSelector: {}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(81),
        Verdict::Denied,
    ),
    (
        "ingress: [{ports: [{port: 80}]}, {from: [{podSelector: {}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(81),
        Verdict::Allowed,
    ),
    // Ports: TCP where no protocol is given, any number where none is, ranges.
    ("ingress: [{ports: [{port: 53}]}]", "a/client", "a/server", Port::Udp(53), Verdict::Denied),
    ("ingress: [{ports: [{port: 53, protocol: UDP}]}]", "a/client", "a/server", Port::Udp(53), Verdict::Allowed),
    ("ingress: [{ports: [{protocol: UDP}]}]", "a/client", "a/server", Port::Udp(9), Verdict::Allowed),
    ("ingress: [{ports: [{port: 80, endPort: 90}]}]", "a/client", "a/server", Port::Tcp(90), Verdict::Allowed),
    ("ingress: [{ports: [{port: 80, endPort: 90}]}]", "a/client", "a/server", Port::Tcp(91), Verdict::Denied),
    // Addresses, and those taken out of them. Whether pods count is the plugin's choice.
    (FROM_TEN, "10.9.0.1", "a/server", Port::Tcp(80), Verdict::Allowed),
    (FROM_TEN, "10.8.0.1", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_TEN, "11.0.0.1", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_TEN, "2001:db8::1", "a/server", Port::Tcp(80), Verdict::Denied),
    (FROM_TEN, "b/client", "a/server", Port::Tcp(80), Verdict::ByPlugin),
    ("ingress: [{from: [{ipBlock: {cidr: '::/0'}}]}]", "2001:db8::1", "a/server", Port::Tcp(80), Verdict::Allowed),
    ("ingress: [{from: [{ipBlock: {cidr: 0.0.0.0/0}}]}]", "203.0.113.1", "a/server", Port::Tcp(80), Verdict::Allowed),
    (
        "ingress: [{from: [{ipBlock: {cidr: 169.254.10.10/31}}]}]",
        "169.254.10.11",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{from: [{ipBlock: {cidr: 169.254.10.10/31}}]}]",
        "169.254.10.12",
        "a/server",
        Port::Tcp(80),
        Verdict::Denied,
    ),
    // Expressions.
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [client, x]}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [x]}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Denied,
    ),
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [x]}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: team, operator: NotIn, values: [x]}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: team, operator: Exists}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Denied,
    ),
    (
        "ingress: [{from: [{podSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}}]}]",
        "a/client",
        "a/server",
        Port::Tcp(80),
        Verdict::Allowed,
    ),
    // Several policies allow what any of them allows.
    ("podSelector: {}; ingress: [{}]", "b/client", "a/server", Port::Tcp(80), Verdict::Allowed),
];

const FROM_CLIENTS: &str = "ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]";
const FROM_CLIENTS_OF_B: &str = "ingress: [{from: [{podSelector: {matchLabels: {app: client}}, \
                                 namespaceSelector: {matchLabels: {name: b}}}]}]";
const FROM_CLIENTS_AND_B: &str = "ingress: [{from: [{podSelector: {matchLabels: {app: client}}}, \
                                  {namespaceSelector: {matchLabels: {name: b}}}]}]";
const FROM_TEN: &str = "ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.8.0.0/16]}}]}]";

#[test]
fn every_part_of_a_policy_means_what_kubernetes_says() {
    for (specs, from, to, port, expected) in CASES {
        let policies: Vec<_> = specs.split("; ").filter(|spec| !spec.is_empty()).map(policy).collect();
        let found = verdict(&policies, &party(from), &party(to), *port);
        assert_eq!(found, *expected, "{specs}: {from} to {to} at {port:?}");
    }
}

#[test]
fn both_ends_have_a_say() {
    let closed = [policy("policyTypes: [Egress], podSelector: {matchLabels: {app: client}}"), policy("ingress: [{}]")];
    assert_eq!(verdict(&closed, &party("a/client"), &party("a/server"), Port::Tcp(80)), Verdict::Denied);
    assert_eq!(verdict(&closed, &party("a/other"), &party("a/server"), Port::Tcp(80)), Verdict::Allowed);
}

/// A policy of namespace a.
fn policy(spec: &str) -> NetworkPolicy {
    let text = format!("metadata: {{name: p, namespace: a}}\nspec: {{{spec}}}\n");
    let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
    serde_json::from_value(value).unwrap()
}

/// NAMESPACE/APP, or an address.
fn party(name: &str) -> Party {
    let Some((namespace, app)) = name.split_once('/') else { return Party::Outside(name.parse().unwrap()) };
    let labels = |name: &str, value: &str| Labels::from([(name.to_owned(), value.to_owned())]);
    Party::Pod(Pod {
        namespace: namespace.to_owned(),
        namespace_labels: labels("name", namespace),
        labels: labels("app", app),
        address: "10.244.0.7".parse().unwrap(),
    })
}
