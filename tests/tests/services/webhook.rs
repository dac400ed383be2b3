//! What the webhook is told.

use keyward_proto::v1::{CheckRequest, Verdict, references_client::ReferencesClient};

use super::support::{channel, secret, shop};

#[tokio::test]
async fn references_are_checked_without_any_call_to_a_vault() {
    let stand = shop(&[secret("db", "db", "", ""), secret("odd", "a/b", "", "")].concat()).await;
    let mut client = ReferencesClient::new(channel(&stand, Some("webhook")).await);
    let asked = ["db@azurekeyvault", "no@azurekeyvault", "odd@azurekeyvault", "db"].map(str::to_owned).to_vec();
    let request = CheckRequest { namespace: "shop".into(), references: asked };
    let answer = client.check(request).await.unwrap().into_inner();
    let verdicts: Vec<_> = answer.references.iter().map(keyward_proto::v1::CheckedReference::verdict).collect();
    assert_eq!(verdicts, [Verdict::Known, Verdict::Unknown, Verdict::Invalid, Verdict::Invalid]);
    let reason = &answer.references[1].reason;
    assert!(reason.contains("AzureKeyVaultSecret shop/no does not exist"), "{reason}");
    assert_eq!(stand.emulator.calls().matching(|_| true), 0);
}
