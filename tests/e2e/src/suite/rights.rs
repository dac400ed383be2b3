//! What the service accounts may do by the chart, and what they must not, by the API server's own word.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::{Namespace, Secret},
};
use keyward_crds::akvs;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{
    scene::Scene,
    stand::{Account, BROKER, CONTROLLER, NAMESPACE},
};

tests![
    the_broker_may_what_it_needs_and_no_more,
    the_controller_may_what_it_needs_and_no_more,
    an_attempt_beyond_its_rights_is_refused_to_each,
];

/// `VERBS GROUP/RESOURCE[/SUBRESOURCE] [NAMESPACE [NAME]]`; the core group is empty. Without a namespace: in all.
type Rights = &'static [&'static str];

async fn the_broker_may_what_it_needs_and_no_more(scene: &Scene) -> anyhow::Result<()> {
    let may: Rights = &[
        "get,list,watch spv.no/azurekeyvaultsecrets",
        "get,list,watch keyward.dev/azurekeyvaults",
        "patch keyward.dev/azurekeyvaults/status",
        "get,list,watch /namespaces",
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
    ];
    let may_not: Rights = &[
        "create,update,patch,delete,deletecollection spv.no/azurekeyvaultsecrets",
        "update,patch spv.no/azurekeyvaultsecrets/status",
        "create,update,patch,delete,deletecollection keyward.dev/azurekeyvaults",
        "create,update,patch,delete /namespaces",
        "get,list,watch,create,update,patch,delete /secrets",
        "get,list,watch,create,update,patch,delete /secrets keyward",
        "get,list,watch,create,update,patch,delete /configmaps keyward",
        "get,list,watch,create,delete /pods",
        "create /pods/exec",
        "create /serviceaccounts/token keyward",
        "get,create,update,patch coordination.k8s.io/leases keyward",
        "create events.k8s.io/events",
        "get,list,watch,patch apps/deployments",
        "create,update,patch,bind,escalate rbac.authorization.k8s.io/clusterroles",
        "impersonate /users",
    ];
    check(scene, BROKER, may, may_not).await
}

async fn the_controller_may_what_it_needs_and_no_more(scene: &Scene) -> anyhow::Result<()> {
    let may: Rights = &[
        "get,list,watch spv.no/azurekeyvaultsecrets",
        "patch spv.no/azurekeyvaultsecrets/status",
        "get,list,watch,create,patch,delete /secrets",
        "get,list,watch,create,patch,delete /configmaps",
        "create,patch events.k8s.io/events",
        "get,list,watch,patch apps/deployments",
        "get,list,watch,patch apps/statefulsets",
        "get,list,watch,patch apps/daemonsets",
        "create coordination.k8s.io/leases keyward",
        "get,update,patch coordination.k8s.io/leases keyward keyward-controller",
    ];
    let may_not: Rights = &[
        "create,update,patch,delete,deletecollection spv.no/azurekeyvaultsecrets",
        "get,list,watch,create,update,patch,delete keyward.dev/azurekeyvaults",
        "patch keyward.dev/azurekeyvaults/status",
        "update,deletecollection /secrets",
        "update,deletecollection /configmaps",
        "get,list,watch /namespaces",
        "get,list,watch,create,delete /pods",
        "create /pods/exec",
        "create /serviceaccounts/token keyward",
        "create,update,delete apps/deployments",
        "patch apps/deployments/scale",
        "get,list,watch,create,update,patch,delete coordination.k8s.io/leases",
        "list,watch,delete coordination.k8s.io/leases keyward",
        "get,update,patch coordination.k8s.io/leases keyward another",
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
        "create,update,patch,bind,escalate rbac.authorization.k8s.io/clusterroles",
        "impersonate /users",
    ];
    check(scene, CONTROLLER, may, may_not).await
}

async fn an_attempt_beyond_its_rights_is_refused_to_each(scene: &Scene) -> anyhow::Result<()> {
    scene.stand().await?;
    let namespace = scene.namespace("rights", &[]).await?;
    let broker = BROKER.client(scene.client()).await?;
    let controller = CONTROLLER.client(scene.client()).await?;
    scene
        .apply(&format!(
            "apiVersion: spv.no/v2beta1\nkind: AzureKeyVaultSecret\nmetadata: {{name: db, namespace: {namespace}}}\n\
             spec: {{vault: {{name: nobodys, object: {{name: db, type: secret}}}}}}\n"
        ))
        .await?;

    let secrets = |client: &Client, namespace: &str| Api::<Secret>::namespaced(client.clone(), namespace);
    refused(secrets(&broker, &namespace).list(&ListParams::default()).await)?;
    refused(secrets(&broker, NAMESPACE).list(&ListParams::default()).await)?;
    refused(secrets(&broker, NAMESPACE).get("keyward-ca").await)?;
    refused(Api::<Namespace>::all(controller.clone()).list(&ListParams::default()).await)?;
    // Whoever can only say what became of a secret cannot ask for another object.
    for client in [broker, controller] {
        let api: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &akvs::api_resource());
        let other = json!({"spec": {"vault": {"object": {"name": "other"}}}});
        refused(api.patch("db", &PatchParams::default(), &Patch::Merge(other)).await)?;
    }
    Ok(())
}

fn refused<T>(answer: kube::Result<T>) -> anyhow::Result<()> {
    match answer {
        Err(kube::Error::Api(status)) if status.code == 403 => Ok(()),
        Err(error) => Err(error).context("not refused, but failed"),
        Ok(_) => anyhow::bail!("it was allowed"),
    }
}

async fn check(scene: &Scene, account: Account, may: Rights, may_not: Rights) -> anyhow::Result<()> {
    scene.stand().await?;
    for (rights, expected) in [(may, true), (may_not, false)] {
        for right in rights {
            for asked in asked(right)? {
                let (allowed, shown) = (allowed(scene.client(), account, asked.clone()).await?, asked);
                ensure!(
                    allowed == expected,
                    "{}: {right}: {} is {allowed}",
                    account.name,
                    shown.verb.unwrap_or_default()
                );
            }
        }
    }
    Ok(())
}

/// One question a verb.
fn asked(right: &str) -> anyhow::Result<Vec<ResourceAttributes>> {
    let mut words = right.split(' ');
    let (verbs, resource) = words.next().zip(words.next()).with_context(|| format!("`{right}`"))?;
    let (group, resource) = resource.split_once('/').with_context(|| format!("`{right}`"))?;
    let (resource, subresource) = resource.split_once('/').map_or((resource, None), |(of, sub)| (of, Some(sub)));
    let attributes = ResourceAttributes {
        group: Some(group.to_owned()),
        resource: Some(resource.to_owned()),
        subresource: subresource.map(str::to_owned),
        namespace: words.next().map(str::to_owned),
        name: words.next().map(str::to_owned),
        ..ResourceAttributes::default()
    };
    Ok(verbs.split(',').map(|verb| ResourceAttributes { verb: Some(verb.to_owned()), ..attributes.clone() }).collect())
}

async fn allowed(client: &Client, account: Account, asked: ResourceAttributes) -> anyhow::Result<bool> {
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{NAMESPACE}:{}", account.name)),
            groups: Some(vec!["system:serviceaccounts".to_owned(), "system:authenticated".to_owned()]),
            resource_attributes: Some(asked),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let answer = Api::all(client.clone()).create(&PostParams::default(), &review).await?;
    Ok(answer.status.context("a review without an answer")?.allowed)
}
