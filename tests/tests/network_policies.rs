//! Who may reach whom, by the `NetworkPolicies` of the chart as it is rendered: the test cluster's network enforces none, so
//! they are evaluated here. What is refused is listed as carefully as what is allowed; docs/network.md tells it to people.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking, its helpers included")]

#[path = "network_policies/cluster.rs"]
mod cluster;
#[path = "network_policies/semantics.rs"]
mod semantics;
#[path = "network_policies/semantics_tests.rs"]
mod semantics_tests;

use std::collections::BTreeSet;

use cluster::Cluster;
use semantics::{
    Port::{self, Tcp, Udp},
    Verdict::{self, Allowed, ByPlugin, Denied},
};

/// Where the emulator is told what to do: by a kubelet's probes and nobody else.
const CONTROL: i32 = 9401;

/// Of the chart as it comes, whose API server may be anywhere.
const BY_DEFAULT: &[(&str, &str, Port, Verdict)] = &[
    // The broker's callers.
    ("launcher", "broker", Tcp(8443), Allowed),
    ("controller", "broker", Tcp(8443), Allowed),
    ("webhook", "broker", Tcp(8443), Allowed),
    ("broker", "broker", Tcp(8443), Allowed),
    ("test", "broker", Tcp(8443), Allowed),
    ("stranger", "broker", Tcp(8443), Denied),
    ("disabled", "broker", Tcp(8443), Denied),
    ("neighbour", "broker", Tcp(8443), Denied),
    ("impostor", "broker", Tcp(8443), Denied),
    ("other release", "broker", Tcp(8443), Denied),
    ("prometheus", "broker", Tcp(8443), Denied),
    ("node", "broker", Tcp(8443), Denied),
    ("vault", "broker", Tcp(8443), Denied),
    // Metrics are Prometheus' alone.
    ("prometheus", "broker", Tcp(8080), Allowed),
    ("prometheus", "controller", Tcp(8080), Allowed),
    ("prometheus", "webhook", Tcp(8080), Allowed),
    ("launcher", "broker", Tcp(8080), Denied),
    ("launcher", "webhook", Tcp(8080), Denied),
    ("launcher", "controller", Tcp(8080), Denied),
    ("false prometheus", "broker", Tcp(8080), Denied),
    ("false prometheus", "controller", Tcp(8080), Denied),
    ("controller", "broker", Tcp(8080), Denied),
    ("test", "broker", Tcp(8080), Denied),
    ("prometheus", "controller", Tcp(9090), Denied),
    // Nobody calls the controller, and nobody the pods of `helm test`.
    ("launcher", "controller", Tcp(8443), Denied),
    ("broker", "controller", Tcp(8443), Denied),
    ("broker", "test", Tcp(8443), Denied),
    ("launcher", "test", Tcp(8443), Denied),
    // The webhook's port is open to anywhere while nobody says where the API server is.
    ("api server", "webhook", Tcp(8443), Allowed),
    ("konnectivity", "webhook", Tcp(8443), Allowed),
    ("stranger", "webhook", Tcp(8443), Allowed),
    ("stranger", "webhook", Tcp(443), Denied),
    // All look names up.
    ("broker", "dns", Udp(53), Allowed),
    ("broker", "dns", Tcp(53), Allowed),
    ("broker", "local dns", Udp(53), Allowed),
    ("controller", "dns", Udp(53), Allowed),
    ("webhook", "dns", Udp(53), Allowed),
    ("test", "dns", Udp(53), Allowed),
    ("broker", "stranger", Udp(53), Denied),
    ("broker", "vault", Udp(53), Denied),
    ("broker", "dns", Tcp(9153), Denied),
    // What the broker reaches.
    ("broker", "api server", Tcp(443), Allowed),
    ("broker", "api server", Tcp(6443), Allowed),
    ("broker", "vault", Tcp(443), Allowed),
    ("broker", "vault by IPv6", Tcp(443), Allowed),
    ("broker", "vault", Tcp(80), Denied),
    ("broker", "imds", Tcp(80), Denied),
    ("broker", "stranger", Tcp(80), Denied),
    ("broker", "launcher", Tcp(8080), Denied),
    ("broker", "launcher", Tcp(8443), Denied),
    ("broker", "webhook", Tcp(8080), Denied),
    ("broker", "neighbour", Tcp(5432), Denied),
    // What the controller reaches.
    ("controller", "api server", Tcp(443), Allowed),
    ("controller", "vault", Tcp(80), Denied),
    ("controller", "imds", Tcp(80), Denied),
    ("controller", "stranger", Tcp(8443), Denied),
    ("controller", "webhook", Tcp(8080), Denied),
    // What the webhook reaches: any registry, by its port.
    ("webhook", "api server", Tcp(443), Allowed),
    ("webhook", "vault", Tcp(443), Allowed),
    ("webhook", "vault", Tcp(5000), Denied),
    ("webhook", "stranger", Tcp(80), Denied),
    ("webhook", "imds", Tcp(80), Denied),
    // What a test pod reaches.
    ("test", "api server", Tcp(443), Denied),
    ("test", "vault", Tcp(443), Denied),
    ("test", "webhook", Tcp(8443), Denied),
    ("test", "launcher", Tcp(80), Denied),
    // Others are left alone.
    ("launcher", "stranger", Tcp(80), Allowed),
    ("neighbour", "vault", Tcp(443), Allowed),
];

