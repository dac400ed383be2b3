//! The emulator as a program.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use keyward_tests::vault::Emulator;
use tokio::signal::unix::{SignalKind, signal};

/// What `--version` says: the package's version, or what the build was told, which names the commit too.
const VERSION: &str = match option_env!("KEYWARD_VERSION") {
    Some(version) => version,
    None => env!("CARGO_PKG_VERSION"),
};

const ABOUT: &str = "A Key Vault and Entra emulator that the official Azure SDKs accept unchanged";

const LONG_ABOUT: &str = r#"A Key Vault and Entra emulator that the official Azure SDKs accept unchanged.

It serves many vaults over TLS, each on a port of its own, so that https://localhost:PORT is a vault. Any vault port
also answers for NAME.vault.test and NAME.vault.azure.net by Host header. One more TLS port is Entra and a cluster's
token issuer; one plain HTTP port is IMDS, App Service managed identity and a control API.

Clients must trust DIR/ca.pem (--state-dir, or GET /ca.pem on the HTTP port), which is made anew at each start unless
--tls-dir gives a certificate. Because localhost is not below
vault.azure.net, SDKs need their check of the challenge's resource switched off (verify_challenge_resource=False in
Python, Some(false) in Rust, disableChallengeResourceVerification in JavaScript). Credentials that use MSAL ask the
public cloud about any authority they do not know: switch that off too (disable_instance_discovery=True in Python).

Objects come from a YAML file and by the REST API; all state is in memory. Offered: secrets, certificates and keys
with versions, lists in pages of 25, soft delete; not backup, rotation, contacts, issuers, or cryptographic operations
of keys.

OBJECTS FILE
  vaults:
    acme:                       # ports follow the order of names
      tenant, resource          # in its challenge; https://vault.azure.net by default
      refuse: ForbiddenByConnection   # every call gets this 403
      secrets:
        NAME: {value, contentType, enabled, nbf, exp, tags, versions: [{value, ...}]}   # earlier versions
      certificates:
        NAME: {subject, dnsNames, keyType: rsa-2048|rsa-3072|rsa-4096|ec-p256|ec-p384, validityMonths,
               contentType: application/x-pkcs12|application/x-pem-file, exportable, chain, enabled, tags}
        NAME: {pfxFile, password} or {pemFile} or {pem}     # files beside the objects file
      keys:
        NAME: {kty: RSA|EC, keySize, crv: P-256|P-384|P-521, enabled, tags}
  identities:
    - {tenant, clientId, objectId, clientSecret, federatedSubjects: [..], managed: system|user, resourceId,
       access: [{vault, operations: [SecretGet, "Secret*", "*"]}]}      # no access list: everything

TOKENS
  POST /{tenant}/oauth2/v2.0/token   client_credentials: client_secret, or client_assertion by a token of this issuer
                                     whose subject is listed and whose audience is api://AzureADTokenExchange
  POST /projected-token              {"namespace", "serviceAccount", "pod", "podUid", "node", "audience" or
                                     "audiences", "expirationSeconds"}; without pod the token is bound to none
  GET  /.well-known/openid-configuration, /openid/v1/jwks

CONTROL API (HTTP port). It asks nobody who they are; leave it on loopback.
  GET /healthz, GET /ca.pem
  GET /calls                         rows {vault, operation, object, status, count}; DELETE /calls resets
  GET /calls/log                     the latest calls one by one, with time, client id and status
  POST /faults                       {"vault", "operation", "object", "client", "times" or "untilLifted", "chance",
                                     "seed", "unauthenticated", "name", "fault"}, all but fault optional; fault is
                                     {"status": {"code": 429, "retryAfter": 2 or {"dateIn": 2}, "inner": "..."}},
                                     {"html": {"code": 200}}, "reset", "hang", {"hold": {"gate": "NAME"}},
                                     {"delay": {"millis": 100}}, {"latency": {"fromMillis": 10, "toMillis": 200}},
                                     {"body": {"halfOpen": {"bytes": N}}}, {"body": {"truncated": {"bytes": N}}},
                                     {"body": {"oversize": {"bytes": N, "chunked": true}}},
                                     {"page": "cut"}, {"page": "stale"}, {"page": "repeatNextLink"},
                                     {"page": {"torn": {"share": 0.3}}}, {"page": {"foreignNextLink": {"origin": URL}}},
                                     {"revoked": "rights"}, {"revoked": "identity"} or {"revoked": "credential"};
                                     vault may be entra, imds or appservice too. Answers {"id": N}
  GET /faults, /faults/ID|NAME       what is armed, and how often it struck
  DELETE /faults, /faults/ID|NAME    lifts all, or one; DELETE /faults?vault=NAME all of a vault
  POST /faults/gates/NAME/release    lets held calls through
  GET|PUT /clock                     {"now": SECONDS}, {"advanceSeconds": N}, {"skewSeconds": N}, {} to follow the
                                     system again; stamps objects and Date only, tokens live by the system's clock

