//! A controller of listed namespaces, by Roles in them and nothing of the whole cluster.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};

use crate::{
    apps::ENABLED,
    requests::Audited,
    scene::Scene,
    shop::{Shop, VAULT},
    stand::{Account, NAMESPACE, Service, admits, metrics_of},
    wait::{Look, SOON, until, until_true},
};

tests![
    listed_namespaces_are_synced_by_roles_alone_and_nothing_else_is_seen,
    a_namespace_and_its_role_may_come_later_and_go_without_harm_to_others,
];

const NARROW: Account = Account { name: "keyward-narrow" };
/// The ConfigMap with the authority's certificate.
const AUTHORITY: &str = "keyward-ca";
const OUTPUT: &str = "{secret: {name: out, dataKey: k}}";

/// The account, its lease, and whom launchers are to trust in Keyward's own namespace.
async fn prepare(scene: &Scene) -> anyhow::Result<()> {
    let name = NARROW.name;
    let rules = format!(
        "- {{apiGroups: [coordination.k8s.io], resources: [leases], verbs: [create]}}\n\
         - {{apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{name}], verbs: [get, update]}}\n\
         - {{apiGroups: [''], resources: [configmaps], verbs: [create]}}\n\
         - {{apiGroups: [''], resources: [configmaps], resourceNames: [{AUTHORITY}], verbs: [get, list, watch, patch]}}\n"
    );
    scene
        .apply(&format!("apiVersion: v1\nkind: ServiceAccount\nmetadata: {{name: {name}, namespace: {NAMESPACE}}}\n"))
        .await?;
    scene.apply(&role(NAMESPACE, &rules)).await.map(drop)
}

/// All that it may of the whole cluster: the labels of these namespaces.
async fn grant_labels(scene: &Scene, namespaces: &[&str]) -> anyhow::Result<()> {
    let (name, namespaces) = (NARROW.name, namespaces.join(", "));
    let text = format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {{name: {name}}}\n\
         rules:\n- {{apiGroups: [''], resources: [namespaces], resourceNames: [{namespaces}], verbs: [list, watch]}}\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata: {{name: {name}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {name}}}\n\
         subjects: [{{kind: ServiceAccount, name: {name}, namespace: {NAMESPACE}}}]\n"
    );
    scene.apply(&text).await.map(drop)
}

/// As docs/controller.md has it.
async fn grant(scene: &Scene, namespace: &str) -> anyhow::Result<()> {
    let rules = "- {apiGroups: [spv.no], resources: [azurekeyvaultsecrets], verbs: [get, list, watch]}\n\
                 - {apiGroups: [spv.no], resources: [azurekeyvaultsecrets/status], verbs: [patch]}\n\
                 - {apiGroups: [spv.no], resources: [azurekeyvaultsecrets/finalizers], verbs: [update]}\n\
                 - {apiGroups: [''], resources: [secrets, configmaps], verbs: [get, list, watch, create, patch, delete]}\n\
                 - {apiGroups: [events.k8s.io], resources: [events], verbs: [create, patch]}\n\
                 - {apiGroups: [apps], resources: [deployments, statefulsets, daemonsets], verbs: [get, list, watch, patch]}\n";
    scene.apply(&role(namespace, rules)).await.map(drop)
}

fn role(namespace: &str, rules: &str) -> String {
    let name = NARROW.name;
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         rules:\n{rules}---\n{}",
        binding(namespace)
    )
}

fn binding(namespace: &str) -> String {
    let name = NARROW.name;
    format!(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {{name: {name}, namespace: {namespace}}}\n\
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: Role, name: {name}}}\n\
         subjects: [{{kind: ServiceAccount, name: {name}, namespace: {NAMESPACE}}}]\n"
    )
}

/// No other controller runs then.
async fn start(scene: &Scene, namespaces: &[&str], publishes: bool) -> anyhow::Result<Service> {
    let stand = scene.stand().await?;
    stand.stop_controllers().await?;
    stand.broker().await?;
    let more = [
        ("KEYWARD_WATCH_NAMESPACE", namespaces.join(",")),
        ("KEYWARD_LEASE_NAME", NARROW.name.to_owned()),
        ("KEYWARD_PUBLISH_CA", publishes.to_string()),
    ];
    stand.controller_of(NARROW, &more).await
}

async fn shop<'a>(scene: &'a Scene, labels: &[(&str, &str)]) -> anyhow::Result<Shop<'a>> {
    let stand = scene.stand().await?;
    // They would look after it too.
    stand.stop_controllers().await?;
    Ok(Shop { namespace: scene.namespace_with("narrow", &[VAULT], labels).await?, scene, stand })
}

/// What was asked of the API server and is none of its business.
fn is_stray(asked: &Audited, listed: &BTreeSet<&str>) -> bool {
    match asked.resource.as_str() {
        "leases" => asked.namespace != NAMESPACE,
        "namespaces" => !listed.contains(asked.name.as_str()),
        "configmaps" if asked.namespace == NAMESPACE => asked.name != AUTHORITY,
        _ => !listed.contains(asked.namespace.as_str()),
    }
}

/// A number among the metrics of a controller that runs.
async fn metric(controller: &Service, series: &str) -> anyhow::Result<f64> {
    let metrics = metrics_of(&controller.printed()).await?;
    let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.with_context(|| format!("no {series}"))?.parse().with_context(|| series.to_owned())
}

