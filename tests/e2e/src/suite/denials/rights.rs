//! What Keyward's own service accounts may not do, by real calls with their tokens. The administrator makes each call too,
//! without effect, and is not refused: so none of them is refused only because it is misspelt.

mod calls;

use anyhow::{Context as _, ensure};
use http::StatusCode;
use kube::{Client, client::Body};
use serde_json::json;

use self::calls::Call;
use crate::{
    manifests::akvs,
    requests,
    scene::Scene,
    stand::{Account, BROKER, CONTROLLER, WEBHOOK},
};

tests![
    the_controller_may_do_nothing_beyond_its_work,
    the_broker_may_do_nothing_beyond_its_work,
    the_webhook_may_do_nothing_beyond_its_work,
];

async fn the_controller_may_do_nothing_beyond_its_work(scene: &Scene) -> anyhow::Result<()> {
    is_held(scene, CONTROLLER, calls::within_controllers_work(), calls::beyond_controllers_work()).await
}

async fn the_broker_may_do_nothing_beyond_its_work(scene: &Scene) -> anyhow::Result<()> {
    is_held(scene, BROKER, calls::within_brokers_work(), calls::beyond_brokers_work()).await
}

async fn the_webhook_may_do_nothing_beyond_its_work(scene: &Scene) -> anyhow::Result<()> {
    is_held(scene, WEBHOOK, calls::within_webhooks_work(), calls::beyond_webhooks_work()).await
}

/// The account may do what is within its work, and nothing of what is beyond it.
async fn is_held(scene: &Scene, account: Account, within: Vec<Call>, beyond: Vec<Call>) -> anyhow::Result<()> {
    scene.stand().await?;
    let shop = furnished_shop(scene).await?;
    let client = account.client(scene.client()).await?;
    for call in within {
        let status = answer(&client, &call, &shop).await?;
        ensure!(status.is_success(), "{} may not {call}: {status}", account.name);
    }
    let mut allowed = Vec::new();
    for call in beyond.into_iter().chain(calls::beyond_anybodys_work()) {
        let known = answer(scene.client(), &call, &shop).await?;
        let is_misspelt =
            [StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED].contains(&known);
        ensure!(!is_misspelt, "{call} is {known} for the administrator: it proves nothing");
        let status = answer(&client, &call, &shop).await?;
        if status != StatusCode::FORBIDDEN {
            allowed.push(format!("{call}: {status}"));
        }
    }
    ensure!(allowed.is_empty(), "{} may {}", account.name, allowed.join(", "));
    Ok(())
}

/// A namespace with what the calls are about.
async fn furnished_shop(scene: &Scene) -> anyhow::Result<String> {
    let shop = scene.namespace("shop", &["acme"]).await?;
    scene.pod(&shop, "web").await?;
    scene.apply(&akvs(&shop, "db", "acme", "rights-db", "")).await?;
    scene.apply(&format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: s, namespace: {shop}}}")).await?;
    let pod =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web"}]}});
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "template": pod});
    let metadata = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: {shop}}}");
    scene.apply(&format!("{metadata}\nspec: {spec}")).await?;
    Ok(shop)
}

/// How the API server answers; what would change something is a dry run.
async fn answer(client: &Client, call: &Call, shop: &str) -> anyhow::Result<StatusCode> {
    let mut path = call.path.replace("SHOP", shop);
    if call.method != "GET" {
        path.push_str(if path.contains('?') { "&dryRun=All" } else { "?dryRun=All" });
    }
    let mut request = requests::request(call.method, &path, call.body.as_ref())?;
    for (name, value) in call.headers {
        request.headers_mut().insert(*name, value.parse()?);
    }
    let answer = client.send(request.map(Body::from)).await.with_context(|| call.to_string())?;
    Ok(answer.status())
}
