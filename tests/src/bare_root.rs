//! The launcher with nothing around it: a root directory that holds the launcher, a static program, a token and a CA, and
//! whatever of `/etc` a case adds. Needs root, for chroot; the gate runs it in a network namespace with a name server.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::{
    process::{Finished, Process},
    stand::{Plan, Stand},
    vault::ProjectedToken,
};

/// The name that DNS knows, and by which pods would find the broker.
pub const BROKER_NAME: &str = "keyward-broker.keyward.svc.cluster.local";
/// The same as pods write it, to be completed by `search`.
pub const SHORT_NAME: &str = "keyward-broker.keyward.svc";

const MANIFESTS: &str = "
apiVersion: keyward.dev/v1alpha1
kind: AzureKeyVault
metadata: {name: acme}
spec: {vaultName: acme, url: https://acme.emulated, namespaces: {names: [shop]}}
---
apiVersion: spv.no/v2beta1
kind: AzureKeyVaultSecret
metadata: {name: db-password, namespace: shop}
spec: {vault: {name: acme, object: {name: db-password, type: secret}}}
";

const OBJECTS: &str = r#"
vaults: {acme: {secrets: {db-password: {value: thirteen-char}}}}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
"#;

/// What the launched program prints: the length of its value.
const EXPECTED: &str = "VALUE has 13 bytes\n";

const RESOLV_CONF: &str =
    "nameserver 127.0.0.1\nsearch shop.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

/// One way for the launcher to find the broker.
struct Case {
    what: &'static str,
    host: &'static str,
    ip: Option<&'static str>,
    etc: &'static [(&'static str, &'static str)],
    /// The exit code, where it is not to succeed.
    fails_with: Option<i32>,
}

const CASES: [Case; 7] = [
    Case { what: "an IP address, no /etc at all", host: "127.0.0.1", ip: None, etc: &[], fails_with: None },
    Case {
        what: "a name from /etc/hosts",
        host: "localhost",
        ip: None,
        etc: &[("hosts", "127.0.0.1 localhost\n")],
        fails_with: None,
    },
    Case {
        what: "a full name by DNS",
        host: BROKER_NAME,
        ip: None,
        etc: &[("resolv.conf", RESOLV_CONF)],
        fails_with: None,
    },
    Case {
        what: "a short name by DNS, search domains and ndots:5",
        host: SHORT_NAME,
        ip: None,
        etc: &[("resolv.conf", RESOLV_CONF)],
        fails_with: None,
    },
    Case {
        what: "a name nobody knows, at a known address",
        host: BROKER_NAME,
        ip: Some("127.0.0.1"),
        etc: &[],
        fails_with: None,
    },
    Case {
        what: "an address where nobody listens, then the name by DNS",
        host: BROKER_NAME,
        ip: Some("127.0.0.9"),
        etc: &[("resolv.conf", RESOLV_CONF)],
        fails_with: None,
    },
    Case {
        what: "a name nobody knows is an error that says so",
        host: "no-such-broker.example",
        ip: None,
        etc: &[("resolv.conf", RESOLV_CONF)],
        fails_with: Some(69),
    },
];

/// Runs every case with these two static programs and reports each to `told`. Returns how many passed and failed.
pub async fn run(
    launcher: &Path,
    program: &Path,
    mut told: impl FnMut(&str, Result<(), String>),
) -> anyhow::Result<(u32, u32)> {
    let mut plan = Plan { objects: OBJECTS.to_owned(), ..Plan::default() };
    plan.names.extend([BROKER_NAME.to_owned(), SHORT_NAME.to_owned()]);
    plan.manifests.insert("all.yaml".to_owned(), MANIFESTS.to_owned());
    let stand = Stand::start(plan).await?;
    let (mut passed, mut failed) = (0, 0);
    let mut tell = |what: &str, outcome: anyhow::Result<()>| {
        *(if outcome.is_ok() { &mut passed } else { &mut failed }) += 1;
        told(what, outcome.map_err(|error| format!("{error:#}")));
    };
    for case in &CASES {
        tell(case.what, resolves(&stand, launcher, program, case).await);
    }
    tell("the volume is emptied, the launcher itself included", empties(&stand, launcher, program).await);
    stand.broker.stop().await?;
    Ok((passed, failed))
}

async fn resolves(stand: &Stand, launcher: &Path, program: &Path, case: &Case) -> anyhow::Result<()> {
    let root = Root::new(stand, launcher, program)?;
    for (name, text) in case.etc {
        root.write(&format!("etc/{name}"), text)?;
    }
    let mut command = root.command(stand, case.host, "/keyward-launcher");
    command.args(["exec", "--", "/program"]);
    command.envs(case.ip.map(|ip| ("KEYWARD_BROKER_IP", ip)));
    if case.fails_with.is_some() {
        command.env("KEYWARD_DEADLINE", "1s");
    }
    let finished = finish(&mut command).await?;
    match case.fails_with {
        None => {
            ensure!(finished.status.success() && finished.stdout == EXPECTED, "{}{}", finished.status, finished.stderr);
        }
        Some(code) => {
            ensure!(finished.status.code() == Some(code), "{} {}", finished.status, finished.stderr);
            ensure!(finished.stderr.contains(case.host), "the name is not in: {}", finished.stderr);
        }
    }
    Ok(())
}

async fn empties(stand: &Stand, launcher: &Path, program: &Path) -> anyhow::Result<()> {
    let root = Root::new(stand, launcher, program)?;
    let volume = root.path().join("azure-keyvault");
    fs::create_dir(&volume)?;
    // `install` finds itself by /proc/self/exe, and so does the clean-up; every container has /proc.
    let proc = root.path().join("proc");
    fs::create_dir(&proc)?;
    ensure!(Command::new("mount").args(["-t", "proc", "proc"]).arg(&proc).status().await?.success(), "no /proc");
    let outcome = installed_and_emptied(stand, &root, &volume).await;
    ensure!(Command::new("umount").arg(&proc).status().await?.success(), "/proc stays mounted");
    outcome
}

async fn installed_and_emptied(stand: &Stand, root: &Root, volume: &Path) -> anyhow::Result<()> {
    let installed =
        finish(root.command(stand, "127.0.0.1", "/keyward-launcher").args(["install", "/azure-keyvault"])).await?;
    ensure!(installed.status.success(), "install: {}", installed.stderr);
    let mut command = root.command(stand, "127.0.0.1", "/azure-keyvault/keyward-launcher");
    command.args(["exec", "--", "/program"]).env("KEYWARD_RESTART_POLICY", "Never");
    let finished = finish(&mut command).await?;
    ensure!(finished.status.success() && finished.stdout == EXPECTED, "{}", finished.stderr);
    let left: Vec<_> = fs::read_dir(volume)?.filter_map(Result::ok).map(|entry| entry.path()).collect();
    ensure!(left.is_empty(), "still there: {left:?}");
    Ok(())
}

async fn finish(command: &mut Command) -> anyhow::Result<Finished> {
    Ok(Process::spawn_launcher("keyward-launcher", command)?.finish().await?)
}

/// A root directory, removed when dropped.
struct Root(tempfile::TempDir);

impl Root {
    fn new(stand: &Stand, launcher: &Path, program: &Path) -> anyhow::Result<Self> {
        let root = Self(tempfile::tempdir()?);
        for (from, to) in [(launcher, "keyward-launcher"), (program, "program")] {
            let to = root.path().join(to);
            fs::copy(from, &to).with_context(|| from.display().to_string())?;
            fs::set_permissions(&to, fs::Permissions::from_mode(0o555))?;
        }
        let token = stand.write_token(&ProjectedToken::for_pod("shop", "checkout", "checkout-1"))?;
        root.write("token", &fs::read_to_string(token)?)?;
        root.write("ca.crt", &stand.ca.cert_pem())?;
        Ok(root)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let path: PathBuf = self.path().join(name);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, text)
    }

    /// `program` of this root, with one reference in its environment.
    fn command(&self, stand: &Stand, host: &str, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(self.path())
            .arg(program)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("VALUE", "db-password@azurekeyvault")
            .env("KEYWARD_BROKER", format!("https://{host}:{}", stand.grpc.port()))
            .env("KEYWARD_CA_FILE", "/ca.crt")
            .env("KEYWARD_TOKEN_FILE", "/token")
            .stdin(Stdio::null());
        command
    }
}
