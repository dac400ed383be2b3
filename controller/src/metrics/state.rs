//! What is read from the controller's parts when it is scraped, so that no gauge is forgotten.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwapOption;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{
    authority::Looks,
    broker::Connection,
    certificates::{Outlets, Phase},
    queue::BrokerWatch,
    reconcile::Context,
    status::Status,
};

/// Every gauge, as it is exported.
#[cfg(test)]
pub(super) const NAMES: [&str; 10] = [
    "keyward_leader",
    "keyward_secrets",
    "keyward_managed_objects",
    "keyward_refused_watches",
    "keyward_authority_config_maps",
    "keyward_broker_watch_open",
    "keyward_authority_phase",
    "keyward_authority_expiry_timestamp_seconds",
    "keyward_issued_certificate_expiry_timestamp_seconds",
    "keyward_certificate_expiry_timestamp_seconds",
];

/// The parts that are looked at.
#[derive(Clone)]
pub struct State {
    /// The work under way, while this replica leads.
    pub leading: Arc<ArcSwapOption<Context>>,
    /// Whether the broker is heard.
    pub watch: Arc<BrokerWatch>,
    /// The way to the broker.
    pub broker: Connection,
    /// What becomes of the authority, where it is published.
    pub authority: Option<Looks>,
    /// What is issued here, where that is.
    pub issuing: Option<Outlets>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

impl Collector for State {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let leading = self.leading.load_full();
        let mut gauge = |name: &str, help: &str, samples: &[(Option<(&str, &str)>, f64)]| -> fmt::Result {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for (label, value) in samples {
                let gauge = ConstGauge::new(*value);
                match label {
                    None => gauge.encode(metric.encode_family::<[(&str, &str); 0]>(&[])?)?,
                    Some(label) => gauge.encode(metric.encode_family(&[*label])?)?,
                }
            }
            Ok(())
        };
        gauge("leader", "Whether this replica works: 1 for yes", &[(None, flag(leading.is_some()))])?;
        if let Some(context) = leading {
            let all = context.store.state();
            let of = |ready: Option<bool>| {
                let is = |status: Option<&Status>| status.and_then(Status::ready).map(|ready| ready.status == "True");
                count(all.iter().filter(|akvs| is(akvs.status.as_ref()) == ready).count())
            };
            let samples = [("true", Some(true)), ("false", Some(false)), ("unknown", None)]
                .map(|(shown, ready)| (Some(("ready", shown)), of(ready)));
            gauge("secrets", "AzureKeyVaultSecrets, by their condition Ready", &samples)?;
            let managed = count(context.managed.len());
            gauge("managed_objects", "Secrets and ConfigMaps that carry our label", &[(None, managed)])?;
            let refused = context.refusals.counts();
            let samples: Vec<_> =
                refused.iter().map(|(what, places)| (Some(("resource", what.as_str())), count(*places))).collect();
            let help = "Watches that the API server refuses, by what is watched";
            gauge("refused_watches", help, &samples)?;
            if let Some(authority) = &self.authority {
                let samples: Vec<_> = authority
                    .counts()
                    .into_iter()
                    .map(|(state, number)| (Some(("state", state.as_str())), count(number)))
                    .collect();
                let help = "ConfigMaps keyward-ca of labelled namespaces and Keyward's own, by what became of them";
                gauge("authority_config_maps", help, &samples)?;
            }
            let open = flag(self.watch.is_open());
            gauge("broker_watch_open", "Whether the broker is heard: 1 for yes", &[(None, open)])?;
            if let Some(shown) = self.issuing.as_ref().and_then(Outlets::shown) {
                let phases = Phase::ALL.map(|phase| (Some(("phase", phase.as_str())), flag(phase == shown.phase)));
                gauge("authority_phase", "Where the rotation of the certificate authority is: 1 for here", &phases)?;
                let slots: Vec<_> =
                    shown.authorities.iter().map(|(slot, end)| (Some(("slot", *slot)), seconds(*end))).collect();
                gauge("authority_expiry_timestamp_seconds", "When each slot's certificate authority ends", &slots)?;
                let leaves: Vec<_> = shown
                    .leaves
                    .iter()
                    .map(|(leaf, end)| (Some(("certificate", leaf.as_str())), seconds(*end)))
                    .collect();
                let help = "When each certificate that is issued here ends";
                gauge("issued_certificate_expiry_timestamp_seconds", help, &leaves)?;
            }
        }
        if let Some(expiry) = self.broker.expiry() {
            let help = "When the certificate that is shown to the broker ends";
            gauge("certificate_expiry_timestamp_seconds", help, &[(None, seconds(expiry))])?;
        }
        Ok(())
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
