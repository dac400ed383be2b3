//! The command line. Every flag has an environment variable; `--help` shows both.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]
#![allow(rustdoc::bare_urls, reason = "the comments become the text of --help")]

mod images;
mod parse;

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};
use keyward_kit::telemetry::LogArgs;
use url::Url;

pub use self::images::{AcrIdentityKind, ImageArgs};

/// Rewrites pods whose environment refers to Azure Key Vault, so that the launcher starts first.
#[derive(Debug, Parser)]
#[command(name = "keyward-webhook", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the webhook: the default
    Serve(Box<ServeArgs>),
}

/// Flags of `serve`.
#[derive(Clone, Debug, Args)]
pub struct ServeArgs {
    /// The broker's gRPC address, as pods reach it too
    #[arg(long, env = "KEYWARD_BROKER", value_name = "URL", value_parser = parse::broker)]
    pub broker: Url,

    /// The broker's ClusterIP, for pods that cannot look its name up; looked up by name if absent
    #[arg(long, env = "KEYWARD_BROKER_IP", value_name = "ADDRESS")]
    pub broker_ip: Option<IpAddr>,

    /// Directory with tls.crt and tls.key (of role `webhook`, server and client) and ca.crt
    #[arg(long, env = "KEYWARD_TLS_DIR", value_name = "DIR")]
    pub tls_dir: PathBuf,

    /// Where the API server posts pods, in HTTPS
    #[arg(long, env = "KEYWARD_LISTEN", default_value = "[::]:8443", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    /// Where /livez, /readyz and /metrics are served, in plain HTTP
    #[arg(long, env = "KEYWARD_ADMIN_LISTEN", default_value = "[::]:8080", value_name = "ADDRESS")]
    pub admin_listen: SocketAddr,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub launcher: LauncherArgs,

    /// What becomes of a pod with a reference that is unknown, forbidden or malformed to the broker
    #[arg(long, env = "KEYWARD_UNRESOLVED", value_enum, default_value_t = Unresolved::Warn, value_name = "WHAT")]
    pub unresolved: Unresolved,

    /// Whether pods labelled keyward.dev/inject: disabled are left alone
    #[arg(long, env = "KEYWARD_OPT_OUT", value_enum, default_value_t = OptOut::Allow, value_name = "WHAT")]
    pub opt_out: OptOut,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub images: ImageArgs,

    /// How long one review may take; nine tenths of the API server's own timeout count where they are shorter
    #[arg(long, env = "KEYWARD_REVIEW_DEADLINE", default_value = "9s", value_name = "DURATION", value_parser = parse::review_deadline)]
    pub review_deadline: Duration,

    /// How long reviews in hand may take to finish after SIGTERM, once no new ones come
    #[arg(long, env = "KEYWARD_DRAIN", default_value = "10s", value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub drain: Duration,

    #[command(flatten)]
    #[allow(missing_docs, reason = "a comment here would become the help of every flag")]
    pub log: LogArgs,
}

/// What is put into pods.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Injection")]
pub struct LauncherArgs {
    /// Image with the launcher
    #[arg(long, env = "KEYWARD_LAUNCHER_IMAGE", value_name = "IMAGE", value_parser = parse::image)]
    pub launcher_image: String,

    /// When nodes pull that image
    #[arg(long, env = "KEYWARD_LAUNCHER_IMAGE_PULL_POLICY", value_enum, default_value_t = PullPolicy::IfNotPresent, value_name = "POLICY")]
    pub launcher_image_pull_policy: PullPolicy,

    /// Processor that the container which copies the launcher requests and may use
    #[arg(long, env = "KEYWARD_COPIER_CPU", default_value = "50m", value_name = "QUANTITY", value_parser = parse::quantity)]
    pub copier_cpu: String,

    /// Memory that it requests and may use
    #[arg(long, env = "KEYWARD_COPIER_MEMORY", default_value = "24Mi", value_name = "QUANTITY", value_parser = parse::quantity)]
    pub copier_memory: String,

    /// How long a launcher tries to resolve its references; its own default if absent
    #[arg(long, env = "KEYWARD_LAUNCHER_DEADLINE", value_name = "DURATION", value_parser = parse::launcher_deadline)]
    pub launcher_deadline: Option<Duration>,
}

/// For references that a pod could not resolve now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Unresolved {
    /// It is admitted with a warning; its launcher waits or fails
    Warn,
    /// It is denied
    Deny,
}

/// For pods that ask to be left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OptOut {
    /// They are
    Allow,
    /// The label means nothing
    Forbid,
}

