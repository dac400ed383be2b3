use super::*;
use crate::vault::credential::managed;

fn application(tenant: &str, client: &str) -> Application {
    Application { tenant_id: tenant.to_owned(), client_id: client.to_owned() }
}

fn endpoint() -> ManagedEndpoint {
    managed::imds(None).unwrap()
}

fn machine(id: ManagedId) -> IdentityConfig {
    IdentityConfig::ManagedIdentity { id, endpoint: endpoint() }
}

/// A broker whose own identity is a federated one, with everything at hand.
fn well_equipped() -> Identities {
    Identities {
        own: IdentityConfig::WorkloadIdentity { application: application("t", "c"), token_file: "/token".into() },
        tenant_id: Some("t".to_owned()),
        client_id: Some("c".to_owned()),
        token_file: Some("/token".into()),
        endpoint: endpoint(),
        credentials: Some(Credentials::Directory("/credentials".into())),
        send_chain: true,
    }
}

/// A broker with the machine's identity and nothing else.
fn bare() -> Identities {
    let (tenant_id, client_id, token_file, credentials) = (None, None, None, None);
    let (own, endpoint) = (machine(ManagedId::System), endpoint());
    Identities { own, tenant_id, client_id, token_file, endpoint, credentials, send_chain: false }
}

fn choice(spec: &str) -> IdentityChoice {
    IdentityChoice::new(&serde_saphyr::from_str(&format!("vaultName: acme\n{spec}\n")).unwrap()).unwrap()
}

#[test]
fn a_choice_takes_what_it_does_not_say_from_the_broker() {
    let federated = |tenant: &str, client: &str| IdentityConfig::WorkloadIdentity {
        application: application(tenant, client),
        token_file: "/token".into(),
    };
    for (spec, expected) in [
        ("", federated("t", "c")),
        ("tenantId: u", federated("u", "c")),
        ("identity: {clientId: d}", federated("t", "d")),
        ("identity: {type: WorkloadIdentity, tenantId: u, clientId: d}", federated("u", "d")),
        ("identity: {type: ManagedIdentity}", machine(ManagedId::System)),
        ("identity: {type: ManagedIdentity, objectId: o}", machine(ManagedId::Object("o".to_owned()))),
        (
            "identity: {type: ClientSecret, clientId: d, secretName: app}",
            IdentityConfig::ClientSecret {
                application: application("t", "d"),
                secret: SecretSource::File("/credentials/app/client-secret".into()),
            },
        ),
        (
            "tenantId: u\nidentity: {type: ClientCertificate, clientId: d, secretName: app}",
            IdentityConfig::ClientCertificate {
                application: application("u", "d"),
                certificate: CertificateSource::Directory("/credentials/app".into()),
                send_chain: true,
            },
        ),
    ] {
        assert_eq!(well_equipped().of(&choice(spec)), Ok(expected), "{spec}");
    }
}

#[test]
fn a_broker_with_the_machine_s_identity_can_choose_another_of_the_machine_s() {
    assert_eq!(bare().of(&choice("")), Ok(machine(ManagedId::System)));
    assert_eq!(bare().of(&choice("identity: {clientId: d}")), Ok(machine(ManagedId::Client("d".to_owned()))));
}

#[test]
fn what_the_broker_has_not_is_named() {
    for (spec, missing) in [
        ("tenantId: t", Unavailable::ManagedTenant),
        ("identity: {type: WorkloadIdentity}", Unavailable::Tenant),
        ("tenantId: t\nidentity: {type: WorkloadIdentity}", Unavailable::Client),
        ("tenantId: t\nidentity: {type: WorkloadIdentity, clientId: c}", Unavailable::TokenFile),
        ("identity: {type: ClientSecret, clientId: c, secretName: a}", Unavailable::Tenant),
        ("tenantId: t\nidentity: {type: ClientSecret, clientId: c, secretName: a}", Unavailable::Credentials),
        ("tenantId: t\nidentity: {type: ClientCertificate, clientId: c, secretName: a}", Unavailable::Credentials),
    ] {
        assert_eq!(bare().of(&choice(spec)), Err(missing), "{spec}");
    }
}