/// Where it says where everything is (charts/tests/rendered/fenced.values.yaml).
const FENCED: &[(&str, &str, Port, Verdict)] = &[
    ("launcher", "broker", Tcp(8443), Allowed),
    ("stranger", "broker", Tcp(8443), Denied),
    // Pods with a node's address, of the nodes that are listed.
    ("node", "broker", Tcp(8443), Allowed),
    ("node of another pool", "broker", Tcp(8443), Denied),
    ("node", "broker", Tcp(8080), Denied),
    ("node", "webhook", Tcp(8443), Denied),
    // The API server, and its agent.
    ("api server", "webhook", Tcp(8443), Allowed),
    ("konnectivity", "webhook", Tcp(8443), Allowed),
    ("stranger", "webhook", Tcp(8443), Denied),
    ("launcher", "webhook", Tcp(8443), Denied),
    ("vault", "webhook", Tcp(8443), Denied),
    ("broker", "api server", Tcp(443), Allowed),
    ("broker", "api server", Tcp(6443), Denied),
    ("controller", "api server", Tcp(443), Allowed),
    ("webhook", "api server", Tcp(443), Allowed),
    // Only the broker reaches vaults, and nothing else outside; only where it has to, identities of machines.
    ("broker", "vault", Tcp(443), Allowed),
    ("broker", "vault by IPv6", Tcp(443), Denied),
    ("broker", "stranger", Tcp(443), Denied),
    ("broker", "imds", Tcp(80), Allowed),
    ("broker", "imds", Tcp(443), Denied),
    ("controller", "vault", Tcp(443), Denied),
    ("controller", "stranger", Tcp(443), Denied),
    ("controller", "imds", Tcp(80), Denied),
    // No registry is to be asked.
    ("webhook", "vault", Tcp(443), Denied),
    ("webhook", "vault", Tcp(5000), Denied),
    ("webhook", "imds", Tcp(80), Denied),
    // Nobody scrapes.
    ("prometheus", "broker", Tcp(8080), Denied),
    ("prometheus", "controller", Tcp(8080), Denied),
    ("prometheus", "webhook", Tcp(8080), Denied),
];

/// With Event Grid's deliveries, by way of an Ingress controller (charts/tests/rendered/events.values.yaml).
const WITH_EVENTS: &[(&str, &str, Port, Verdict)] = &[
    ("ingress", "broker", Tcp(8444), Allowed),
    ("ingress", "broker", Tcp(8443), Denied),
    ("ingress", "broker", Tcp(8080), Denied),
    ("ingress", "webhook", Tcp(8080), Denied),
    ("neighbour of the ingress", "broker", Tcp(8444), Denied),
    ("launcher", "broker", Tcp(8444), Denied),
    ("controller", "broker", Tcp(8444), Denied),
    ("broker", "broker", Tcp(8444), Denied),
    ("prometheus", "broker", Tcp(8444), Denied),
    ("stranger", "broker", Tcp(8444), Denied),
    ("vault", "broker", Tcp(8444), Denied),
    ("node", "broker", Tcp(8444), Denied),
    ("launcher", "broker", Tcp(8443), Allowed),
];

