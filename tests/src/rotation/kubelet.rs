//! A kubelet: Secrets and `ConfigMap`s into directories, swapped whole by one rename, a while after each change.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::{task::JoinSet, time::sleep};

use crate::api::{ApiServer, Resource};

/// A volume of a pod.
#[derive(Clone, Debug)]
pub struct Volume {
    /// Secrets or `ConfigMap`s.
    pub resource: Resource,
    /// Whose.
    pub namespace: &'static str,
    /// Which.
    pub name: &'static str,
    /// Where it is mounted.
    pub directory: PathBuf,
}

/// When it notices a change: at random, by `seed`, within `longest`.
#[derive(Clone, Copy, Debug)]
pub struct Delays {
    /// Decides about all of them.
    pub seed: u64,
    /// Of a real kubelet a minute and more; lifetimes are shorter here too.
    pub longest: Duration,
}

/// Running until dropped.
pub struct Kubelet {
    volumes: JoinSet<anyhow::Error>,
}

impl Kubelet {
    /// Mounts `volumes`: their directories are there at once, and hold something once the objects exist.
    pub fn start(api: &Arc<ApiServer>, volumes: Vec<Volume>, delays: Delays) -> io::Result<Self> {
        let mut running = JoinSet::new();
        for (number, volume) in (0..).zip(volumes) {
            fs::create_dir_all(&volume.directory)?;
            let random = fastrand::Rng::with_seed(delays.seed.wrapping_mul(31).wrapping_add(number));
            let api = Arc::clone(api);
            running.spawn(async move {
                let Err(error) = follow(&api, &volume, random, delays.longest).await;
                error.context(format!("volume {}", volume.name))
            });
        }
        Ok(Self { volumes: running })
    }

    /// Fails if it cannot do its work any more.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.volumes.try_join_next() {
            Some(ended) => Err(ended.context("a volume's task")?),
            None => Ok(()),
        }
    }
}

/// Never ends well. An object that is deleted stays in its directory, as with a real one.
async fn follow(
    api: &ApiServer,
    volume: &Volume,
    mut random: fastrand::Rng,
    longest: Duration,
) -> anyhow::Result<std::convert::Infallible> {
    let get = |api: &ApiServer| api.get(volume.resource, volume.namespace, volume.name);
    let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
    let mut shown = Value::Null;
    for moment in 0_u64.. {
        api.until(|api| get(api).is_some_and(|object| version(&object) != shown)).await;
        sleep(longest.mul_f64(random.f64())).await;
        // What is there by now, which may be newer.
        if let Some(object) = get(api) {
            swap(&volume.directory, moment, &files(&object)?)?;
            shown = version(&object);
        }
    }
    anyhow::bail!("there are no moments left")
}

/// The files of an object. Not by whole objects into an error: they hold keys.
fn files(object: &Value) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let data = object["data"].as_object().into_iter().flatten();
    let decoded = data.map(|(name, value)| {
        let text = value.as_str().with_context(|| format!("{name} is no text"))?;
        let content = if object["kind"] == "Secret" {
            STANDARD.decode(text).with_context(|| format!("{name} is no base64"))?
        } else {
            text.as_bytes().to_vec()
        };
        Ok((name.clone(), content))
    });
    decoded.collect()
}

/// `NAME -> ..data/NAME`, `..data -> ..MOMENT`: a swap is one rename, and then the moment before is removed.
fn swap(directory: &Path, moment: u64, files: &[(String, Vec<u8>)]) -> io::Result<()> {
    let data = directory.join("..data");
    let before = fs::read_link(&data).ok();
    let now = format!("..{moment}");
    fs::create_dir(directory.join(&now))?;
    for (name, content) in files {
        fs::write(directory.join(&now).join(name), content)?;
    }
    let new_data = directory.join("..data_tmp");
    symlink(&now, &new_data)?;
    fs::rename(&new_data, &data)?;
    for (name, _) in files {
        match symlink(Path::new("..data").join(name), directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    before.map_or(Ok(()), |before| fs::remove_dir_all(directory.join(before)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_change_is_swapped_in_whole_and_a_deletion_changes_nothing() {
        let api = Arc::new(ApiServer::start().await.unwrap());
        let root = tempfile::tempdir().unwrap();
        let volume = |resource, name, directory| Volume {
            resource,
            namespace: "shop",
            name,
            directory: root.path().join(directory),
        };
        let volumes = vec![volume(Resource::CORE_SECRETS, "tls", "secret"), volume(Resource::CONFIG_MAPS, "ca", "map")];
        let mut kubelet = Kubelet::start(&api, volumes, Delays { seed: 7, longest: Duration::ZERO }).unwrap();
        let put = |resource, name, data: &Value| {
            api.put(resource, json!({"metadata": {"namespace": "shop", "name": name}, "data": data}));
        };
        let holds = async |path: &str, content: &str| {
            let path = root.path().join(path);
            while fs::read_to_string(&path).unwrap_or_default() != content {
                tokio::task::yield_now().await;
            }
        };
        for (text, encoded) in [("one", "b25l"), ("two", "dHdv")] {
            put(Resource::CORE_SECRETS, "tls", &json!({"tls.crt": encoded, "tls.key": encoded}));
            put(Resource::CONFIG_MAPS, "ca", &json!({"ca.crt": text}));
            for path in ["secret/tls.crt", "secret/tls.key", "map/ca.crt"] {
                holds(path, text).await;
            }
        }
        api.delete(Resource::CONFIG_MAPS, "shop", "ca");
        put(Resource::CORE_SECRETS, "tls", &json!({"tls.crt": "dGhyZWU="}));
        holds("secret/tls.crt", "three").await;
        holds("map/ca.crt", "two").await;
        assert!(fs::read(root.path().join("secret/tls.key")).is_err(), "it is not in the Secret any more");
        kubelet.check().unwrap();
    }
}
