use super::*;

async fn get(url: &str, token: Option<&str>) -> reqwest::Response {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut request = reqwest::Client::new().get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn an_open_registry_serves_what_was_pushed() {
    let registry = FakeRegistry::start(None, Auth::Open).await.unwrap();
    let image = FakeImage::new(&["/entry"], &["serve"]).env(&["A=b"]);
    let digest = registry.push("team/app", "1", &image);
    let by = |version: &str| format!("http://{}/v2/team/app/manifests/{version}", registry.host());
    let (by_tag, by_digest) = (get(&by("1"), None).await, get(&by(&digest), None).await);
    assert_eq!(by_tag.headers()["docker-content-digest"], digest.as_str());
    let manifest = by_tag.bytes().await.unwrap();
    assert_eq!((digest_of(&manifest), by_digest.bytes().await.unwrap()), (digest, manifest.clone()));
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let config = manifest["config"]["digest"].as_str().unwrap();
    let config = get(&format!("http://{}/v2/team/app/blobs/{config}", registry.host()), None).await;
    let config: serde_json::Value = serde_json::from_slice(&config.bytes().await.unwrap()).unwrap();
    assert_eq!(config["config"]["Entrypoint"], serde_json::json!(["/entry"]));
    assert_eq!(get(&by("2"), None).await.status(), 404);
    assert_eq!((registry.count(Kind::Manifest), registry.count(Kind::Blob), registry.total()), (3, 1, 4));
}

#[tokio::test]
async fn a_token_opens_the_repository_it_is_for() {
    let registry = FakeRegistry::start(None, Auth::Bearer).await.unwrap();
    registry.push("app", "1", &FakeImage::new(&[], &[]));
    registry.push("other", "1", &FakeImage::new(&[], &[]));
    let url = |path: &str| format!("http://{}{path}", registry.host());
    let refused = get(&url("/v2/app/manifests/1"), None).await;
    let challenge = refused.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(refused.status() == 401 && challenge.contains(&url("/token")), "{challenge}");
    let token = get(&url("/token?service=fake&scope=repository:app:pull"), None).await.bytes().await.unwrap();
    let token: serde_json::Value = serde_json::from_slice(&token).unwrap();
    let token = token["token"].as_str();
    assert_eq!(get(&url("/v2/app/manifests/1"), token).await.status(), 200);
    assert_eq!(get(&url("/v2/other/manifests/1"), token).await.status(), 401);
    registry.allow("app", &["alice"]);
    assert_eq!(get(&url("/v2/app/manifests/1"), token).await.status(), 401);
}