/// `imagePullPolicy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PullPolicy {
    /// At each start
    #[value(name = "Always")]
    Always,
    /// Where the node lacks it
    #[value(name = "IfNotPresent")]
    IfNotPresent,
    /// Not at all: it is on the nodes
    #[value(name = "Never")]
    Never,
}

impl fmt::Display for PullPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        })
    }
}

impl ServeArgs {
    /// The broker's address as it is written into pods: without a path.
    pub fn broker_for_pods(&self) -> String {
        self.broker.as_str().trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    const NEEDED: [&str; 8] = [
        "keyward-webhook",
        "serve",
        "--broker",
        "https://keyward-broker.keyward.svc:8443",
        "--tls-dir",
        "/tls",
        "--launcher-image",
        "registry.example/keyward-launcher:1",
    ];

    fn parse(more: &[&str]) -> Result<ServeArgs, String> {
        let Command::Serve(args) =
            Cli::try_parse_from(NEEDED.iter().chain(more)).map_err(|error| error.to_string())?.command;
        Ok(*args)
    }

    #[test]
    fn the_command_line_is_consistent_and_every_flag_has_a_variable() {
        Cli::command().debug_assert();
        let command = Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        for flag in serve.get_arguments().filter(|flag| flag.get_id() != "help") {
            let variable = flag.get_env().map(|name| name.to_string_lossy().into_owned());
            let expected = format!("KEYWARD_{}", flag.get_long().unwrap().replace('-', "_").to_uppercase());
            assert_eq!(variable.as_deref(), Some(&*expected));
        }
    }

    #[test]
    fn what_is_needed_is_enough() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.broker_for_pods(), "https://keyward-broker.keyward.svc:8443");
        assert_eq!((args.launcher.copier_cpu.as_str(), args.launcher.copier_memory.as_str()), ("50m", "24Mi"));
        assert_eq!((args.unresolved, args.opt_out), (Unresolved::Warn, OptOut::Allow));
        assert_eq!(args.review_deadline, Duration::from_secs(9));
        assert_eq!(args.launcher.launcher_image_pull_policy.to_string(), "IfNotPresent");
        assert!(["amd64", "arm64"].contains(&args.images.default_architecture.as_str()));
        for needed in ["--broker", "--tls-dir", "--launcher-image"] {
            let without = NEEDED.iter().position(|flag| *flag == needed).unwrap();
            let rest = NEEDED.iter().enumerate().filter(|(at, _)| *at != without && *at != without + 1);
            let error = Cli::try_parse_from(rest.map(|(_, argument)| argument)).unwrap_err().to_string();
            assert!(error.contains(needed), "{error}");
        }
    }

    #[test]
    fn lists_and_choices_are_read() {
        let args = parse(&[
            "--plain-http-registry",
            "registry:5000, other:80",
            "--plain-http-registry=third:1",
            "--unresolved=deny",
            "--opt-out=forbid",
            "--launcher-image-pull-policy=Never",
            "--acr-identity=managed-identity",
            "--acr-client-id=6a2d0c3e-0000-0000-0000-000000000000",
            "--launcher-deadline=1m 30s",
            "--broker-ip=10.0.0.7",
        ])
        .unwrap();
        assert_eq!(args.images.plain_http_registry, ["registry:5000", "other:80", "third:1"]);
        assert_eq!((args.unresolved, args.opt_out), (Unresolved::Deny, OptOut::Forbid));
        assert_eq!(args.images.acr_identity, AcrIdentityKind::ManagedIdentity);
        assert_eq!(args.launcher.launcher_deadline, Some(Duration::from_secs(90)));
        assert_eq!(args.broker_ip, Some([10, 0, 0, 7].into()));
    }

    #[test]
    fn what_pods_could_not_use_is_refused() {
        for (flag, bad) in [
            ("--broker", "http://keyward-broker:8443"),
            ("--broker", "https://keyward-broker:8443/path"),
            ("--broker", "keyward-broker:8443"),
            ("--launcher-image", ""),
            ("--launcher-image", "keyward launcher"),
            ("--copier-cpu", "0"),
            ("--copier-cpu", "fast"),
            ("--copier-memory", "24MiB"),
            ("--launcher-deadline", "0s"),
            ("--review-deadline", "31s"),
            ("--review-deadline", "0s"),
            ("--unresolved", "ignore"),
            ("--default-architecture", "x86/64"),
            ("--acr-client-id", "6a2d0c3e"),
        ] {
            assert!(parse(&[&format!("{flag}={bad}")]).is_err(), "{flag} {bad}");
        }
    }
}
