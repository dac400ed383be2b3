//! Flags of `serve` about Azure: as whom the broker signs in, in which cloud.
//!
//! No flag takes a secret: a value on the command line is readable by every process of the machine. Secrets come from
//! files, or from `AZURE_CLIENT_SECRET`, `AZURE_CLIENT_CERTIFICATE_PASSWORD` and `IDENTITY_HEADER`.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum, builder::BoolishValueParser};
use url::Url;

/// How the broker signs in to Azure. The variables are those of Azure's own SDKs and its workload identity webhook.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Azure")]
pub struct AzureArgs {
    /// The cloud of vaults whose AzureKeyVault does not say: azure-public, unless azure.json says
    #[arg(long, env = "KEYWARD_CLOUD")]
    pub cloud: Option<CloudArg>,

    /// How the broker's identity is proven; where absent, as the variables that are set say
    #[arg(long, env = "KEYWARD_AZURE_IDENTITY")]
    pub azure_identity: Option<IdentityKind>,

    /// Entra tenant of the broker's identity; a managed identity has its own
    #[arg(long, env = "AZURE_TENANT_ID", value_name = "ID")]
    pub azure_tenant_id: Option<String>,

    /// Client (application) id of the broker's identity; which managed identity, where the machine has several
    #[arg(long, env = "AZURE_CLIENT_ID", value_name = "ID")]
    pub azure_client_id: Option<String>,

    /// Managed identity: which one, by its object (principal) id
    #[arg(
        long,
        env = "KEYWARD_AZURE_OBJECT_ID",
        value_name = "ID",
        conflicts_with_all = ["azure_client_id", "azure_resource_id"]
    )]
    pub azure_object_id: Option<String>,

    /// Managed identity: which one, by its ARM resource id
    #[arg(long, env = "KEYWARD_AZURE_RESOURCE_ID", value_name = "ID", conflicts_with = "azure_client_id")]
    pub azure_resource_id: Option<String>,

    /// Workload identity: the file with the token that Entra trusts
    #[arg(long, env = "AZURE_FEDERATED_TOKEN_FILE", value_name = "FILE")]
    pub azure_federated_token_file: Option<PathBuf>,

    /// Client secret: the file that holds it, read at each sign-in. AZURE_CLIENT_SECRET itself works too
    #[arg(long, env = "AZURE_CLIENT_SECRET_FILE", value_name = "FILE")]
    pub azure_client_secret_file: Option<PathBuf>,

    /// Client certificate: the file with certificate and RSA key, PEM or PFX, read at each sign-in
    #[arg(long, env = "AZURE_CLIENT_CERTIFICATE_PATH", value_name = "FILE")]
    pub azure_client_certificate_path: Option<PathBuf>,

    /// Client certificate: the file with the PFX's password. AZURE_CLIENT_CERTIFICATE_PASSWORD itself works too
    #[arg(long, env = "AZURE_CLIENT_CERTIFICATE_PASSWORD_FILE", value_name = "FILE")]
    pub azure_client_certificate_password_file: Option<PathBuf>,

    /// Client certificate: send the chain, for applications that trust subject name and issuer
    #[arg(
        long,
        env = "AZURE_CLIENT_SEND_CERTIFICATE_CHAIN",
        action = ArgAction::Set,
        num_args = 0..=1,
        default_value_t = false,
        default_missing_value = "true",
        value_parser = BoolishValueParser::new()
    )]
    pub azure_client_send_certificate_chain: bool,

    /// azure.json: the cloud provider's own file; read at start, not again when it changes
    #[arg(long, env = "KEYWARD_AZURE_CONFIG_FILE", value_name = "FILE")]
    pub azure_config_file: Option<PathBuf>,

    /// Directory of directories with the secrets and certificates that AzureKeyVaults name (identity.secretName)
    #[arg(long, env = "KEYWARD_AZURE_CREDENTIALS_DIR", value_name = "DIR")]
    pub azure_credentials_dir: Option<PathBuf>,

    /// Managed identity: the instance metadata service, where it is not http://169.254.169.254
    #[arg(long, env = "AZURE_POD_IDENTITY_AUTHORITY_HOST", value_name = "URL")]
    pub azure_pod_identity_authority_host: Option<String>,

    /// Managed identity: App Service's endpoint instead, with IDENTITY_HEADER; the platform sets both
    #[arg(long, env = "IDENTITY_ENDPOINT", value_name = "URL")]
    pub identity_endpoint: Option<String>,

    /// Entra's address; the cloud's own where absent
    #[arg(long, env = "AZURE_AUTHORITY_HOST", value_name = "URL")]
    pub azure_authority_host: Option<Url>,

    /// Custom cloud: what follows a vault's name in its host
    #[arg(long, env = "KEYWARD_AZURE_VAULT_DNS_SUFFIX", value_name = "SUFFIX")]
    pub azure_vault_dns_suffix: Option<String>,

    /// Custom cloud: the resource that tokens for its vaults are issued for
    #[arg(long, env = "KEYWARD_AZURE_VAULT_AUDIENCE", value_name = "URL")]
    pub azure_vault_audience: Option<String>,

    /// CA certificates, PEM, that vaults and Entra may use besides the system's
    #[arg(long, env = "KEYWARD_AZURE_CA_FILE", value_name = "FILE")]
    pub azure_ca_file: Option<PathBuf>,
}

/// `--azure-identity`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum IdentityKind {
    /// A federated token from a file
    Workload,
    /// An identity of the machine, from IMDS or App Service
    Managed,
    /// An application's secret
    ClientSecret,
    /// An application's certificate
    ClientCertificate,
    /// As the cloud provider's azure.json says
    AzureJson,
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
    /// Another: needs --azure-authority-host, --azure-vault-dns-suffix and --azure-vault-audience
    AzureCustom,
}
