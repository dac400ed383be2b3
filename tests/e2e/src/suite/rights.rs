//! What the service accounts may do by the chart, and what they must not, by the API server's own word;
//! `denials::rights` tries it.

use anyhow::{Context as _, ensure};
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, Client, api::PostParams};

use crate::{
    scene::Scene,
    stand::{Account, BROKER, CONTROLLER, NAMESPACE, WEBHOOK},
};

tests![
    the_broker_may_what_it_needs_and_no_more,
    the_controller_may_what_it_needs_and_no_more,
    the_webhook_may_what_it_needs_and_no_more,
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
        "get /pods",
        "get,list,watch discovery.k8s.io/endpointslices keyward",
    ];
    let may_not: Rights = &[
        "create,update,patch,delete,deletecollection spv.no/azurekeyvaultsecrets",
        "update,patch spv.no/azurekeyvaultsecrets/status",
        "create,update,patch,delete,deletecollection keyward.dev/azurekeyvaults",
        "create,update,patch,delete /namespaces",
        "get,list,watch,create,update,patch,delete /secrets",
        "get,list,watch,create,update,patch,delete /secrets keyward",
        "get,list,watch,create,update,patch,delete /configmaps keyward",
        "list,watch,create,update,patch,delete /pods",
        "get,list,watch discovery.k8s.io/endpointslices",
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
        "update spv.no/azurekeyvaultsecrets/finalizers",
        "get,list,watch,create,patch,delete /secrets",
        "get,list,watch,create,patch,delete /configmaps",
        "create,patch events.k8s.io/events",
        "list,watch /namespaces",
        "get,list,watch,patch apps/deployments",
        "get,list,watch,patch apps/statefulsets",
        "get,list,watch,patch apps/daemonsets",
        "create coordination.k8s.io/leases keyward",
        "get,update coordination.k8s.io/leases keyward keyward-controller",
    ];
    let may_not: Rights = &[
        "create,update,patch,delete,deletecollection spv.no/azurekeyvaultsecrets",
        "get,list,watch,create,update,patch,delete keyward.dev/azurekeyvaults",
        "patch keyward.dev/azurekeyvaults/status",
        "update,deletecollection /secrets",
        "update,deletecollection /configmaps",
        "create,update,patch,delete /namespaces",
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

async fn the_webhook_may_what_it_needs_and_no_more(scene: &Scene) -> anyhow::Result<()> {
    let may: Rights = &["get /configmaps", "get /serviceaccounts", "get /secrets default pull"];
    let may_not: Rights = &[
        "list,watch,create,update,patch,delete /configmaps",
        "list,watch,create,update,patch,delete /serviceaccounts",
        "get /secrets default another",
        "list,watch,create,update,patch,delete /secrets",
        "get,list,watch,create,update,patch,delete /pods",
        "create /pods/exec",
        "create /serviceaccounts/token keyward",
        "get,list,watch,patch /namespaces",
        "get,list,watch,create,update,patch,delete spv.no/azurekeyvaultsecrets",
        "get,list,watch,create,update,patch,delete keyward.dev/azurekeyvaults",
        "get,update,patch,delete admissionregistration.k8s.io/mutatingwebhookconfigurations",
        "create authentication.k8s.io/tokenreviews",
        "create authorization.k8s.io/subjectaccessreviews",
        "create,update,patch,bind,escalate rbac.authorization.k8s.io/clusterroles",
        "impersonate /users",
    ];
    check(scene, WEBHOOK, may, may_not).await
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
