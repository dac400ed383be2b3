//! Flags of `status`, `refresh` and `explain`, the commands that ask a running broker.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use url::Url;

/// Which broker, and as whom.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// The broker's gRPC address
    #[arg(long, env = "KEYWARD_BROKER", default_value = "https://localhost:8443", value_name = "URL")]
    pub broker: Url,

    // Not the variable of `serve`: a broker's own certificate is no operator's, and both are often set in one shell.
    /// Directory with tls.crt and tls.key (of role `operator`) and ca.crt
    #[arg(long, env = "KEYWARD_OPERATOR_TLS_DIR", value_name = "DIR", required_unless_present = "operator_token_file")]
    pub tls_dir: Option<PathBuf>,

    /// Instead of a certificate: a file with a token, audience keyward-broker, of a user who may get (refresh: update)
    /// caches.keyward.dev, as of `kubectl create token NAME --audience keyward-broker`
    #[arg(long, env = "KEYWARD_OPERATOR_TOKEN_FILE", value_name = "FILE")]
    pub operator_token_file: Option<PathBuf>,

    /// The CA certificates, PEM, that the broker's own may be signed by; without it, those of the directory
    #[arg(long, env = "KEYWARD_CA_FILE", value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

/// Flags of `status`.
#[derive(Clone, Debug, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub connection: ConnectionArgs,

    /// How to print
    #[arg(long, short, default_value = "table")]
    pub output: Output,
}

/// Flags of `refresh`.
#[derive(Clone, Debug, Args)]
pub struct RefreshArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub connection: ConnectionArgs,

    /// How to print
    #[arg(long, short, default_value = "table")]
    pub output: Output,

    /// A vault's name or origin; without it, every vault that is open
    #[arg(value_name = "VAULT")]
    pub vault: Option<String>,
}

/// Flags of `explain`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Ends with 0 when every gate is open, with 1 when one is closed, with 2 when nothing could be told."
)]
pub struct ExplainArgs {
    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub connection: ConnectionArgs,

    /// How to print
    #[arg(long, short, default_value = "table")]
    pub output: Output,

    /// Ask for any pod of this namespace
    #[arg(long, short, value_name = "NAME", required_unless_present = "token_file", conflicts_with = "token_file")]
    pub namespace: Option<String>,

    /// Ask for the pod whose projected token this file holds
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,

    /// NAME@azurekeyvault or NAME@azurekeyvault?QUERY
    #[arg(value_name = "REFERENCE")]
    pub reference: String,
}

/// `--output`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Aligned columns
    Table,
    /// One JSON object
    Json,
}
