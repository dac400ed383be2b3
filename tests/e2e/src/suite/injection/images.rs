//! Whatever the image is made of, and whoever its user is.

use anyhow::ensure;
use serde_json::{Value, json};

use crate::{
    apps::{Apps, container},
    images::{BOTH, ENTRYPOINT, GLIBC, MUSL},
    scene::Scene,
};

tests![every_image_runs_as_any_user_with_a_read_only_root_at_the_restricted_level];

const RESTRICTED: (&str, &str) = ("pod-security.kubernetes.io/enforce", "restricted");

/// What the `restricted` level asks for, and a user that no file of the image may know.
fn restricted(user: u32) -> Value {
    json!({
        "runAsUser": user, "runAsGroup": user, "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

async fn every_image_runs_as_any_user_with_a_read_only_root_at_the_restricted_level(
    scene: &Scene,
) -> anyhow::Result<()> {
    let apps = Apps::open_with(scene, &[RESTRICTED]).await?;
    apps.refer("db", "kwcanary-db").await?;
    let shell = json!(["sh", "-c", "exec dynamic one 'two three'"]);
    let containers = [
        container("scratch", ENTRYPOINT, json!({"securityContext": restricted(4711)})),
        container("distroless", BOTH, json!({"securityContext": restricted(65532)})),
        container("musl", MUSL, json!({"command": shell, "securityContext": restricted(1000)})),
        container("glibc", GLIBC, json!({"command": shell, "securityContext": restricted(2_000_000_000)})),
    ];
    let pod_security = json!({"runAsNonRoot": true, "fsGroup": 3000, "seccompProfile": {"type": "RuntimeDefault"}});
    let spec = json!({
        "automountServiceAccountToken": false, "securityContext": pod_security, "containers": containers,
    });
    apps.start("app", &spec).await?;
    for (name, user) in [("scratch", 4711), ("distroless", 65532), ("musl", 1000), ("glibc", 2_000_000_000)] {
        let report = apps.report("app", name).await?;
        report.check(&[("DB", "kwcanary-db")])?;
        ensure!((report.uid, report.gid, report.pid) == (user, user, 1), "{name}: {report:?}");
        ensure!(report.is_kept(), "{name}: {:?}", report.launcher);
    }
    for (name, libc) in [("musl", "Musl"), ("glibc", "Glibc")] {
        let report = apps.report("app", name).await?;
        report.check(&[("STARTED_BY", libc)])?;
        ensure!(report.argv == ["dynamic", "one", "two three"], "{name}: {:?}", report.argv);
    }
    Ok(())
}
