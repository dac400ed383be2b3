//! `NetworkPolicies` as Kubernetes defines them, over plain data: who may open a connection to whom. Where the definition
//! leaves it to the network plugin whether an `ipBlock` means pods too, both readings are tried.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::networking::v1::{IPBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};

/// Labels of a pod or of a namespace.
pub(crate) type Labels = BTreeMap<String, String>;

/// A pod, as policies see it.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The name of its namespace.
    pub(crate) namespace: String,
    /// The labels of its namespace.
    pub(crate) namespace_labels: Labels,
    /// Its own.
    pub(crate) labels: Labels,
    /// Where it is.
    pub(crate) address: IpAddr,
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Party {
    /// A pod with an address of its own.
    Pod(Pod),
    /// Anything else, pods with their node's address included.
    Outside(IpAddr),
}

/// Where a connection goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// TCP.
    Tcp(i32),
    /// UDP.
    Udp(i32),
}

/// What becomes of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is opened.
    Allowed,
    /// It is not.
    Denied,
    /// It depends on whether the network plugin takes a pod's address for one of an `ipBlock`.
    ByPlugin,
}

/// What becomes of a connection.
pub(crate) fn verdict(policies: &[NetworkPolicy], from: &Party, to: &Party, port: Port) -> Verdict {
    match [false, true].map(|blocks_mean_pods| Reading { policies, blocks_mean_pods }.allows(from, to, port)) {
        [true, true] => Verdict::Allowed,
        [false, false] => Verdict::Denied,
        _ => Verdict::ByPlugin,
    }
}

/// Policies, read in one of two ways.
struct Reading<'a> {
    policies: &'a [NetworkPolicy],
    blocks_mean_pods: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Ingress,
    Egress,
}

/// One rule of either direction.
struct Rule<'a> {
    peers: Option<&'a [NetworkPolicyPeer]>,
    ports: Option<&'a [NetworkPolicyPort]>,
}

impl Reading<'_> {
    /// Both ends have a say, where they are pods.
    fn allows(&self, from: &Party, to: &Party, port: Port) -> bool {
        let may = |subject: &Party, direction, peer| match subject {
            Party::Pod(pod) => self.side_allows(pod, direction, peer, port),
            Party::Outside(_) => true,
        };
        may(from, Direction::Egress, to) && may(to, Direction::Ingress, from)
    }

    /// A pod that no policy selects is open; one that some select is as open as all of them together.
    fn side_allows(&self, pod: &Pod, direction: Direction, peer: &Party, port: Port) -> bool {
        let mut selecting = self.policies.iter().filter(|policy| selects(policy, pod, direction)).peekable();
        selecting.peek().is_none()
            || selecting
                .any(|policy| rules(policy, direction).iter().any(|rule| self.rule_allows(policy, rule, peer, port)))
    }

    /// A list that is absent or empty leaves nothing out.
    fn rule_allows(&self, policy: &NetworkPolicy, rule: &Rule<'_>, peer: &Party, port: Port) -> bool {
        let peers = rule.peers.unwrap_or_default();
        let ports = rule.ports.unwrap_or_default();
        (peers.is_empty() || peers.iter().any(|one| self.peer_is(policy, one, peer)))
            && (ports.is_empty() || ports.iter().any(|one| port_is(one, port)))
    }

    fn peer_is(&self, policy: &NetworkPolicy, peer: &NetworkPolicyPeer, party: &Party) -> bool {
        if let Some(block) = &peer.ip_block {
            return match party {
                Party::Pod(pod) => self.blocks_mean_pods && block_holds(block, pod.address),
                Party::Outside(address) => block_holds(block, *address),
            };
        }
        let Party::Pod(pod) = party else { return false };
        let namespace_is = match &peer.namespace_selector {
            Some(selector) => matches(selector, &pod.namespace_labels),
            None => policy.metadata.namespace.as_ref() == Some(&pod.namespace),
        };
        namespace_is && peer.pod_selector.as_ref().is_none_or(|selector| matches(selector, &pod.labels))
    }
}

fn selects(policy: &NetworkPolicy, pod: &Pod, direction: Direction) -> bool {
    let Some(spec) = &policy.spec else { return false };
    let types = spec.policy_types.as_deref().unwrap_or_default();
    let concerns = match direction {
        Direction::Ingress => types.is_empty() || types.iter().any(|one| one == "Ingress"),
        Direction::Egress if types.is_empty() => spec.egress.is_some(),
        Direction::Egress => types.iter().any(|one| one == "Egress"),
    };
    concerns
        && policy.metadata.namespace.as_ref() == Some(&pod.namespace)
        && spec.pod_selector.as_ref().is_none_or(|selector| matches(selector, &pod.labels))
}

fn rules(policy: &NetworkPolicy, direction: Direction) -> Vec<Rule<'_>> {
    let Some(spec) = &policy.spec else { return Vec::new() };
    match direction {
        Direction::Ingress => {
            let rules = spec.ingress.iter().flatten();
            rules.map(|rule| Rule { peers: rule.from.as_deref(), ports: rule.ports.as_deref() }).collect()
        }
        Direction::Egress => {
            let rules = spec.egress.iter().flatten();
            rules.map(|rule| Rule { peers: rule.to.as_deref(), ports: rule.ports.as_deref() }).collect()
        }
    }
}

fn port_is(listed: &NetworkPolicyPort, port: Port) -> bool {
    let (protocol, number) = match port {
        Port::Tcp(number) => ("TCP", number),
        Port::Udp(number) => ("UDP", number),
    };
    let number_is = match &listed.port {
        None => true,
        Some(IntOrString::Int(first)) => (*first..=listed.end_port.unwrap_or(*first)).contains(&number),
        Some(IntOrString::String(name)) => panic!("port {name}: the chart lists ports by number"),
    };
    number_is && listed.protocol.as_deref().unwrap_or("TCP") == protocol
}

fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    let has_all = selector.match_labels.iter().flatten().all(|(name, value)| labels.get(name) == Some(value));
    has_all
        && selector.match_expressions.iter().flatten().all(|expression| {
            let value = labels.get(&expression.key);
            let is_listed = value.is_some_and(|value| expression.values.iter().flatten().any(|one| one == value));
            match expression.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                other => panic!("there is no operator {other}"),
            }
        })
}

fn block_holds(block: &IPBlock, address: IpAddr) -> bool {
    cidr_holds(&block.cidr, address) && !block.except.iter().flatten().any(|except| cidr_holds(except, address))
}

fn cidr_holds(cidr: &str, address: IpAddr) -> bool {
    let (first, length) = cidr.split_once('/').unwrap();
    let (first, length): (IpAddr, u32) = (first.parse().unwrap(), length.parse().unwrap());
    match (first, address) {
        (IpAddr::V4(first), IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            first.to_bits() & mask == address.to_bits() & mask
        }
        (IpAddr::V6(first), IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            first.to_bits() & mask == address.to_bits() & mask
        }
        _ => false,
    }
}
