//! `--keep`: commands to try by hand while everything runs.

use std::{io::Write, path::Path};

use super::deployment::Deployment;
use crate::stand::Stand;

/// Writes the commands.
pub fn write(stand: &Stand, deployment: &Deployment, token: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let directory = stand.directory().display();
    let program = |name: &str| stand.programs.path(name).map(|path| path.display().to_string());
    let (launcher, broker) = (program("keyward-launcher")?, program("keyward-broker")?);
    let (name, value) = deployment.environment.first().map_or(("DB_PASSWORD", ""), |(n, v)| (n.as_str(), v.as_str()));
    writeln!(out, "\nEverything keeps running until you press Ctrl-C. In another terminal:\n")?;
    writeln!(out, "  # launch something else")?;
    writeln!(out, "  export KEYWARD_BROKER={} KEYWARD_CA_FILE={directory}/ca.crt", stand.broker_url())?;
    writeln!(out, "  export KEYWARD_TOKEN_FILE={}", token.display())?;
    writeln!(out, "  {name}={value} {launcher} exec -- sh -c 'echo ${name}'\n")?;
    writeln!(out, "  # what the broker holds")?;
    let url = stand.broker_url();
    writeln!(out, "  {broker} status --broker {url} --tls-dir {directory}/operator-tls --output json\n")?;
    writeln!(out, "  # why a pod may or may not read a reference")?;
    writeln!(
        out,
        "  {broker} explain --broker {url} --tls-dir {directory}/operator-tls --token-file {} {value}\n",
        token.display()
    )?;
    writeln!(out, "  # the status by grpcurl, and a Resolve with the pod's token")?;
    let port = stand.grpc.port();
    writeln!(
        out,
        "  grpcurl -cacert {directory}/ca.crt -cert {directory}/operator-tls/tls.crt \
         -key {directory}/operator-tls/tls.key localhost:{port} keyward.v1.Cache/Status"
    )?;
    writeln!(
        out,
        "  grpcurl -cacert {directory}/ca.crt -H \"authorization: Bearer $(cat {})\" \
         -d '{{\"references\": [{{\"name\": \"db-password\"}}]}}' localhost:{port} keyward.v1.Secrets/Resolve\n",
        token.display()
    )?;
    writeln!(out, "  # change a manifest, or every call the vaults saw")?;
    writeln!(out, "  ls {directory}/manifests")?;
    writeln!(out, "  curl {}/calls", stand.emulator.http_url())?;
    out.flush()?;
    Ok(())
}
