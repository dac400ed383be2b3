use std::{
    collections::BTreeSet,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use keyward_proto::{MAX_REPLY_BYTES, v1::cache_server::Cache as _};
use prost::Message as _;
use tokio_util::task::TaskTracker;

use super::*;
use crate::{
    authn::{AuthnError, Caller},
    budget::Class,
    changes::Changes,
    peers::board::Board,
    poll::Refreshed,
    testing::{self, ACME, Memory},
    vault::{ReadError, origin::Origin},
};

/// Says what it was asked, and never ends where nothing is there to check.
#[derive(Default)]
struct Poller(Mutex<Vec<Option<String>>>);

#[async_trait]
impl Refresh for Poller {
    async fn refresh(&self, vault: Option<&Origin>) -> Vec<Refreshed> {
        self.0.lock().unwrap().push(vault.map(ToString::to_string));
        if vault.is_some_and(|vault| vault.to_string().contains("slow")) {
            std::future::pending::<()>().await;
        }
        let refreshed = |name: &str, error: Option<&str>| Refreshed {
            vault: Origin::parse(&format!("https://{name}.vault.azure.net")).unwrap(),
            checked: 3,
            changed: 1,
            error: error.map(str::to_owned),
        };
        vec![refreshed("zulu", Some("the vault is throttling")), refreshed("acme", None)]
    }
}

struct Nobody;

#[async_trait]
impl Authenticator for Nobody {
    async fn authenticate(&self, _: &str) -> Result<Arc<Caller>, AuthnError> {
        Err(AuthnError::BadSignature)
    }
}

fn service(manifests: &str) -> (CacheService, Arc<Poller>) {
    let snapshot = Arc::new(Current::new(testing::snapshot(manifests)));
    let poller = Arc::new(Poller::default());
    let service = CacheService {
        binding: None,
        resolver: testing::resolver(&snapshot, &Memory::new(0)),
        cache: ObjectCache::new(1 << 20, TaskTracker::new(), Changes::default()),
        readers: testing::readers(&Memory::new(0)),
        peers: Arc::new(Peers::new(Board::alone(1))),
        refresh: Arc::clone(&poller) as Arc<dyn Refresh>,
        authenticator: Arc::new(Nobody),
        snapshot,
    };
    (service, poller)
}

fn vault(name: &str) -> String {
    ACME.replace("acme", name)
}

async fn status(service: &CacheService, page_size: u32, page_token: &str) -> Result<StatusResponse, Status> {
    let request = StatusRequest { page_size, page_token: page_token.to_owned() };
    service.status(Request::new(request)).await.map(Response::into_inner)
}

#[tokio::test]
async fn a_vaults_state_is_shown() {
    let (service, _) = service(ACME);
    let declared = service.snapshot.load().vaults().find_map(|(_, declared)| match declared {
        Declared::Valid(vault) => Some(Arc::clone(vault)),
        Declared::Invalid(_) => None,
    });
    let open = service.readers.open(&declared.unwrap()).unwrap();
    open.progress().checked_at = Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    open.progress().last_error = Some("e".repeat(5_000));
    let throttled = ReadError::Throttled { retry_after: Some(Duration::from_secs(60)) };
    open.gate().admit(Class::PodStart, 1).await.unwrap().settle::<()>(&Err(throttled));
    let vault = status(&service, 0, "").await.unwrap().vaults.remove(0);
    assert_eq!((vault.name.as_str(), vault.poll_mode.as_str(), vault.breaker.as_str()), ("acme", "", "open"));
    assert_eq!((vault.checked_at.unwrap().seconds, vault.budget_left, vault.budget), (7, 499, 500));
    assert_eq!((vault.poll_interval_ms, vault.max_stale_ms), (600_000, 86_400_000));
    assert_eq!(vault.last_error.len(), 1_024);
    assert!(vault.retry_at.is_some());
}

#[tokio::test]
async fn pages_together_tell_everything_once_and_each_can_be_sent() {
    let vaults: String = (0..700).map(|n| vault(&format!("vault-{n}"))).collect();
    let wrong: String = (0..1_500).map(|n| testing::secret("shop", &format!("s{n}"), "acme", "a/b")).collect();
    let (service, _) = service(&format!("{vaults}{wrong}"));
    for size in [1_000, 300, 7] {
        let (mut names, mut places, mut token) = (BTreeSet::new(), BTreeSet::new(), String::new());
        loop {
            let page = status(&service, size, &token).await.unwrap();
            assert!(page.encoded_len() < MAX_REPLY_BYTES);
            assert!(page.vaults.len() + page.invalid_manifests.len() <= size as usize);
            assert!(page.vaults.into_iter().all(|vault| names.insert(vault.name)));
            assert!(page.invalid_manifests.into_iter().all(|manifest| places.insert(manifest.place)));
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert_eq!((names.len(), places.len()), (700, 1_500));
    }
}

#[tokio::test]
async fn a_page_token_of_somebody_elses_making_is_refused() {
    let (service, _) = service(ACME);
    for token in ["x", "x:y", ":", "vault:acme", &format!("v:{}", "a".repeat(2_000))] {
        assert_eq!(status(&service, 0, token).await.unwrap_err().code(), Code::InvalidArgument, "{token}");
    }
}

async fn refreshed(vault_text: &str) -> (Result<RefreshResponse, Status>, Vec<Option<String>>) {
    let broken = vault("broken").replace("namespaces", "unknown: 1, namespaces");
    let alias = ACME.replace("{name: acme}", "{name: team-vault}").replace("vaultName: acme", "vaultName: other");
    let (service, poller) = service(&format!("{ACME}{alias}{broken}{}", vault("slow")));
    let request = Request::new(RefreshRequest { vault: vault_text.to_owned() });
    let answer = service.refresh(request).await.map(Response::into_inner);
    let asked = poller.0.lock().unwrap().clone();
    (answer, asked)
}

#[tokio::test]
async fn a_vault_is_refreshed_by_name_declaration_or_origin_and_all_without_one() {
    for (text, asked) in [
        ("", None),
        ("acme", Some("https://acme.vault.azure.net")),
        ("ACME", Some("https://acme.vault.azure.net")),
        ("other", Some("https://other.vault.azure.net")),
        ("team-vault", Some("https://other.vault.azure.net")),
        ("https://acme.vault.azure.net", Some("https://acme.vault.azure.net")),
        ("https://ACME.vault.azure.net:443/", Some("https://acme.vault.azure.net")),
    ] {
        let (answer, seen) = refreshed(text).await;
        assert_eq!(seen, [asked.map(str::to_owned)], "{text}");
        let vaults = answer.unwrap().vaults;
        assert_eq!(
            (vaults[0].vault.as_str(), vaults[0].checked, vaults[0].changed),
            ("https://acme.vault.azure.net", 3, 1)
        );
        assert_eq!(vaults[1].error, "the vault is throttling");
    }
}

#[tokio::test]
async fn a_vault_that_cannot_be_refreshed_is_named_and_nothing_is_asked() {
    for (text, code) in [
        ("nowhere", Code::NotFound),
        ("https://nowhere.vault.azure.net", Code::NotFound),
        ("broken", Code::FailedPrecondition),
    ] {
        let (answer, asked) = refreshed(text).await;
        let refused = answer.unwrap_err();
        assert_eq!(refused.code(), code);
        assert!(refused.message().contains(text), "{}", refused.message());
        assert!(asked.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_does_not_end_is_not_waited_for_for_ever() {
    let (answer, _) = refreshed("slow").await;
    assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn explain_refuses_what_it_cannot_understand() {
    use keyward_proto::v1::explain_request::Who;
    let (service, _) = service(ACME);
    let namespace = || Some(Who::Namespace("shop".into()));
    for (who, reference) in
        [(namespace(), "db"), (namespace(), "DB@azurekeyvault"), (namespace(), ""), (None, "db@azurekeyvault")]
    {
        let request = Request::new(ExplainRequest { who, reference: reference.to_owned() });
        assert_eq!(service.explain(request).await.unwrap_err().code(), Code::InvalidArgument, "{reference}");
    }
    let who = Some(Who::Token("kwcanary-token".into()));
    let request = Request::new(ExplainRequest { who, reference: "db@azurekeyvault".to_owned() });
    let gates = service.explain(request).await.unwrap().into_inner().gates;
    assert_eq!((gates.len(), gates[0].name.as_str(), gates[0].state()), (7, "token", v1::GateState::Closed));
    assert!(!format!("{gates:?}").contains("kwcanary"));
}
