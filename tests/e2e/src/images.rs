//! The images of the suite, in the cluster's registry: the launcher, and applications that tell how they were started.
//!
//! | image | is like | starts |
//! |---|---|---|
//! | [`ENTRYPOINT`] | `FROM scratch` | by its entrypoint alone |
//! | [`COMMAND`] | `FROM scratch` | by its command alone |
//! | [`BOTH`] | a distroless one, of user 65532 | by both, with what Kubernetes would expand, in `/srv` |
//! | [`MUSL`] | Alpine | `sh`; has a program that needs musl |
//! | [`GLIBC`] | Debian | `sh`; has a program that needs glibc |
//! | [`INDEX`] | one for two architectures | by an entrypoint that names the architecture |

mod folder;

use std::path::Path;

use anyhow::Context as _;
use futures::future::try_join_all;
use keyward_tests::programs::Programs;

use self::folder::{Folder, Libc};
use crate::cluster::Cluster;

/// The registry that anybody may read, without TLS.
pub const REGISTRY: &str = "registry.local:5000";

/// The same images for those who sign in, by TLS.
pub const PRIVATE_REGISTRY: &str = "registry.local:5443";

/// Who may read [`PRIVATE_REGISTRY`], and the password.
pub const PRIVATE_USER: &str = "keyward";

/// The launcher's image, by tag.
const LAUNCHER: &str = "registry.local:5000/keyward-launcher:e2e";

/// An image that has an entrypoint alone.
pub const ENTRYPOINT: &str = "registry.local:5000/probe/entrypoint:1";

/// One that has a command alone.
pub const COMMAND: &str = "registry.local:5000/probe/command:1";

/// One that has both, a user, a working directory, and a reference in its environment.
pub const BOTH: &str = "registry.local:5000/probe/both:1";

/// One with musl.
pub const MUSL: &str = "registry.local:5000/probe/musl:1";

/// One with glibc.
pub const GLIBC: &str = "registry.local:5000/probe/glibc:1";

/// One for two architectures.
pub const INDEX: &str = "registry.local:5000/probe/index:1";

/// The probe in every image but the launcher's.
pub const PROBE: &str = "/keyward-probe";

const PROGRAM: u32 = 0o755;
const TEXT: u32 = 0o644;

/// An image: its files, and what `crane mutate` is told of it.
struct Image<'a> {
    reference: &'a str,
    folder: &'a Folder,
    settings: &'a [&'a str],
}

/// The images that this run has pushed.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The launcher's, with its digest: a node that was kept has another of the same tag.
    pub launcher: String,
}

/// Builds them and pushes them.
pub async fn push(cluster: &Cluster) -> anyhow::Result<Pushed> {
    let programs = Programs::of_pods()?;
    let launcher = Folder::new()?;
    launcher.copy("keyward-launcher", programs.path("keyward-launcher")?, PROGRAM)?;
    let scratch = Folder::new()?;
    scratch.copy("keyward-probe", programs.path("keyward-probe")?, PROGRAM)?;
    let distroless = distroless(&programs)?;
    let musl = with_libc(&programs, Libc::Musl)?;
    let glibc = with_libc(&programs, Libc::Glibc)?;
    let (amd64, arm64) = ("registry.local:5000/probe/index-amd64:1", "registry.local:5000/probe/index-arm64:1");
    let image = |reference, folder, settings| push_one(cluster, Image { reference, folder, settings });
    let pushed = try_join_all([
        image(LAUNCHER, &launcher, &["--entrypoint", "/keyward-launcher", "--user", "65532:65532"]),
        image(ENTRYPOINT, &scratch, &["--entrypoint", "/keyward-probe"]),
        image(COMMAND, &scratch, &["--cmd", "/keyward-probe,from,the image"]),
        image(
            BOTH,
            &distroless,
            &[
                "--entrypoint=/usr/bin/app,serve",
                "--cmd=--greeting,$(GREETING) $$(GREETING) $GREETING",
                "--env=GREETING=hello",
                "--env=FROM_IMAGE=db@azurekeyvault",
                "--workdir=/srv",
                "--user=65532:65532",
            ],
        ),
        image(MUSL, &musl, &["--cmd", "/bin/sh"]),
        image(GLIBC, &glibc, &["--cmd", "/bin/sh"]),
        image(amd64, &scratch, &["--entrypoint", "/keyward-probe,amd64"]),
        image(arm64, &scratch, &["--set-platform", "linux/arm64", "--entrypoint", "/keyward-probe,arm64"]),
    ])
    .await?;
    // The foreign one first: whoever takes the first there is takes the wrong one.
    run(cluster, &["crane", "index", "append", "-m", arm64, "-m", amd64, "-t", INDEX]).await?;
    Ok(Pushed { launcher: pushed.into_iter().next().context("no image was pushed")? })
}

/// Pushes [`ENTRYPOINT`] and [`MUSL`] alone.
pub async fn push_applications(cluster: &Cluster) -> anyhow::Result<()> {
    let programs = Programs::of_pods()?;
    let scratch = Folder::new()?;
    scratch.copy("keyward-probe", programs.path("keyward-probe")?, PROGRAM)?;
    let musl = with_libc(&programs, Libc::Musl)?;
    let entrypoint = Image { reference: ENTRYPOINT, folder: &scratch, settings: &["--entrypoint", "/keyward-probe"] };
    let musl = Image { reference: MUSL, folder: &musl, settings: &["--cmd", "/bin/sh"] };
    try_join_all([push_one(cluster, entrypoint), push_one(cluster, musl)]).await?;
    Ok(())
}

/// Its reference, with its digest.
async fn push_one(cluster: &Cluster, image: Image<'_>) -> anyhow::Result<String> {
    let root = image.folder.path().to_str().context("a folder's name")?;
    let printed = run(cluster, &[&["image", image.reference, root], image.settings].concat()).await?;
    Ok(printed.trim().to_owned())
}

/// What `tests/cluster/cluster` with these arguments prints.
pub(crate) async fn run(cluster: &Cluster, arguments: &[&str]) -> anyhow::Result<String> {
    let mut command = tokio::process::Command::from(cluster.command(arguments));
    let output = command.output().await?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "tests/cluster/cluster {}: {said}", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn distroless(programs: &Programs) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.copy("usr/bin/app", programs.path("keyward-probe")?, PROGRAM)?;
    folder.copy("keyward-probe", programs.path("keyward-probe")?, PROGRAM)?;
    folder.write(
        "etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532::/home/nonroot:/sbin/nologin\n",
    )?;
    folder.write("etc/group", "root:x:0:\nnonroot:x:65532:\n")?;
    folder.write("etc/ssl/certs/ca-certificates.crt", "")?;
    folder.directory("tmp", 0o1777)?;
    folder.directory("srv", 0o755)?;
    Ok(folder)
}

/// A shell, and a program that is linked with this libc.
fn with_libc(programs: &Programs, libc: Libc) -> anyhow::Result<Folder> {
    let folder = Folder::new()?;
    folder.copy("keyward-probe", programs.path("keyward-probe")?, PROGRAM)?;
    folder.compile("usr/bin/dynamic", libc)?;
    folder.copy("bin/busybox", Path::new("/bin/busybox"), PROGRAM)?;
    for name in ["sh", "cat", "find", "grep", "ls", "sleep"] {
        folder.link(&format!("bin/{name}"), "busybox")?;
    }
    folder.write("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")?;
    folder.directory("tmp", 0o1777)?;
    Ok(folder)
}
