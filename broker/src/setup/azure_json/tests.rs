use super::*;
use crate::vault::credential::managed;

fn endpoint() -> ManagedEndpoint {
    managed::imds(None).unwrap()
}

fn read(text: &str) -> Result<IdentityConfig, AzureJsonError> {
    let beside = Beside { tenant_id: None, client_id: None, token_file: None, send_chain: false };
    AzureJson::parse(text)?.identity(beside, &endpoint())
}

fn application() -> Application {
    Application { tenant_id: "t".to_owned(), client_id: "c".to_owned() }
}

fn machine(id: ManagedId) -> IdentityConfig {
    IdentityConfig::ManagedIdentity { id, endpoint: endpoint() }
}

fn secret() -> IdentityConfig {
    IdentityConfig::ClientSecret { application: application(), secret: SecretSource::Held("kwcanary".into()) }
}

fn certificate(password: Option<&str>) -> IdentityConfig {
    let password = password.map(|text| SecretSource::Held(text.into()));
    let certificate = CertificateSource::File { path: "/etc/client.pfx".into(), password };
    IdentityConfig::ClientCertificate { application: application(), certificate, send_chain: false }
}

fn federated() -> IdentityConfig {
    IdentityConfig::WorkloadIdentity { application: application(), token_file: "/token".into() }
}

#[test]
fn every_form_of_the_file_describes_its_identity() {
    let resource = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n";
    let with = |rest: &str| format!(r#"{{"tenantId":"t","aadClientId":"c",{rest}}}"#);
    for (text, expected) in [
        (r#"{"useManagedIdentityExtension":true}"#.to_owned(), machine(ManagedId::System)),
        (
            r#"{"useManagedIdentityExtension":true,"userAssignedIdentityID":"u"}"#.to_owned(),
            machine(ManagedId::Client("u".to_owned())),
        ),
        (
            format!(r#"{{"useManagedIdentityExtension":true,"userAssignedIdentityID":"{resource}"}}"#),
            machine(ManagedId::Resource(resource.to_owned())),
        ),
        (
            r#"{"tenantId":"t","aadClientId":"msi","aadClientSecret":"msi","userAssignedIdentityID":"u"}"#.to_owned(),
            machine(ManagedId::Client("u".to_owned())),
        ),
        (with(r#""useManagedIdentityExtension":true,"aadClientSecret":"kwcanary""#), machine(ManagedId::System)),
        (with(r#""useFederatedWorkloadIdentityExtension":true,"aadFederatedTokenFile":"/token""#), federated()),
        (
            with(
                r#""useFederatedWorkloadIdentityExtension":true,"aadFederatedTokenFile":"/token","aadClientSecret":"x""#,
            ),
            federated(),
        ),
        (with(r#""aadClientSecret":"kwcanary""#), secret()),
        (with(r#""aadClientSecret":"kwcanary","aadClientCertPath":"/etc/client.pfx""#), secret()),
        (with(r#""useManagedIdentityExtension":false,"aadClientSecret":"kwcanary""#), secret()),
        (with(r#""AADCLIENTSECRET":"kwcanary","vmType":"vmss","loadBalancerSku":7,"x":{"y":[]}"#), secret()),
        (with(r#""aadClientSecret":"","aadClientCertPath":"/etc/client.pfx""#), certificate(None)),
        (
            with(r#""aadClientSecret":null,"aadClientCertPath":"/etc/client.pfx","aadClientCertPassword":"kwcanary""#),
            certificate(Some("kwcanary")),
        ),
        ("tenantId: t\naadClientId: c\naadClientSecret: kwcanary\n".to_owned(), secret()),
    ] {
        assert_eq!(read(&text), Ok(expected), "{text}");
    }
}

#[test]
fn what_describes_none_says_what_is_missing_and_quotes_no_secret() {
    for (text, part) in [
        ("", "no JSON or YAML object"),
        ("[]", "no JSON or YAML object"),
        (r#"{"aadClientSecret":"kwcanary"#, "no JSON or YAML object"),
        ("{}", "describes no identity"),
        (r#"{"tenantId":"t","aadClientId":"c"}"#, "describes no identity"),
        (r#"{"aadClientId":"c","aadClientSecret":"kwcanary"}"#, "`tenantId`"),
        (r#"{"tenantId":"t","aadClientSecret":"kwcanary"}"#, "`aadClientId`"),
        (r#"{"tenantId":"t","aadClientId":"c","aadClientSecret":["kwcanary"]}"#, "`aadClientSecret` is no text"),
        (r#"{"useManagedIdentityExtension":"kwcanary"}"#, "`useManagedIdentityExtension` is no true or false"),
        (
            r#"{"tenantId":"t","aadClientId":"c","useFederatedWorkloadIdentityExtension":true}"#,
            "`aadFederatedTokenFile`",
        ),
        (r#"{"tenantId":"t","aadClientId":"c","aadClientSecret":"kwcanary","identitySystem":"ADFS"}"#, "adfs"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("kwcanary"), "{text}: {error}");
    }
}

#[test]
fn what_the_file_leaves_open_comes_from_beside_it() {
    let beside = Beside {
        tenant_id: Some("t".to_owned()),
        client_id: Some("c".to_owned()),
        token_file: Some("/token".into()),
        send_chain: false,
    };
    let json = AzureJson::parse(r#"{"useFederatedWorkloadIdentityExtension":true}"#).unwrap();
    assert_eq!(json.identity(beside, &endpoint()), Ok(federated()));
}

#[test]
fn clouds_are_known_by_the_cloud_provider_s_names() {
    let cloud = |name: &str| AzureJson::parse(&format!(r#"{{"cloud":"{name}"}}"#)).unwrap().cloud();
    for (name, expected) in [
        ("AzurePublicCloud", Some(Cloud::AzurePublic)),
        ("AZUREPUBLICCLOUD", Some(Cloud::AzurePublic)),
        ("AzureUSGovernmentCloud", Some(Cloud::AzureUSGovernment)),
        ("AzureUSGovernment", Some(Cloud::AzureUSGovernment)),
        ("AzureChinaCloud", Some(Cloud::AzureChina)),
        ("AzureStackCloud", Some(Cloud::AzureCustom)),
        ("", None),
    ] {
        assert_eq!(cloud(name), Ok(expected), "{name}");
    }
    for name in ["AzureGermanCloud", "public"] {
        assert!(cloud(name).unwrap_err().to_string().contains(name));
    }
}
