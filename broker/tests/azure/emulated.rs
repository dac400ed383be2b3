//! Every kind of identity against the emulator, composed as the command line composes it.

use std::{path::Path, sync::Arc};

use clap::Parser as _;
use keyward_broker::{
    args::{Cli, Command},
    object::RawBody,
    opener::AzureOpener,
    policy::IdentityChoice,
    setup,
    vault::{
        ReadError, VaultReader,
        credential::{IdentityConfig, ManagedId, managed},
        origin::Origin,
        reader::AzureVault,
    },
};
use keyward_crds::azure_key_vault::Cloud;
use keyward_tests::vault::{Emulator, ProjectedToken, Rule};
use tempfile::TempDir;

use super::world::{Seen, current};

const TENANT: &str = "11111111-1111-1111-1111-111111111111";
const APP: &str = "22222222-2222-2222-2222-222222222222";
const USER: &str = "33333333-3333-3333-3333-333333333333";
const OBJECT: &str = "44444444-4444-4444-4444-444444444444";
const RESOURCE: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u";

/// One secret, an application, the machine's identity, and a user-assigned one. Each may read another vault, so that a
/// read shows who it was.
const OBJECTS: &str = r#"
vaults:
  for-app: {secrets: {db: {value: kwcanary-app}}}
  for-system: {secrets: {db: {value: kwcanary-system}}}
  for-user: {secrets: {db: {value: kwcanary-user}}}
identities:
  - clientId: 22222222-2222-2222-2222-222222222222
    clientSecret: kwcanary-client-secret
    federatedSubjects: ["system:serviceaccount:keyward:keyward-broker"]
    access: [{vault: for-app, operations: ["*"]}]
  - clientId: 55555555-5555-5555-5555-555555555555
    managed: system
    access: [{vault: for-system, operations: ["*"]}]
  - clientId: 33333333-3333-3333-3333-333333333333
    objectId: 44444444-4444-4444-4444-444444444444
    resourceId: /subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/u
    managed: user
    access: [{vault: for-user, operations: ["*"]}]
"#;

struct Scene {
    emulator: Emulator,
    directory: TempDir,
}

impl Scene {
    async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Emulator::builder().objects_yaml(OBJECTS).identity_header("kwcanary-identity-header");
        let emulator = builder.start().await.unwrap();
        let directory = tempfile::tempdir().unwrap();
        let scene = Self { emulator, directory };
        scene.write("ca.pem", &scene.emulator.ca_pem());
        scene
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn write(&self, name: &str, content: &str) -> String {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.display().to_string()
    }

    fn federated(&self) -> String {
        let token = ProjectedToken::unbound("keyward", "keyward-broker").audience("api://AzureADTokenExchange");
        self.write("token", &self.emulator.projected_token(&token).unwrap())
    }

    /// As `serve` with these flags.
    fn opener(&self, flags: &[&str]) -> AzureOpener {
        let always = [
            "keyward-broker".to_owned(),
            "serve".to_owned(),
            "--tls-dir=/nonexistent".to_owned(),
            "--source=/nonexistent".to_owned(),
            "--jwks-issuer=https://issuer.example".to_owned(),
            format!("--azure-authority-host={}", self.emulator.authority()),
            format!("--azure-pod-identity-authority-host={}", self.emulator.http_url()),
            format!("--azure-credentials-dir={}", self.path().display()),
            format!("--azure-ca-file={}", self.path().join("ca.pem").display()),
        ];
        let flags = always.into_iter().chain(flags.iter().map(ToString::to_string));
        let Command::Serve(args) = Cli::try_parse_from(flags).unwrap().command else { panic!("not serve") };
        setup::opener(&args, None).unwrap()
    }

    fn open(&self, opener: &AzureOpener, identity: &IdentityConfig, vault: &str) -> AzureVault {
        let origin = Origin::parse(&self.emulator.vault_url(vault)).unwrap();
        opener.vaults.connect(&origin, Cloud::AzurePublic, identity, Arc::<Seen>::default()).unwrap()
    }

    /// The vaults that may be read by `choice`, of the three.
    async fn readable(&self, opener: &AzureOpener, choice: &str) -> Vec<&'static str> {
        let spec = serde_saphyr::from_str(&format!("vaultName: acme\n{choice}\n")).unwrap();
        let identity = opener.identities.of(&IdentityChoice::new(&spec).unwrap()).unwrap();
        let mut readable = Vec::new();
        for vault in ["for-app", "for-system", "for-user"] {
            match self.open(opener, &identity, vault).read(&current("db")).await {
                Ok(read) => {
                    let RawBody::Secret(secret) = read.body else { panic!("not a secret") };
                    assert!(secret.value.expose_str().unwrap() == vault.replace("for-", "kwcanary-"));
                    readable.push(vault);
                }
                Err(ReadError::Forbidden(_)) => {}
                Err(error) => panic!("{vault}: {error}"),
            }
        }
        readable
    }
}

