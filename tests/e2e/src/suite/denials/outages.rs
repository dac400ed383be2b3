//! The API server is gone, or answers nothing: what is known is served on, and nothing is guessed.

use std::time::{Duration, Instant};

use anyhow::ensure;
use tonic::Code;

use crate::{
    callers::{Callers, refused},
    cluster::{Cluster, ClusterError},
    manifests::akvs,
    scene::Scene,
    wait::{Look, SOON, until},
};

tests![
    without_the_api_server_the_known_are_served_and_the_unknown_wait,
    a_halted_api_server_holds_up_nobody_who_is_known,
    a_broker_that_starts_without_the_api_server_serves_nobody_until_it_is_back,
];

const API_SERVER: &str = "kube-apiserver";

/// The longest that somebody waits to hear that the API server does not answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The API server not being there; it is back when this is dropped, whatever has become of the test.
struct Outage<'a> {
    cluster: &'a Cluster,
    end: fn(&Cluster) -> Result<(), ClusterError>,
    over: bool,
}

impl<'a> Outage<'a> {
    fn killed(cluster: &'a Cluster) -> anyhow::Result<Self> {
        cluster.stop(API_SERVER)?;
        Ok(Self { cluster, end: |cluster| cluster.start(API_SERVER), over: false })
    }

    fn halted(cluster: &'a Cluster) -> anyhow::Result<Self> {
        cluster.pause(API_SERVER)?;
        Ok(Self { cluster, end: |cluster| cluster.resume(API_SERVER), over: false })
    }

    fn end(mut self) -> anyhow::Result<()> {
        self.over = true;
        Ok((self.end)(self.cluster)?)
    }
}

impl Drop for Outage<'_> {
    fn drop(&mut self) {
        if !self.over {
            // The test has failed already; those after it say so if this does too.
            let _ = (self.end)(self.cluster);
        }
    }
}

/// A shop with a pod that the broker knows, and one that it has never seen.
struct Shop {
    namespace: String,
    broker: Callers,
    known: String,
    unknown: String,
}

impl Shop {
    async fn open(scene: &Scene) -> anyhow::Result<Self> {
        let stand = scene.stand().await?;
        stand.vault("acme")?.set_secret("outages-db", "kwcanary-outages")?;
        let namespace = scene.namespace("shop", &["acme"]).await?;
        scene.apply(&akvs(&namespace, "db", "acme", "outages-db", "")).await?;
        let broker = stand.broker().await?;
        let (_, known) = scene.pod_with(&namespace, "known", &["db", "later"]).await?;
        let (_, unknown) = scene.pod(&namespace, "unknown").await?;
        broker.resolve_soon(&known, &["db"]).await?;
        Ok(Self { namespace, broker, known, unknown })
    }

    async fn is_served_from_what_is_known(&self) -> anyhow::Result<()> {
        let began = Instant::now();
        let values = self.broker.resolve(&self.known, &["db"]).await?;
        ensure!(values.are(&["kwcanary-outages"]), "another value");
        ensure!(began.elapsed() < Duration::from_secs(1), "the known waited for {:?}", began.elapsed());
        let began = Instant::now();
        refused("a token never seen", Code::Unavailable, self.broker.resolve(&self.unknown, &["db"]).await)?;
        ensure!(began.elapsed() < PATIENCE, "the unknown waited for {:?}", began.elapsed());
        Ok(())
    }

    async fn is_as_before(&self, scene: &Scene) -> anyhow::Result<()> {
        self.broker.resolve_soon(&self.unknown, &["db"]).await?;
        // What is declared after it is heard of too.
        scene.apply(&akvs(&self.namespace, "later", "acme", "outages-db", "")).await?;
        self.broker.resolve_soon(&self.known, &["later"]).await?;
        Ok(())
    }
}

async fn without_the_api_server_the_known_are_served_and_the_unknown_wait(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let outage = Outage::killed(scene.cluster())?;
    shop.is_served_from_what_is_known().await?;
    outage.end()?;
    shop.is_as_before(scene).await
}

async fn a_halted_api_server_holds_up_nobody_who_is_known(scene: &Scene) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let outage = Outage::halted(scene.cluster())?;
    shop.is_served_from_what_is_known().await?;
    outage.end()?;
    shop.is_as_before(scene).await
}

async fn a_broker_that_starts_without_the_api_server_serves_nobody_until_it_is_back(
    scene: &Scene,
) -> anyhow::Result<()> {
    let shop = Shop::open(scene).await?;
    let stand = scene.stand().await?;
    stand.kill_broker().await?;
    let outage = Outage::killed(scene.cluster())?;
    stand.launch_broker().await?;
    ensure!(!stand.broker_is_ready().await?, "ready without having seen what is declared");
    for token in [&shop.known, &shop.unknown] {
        let answer = shop.broker.resolve(token, &["db"]).await;
        refused("whoever asks a broker that knows nothing", Code::Unavailable, answer)?;
    }
    outage.end()?;
    let ready = async || Ok(if stand.broker_is_ready().await? { Look::Found(()) } else { Look::NotYet("not ready") });
    until("the broker ready", 2 * SOON, ready).await?;
    shop.is_as_before(scene).await
}
