//! The command line. Every flag of `serve` has an environment variable; `--help` shows both.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]
#![allow(rustdoc::bare_urls, reason = "the comments become the text of --help")]

pub mod azure;
mod operator;
mod peers;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::TypedValueParser as _};
use keyward_kit::telemetry::LogArgs;

pub use self::{
    azure::{AzureArgs, CloudArg, IdentityKind},
    operator::{ConnectionArgs, ExplainArgs, Output, RefreshArgs, StatusArgs},
    peers::PeersArg,
};
use crate::policy::{DefaultAccess, durations};

/// The one caller of Azure Key Vault: it caches, authorises, audits and answers over gRPC.
#[derive(Debug, Parser)]
#[command(name = "keyward-broker", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the broker: the default
    Serve(Box<ServeArgs>),
    /// Show what a running broker knows and holds, never a value
    Status(StatusArgs),
    /// Have a running broker compare what it holds with its vaults now
    Refresh(RefreshArgs),
    /// Tell why a pod may or may not read a reference: each gate on its way
    Explain(ExplainArgs),
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// Where gRPC is served
    #[arg(long, env = "KEYWARD_LISTEN", default_value = "[::]:8443", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// Where /livez, /readyz and /metrics are served, in plain HTTP
    #[arg(long, env = "KEYWARD_ADMIN_LISTEN", default_value = "[::]:8080", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,

    /// Directory with tls.crt and tls.key (this broker's) and ca.crt (which signs the client certificates of roles)
    #[arg(long, env = "KEYWARD_TLS_DIR", value_name = "DIR")]
    pub tls_dir: PathBuf,

    /// Trust domain of client certificates: spiffe://TRUST_DOMAIN/keyward/ROLE
    #[arg(long, env = "KEYWARD_TRUST_DOMAIN", default_value = "cluster.local", value_name = "NAME")]
    pub trust_domain: String,

    /// Where AzureKeyVaultSecrets, AzureKeyVaults and, for their labels, Namespaces come from: `kubernetes` for the cluster's
    /// API server (of KUBECONFIG, or of the cluster this runs in), or a directory of manifests
    #[arg(long, env = "KEYWARD_SOURCE", value_name = "kubernetes|DIR")]
    pub source: Source,

    /// The broker's own namespace, whose Secrets AzureKeyVaults may name (identity.secretName); by default the one it runs in
    #[arg(long, env = "KEYWARD_NAMESPACE", value_name = "NAME")]
    pub namespace: Option<String>,

    /// How launchers' tokens are verified: by default token-review with `--source kubernetes`, else jwks
    #[arg(long, env = "KEYWARD_AUTHN")]
    pub authn: Option<Authn>,

    /// jwks: issuer of the tokens, as in their `iss`; its keys are found by OpenID discovery
    #[arg(long, env = "KEYWARD_JWKS_ISSUER", value_name = "URL")]
    pub jwks_issuer: Option<String>,

    /// Where the issuer's keys are, instead of by discovery: an https URL or a file
    #[arg(long, env = "KEYWARD_JWKS", value_name = "URL|FILE")]
    pub jwks: Option<String>,

    /// CA certificates, PEM, that the issuer's server may use besides the system's
    #[arg(long, env = "KEYWARD_JWKS_CA_FILE", value_name = "FILE")]
    pub jwks_ca_file: Option<PathBuf>,

    /// Whether a pod's token resolves only what its own containers carry, once for each of their starts: by default on with
    /// `--source kubernetes`, else off. It needs an API server whose pods the broker may get
    #[arg(long, env = "KEYWARD_POD_BINDING")]
    pub pod_binding: Option<PodBinding>,

    /// What holds for a vault that no AzureKeyVault declares
    #[arg(long, env = "KEYWARD_ACCESS_DEFAULT", default_value = "deny")]
    pub access_default: DefaultAccess,

    /// How often what is cached is compared with its vault, unless its AzureKeyVault says
    #[arg(long, env = "KEYWARD_POLL_INTERVAL", default_value = "10m", value_name = "DURATION", value_parser = durations::poll_interval)]
    pub poll_interval: Duration,

    /// How long what is cached is served while its vault does not answer, unless its AzureKeyVault says; 0s for not at all
    #[arg(long, env = "KEYWARD_MAX_STALE", default_value = "24h", value_name = "DURATION", value_parser = durations::max_stale)]
    pub max_stale: Duration,

    /// Requests to one vault in any ten seconds, unless its AzureKeyVault says. Key Vault allows 4,000
    #[arg(long, env = "KEYWARD_VAULT_BUDGET", default_value_t = 1_000, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(10..=40_000))]
    pub vault_budget: u32,

    /// Replicas of the broker, as many as there should be. Each holds its share of every budget, and lends it to whom it sees
    /// own the vault
    #[arg(long, env = "KEYWARD_REPLICAS", default_value = "1", value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100).try_map(NonZeroU32::try_from))]
    pub replicas: NonZeroU32,

    /// Where the other replicas are: addresses, this one's own may be among them; or `kubernetes:SERVICE` for all that are
    /// behind a headless Service of the broker's namespace. Without it there are none
    #[arg(long, env = "KEYWARD_PEERS", value_name = "HOST:PORT,...|kubernetes:SERVICE", value_parser = peers::parse)]
    pub peers: Option<PeersArg>,

    /// A name in the other replicas' certificates, where their addresses are not in them
    #[arg(long, env = "KEYWARD_PEER_NAME", value_name = "NAME")]
    pub peer_name: Option<String>,

    /// How long a new replica gathers what the others hold before it serves, at most
    #[arg(long, env = "KEYWARD_WARM_UP", default_value = "15s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub warm_up: Duration,

    /// What is cached is read again at least this often, even where the vault shows no change
    #[arg(long, env = "KEYWARD_REREAD_AFTER", default_value = "24h", value_name = "DURATION", value_parser = durations::poll_interval)]
    pub reread_after: Duration,

    /// Bound on the memory of cached objects, in bytes
    #[arg(long, env = "KEYWARD_CACHE_MAX_BYTES", default_value_t = 256 << 20, value_name = "BYTES")]
    pub cache_max_bytes: u64,

    /// Requests that one pod may make a second on average; twice as many at once
    #[arg(long, env = "KEYWARD_REQUESTS_PER_POD", default_value = "20", value_name = "NUMBER")]
    pub requests_per_pod: NonZeroU32,

    /// Requests that one role's certificate may make a second on average, all replicas of that role together; four times as
    /// many at once. Pods are admitted unchecked where their webhook asks more often
    #[arg(long, env = "KEYWARD_REQUESTS_PER_ROLE", default_value = "500", value_name = "NUMBER")]
    pub requests_per_role: NonZeroU32,

    /// How long requests under way may take to finish after SIGTERM
    #[arg(long, env = "KEYWARD_DRAIN", default_value = "25s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub azure: AzureArgs,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub log: LogArgs,
}

