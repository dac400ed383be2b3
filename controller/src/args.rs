//! The command line. Every flag has an environment variable; `--help` shows both.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]
#![allow(rustdoc::bare_urls, reason = "the comments become the text of --help")]

mod certificates;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand, builder::BoolishValueParser};
use keyward_kit::telemetry::LogArgs;
use keyward_types::{Pattern, reference::is_dns_subdomain};
use url::Url;

pub use self::certificates::CertificateArgs;
use crate::scope::Scope;

/// Writes Azure Key Vault objects into Secrets and ConfigMaps, as AzureKeyVaultSecrets say.
#[derive(Debug, Parser)]
#[command(name = "keyward-controller", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the controller: the default
    Serve(Box<ServeArgs>),
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The broker's gRPC address
    #[arg(long, env = "KEYWARD_BROKER", value_name = "URL")]
    pub broker: Url,

    /// Directory with tls.crt and tls.key (of role `controller`) and ca.crt; not with --issue-certificates
    #[arg(long, env = "KEYWARD_TLS_DIR", value_name = "DIR")]
    pub tls_dir: Option<PathBuf>,

    /// Where /livez, /readyz and /metrics are served, in plain HTTP
    #[arg(long, env = "KEYWARD_ADMIN_LISTEN", default_value = "[::]:8080", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,

    /// Look only after AzureKeyVaultSecrets with these labels, as in `kubectl get --selector`
    #[arg(long, env = "KEYWARD_SELECTOR", value_name = "SELECTOR")]
    pub selector: Option<String>,

    /// Look after these namespaces only, by rights in each of them; without it after all, by rights in the whole cluster
    #[arg(long, env = "KEYWARD_WATCH_NAMESPACE", value_name = "NAME", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespace: Vec<String>,

    /// Labels of an AzureKeyVaultSecret that what is written carries too; `*` stands for any run of characters
    #[arg(long, env = "KEYWARD_COPY_LABELS", value_name = "KEY", value_delimiter = ',', value_parser = pattern)]
    pub copy_labels: Vec<Pattern>,

    /// Annotations of an AzureKeyVaultSecret that what is written carries too
    #[arg(long, env = "KEYWARD_COPY_ANNOTATIONS", value_name = "KEY", value_delimiter = ',', value_parser = pattern)]
    pub copy_annotations: Vec<Pattern>,

    /// Whether workloads annotated keyward.dev/restart-on-change: "true" are restarted when a version changes
    #[arg(long, env = "KEYWARD_RESTART_ON_CHANGE", default_value_t = true, action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub restart_on_change: bool,

    /// The least time between two restarts of one workload
    #[arg(long, env = "KEYWARD_RESTART_WINDOW", default_value = "5m", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub restart_window: Duration,

    /// Whether the authority (ca.crt of --tls-dir, or what is issued here) is published as ConfigMap keyward-ca in every
    /// namespace labelled azure-key-vault-env-injection: enabled, where launchers look for it, and in --lease-namespace
    #[arg(long, env = "KEYWARD_PUBLISH_CA", default_value_t = true, action = ArgAction::Set, value_parser = BoolishValueParser::new())]
    pub publish_ca: bool,

    /// Keyward's own namespace: of the Lease by which one of several replicas works, and of what --issue-certificates makes
    #[arg(long, env = "KEYWARD_LEASE_NAMESPACE", value_name = "NAME")]
    pub lease_namespace: String,

    /// Name of the Lease
    #[arg(long, env = "KEYWARD_LEASE_NAME", default_value = "keyward-controller", value_name = "NAME")]
    pub lease_name: String,

    /// How long the Lease lasts that nobody renews: the longest nobody works after a replica was lost
    #[arg(long, env = "KEYWARD_LEASE_DURATION", default_value = "15s", value_name = "DURATION", value_parser = lease_duration)]
    pub lease_duration: Duration,

    /// Who this replica is, to the others: the pod's name
    #[arg(long, env = "KEYWARD_IDENTITY", value_name = "NAME")]
    pub identity: Option<String>,

    /// How long looks under way may take to finish after SIGTERM
    #[arg(long, env = "KEYWARD_DRAIN", default_value = "10s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub certificates: CertificateArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub log: LogArgs,
}