/// With the emulator in the place of Azure.
const WITH_EMULATOR: &[(&str, &str, Port, Verdict)] = &[
    ("broker", "emulator", Tcp(9443), Allowed),
    ("broker", "emulator", Tcp(9400), Allowed),
    ("broker", "emulator", Tcp(CONTROL), Denied),
    ("broker", "imds", Tcp(80), Denied),
    ("launcher", "emulator", Tcp(9443), Denied),
    ("neighbour", "emulator", Tcp(9443), Denied),
    ("controller", "emulator", Tcp(9443), Denied),
    ("webhook", "emulator", Tcp(9443), Denied),
    ("test", "emulator", Tcp(9443), Denied),
    ("other release", "emulator", Tcp(9443), Denied),
    ("prometheus", "emulator", Tcp(8080), Denied),
    ("emulator", "vault", Tcp(443), Denied),
    ("emulator", "dns", Udp(53), Denied),
    ("emulator", "broker", Tcp(8443), Denied),
];

#[test]
fn by_default_everybody_reaches_what_they_need_and_nothing_else() {
    compare("minimal", BY_DEFAULT);
}

#[test]
fn where_addresses_are_given_nothing_else_is_reached() {
    compare("fenced", FENCED);
}

#[test]
fn events_come_by_the_ingress_alone_which_reaches_nothing_else() {
    compare("events", WITH_EVENTS);
}

#[test]
fn the_emulator_is_the_brokers_alone() {
    compare("emulator", WITH_EMULATOR);
}

/// Without `vaults.cidrs` the broker may call any address outside. Whether pods have such an address the plugin decides; it
/// is said here so that nobody takes it for closed.
#[test]
fn what_a_plugin_makes_of_any_address_is_known() {
    let mut cluster = Cluster::rendered("minimal");
    assert_eq!(cluster.verdict("broker", "stranger", Tcp(443)), Allowed, "by the rule for the API server");
    cluster.forget_rules_without_peers();
    assert_eq!(cluster.verdict("broker", "stranger", Tcp(443)), ByPlugin);
    assert_eq!(cluster.verdict("broker", "stranger", Tcp(80)), Denied);
}

/// Each policy selects a pod that there is, each pod is selected, and of the ports that anything listens at those are reached
/// that are its own: a renamed label or a port that was moved shows.
#[test]
fn every_pod_has_its_policy_and_every_port_its_rule() {
    for name in ["minimal", "emulator", "events"] {
        let cluster = Cluster::rendered(name);
        let pods: BTreeSet<_> = cluster.listening().keys().map(|component| format!("keyward-{component}")).collect();
        let policies: BTreeSet<_> =
            cluster.policies().iter().map(|policy| policy.metadata.name.clone().unwrap()).collect();
        assert_eq!(pods, policies, "{name}");
        let known: BTreeSet<i32> = cluster.listening().values().flatten().copied().collect();
        for (component, listens) in cluster.listening() {
            let reached =
                |port: &i32| cluster.names().any(|from| cluster.verdict(from, component, Tcp(*port)) == Allowed);
            let reached: BTreeSet<_> = known.iter().copied().filter(reached).collect();
            let expected: BTreeSet<_> = listens.iter().copied().filter(|port| *port != CONTROL).collect();
            assert_eq!(reached, expected, "{name}: {component}");
        }
    }
}

fn compare(rendered: &str, table: &[(&str, &str, Port, Verdict)]) {
    let cluster = Cluster::rendered(rendered);
    for (from, to, port, expected) in table {
        assert_eq!(cluster.verdict(from, to, *port), *expected, "{rendered}: {from} to {to} at {port:?}");
    }
}
