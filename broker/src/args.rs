//! The command line. Every flag of `serve` has an environment variable; `--help` shows both.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]
#![allow(rustdoc::bare_urls, reason = "the comments become the text of --help")]

mod operator;

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_kit::telemetry::LogArgs;
use url::Url;

pub use self::operator::{ConnectionArgs, ExplainArgs, Output, RefreshArgs, StatusArgs};
use crate::policy::DefaultAccess;

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

    /// Directory of manifests: AzureKeyVaultSecret, AzureKeyVault and, for their labels, Namespace
    #[arg(long, env = "KEYWARD_SOURCE", value_name = "DIR")]
    pub source: PathBuf,

    /// How launchers' tokens are verified
    #[arg(long, env = "KEYWARD_AUTHN", default_value = "jwks")]
    pub authn: Authn,

    /// Issuer of the tokens, as in their `iss`; its keys are found by OpenID discovery
    #[arg(long, env = "KEYWARD_JWKS_ISSUER", value_name = "URL")]
    pub jwks_issuer: String,

    /// Where the issuer's keys are, instead of by discovery: an https URL or a file
    #[arg(long, env = "KEYWARD_JWKS", value_name = "URL|FILE")]
    pub jwks: Option<String>,

    /// CA certificates, PEM, that the issuer's server may use besides the system's
    #[arg(long, env = "KEYWARD_JWKS_CA_FILE", value_name = "FILE")]
    pub jwks_ca_file: Option<PathBuf>,

    /// What holds for a vault that no AzureKeyVault declares
    #[arg(long, env = "KEYWARD_ACCESS_DEFAULT", default_value = "deny")]
    pub access_default: DefaultAccess,

    /// How old a cached object may grow before its vault is asked again, unless its AzureKeyVault says
    #[arg(long, env = "KEYWARD_POLL_INTERVAL", default_value = "10m", value_name = "DURATION", value_parser = interval)]
    pub poll_interval: Duration,

    /// Bound on the memory of cached objects, in bytes
    #[arg(long, env = "KEYWARD_CACHE_MAX_BYTES", default_value_t = 256 << 20, value_name = "BYTES")]
    pub cache_max_bytes: u64,

    /// Requests that one pod may make a second on average; twice as many at once
    #[arg(long, env = "KEYWARD_REQUESTS_PER_POD", default_value = "20", value_name = "NUMBER")]
    pub requests_per_pod: NonZeroU32,

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

/// How the broker signs in to Azure. The variables are those that Azure's own SDKs and its workload identity webhook use.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Azure")]
pub struct AzureArgs {
    /// The cloud of vaults whose AzureKeyVault does not say
    #[arg(long, env = "KEYWARD_CLOUD", default_value = "azure-public")]
    pub cloud: CloudArg,

    /// Entra tenant of the broker's identity
    #[arg(long, env = "AZURE_TENANT_ID", value_name = "ID")]
    pub azure_tenant_id: String,

    /// Client (application) id of the broker's identity
    #[arg(long, env = "AZURE_CLIENT_ID", value_name = "ID")]
    pub azure_client_id: String,

    /// Workload identity: the file with the token that Entra trusts
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE", conflicts_with = "azure_client_secret_file")]
    pub azure_federated_token_file: Option<PathBuf>,

    /// Client secret: the file that holds it, read once at start. AZURE_CLIENT_SECRET itself works too
    #[arg(long, env = "AZURE_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub azure_client_secret_file: Option<PathBuf>,

    /// Entra's address; the cloud's own where absent
    #[arg(long, env = "AZURE_AUTHORITY_HOST", value_name = "URL")]
    pub azure_authority_host: Option<Url>,

    /// CA certificates, PEM, that vaults and Entra may use besides the system's
    #[arg(long, env = "KEYWARD_AZURE_CA_FILE", value_name = "FILE")]
    pub azure_ca_file: Option<PathBuf>,
}

/// `--authn`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Authn {
    /// Offline, against the issuer's published keys
    Jwks,
}

/// `--cloud`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CloudArg {
    /// vault.azure.net
    AzurePublic,
    /// vault.usgovcloudapi.net
    AzureUsGovernment,
    /// vault.azure.cn
    AzureChina,
}

fn interval(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(interval) if interval >= Duration::from_secs(1) => Ok(interval),
        Ok(_) => Err("at least one second".to_owned()),
        Err(error) => Err(error.to_string()),
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
