use super::*;

fn choice(spec: &str) -> Result<IdentityChoice, InvalidChoice> {
    IdentityChoice::new(&serde_saphyr::from_str(&format!("vaultName: acme\n{spec}\n")).unwrap())
}

fn tenant(tenant: &str, by: ChosenBy) -> IdentityChoice {
    IdentityChoice { tenant_id: Some(tenant.to_owned()), by }
}

fn own_tenant(by: ChosenBy) -> IdentityChoice {
    IdentityChoice { tenant_id: None, by }
}

#[test]
fn every_combination_that_makes_sense_is_a_choice() {
    let c = || "c".to_owned();
    let name = || SecretName("app-1".to_owned());
    for (spec, expected) in [
        ("", IdentityChoice::default()),
        ("identity: {}", IdentityChoice::default()),
        ("tenantId: t", tenant("t", ChosenBy::default())),
        ("identity: {tenantId: t}", tenant("t", ChosenBy::default())),
        ("tenantId: t\nidentity: {tenantId: t}", tenant("t", ChosenBy::default())),
        ("identity: {clientId: c}", own_tenant(ChosenBy::Broker { client_id: Some(c()) })),
        ("identity: {type: WorkloadIdentity}", own_tenant(ChosenBy::WorkloadIdentity { client_id: None })),
        (
            "tenantId: t\nidentity: {type: WorkloadIdentity, clientId: c}",
            tenant("t", ChosenBy::WorkloadIdentity { client_id: Some(c()) }),
        ),
        ("identity: {type: ManagedIdentity}", own_tenant(ChosenBy::ManagedIdentity(ManagedId::System))),
        (
            "identity: {type: ManagedIdentity, clientId: c}",
            own_tenant(ChosenBy::ManagedIdentity(ManagedId::Client(c()))),
        ),
        (
            "identity: {type: ManagedIdentity, objectId: c}",
            own_tenant(ChosenBy::ManagedIdentity(ManagedId::Object(c()))),
        ),
        (
            "identity: {type: ManagedIdentity, resourceId: /subscriptions/s}",
            own_tenant(ChosenBy::ManagedIdentity(ManagedId::Resource("/subscriptions/s".to_owned()))),
        ),
        (
            "identity: {type: ClientSecret, clientId: c, secretName: app-1}",
            own_tenant(ChosenBy::ClientSecret { client_id: c(), secret_name: name() }),
        ),
        (
            "identity: {type: ClientCertificate, tenantId: t, clientId: c, secretName: app-1}",
            tenant("t", ChosenBy::ClientCertificate { client_id: c(), secret_name: name() }),
        ),
    ] {
        assert_eq!(choice(spec), Ok(expected), "{spec}");
    }
}

#[test]
fn every_combination_that_makes_none_says_which_part() {
    for (spec, part) in [
        ("identity: {objectId: o}", "`objectId` is of no use without `type`"),
        ("identity: {resourceId: /r}", "`resourceId` is of no use without `type`"),
        ("identity: {secretName: s}", "`secretName` is of no use without `type`"),
        ("identity: {type: WorkloadIdentity, objectId: o}", "`objectId`"),
        ("identity: {type: WorkloadIdentity, resourceId: /r}", "`resourceId`"),
        ("identity: {type: WorkloadIdentity, secretName: s}", "`secretName`"),
        ("identity: {type: ManagedIdentity, clientId: c, objectId: o}", "exclude each other"),
        ("identity: {type: ManagedIdentity, clientId: c, resourceId: /r}", "exclude each other"),
        ("identity: {type: ManagedIdentity, objectId: o, resourceId: /r}", "exclude each other"),
        ("identity: {type: ManagedIdentity, tenantId: t}", "remove tenantId"),
        ("tenantId: t\nidentity: {type: ManagedIdentity}", "remove tenantId"),
        ("identity: {type: ManagedIdentity, secretName: s}", "`secretName`"),
        ("identity: {type: ClientSecret, secretName: s}", "needs `clientId`"),
        ("identity: {type: ClientSecret, clientId: c}", "needs `secretName`"),
        ("identity: {type: ClientSecret, clientId: c, secretName: s, objectId: o}", "`objectId`"),
        ("identity: {type: ClientCertificate, secretName: s}", "needs `clientId`"),
        ("identity: {type: ClientCertificate, clientId: c}", "needs `secretName`"),
        ("identity: {type: ClientCertificate, clientId: c, secretName: s, resourceId: /r}", "`resourceId`"),
        ("tenantId: t\nidentity: {tenantId: u}", "differ"),
        ("tenantId: ''", "spec.tenantId: ``"),
        ("tenantId: a/b", "spec.tenantId: `a/b`"),
        ("identity: {tenantId: ..}", "tenantId: `..`"),
        ("identity: {clientId: 'a b'}", "clientId: `a b`"),
        ("identity: {clientId: ''}", "clientId: ``"),
        ("identity: {type: ManagedIdentity, objectId: 'o&x=1'}", "objectId: `o&x=1`"),
        ("identity: {type: ManagedIdentity, resourceId: r}", "resourceId: `r`"),
        ("identity: {type: ManagedIdentity, resourceId: \"/r\\n\"}", r"resourceId: `/r\n`"),
    ] {
        let error = choice(spec).unwrap_err().to_string();
        assert!(error.contains(part), "{spec}: {error}");
    }
}

#[test]
fn a_secret_s_name_leads_to_no_other_directory() {
    let with = |name: &str| choice(&format!("identity: {{type: ClientSecret, clientId: c, secretName: '{name}'}}"));
    for name in ["a", "app-1", "1", &"a".repeat(63)] {
        assert!(with(name).is_ok(), "{name}");
    }
    for name in ["", ".", "..", "../a", "a/b", "/a", "a.b", "-a", "a-", "A", "a_b", "a b", "ä", &"a".repeat(64)] {
        let error = with(name).unwrap_err();
        assert!(matches!(error, InvalidChoice::SecretName(_)), "{name}: {error}");
    }
}