impl ServeArgs {
    /// The namespaces that are looked after.
    pub fn scope(&self) -> Scope {
        Scope::of(self.watch_namespace.iter().cloned())
    }
}

/// An empty one is refused too: taken for none, it would widen what is looked after.
fn namespace(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if is_dns_subdomain(name) && name.len() <= 63 && !name.contains('.') {
        Ok(name.to_owned())
    } else {
        Err("no name of a namespace; leave the flag out to look after all")
    }
}

#[allow(clippy::unnecessary_wraps, reason = "clap asks for a result")]
fn pattern(text: &str) -> Result<Pattern, std::convert::Infallible> {
    Ok(Pattern::new(text.trim()))
}

fn lease_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(6)..=Duration::from_secs(600)).contains(&duration) {
        Ok(duration)
    } else {
        Err("a lease lasts from 6s to 10m".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn patterns_and_durations_are_read() {
        let all =
            ["keyward-controller", "serve", "--broker", "https://b", "--tls-dir", "t", "--lease-namespace", "keyward"];
        let parse = |more: &[&str]| Cli::try_parse_from(all.iter().chain(more));
        let Command::Serve(args) = parse(&["--copy-labels", "team, app.kubernetes.io/*"]).unwrap().command;
        assert!(args.copy_labels[1].matches("app.kubernetes.io/name") && args.copy_labels[0].matches("team"));
        assert_eq!(args.lease_duration, Duration::from_secs(15));
        for bad in ["1s", "1h", "soon"] {
            assert!(parse(&["--lease-duration", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn issuing_is_a_switch_and_names_are_lists() {
        let all = ["keyward-controller", "serve", "--broker", "https://b", "--lease-namespace", "keyward"];
        let parse = |more: &[&str]| {
            let Command::Serve(args) = Cli::try_parse_from(all.iter().chain(more)).unwrap().command;
            args.certificates
        };
        assert!(!parse(&[]).issue_certificates && !parse(&["--issue-certificates=false"]).issue_certificates);
        let issuing = parse(&["--issue-certificates", "--broker-dns-name", "a,b", "--ca-overlap=90s"]);
        assert!(issuing.issue_certificates && issuing.ca_overlap == Duration::from_secs(90));
        assert_eq!((issuing.broker_dns_name.len(), issuing.webhook_dns_name.len()), (2, 0));
        assert_eq!((issuing.ca_secret.as_str(), issuing.ca_lifetime), ("keyward-ca", Duration::from_hours(8_760)));
    }

    #[test]
    fn namespaces_are_listed_and_nothing_else_is_taken_for_all_of_them() {
        let all =
            ["keyward-controller", "serve", "--broker", "https://b", "--tls-dir", "t", "--lease-namespace", "keyward"];
        let scope = |more: &[&str]| {
            let Command::Serve(args) = Cli::try_parse_from(all.iter().chain(more)).ok()?.command;
            Some(args.scope())
        };
        let only = |names: &[&str]| Some(Scope::of(names.iter().map(|name| (*name).to_owned())));
        assert_eq!(scope(&[]), Some(Scope::All));
        assert_eq!(
            scope(&["--watch-namespace", "shop, bank", "--watch-namespace=team-7"]),
            only(&["shop", "bank", "team-7"])
        );
        let long = "a".repeat(64);
        for bad in ["", ",", "shop,", "*", "Shop", "a.b", "a/b", "-a", long.as_str()] {
            assert_eq!(scope(&["--watch-namespace", bad]), None, "{bad}");
        }
    }
}
