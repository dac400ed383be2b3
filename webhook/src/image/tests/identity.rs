//! The webhook's own identity, towards registries of Azure.

use azure_core::{
    credentials::{AccessToken, TokenCredential, TokenRequestOptions},
    error::{Error, ErrorKind},
    time::{Duration as Span, OffsetDateTime},
};
use keyward_tests::registry::{Does, Kind};

use super::*;

const ENTRA: &str = "kwcanary-entra";

/// Gives one token, or none; remembers for what.
#[derive(Debug)]
struct Entra {
    token: Option<&'static str>,
    scopes: Mutex<Vec<String>>,
}

#[async_trait]
impl TokenCredential for Entra {
    async fn get_token(&self, scopes: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
        self.scopes.lock().unwrap().extend(scopes.iter().map(ToString::to_string));
        let token = self.token.ok_or_else(|| Error::with_message(ErrorKind::Credential, "AADSTS70021: kwcanary"))?;
        Ok(AccessToken::new(token, OffsetDateTime::now_utc() + Span::hours(1)))
    }
}

fn entra(token: Option<&'static str>) -> Arc<Entra> {
    Arc::new(Entra { token, scopes: Mutex::default() })
}

/// `private/app` is for the identity alone.
async fn azure() -> Scene {
    let scene = Scene::new(Auth::Bearer).await;
    scene.registry.push("private/app", "1", &app());
    scene.registry.allow("private/app", &["identity"]);
    scene.registry.add_entra_token(ENTRA);
    scene
}

impl Scene {
    fn images_as(&self, credential: &Arc<Entra>, acr_suffixes: &[String]) -> Images {
        let settings = ImagesConfig { acr_suffixes: acr_suffixes.to_vec(), ..self.settings() };
        Images::new(settings, self.secrets.clone(), Some(AcrIdentity::new(credential.clone()))).unwrap()
    }
}

#[tokio::test]
async fn the_webhooks_identity_opens_registries_of_azure() {
    let (scene, credential) = (azure().await, entra(Some(ENTRA)));
    let images = scene.images_as(&credential, &[scene.registry.host()]);
    assert_eq!(images.config(&wanted(&scene.image("private/app:1"))).await.unwrap().entrypoint, ["/app"]);
    assert_eq!(*credential.scopes.lock().unwrap(), ["https://containerregistry.azure.net/.default"]);
    for seen in scene.registry.seen() {
        assert_eq!(format!("{seen:?}").contains(ENTRA), seen.kind == Kind::Exchange, "{seen:?}");
    }
}

#[tokio::test]
async fn its_token_goes_to_registries_of_azure_only() {
    let (scene, credential) = (azure().await, entra(Some(ENTRA)));
    // `localhost` is the same registry by another name.
    let images = scene.images_as(&credential, &["azure.example".to_owned(), scene.registry.local_host()]);
    let said = refused(&images, &wanted(&scene.image("private/app:1"))).await;
    assert!(!said.contains("identity"), "{said}");
    assert!(credential.scopes.lock().unwrap().is_empty());
    assert_eq!(scene.registry.count(Kind::Exchange), 0);
    assert!(images.config(&wanted(&format!("{}/private/app:1", scene.registry.local_host()))).await.is_ok());
}

#[tokio::test]
async fn its_token_never_goes_over_plain_http() {
    let (scene, credential) = (azure().await, entra(Some(ENTRA)));
    let plain = FakeRegistry::start(None, Auth::Bearer).await.unwrap();
    plain.push("private/app", "1", &app());
    plain.allow("private/app", &["identity"]);
    plain.add_entra_token(ENTRA);
    let list = vec![plain.host()];
    let settings = ImagesConfig { acr_suffixes: list.clone(), plain_http: list, ..scene.settings() };
    let identity = AcrIdentity::new(credential.clone());
    let images = Images::new(settings, scene.secrets.clone(), Some(identity)).unwrap();
    refused(&images, &wanted(&format!("{}/private/app:1", plain.host()))).await;
    assert!(credential.scopes.lock().unwrap().is_empty() && plain.count(Kind::Exchange) == 0);
}

#[tokio::test]
async fn an_identity_without_rights_is_named() {
    let scene = azure().await;
    let list = [scene.registry.host()];
    let image = wanted(&scene.image("private/app:1"));
    let said = refused(&scene.images_as(&entra(None), &list), &image).await;
    assert!(said.contains("Tried: the webhook's own identity: Entra gave it no token"), "{said}");
    let said = refused(&scene.images_as(&entra(Some("kwcanary-unknown")), &list), &image).await;
    assert!(said.contains("own identity: exchanging its token: its token service answers 401"), "{said}");
    scene.registry.allow("private/app", &["alice"]);
    let said = refused(&scene.images_as(&entra(Some(ENTRA)), &list), &image).await;
    assert!(said.contains("own identity: 401; anonymous: 401"), "{said}");
}

#[tokio::test]
async fn an_exchange_is_not_sent_on_to_anywhere() {
    let (scene, credential) = (azure().await, entra(Some(ENTRA)));
    let to = format!("{}/oauth2/exchange", scene.registry.elsewhere());
    scene.registry.fault(Kind::Exchange, Does::Redirect(to));
    let images = scene.images_as(&credential, &[scene.registry.host()]);
    let said = refused(&images, &wanted(&scene.image("private/app:1"))).await;
    assert!(said.contains("forms are not sent on"), "{said}");
    assert!(scene.registry.seen().iter().all(|seen| seen.home), "nothing arrived elsewhere");
}
