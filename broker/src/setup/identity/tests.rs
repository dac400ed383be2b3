use clap::Parser as _;

use super::*;
use crate::args::Cli;

/// Flags as the command line reads them, whatever the environment of the tests holds.
fn args(flags: &[&str]) -> AzureArgs {
    #[derive(clap::Parser)]
    struct Only {
        #[command(flatten)]
        azure: AzureArgs,
    }
    Only::try_parse_from([&["test"], flags].concat()).unwrap().azure
}

fn secret() -> Secrets {
    Secrets { client_secret: Some("kwcanary".into()), ..Secrets::default() }
}

const WHO: [&str; 2] = ["--azure-tenant-id=t", "--azure-client-id=c"];

fn found(flags: &[&str], secrets: &Secrets) -> Result<IdentityConfig, String> {
    identities(&args(flags), secrets).map(|all| all.own).map_err(|error| error.to_string())
}

#[test]
fn the_kind_is_the_one_whose_variable_is_set_or_the_one_chosen() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    };
    let secret_file = format!("--azure-client-secret-file={}", file("secret", "kwcanary"));
    let certificate = format!("--azure-client-certificate-path={}", file("client.pem", "kwcanary"));
    let json = format!("--azure-config-file={}", file("azure.json", r#"{"useManagedIdentityExtension":true}"#));
    let none = Secrets::default();
    for (flags, secrets, kind) in [
        (&["--azure-federated-token-file=/t"][..], &none, "workload"),
        (&[&secret_file], &none, "client-secret"),
        (&[], &secret(), "client-secret"),
        (&[&certificate], &none, "client-certificate"),
        (&[&json], &none, "managed"),
        (&["--azure-identity=managed"], &none, "managed"),
        (&["--azure-identity=managed", "--azure-federated-token-file=/t"], &secret(), "managed"),
        (&["--azure-identity=workload", "--azure-federated-token-file=/t"], &secret(), "workload"),
        (&["--azure-identity=azure-json", &json, &certificate], &none, "managed"),
    ] {
        let flags = [&WHO, flags].concat();
        assert_eq!(found(&flags, secrets).unwrap().kind(), kind, "{flags:?}");
    }
}

#[test]
fn what_is_missing_or_too_much_is_named_by_its_variable() {
    let none = Secrets::default();
    for (flags, secrets, parts) in [
        (
            &[][..],
            &none,
            &["AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_CERTIFICATE_PATH", "KEYWARD_AZURE_IDENTITY=managed"][..],
        ),
        (
            &["--azure-federated-token-file=/t"],
            &secret(),
            &["AZURE_FEDERATED_TOKEN_FILE and AZURE_CLIENT_SECRET are both"],
        ),
        (
            &["--azure-client-certificate-path=/c", "--azure-config-file=/j"],
            &none,
            &["AZURE_CLIENT_CERTIFICATE_PATH and KEYWARD_AZURE_CONFIG_FILE are both"],
        ),
        (&["--azure-client-secret-file=/s"], &secret(), &["AZURE_CLIENT_SECRET_FILE and AZURE_CLIENT_SECRET are both"]),
        (&["--azure-identity=workload"], &none, &["AZURE_FEDERATED_TOKEN_FILE is not set"]),
        (&["--azure-identity=client-secret"], &none, &["AZURE_CLIENT_SECRET_FILE or AZURE_CLIENT_SECRET is not set"]),
        (&["--azure-identity=client-certificate"], &none, &["AZURE_CLIENT_CERTIFICATE_PATH is not set"]),
        (&["--azure-identity=azure-json"], &none, &["KEYWARD_AZURE_CONFIG_FILE is not set"]),
        (
            &["--azure-client-secret-file=/nonexistent/s"],
            &none,
            &["AZURE_CLIENT_SECRET_FILE /nonexistent/s: No such file"],
        ),
        (&["--azure-client-certificate-path=/nonexistent/c"], &none, &["AZURE_CLIENT_CERTIFICATE_PATH /nonexistent/c"]),
        (&["--azure-config-file=/nonexistent/j"], &none, &["KEYWARD_AZURE_CONFIG_FILE /nonexistent/j"]),
        (
            &["--azure-identity=managed", "--azure-pod-identity-authority-host=http://10.0.0.1"],
            &none,
            &["AZURE_POD_IDENTITY_AUTHORITY_HOST", "10.0.0.1"],
        ),
    ] {
        let error = found(&[&WHO, flags].concat(), secrets).unwrap_err();
        assert!(parts.iter().all(|part| error.contains(part)) && !error.contains("kwcanary"), "{flags:?}: {error}");
    }
    let error = found(&["--azure-client-id=c"], &secret()).unwrap_err();
    assert!(error.contains("AZURE_TENANT_ID is not set"), "{error}");
    let error = found(&["--azure-tenant-id=", "--azure-client-id=c"], &secret()).unwrap_err();
    assert!(error.contains("AZURE_TENANT_ID") && error.contains("no tenant id"), "{error}");
    let error = found(&["--azure-tenant-id=t"], &secret()).unwrap_err();
    assert!(error.contains("AZURE_CLIENT_ID is not set"), "{error}");
}

#[test]
fn a_managed_identity_is_chosen_by_one_id_and_needs_no_tenant() {
    let id = |flags: &[&str]| match found(&[&["--azure-identity=managed"], flags].concat(), &Secrets::default()) {
        Ok(IdentityConfig::ManagedIdentity { id, .. }) => id,
        other => panic!("{other:?}"),
    };
    assert_eq!(id(&[]), ManagedId::System);
    assert_eq!(id(&["--azure-client-id=c"]), ManagedId::Client("c".to_owned()));
    assert_eq!(id(&["--azure-object-id=o"]), ManagedId::Object("o".to_owned()));
    assert_eq!(id(&["--azure-resource-id=/r"]), ManagedId::Resource("/r".to_owned()));
    for two in [["--azure-client-id=c", "--azure-object-id=o"], ["--azure-object-id=o", "--azure-resource-id=/r"]] {
        assert!(Cli::try_parse_from([&["keyward-broker", "serve"], two.as_slice()].concat()).is_err(), "{two:?}");
    }
}

#[test]
fn app_service_is_asked_where_it_announces_itself() {
    let flags = ["--azure-identity=managed", "--identity-endpoint=http://127.0.0.1:41741/msi/token"];
    let announced = Secrets { identity_header: Some("kwcanary".into()), ..Secrets::default() };
    for (secrets, app_service) in [(announced, true), (Secrets::default(), false)] {
        let endpoint = identities(&args(&flags), &secrets).unwrap().endpoint;
        assert_eq!(matches!(endpoint, ManagedEndpoint::AppService { .. }), app_service);
    }
}

#[test]
fn the_cloud_is_the_flag_s_or_the_file_s_and_they_may_not_differ() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let json = format!("--azure-config-file={}", file.path().display());
    let cloud = |name: &str, flags: &[&str]| {
        std::fs::write(file.path(), format!(r#"{{"cloud":"{name}","useManagedIdentityExtension":true}}"#)).unwrap();
        cloud(&args(&[&[json.as_str()], flags].concat()), &Secrets::default()).map_err(|error| error.to_string())
    };
    assert_eq!(cloud("", &[]), Ok(Cloud::AzurePublic));
    assert_eq!(cloud("AzureChinaCloud", &[]), Ok(Cloud::AzureChina));
    assert_eq!(cloud("", &["--cloud=azure-us-government"]), Ok(Cloud::AzureUSGovernment));
    let error = cloud("AzureChinaCloud", &["--cloud=azure-public"]).unwrap_err();
    assert!(error.contains("AzurePublic") && error.contains("AzureChina"), "{error}");
    assert!(cloud("AzureStackCloud", &[]).unwrap_err().contains("AZURE_AUTHORITY_HOST"));
    let described = [
        "--azure-authority-host=https://login.stack.example",
        "--azure-vault-dns-suffix=vault.stack.example",
        "--azure-vault-audience=https://vault.stack.example",
    ];
    assert_eq!(cloud("AzureStackCloud", &described), Ok(Cloud::AzureCustom));
}