Operations are named as in Key Vault's audit log: SecretGet, SecretList, SecretListVersions, SecretSet, SecretUpdate,
SecretDelete, CertificateCreate, CertificateImport, KeyGet and so on."#;

#[derive(Parser)]
#[command(name = "keyward-vault", version = VERSION, about = ABOUT, long_about = LONG_ABOUT, term_width = 0)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves until it gets SIGTERM or an interrupt
    Serve(Serve),
}

#[derive(clap::Args)]
struct Serve {
    /// YAML file of vaults, objects and identities; `keyward-vault --help` shows its shape
    #[arg(long, value_name = "FILE")]
    objects: PathBuf,
    /// Address of all ports
    #[arg(long, value_name = "IP", default_value = "127.0.0.1")]
    listen: IpAddr,
    /// Port of the first vault, in order of name; the others follow. 0: free ports
    #[arg(long, value_name = "PORT", default_value_t = 9443)]
    vault_port: u16,
    /// Port of Entra and the token issuer. 0: a free port
    #[arg(long, value_name = "PORT", default_value_t = 9400)]
    identity_port: u16,
    /// Port of the control API, IMDS and App Service, plain HTTP. 0: a free port
    #[arg(long, value_name = "PORT", default_value_t = 9401)]
    http_port: u16,
    /// Serves IMDS here too; its well-known address is 169.254.169.254:80
    #[arg(long, value_name = "IP:PORT")]
    imds: Option<SocketAddr>,
    /// What App Service requests must carry in X-IDENTITY-HEADER; made up where not given
    #[arg(long, value_name = "VALUE")]
    identity_header: Option<String>,
    /// The most items on a page of a list, at most Key Vault's 25
    #[arg(long, value_name = "N", default_value_t = 25)]
    page_size: usize,
    /// Directory with tls.crt, tls.key and ca.crt to serve with: the same after a restart
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// Directory to write ca.pem and endpoints.json (all URLs) to
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Args { command: Command::Serve(serve) } = Args::parse();
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    run(serve).await
}

async fn run(args: Serve) -> anyhow::Result<()> {
    let Serve {
        objects,
        listen,
        vault_port,
        identity_port,
        http_port,
        imds,
        identity_header,
        page_size,
        tls_dir,
        state_dir,
    } = args;
    let mut builder = Emulator::builder()
        .objects_file(&objects)
        .listen(listen)
        .vault_port(vault_port)
        .identity_port(identity_port)
        .http_port(http_port)
        .page_size(page_size);
    if let Some(address) = imds {
        builder = builder.imds(address);
    }
    if let Some(value) = identity_header {
        builder = builder.identity_header(&value);
    }
    if let Some(directory) = tls_dir {
        builder = builder.tls_dir(&directory);
    }
    // Before anything serves: from here on a signal ends the emulator in order.
    let mut terminated = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let emulator = builder.start().await?;
    let mut out = std::io::stdout();
    write!(out, "{}", emulator.endpoints())?;
    if let Some(dir) = state_dir {
        let written = emulator.endpoints().write_dir(&dir, &emulator.ca_pem());
        written.with_context(|| format!("cannot write to {}", dir.display()))?;
        writeln!(out, "{:<28}{}", "certificate authority", dir.join("ca.pem").display())?;
    }
    out.flush()?;
    tokio::select! {
        _ = terminated.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("cannot listen for interrupts")?,
    }
    emulator.shutdown().await;
    Ok(())
}
