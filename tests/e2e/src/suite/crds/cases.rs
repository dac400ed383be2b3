//! The tables of `proto/crds`, which are tried there without an API server, on a real one.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail, ensure};
use keyward_crds::{akvs, azure_key_vault};
use kube::{
    Api,
    api::{DynamicObject, PostParams},
    core::{ApiResource, Status},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::scene::Scene;

#[derive(Deserialize)]
struct Case {
    name: String,
    spec: Value,
    #[serde(default)]
    refused: BTreeMap<String, String>,
}

const SECRETS: &str = include_str!("../../../../../proto/crds/tests/cases/azurekeyvaultsecrets.yaml");
const VAULTS: &str = include_str!("../../../../../proto/crds/tests/cases/azurekeyvaults.yaml");

pub(super) async fn what_a_secret_may_say_is_accepted_and_the_rest_refused_with_its_reason(
    scene: &Scene,
) -> anyhow::Result<()> {
    scene.stand().await?;
    let resource = akvs::api_resource();
    try_all(&Api::namespaced_with(scene.client().clone(), "default", &resource), &resource, SECRETS).await
}

pub(super) async fn what_a_vault_may_say_is_accepted_and_the_rest_refused_with_its_reason(
    scene: &Scene,
) -> anyhow::Result<()> {
    scene.stand().await?;
    let resource = azure_key_vault::api_resource();
    try_all(&Api::all_with(scene.client().clone(), &resource), &resource, VAULTS).await
}

async fn try_all(api: &Api<DynamicObject>, resource: &ApiResource, cases: &str) -> anyhow::Result<()> {
    let cases: Vec<Case> = serde_saphyr::from_str(cases)?;
    ensure!(cases.len() > 40, "only {} cases", cases.len());
    for case in cases {
        let object = DynamicObject::new("case", resource).data(json!({ "spec": case.spec }));
        let created = api.create(&PostParams { dry_run: true, ..PostParams::default() }, &object).await;
        judge(&case, created).with_context(|| format!("the case `{}`", case.name))?;
    }
    Ok(())
}

fn judge(case: &Case, created: kube::Result<DynamicObject>) -> anyhow::Result<()> {
    let status = match created {
        Ok(_) if case.refused.is_empty() => return Ok(()),
        Ok(_) => bail!("it is accepted"),
        Err(kube::Error::Api(status)) => status,
        Err(error) => return Err(error.into()),
    };
    ensure!(!case.refused.is_empty(), "it is refused: {}", status.message);
    let said = said(&status);
    let fields: Vec<_> = said.keys().collect();
    ensure!(fields == case.refused.keys().collect::<Vec<_>>(), "{said:?}");
    for (field, part) in &case.refused {
        let [message] = said[field].as_slice() else { bail!("{field} more than once: {said:?}") };
        ensure!(message.contains(part), "{field}: {message}");
    }
    Ok(())
}

/// What was said of each field. A line without a field only tells that rules were not tried.
fn said(status: &Status) -> BTreeMap<String, Vec<String>> {
    let mut said = BTreeMap::<_, Vec<_>>::new();
    let causes = status.details.iter().flat_map(|details| &details.causes);
    for cause in causes.filter(|cause| cause.field != "<nil>") {
        said.entry(cause.field.clone()).or_default().push(cause.message.clone());
    }
    said
}