#[tokio::test]
async fn the_broker_s_own_identity_of_each_kind_reads_what_it_may_and_nothing_else() {
    let scene = Scene::new().await;
    let who = [format!("--azure-tenant-id={TENANT}"), format!("--azure-client-id={APP}")];
    let who = who.each_ref().map(String::as_str);
    let token = format!("--azure-federated-token-file={}", scene.federated());
    let secret = format!("--azure-client-secret-file={}", scene.write("secret", "kwcanary-client-secret\n"));
    let managed = "--azure-identity=managed";
    let (object, resource) = (format!("--azure-object-id={OBJECT}"), format!("--azure-resource-id={RESOURCE}"));
    let client = format!("--azure-client-id={USER}");
    for (flags, readable) in [
        (vec![who[0], who[1], &token], "for-app"),
        (vec![who[0], who[1], &secret], "for-app"),
        (vec![managed], "for-system"),
        (vec![managed, &client], "for-user"),
        (vec![managed, &object], "for-user"),
        (vec![managed, &resource], "for-user"),
    ] {
        assert_eq!(scene.readable(&scene.opener(&flags), "").await, [readable], "{flags:?}");
    }
}

#[tokio::test]
async fn azure_json_in_each_form_signs_in() {
    let scene = Scene::new().await;
    let token = scene.federated();
    let who = format!(r#""cloud":"AzurePublicCloud","tenantId":"{TENANT}","aadClientId":"{APP}""#);
    for (json, readable) in [
        (format!(r#"{{{who},"aadClientSecret":"kwcanary-client-secret"}}"#), "for-app"),
        (
            format!(r#"{{{who},"useFederatedWorkloadIdentityExtension":true,"aadFederatedTokenFile":"{token}"}}"#),
            "for-app",
        ),
        (r#"{"useManagedIdentityExtension":true}"#.to_owned(), "for-system"),
        (r#"{"aadClientId":"msi","aadClientSecret":"msi"}"#.to_owned(), "for-system"),
        (format!(r#"{{"useManagedIdentityExtension":true,"userAssignedIdentityID":"{USER}"}}"#), "for-user"),
        (format!(r#"{{"useManagedIdentityExtension":true,"userAssignedIdentityID":"{RESOURCE}"}}"#), "for-user"),
    ] {
        let file = format!("--azure-config-file={}", scene.write("azure.json", &json));
        assert_eq!(scene.readable(&scene.opener(&[&file]), "").await, [readable], "{json}");
    }
}

#[tokio::test]
async fn each_vault_is_read_by_the_identity_it_chooses() {
    let scene = Scene::new().await;
    scene.write("shop/client-secret", "kwcanary-client-secret\n");
    let token = format!("--azure-federated-token-file={}", scene.federated());
    let tenant = format!("--azure-tenant-id={TENANT}");
    let opener = scene.opener(&["--azure-identity=managed", &tenant, &token]);
    for (choice, readable) in [
        ("identity: {}".to_owned(), "for-system"),
        (format!("identity: {{clientId: {USER}}}"), "for-user"),
        (format!("identity: {{type: ManagedIdentity, objectId: {OBJECT}}}"), "for-user"),
        (format!("identity: {{type: ManagedIdentity, resourceId: {RESOURCE}}}"), "for-user"),
        (format!("identity: {{type: WorkloadIdentity, clientId: {APP}}}"), "for-app"),
        (format!("identity: {{type: ClientSecret, clientId: {APP}, secretName: shop}}"), "for-app"),
    ] {
        assert_eq!(scene.readable(&opener, &choice).await, [readable], "{choice}");
    }
}

#[tokio::test]
async fn a_rotated_secret_is_picked_up_at_the_next_sign_in() {
    let scene = Scene::new().await;
    scene.write("shop/client-secret", "kwcanary-outdated");
    let opener = scene.opener(&["--azure-identity=managed", &format!("--azure-tenant-id={TENANT}")]);
    let choice = format!("vaultName: acme\nidentity: {{type: ClientSecret, clientId: {APP}, secretName: shop}}");
    let choice = IdentityChoice::new(&serde_saphyr::from_str(&choice).unwrap()).unwrap();
    let identity = opener.identities.of(&choice).unwrap();
    let error = scene.open(&opener, &identity, "for-app").read(&current("db")).await.unwrap_err();
    assert_eq!(error, ReadError::NoToken("the authority answers 401, AADSTS7000215".to_owned()));

    scene.write("shop/client-secret", "kwcanary-client-secret");
    let reader = scene.open(&opener, &identity, "for-app");
    assert!(reader.read(&current("db")).await.is_ok());
    std::fs::remove_file(scene.path().join("shop/client-secret")).unwrap();
    assert!(reader.read(&current("db")).await.is_ok(), "the token in hand needs no file");
}

#[tokio::test]
async fn app_service_gives_tokens_to_whoever_knows_its_header() {
    let scene = Scene::new().await;
    let opener = scene.opener(&["--azure-identity=managed"]);
    let url = format!("{}/msi/token", scene.emulator.http_url());
    let read = async |header: &str, id: ManagedId, vault: &str| {
        let endpoint = managed::app_service(&url, header.into()).unwrap();
        let identity = IdentityConfig::ManagedIdentity { id, endpoint };
        scene.open(&opener, &identity, vault).read(&current("db")).await.map(drop)
    };
    let header = "kwcanary-identity-header";
    assert_eq!(read(header, ManagedId::System, "for-system").await, Ok(()));
    assert_eq!(read(header, ManagedId::Client(USER.to_owned()), "for-user").await, Ok(()));
    assert_eq!(read(header, ManagedId::Object(OBJECT.to_owned()), "for-user").await, Ok(()));
    assert_eq!(read(header, ManagedId::Resource(RESOURCE.to_owned()), "for-user").await, Ok(()));
    let error = read("kwcanary-wrong", ManagedId::System, "for-system").await.unwrap_err().to_string();
    assert!(error.contains("App Service") && error.contains("401") && !error.contains("kwcanary"), "{error}");
}

#[tokio::test]
async fn a_managed_identity_that_is_not_assigned_says_where_to_look() {
    let scene = Scene::new().await;
    let opener = scene.opener(&["--azure-identity=managed", "--azure-client-id=66666666-6666-6666-6666-666666666666"]);
    let error = scene.open(&opener, &opener.identities.own, "for-user").read(&current("db")).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, ReadError::NoToken(_)) && text.contains("400") && text.contains("assigned"), "{text}");
}

#[tokio::test]
async fn rights_that_were_taken_are_confirmed_by_a_fresh_token_and_come_back_when_given_back() {
    let scene = Scene::new().await;
    let opener = scene.opener(&["--azure-identity=managed"]);
    let reader = scene.open(&opener, &opener.identities.own, "for-system");
    let system = "55555555-5555-5555-5555-555555555555";
    assert!(reader.read(&current("db")).await.is_ok());

    scene.emulator.identities().set_access(system, Some(&[]));
    assert!(matches!(reader.read(&current("db")).await, Err(ReadError::Forbidden(_))));
    assert!(reader.renew().await, "a fresh token");
    assert!(matches!(reader.read(&current("db")).await, Err(ReadError::Forbidden(_))), "confirmed");

    scene.emulator.identities().set_access(system, None);
    assert!(reader.read(&current("db")).await.is_ok());
}

#[tokio::test]
async fn an_authority_that_is_down_is_asked_once_and_not_by_every_read() {
    let scene = Scene::new().await;
    let opener = scene.opener(&["--azure-identity=managed"]);
    scene.emulator.faults().arm(Rule::status(1_000, 503).vault("imds")).unwrap();
    let reader = scene.open(&opener, &opener.identities.own, "for-system");
    for _ in 0..20 {
        assert!(matches!(reader.read(&current("db")).await, Err(ReadError::NoToken(_))));
    }
    let asked = scene.emulator.calls().matching(|call| call.vault == "imds");
    assert!((1..=4).contains(&asked), "{asked} for 20 reads: a growing pause lies between them");
    let [status] = opener.vaults.identities().try_into().unwrap();
    assert_eq!((status.named.kind, status.sign_ins, status.failures), ("managed", 0, asked));
    assert!(status.last_error.unwrap().contains("503"));
}

#[tokio::test]
async fn identities_in_use_are_listed_and_left_ones_are_not() {
    let scene = Scene::new().await;
    let opener = scene.opener(&["--azure-identity=managed"]);
    assert!(opener.vaults.identities().is_empty());
    let reader = scene.open(&opener, &opener.identities.own, "for-system");
    reader.read(&current("db")).await.unwrap();
    let [status] = opener.vaults.identities().try_into().unwrap();
    assert_eq!((status.named.kind, status.named.tenant_id, status.sign_ins, status.failures), ("managed", None, 1, 0));
    assert!(status.token_expires > status.token_fetched && status.last_error.is_none());
    drop(reader);
    assert!(opener.vaults.identities().is_empty());
}
