//! Flags about certificates: who issues them, for whom, and how long they last.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]

use std::time::Duration;

use clap::{ArgAction, Args, builder::BoolishValueParser};

/// Flags of `serve` about certificates that the controller issues.
#[derive(Clone, Debug, Args)]
pub struct CertificateArgs {
    /// Whether this controller keeps a certificate authority and issues the broker's, the webhook's and its own certificates, as
    /// Secrets in --lease-namespace; without it --tls-dir is needed
    #[arg(long, env = "KEYWARD_ISSUE_CERTIFICATES", default_value_t = false, default_missing_value = "true", num_args = 0..=1, require_equals = true, action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub issue_certificates: bool,

    /// Secret that holds the authority with its key
    #[arg(long, env = "KEYWARD_CA_SECRET", default_value = "keyward-ca", value_name = "NAME")]
    pub ca_secret: String,

    /// Secret of the broker's certificate
    #[arg(long, env = "KEYWARD_BROKER_SECRET", default_value = "keyward-broker-tls", value_name = "NAME")]
    pub broker_secret: String,

    /// DNS names by which the broker is called
    #[arg(long, env = "KEYWARD_BROKER_DNS_NAME", value_name = "NAME", value_delimiter = ',')]
    pub broker_dns_name: Vec<String>,

    /// Secret of the webhook's certificate
    #[arg(long, env = "KEYWARD_WEBHOOK_SECRET", default_value = "keyward-webhook-tls", value_name = "NAME")]
    pub webhook_secret: String,

    /// DNS names by which the API server calls the webhook; without one it gets no certificate
    #[arg(long, env = "KEYWARD_WEBHOOK_DNS_NAME", value_name = "NAME", value_delimiter = ',')]
    pub webhook_dns_name: Vec<String>,

    /// MutatingWebhookConfiguration whose caBundle is kept
    #[arg(long, env = "KEYWARD_WEBHOOK_CONFIGURATION", value_name = "NAME")]
    pub webhook_configuration: Option<String>,

    /// Trust domain of roles in certificates: spiffe://DOMAIN/keyward/ROLE
    #[arg(long, env = "KEYWARD_TRUST_DOMAIN", default_value = "cluster.local", value_name = "DOMAIN")]
    pub trust_domain: String,

    /// How long an authority lasts; the next one is made at half of it
    #[arg(long, env = "KEYWARD_CA_LIFETIME", default_value = "365days", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ca_lifetime: Duration,

    /// How long other certificates last; they are renewed at about half of it
    #[arg(long, env = "KEYWARD_LEAF_LIFETIME", default_value = "30days", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub leaf_lifetime: Duration,

    /// How long an authority is known everywhere before it is used, and still trusted after it is not
    #[arg(long, env = "KEYWARD_CA_OVERLAP", default_value = "1h", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub ca_overlap: Duration,
}
