//! What is read from the webhook's parts when it is scraped, so that no gauge is forgotten.

use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use keyward_kit::tls::{ConnectionCounts, ServerTls};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::broker::address::BrokerAddress;

/// Every series of this room, as it is exported.
#[cfg(test)]
pub(super) const NAMES: [&str; 7] = [
    "keyward_admission_image_lookups_total",
    "keyward_admission_image_cache_entries",
    "keyward_admission_image_cache_bytes",
    "keyward_admission_broker_address_known",
    "keyward_certificate_expiry_timestamp_seconds",
    "keyward_connections_open",
    "keyward_connections_total",
];

/// What lookups of images came to, and what is held of them at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFigures {
    /// Lookups by outcome, from a fixed list.
    pub outcomes: Vec<(&'static str, u64)>,
    /// How many configurations are held.
    pub entries: u64,
    /// What they weigh.
    pub bytes: u64,
}

/// The parts that are looked at.
pub struct State {
    /// The server's certificates; the client's are the same.
    pub tls: ServerTls,
    /// The server's connections.
    pub connections: ConnectionCounts,
    /// The broker's address for pods.
    pub broker: BrokerAddress,
    /// Asks what looks images up.
    pub images: Box<dyn Fn() -> ImageFigures + Send + Sync>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauge = |name: &str, help: &str, value: u64| {
            ConstGauge::new(number(value)).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
        };
        let (images, counts) = ((self.images)(), self.connections.now());
        gauge("admission_image_cache_entries", "Image configurations that are held", images.entries)?;
        gauge("admission_image_cache_bytes", "What they weigh, in bytes", images.bytes)?;
        let help = "Whether the broker's address is written into pods: 1 for yes";
        gauge("admission_broker_address_known", help, self.broker.get().is_some().into())?;
        gauge("connections_open", "Connections, handshakes included", counts.open)?;

        let help = "Images whose configuration was needed, by what came of it";
        counters(&mut encoder, "admission_image_lookups", help, &images.outcomes)?;
        let help = "Connections by what became of them: accepted, refused_peer_limit, refused_no_certificates, \
                    handshake_failed";
        let outcomes = [
            ("accepted", counts.accepted),
            ("refused_peer_limit", counts.refused_peer_limit),
            ("refused_no_certificates", counts.refused_no_certificates),
            ("handshake_failed", counts.handshakes_failed),
        ];
        counters(&mut encoder, "connections", help, &outcomes)?;
        self.expiry(&mut encoder)
    }
}

impl State {
    fn expiry(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let Some(expiry) = self.tls.expiry() else { return Ok(()) };
        let help = "When a certificate of the TLS directory ends, in Unix time: server, ca-0, ca-1, …";
        let name = "certificate_expiry_timestamp_seconds";
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        let authorities = expiry.authorities.into_iter().enumerate();
        let named = authorities.map(|(at, ends)| (format!("ca-{at}"), ends));
        for (certificate, ends) in std::iter::once(("server".to_owned(), expiry.leaf)).chain(named) {
            let labels = [("certificate", certificate)];
            ConstGauge::new(seconds(ends)).encode(metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn counters(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, by_outcome: &[(&str, u64)]) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (outcome, count) in by_outcome {
        ConstCounter::new(*count).encode(metric.encode_family(&[("outcome", *outcome)])?)?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "a sample is a double; nothing here comes near 2^53")]
fn number(value: u64) -> f64 {
    value as f64
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().floor()
}