async fn listed_namespaces_are_synced_by_roles_alone_and_nothing_else_is_seen(scene: &Scene) -> anyhow::Result<()> {
    let (one, two) = (shop(scene, &[ENABLED]).await?, shop(scene, &[]).await?);
    let third = shop(scene, &[ENABLED]).await?;
    let listed = [one.namespace.as_str(), two.namespace.as_str()];
    prepare(scene).await?;
    grant_labels(scene, &listed).await?;
    for namespace in listed {
        grant(scene, namespace).await?;
    }
    for shop in [&one, &two, &third] {
        shop.set("db", "kwcanary-1")?;
        shop.akvs("db", "secret", OUTPUT).await?;
    }
    let audit = scene.audit()?;
    let controller = start(scene, &listed, true).await?;
    for shop in [&one, &two] {
        shop.until_ready("db", "True", "Synced").await?;
        shop.until_data("out", &[("k", "kwcanary-1")]).await?;
    }
    // What changes in the vault, and what somebody breaks.
    for shop in [&one, &two, &third] {
        shop.set("db", "kwcanary-2")?;
    }
    for shop in [&one, &two] {
        shop.until_data("out", &[("k", "kwcanary-2")]).await?;
        shop.edit("out", &serde_json::json!({"data": {"k": null}})).await?;
        shop.until_data("out", &[("k", "kwcanary-2")]).await?;
    }
    until_true("the authority", SOON, async || Ok(one.config_data(AUTHORITY).await?.is_some())).await?;
    one.settle().await?;
    for (shop, why) in [(&two, "not labelled"), (&third, "not listed")] {
        ensure!(shop.config_data(AUTHORITY).await?.is_none(), "the authority is where it is {why}");
    }
    ensure!(third.status("db").await?.is_null() && third.data("out").await?.is_none(), "the third was looked after");
    ensure!(metric(&controller, "keyward_refused_watches{resource=\"secrets\"}").await? < 1.0, "a watch is refused");
    controller.stop().await?;
    let asked = audit.requests()?.into_iter().filter(|asked| asked.account == NARROW.name);
    asks_nothing_elsewhere(&asked.collect::<Vec<_>>(), &BTreeSet::from(listed))
}

fn asks_nothing_elsewhere(asked: &[Audited], listed: &BTreeSet<&str>) -> anyhow::Result<()> {
    let strays: Vec<_> = asked.iter().filter(|asked| is_stray(asked, listed)).collect();
    ensure!(strays.is_empty(), "asked elsewhere: {strays:?}");
    let refused: Vec<_> = asked.iter().filter(|asked| !asked.allowed).collect();
    ensure!(refused.is_empty(), "refused: {refused:?}");
    for what in ["azurekeyvaultsecrets", "secrets", "deployments", "statefulsets", "daemonsets"] {
        for verb in ["list", "watch"] {
            let places = asked.iter().filter(|asked| asked.resource == what && asked.verb == verb);
            let places: BTreeSet<_> = places.map(|asked| asked.namespace.as_str()).collect();
            ensure!(places == *listed, "{verb} of {what} in {places:?}");
        }
    }
    Ok(())
}

async fn a_namespace_and_its_role_may_come_later_and_go_without_harm_to_others(scene: &Scene) -> anyhow::Result<()> {
    let one = shop(scene, &[]).await?;
    prepare(scene).await?;
    grant(scene, &one.namespace).await?;
    let later = Shop { namespace: format!("{}-later", one.namespace), scene, stand: one.stand };
    let controller = start(scene, &[&one.namespace, &later.namespace], false).await?;
    one.synced("db", "kwcanary-1", OUTPUT).await?;
    let refused = async || metric(&controller, "keyward_refused_watches{resource=\"secrets\"}").await;
    until_true("the refusal in the metrics", SOON, async || Ok(refused().await? > 0.0)).await?;
    let told = |word: &str| {
        let place = format!("namespace {}", later.namespace);
        controller.printed().lines().filter(|line| line.contains(word) && line.contains(&place)).count()
    };
    ensure!(told("refuses to show") == 1, "the refusal was told {} times", told("refuses to show"));

    let (label, value) = admits(VAULT);
    scene
        .apply(&format!(
            "apiVersion: v1\nkind: Namespace\nmetadata: {{name: {}, labels: {{{label}: {value}}}}}\n",
            later.namespace
        ))
        .await?;
    later.set("db", "kwcanary-1")?;
    later.akvs("db", "secret", OUTPUT).await?;
    grant(scene, &later.namespace).await?;
    later.until_ready("db", "True", "Synced").await?;
    later.until_data("out", &[("k", "kwcanary-1")]).await?;
    until("all watches allowed", 2 * SOON, async || match told("may be seen again") {
        1 => Ok(Look::Found(())),
        times => Ok(Look::NotYet(times)),
    })
    .await?;
    ensure!(refused().await? < 1.0 && told("refuses to show") == 1, "told {} times", told("refuses to show"));

    scene.delete(&binding(&later.namespace)).await?;
    for shop in [&one, &later] {
        shop.set("db", "kwcanary-2")?;
    }
    one.until_data("out", &[("k", "kwcanary-2")]).await?;
    one.settle().await?;
    ensure!(later.data("out").await?.is_some_and(|data| data.is(&[("k", "kwcanary-1")])), "written without the right");
    controller.stop().await
}
