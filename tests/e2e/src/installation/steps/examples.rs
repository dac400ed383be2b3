//! akv2k8s' two examples, as people have them: a Secret that is synced, a variable that is injected.

use k8s_openapi::api::core::v1::Secret;
use kube::Api;

use crate::{
    images::ENTRYPOINT,
    installation::{first::first_report, site::Site},
    kubectl::kubectl,
    wait::{SOON, until_true},
};

/// Word for word as akv2k8s documents it.
const SYNCED: &str = r"apiVersion: spv.no/v1alpha1
kind: AzureKeyVaultSecret
metadata:
  name: secret-sync
  namespace: akv-test
spec:
  vault:
    name: akv2k8s-test # name of key vault
    object:
      name: my-secret # name of the akv object
      type: secret # akv object type
  output: # optional - only used to sync to a kubernetes secret
    secret:
      name: my-secret-from-akv # kubernetes secret name
      dataKey: secret-value # key to store object value in kubernetes secret
";

/// Its variable, in a Deployment.
fn injected() -> String {
    format!(
        r"apiVersion: spv.no/v1alpha1
kind: AzureKeyVaultSecret
metadata:
  name: some-secret
  namespace: akv-test
spec:
  vault:
    name: akv2k8s-test
    object:
      name: my-secret
      type: secret
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: akvs-secret-app
  namespace: akv-test
spec:
  selector:
    matchLabels:
      app: akvs-secret-app
  template:
    metadata:
      labels:
        app: akvs-secret-app
    spec:
      containers:
        - name: akv2k8s-env-test
          image: {ENTRYPOINT}
          env:
            - name: MY_AKV_SECRET
              value: some-secret@azurekeyvault
"
    )
}

pub(super) async fn a_synced_secret_and_an_injected_variable_as_documented(site: &Site) -> anyhow::Result<()> {
    kubectl(&["create", "namespace", "akv-test"], "").await?;
    kubectl(&["apply", "-f", "-"], SYNCED).await?;
    let secrets: Api<Secret> = Api::namespaced(site.client.clone(), "akv-test");
    let is_synced = async || {
        let data = secrets.get_opt("my-secret-from-akv").await?.and_then(|secret| secret.data);
        Ok(data.is_some_and(|data| data.get("secret-value").is_some_and(|value| value.0 == b"kwcanary-my-secret")))
    };
    until_true("Secret my-secret-from-akv", SOON, is_synced).await?;

    kubectl(&["label", "namespace", "akv-test", "azure-key-vault-env-injection=enabled"], "").await?;
    kubectl(&["apply", "-f", "-"], &injected()).await?;
    let report = first_report(site, "akv-test", "akvs-secret-app").await?;
    report.check(&[("MY_AKV_SECRET", "kwcanary-my-secret")])
}
