//! An `AzureKeyVaultSecret` that is deleted and made anew while the broker reads for it: its successor of the same name gets
//! nothing that was asked for it.

use anyhow::ensure;
use keyward_proto::v1::{DescribeRequest, FetchRequest};
use keyward_tests::vault::Rule;
use kube::{ResourceExt as _, api::DynamicObject};
use tonic::Code;

use crate::{
    callers::{Callers, refused},
    manifests::akvs,
    scene::Scene,
    wait::{Look, SOON, until},
};

tests![a_fetch_for_a_secret_that_was_replaced_meanwhile_brings_nothing, a_fetch_for_an_older_generation_is_served];

const OUTPUT: &str = "output: {secret: {name: db, dataKey: password}}";

fn fetch(secret: &DynamicObject) -> FetchRequest {
    FetchRequest {
        namespace: secret.namespace().unwrap_or_default(),
        name: secret.name_any(),
        uid: secret.uid().unwrap_or_default(),
        generation: secret.metadata.generation.unwrap_or_default(),
    }
}

/// Returns once the broker knows this very object.
async fn until_known(broker: &Callers, secret: &DynamicObject) -> anyhow::Result<()> {
    let FetchRequest { namespace, name, uid, generation } = fetch(secret);
    let look = async || {
        let request =
            DescribeRequest { namespace: namespace.clone(), name: name.clone(), uid: uid.clone(), generation };
        match broker.describe(request).await {
            Ok(_) => Ok(Look::Found(())),
            Err(status) if status.code() == Code::Unavailable => Ok(Look::NotYet(status.message().to_owned())),
            Err(status) => Err(status.into()),
        }
    };
    until("the broker knowing the object", SOON, look).await
}

async fn a_fetch_for_a_secret_that_was_replaced_meanwhile_brings_nothing(scene: &Scene) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    // They would ask too, and the object would be held before the Fetch that is to wait for it.
    stand.stop_controllers().await?;
    for name in ["replaced-old", "replaced-new"] {
        stand.vault("acme")?.set_secret(name, &format!("kwcanary-{name}"))?;
    }
    let namespace = scene.namespace("shop", &["acme"]).await?;
    let (old, new) =
        ["replaced-old", "replaced-new"].map(|object| akvs(&namespace, "db", "acme", object, OUTPUT)).into();
    let first = scene.apply_one(&old).await?;
    let broker = stand.broker().await?;
    until_known(&broker, &first).await?;

    let gate = stand.emulator.faults().gate("replaced");
    stand.emulator.faults().arm(Rule::hold("replaced").vault("acme").operation("SecretGet").object("replaced-old"))?;
    let replace = async {
        gate.arrived(1).await;
        scene.delete(&old).await?;
        let second = scene.apply_one(&new).await?;
        ensure!(second.uid() != first.uid(), "the same object");
        until_known(&broker, &second).await?;
        gate.release();
        Ok(second)
    };
    let (answer, second) = tokio::join!(broker.fetch(fetch(&first)), replace);
    let second = second?;
    refused("the Fetch under way", Code::Unavailable, answer.map(drop))?;
    refused("a later one for the old UID", Code::Unavailable, broker.fetch(fetch(&first)).await.map(drop))?;
    let fetched = broker.fetch(fetch(&second)).await?;
    let data = fetched.secret.unwrap_or_default().data;
    ensure!(data.get("password").is_some_and(|value| value == b"kwcanary-replaced-new"), "another value");
    Ok(())
}

async fn a_fetch_for_an_older_generation_is_served(scene: &Scene) -> anyhow::Result<()> {
    let stand = scene.stand().await?;
    stand.vault("acme")?.set_secret("replaced-generation", "kwcanary-generation")?;
    let namespace = scene.namespace("shop", &["acme"]).await?;
    let text = akvs(&namespace, "db", "acme", "replaced-generation", OUTPUT);
    let first = scene.apply_one(&text).await?;
    let second = scene.apply_one(&text.replace("dataKey: password", "dataKey: secret")).await?;
    ensure!(first.metadata.generation < second.metadata.generation, "the generation did not rise");
    let broker = stand.broker().await?;
    until_known(&broker, &second).await?;
    let fetched = broker.fetch(fetch(&first)).await?;
    ensure!(Some(fetched.generation) == second.metadata.generation, "rendered for {}", fetched.generation);
    ensure!(fetched.secret.unwrap_or_default().data.contains_key("secret"), "rendered as it was before");
    // And one that the broker cannot know yet is not guessed at.
    let mut ahead = fetch(&second);
    ahead.generation += 1;
    refused("a generation to come", Code::Unavailable, broker.fetch(ahead).await.map(drop))?;
    Ok(())
}