impl ServeArgs {
    /// `--authn`, or what the source suggests.
    pub fn authn(&self) -> Authn {
        let suggested = if self.source == Source::Kubernetes { Authn::TokenReview } else { Authn::Jwks };
        self.authn.unwrap_or(suggested)
    }

    /// `--pod-binding`, or what the source suggests.
    pub fn binds_pods(&self) -> bool {
        self.pod_binding.map_or(self.source == Source::Kubernetes, |binding| binding == PodBinding::On)
    }
}

/// `--source`
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cluster's API server
    Kubernetes,
    /// A directory of manifests
    Directory(PathBuf),
}

impl From<OsString> for Source {
    fn from(text: OsString) -> Self {
        if text == "kubernetes" { Self::Kubernetes } else { Self::Directory(text.into()) }
    }
}

/// `--authn`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Authn {
    /// Offline, against the issuer's published keys
    Jwks,
    /// By the API server's TokenReview, which knows when a pod is gone; operators may then come with a token too
    TokenReview,
}

/// `--pod-binding`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PodBinding {
    /// A token is worth what its pod carries
    On,
    /// A token is worth all that its namespace may read
    Off,
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
    fn the_source_is_a_word_or_a_directory_and_suggests_how_tokens_are_verified() {
        let parse = |flags: &[&str]| {
            let all = ["keyward-broker", "serve", "--tls-dir", "x"].iter().chain(flags);
            let Command::Serve(args) = Cli::try_parse_from(all).unwrap().command else { panic!() };
            (args.source.clone(), args.authn())
        };
        let directory = |path: &str| Source::Directory(path.into());
        assert_eq!(parse(&["--source", "kubernetes"]), (Source::Kubernetes, Authn::TokenReview));
        assert_eq!(parse(&["--source", "kubernetes", "--authn", "jwks"]), (Source::Kubernetes, Authn::Jwks));
        assert_eq!(parse(&["--source", "./kubernetes"]), (directory("./kubernetes"), Authn::Jwks));
        assert_eq!(parse(&["--source", "d", "--authn", "token-review"]), (directory("d"), Authn::TokenReview));
    }

    #[test]
    fn pods_are_bound_where_there_are_pods_unless_it_is_said() {
        let binds = |flags: &[&str]| {
            let all = ["keyward-broker", "serve", "--tls-dir", "x"].iter().chain(flags);
            let Command::Serve(args) = Cli::try_parse_from(all).unwrap().command else { panic!() };
            args.binds_pods()
        };
        for (flags, expected) in [
            (&["--source", "kubernetes"][..], true),
            (&["--source", "kubernetes", "--pod-binding", "off"], false),
            (&["--source", "kubernetes", "--authn", "jwks"], true),
            (&["--source", "d"], false),
            (&["--source", "d", "--authn", "token-review"], false),
            (&["--source", "d", "--pod-binding", "on"], true),
        ] {
            assert_eq!(binds(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn there_is_one_broker_unless_it_is_said_and_never_none() {
        let replicas = |flags: &[&str]| {
            let all = ["keyward-broker", "serve", "--tls-dir", "x", "--source", "d"].iter().chain(flags);
            let Command::Serve(args) = Cli::try_parse_from(all).ok()?.command else { panic!() };
            Some(args.replicas.get())
        };
        for (flags, expected) in [
            (&[][..], Some(1)),
            (&["--replicas", "1"], Some(1)),
            (&["--replicas", "100"], Some(100)),
            (&["--replicas", "0"], None),
            (&["--replicas", "101"], None),
            (&["--replicas=-1"], None),
            (&["--replicas", ""], None),
        ] {
            assert_eq!(replicas(flags), expected, "{flags:?}");
        }
    }

    #[test]
    fn explain_asks_for_a_namespace_or_a_token_and_not_for_both() {
        let parse = |flags: &[&str]| {
            let all = ["keyward-broker", "explain", "--tls-dir", "x"].iter().chain(flags).chain(&["db@azurekeyvault"]);
            Cli::try_parse_from(all).is_ok()
        };
        assert!(parse(&["--namespace", "shop"]) && parse(&["--token-file", "f"]));
        assert!(!parse(&[]) && !parse(&["--namespace", "shop", "--token-file", "f"]));
    }

    #[test]
    fn a_bad_value_is_quoted_with_its_flag() {
        let error =
            Cli::try_parse_from(["keyward-broker", "serve", "--poll-interval", "soon"]).unwrap_err().to_string();
        assert!(error.contains("soon") && error.contains("--poll-interval"), "{error}");
    }
}
