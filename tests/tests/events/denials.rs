//! Who is refused: nothing that is delivered without a proof is looked at, and no vault hears of it.

use std::time::{Duration, Instant};

use keyward_tests::{resilience::shop::object, vault::ProjectedToken};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::grid::{AUDIENCE, Grid, KEY, NEXT_KEY, Proof, with_key};

/// Longer than a look that an event has made takes to begin.
const A_WHILE: Duration = Duration::from_millis(500);

impl Grid {
    async fn status(&self, proof: &Proof, path: &str) -> u16 {
        let event = self.created("denied", &object(0));
        proof(self.client.post(self.url(path))).json(&event).send().await.unwrap().status().as_u16()
    }

    fn pods_token(&self) -> Proof {
        let pod = ProjectedToken::for_pod("shop", "checkout", "checkout-1").audience(AUDIENCE);
        let token = self.shop.stand.emulator.projected_token(&pod).unwrap();
        with(move |request| request.bearer_auth(&token))
    }

    fn altered(&self, claim: &str, value: Value) -> Proof {
        let mut claims = self.claims();
        claims[claim] = value;
        self.with_token(&claims)
    }
}

fn nothing() -> Proof {
    Box::new(|request| request)
}

fn with(add: impl Fn(RequestBuilder) -> RequestBuilder + 'static) -> Proof {
    Box::new(add)
}

#[tokio::test]
async fn whoever_proves_nothing_is_refused_and_costs_nothing() {
    let grid = Grid::open(5).await;
    let token = grid.shop.stand.emulator.entra_token(&grid.claims()).unwrap();
    let altered = format!("{}A", &token[..token.len() - 2]);
    for (what, proof, path, expected) in [
        ("nothing", nothing(), "/events", 401),
        ("another key", with_key("kwcanary-another-key-0123456789ab"), "/events", 401),
        ("a key that is none yet", with_key(NEXT_KEY), "/events", 401),
        ("half of the key", with_key(&KEY[..20]), "/events", 401),
        ("the key as a password", with(|request| request.basic_auth("key", Some(KEY))), "/events", 401),
        ("the key as a token", with(|request| request.bearer_auth(KEY)), "/events", 401),
        ("another key in the query", nothing(), "/events?key=kwcanary", 401),
        (
            "a wrong key beside a good token",
            with(move |request| request.bearer_auth(&token).header("keyward-key", "x")),
            "/events",
            401,
        ),
        ("an altered token", with(move |request| request.bearer_auth(&altered)), "/events", 401),
        ("another audience", grid.altered("aud", json!("https://vault.azure.net")), "/events", 401),
        ("two audiences", grid.altered("aud", json!([AUDIENCE])), "/events", 401),
        ("another tenant", grid.altered("iss", json!("https://sts.windows.net/other/")), "/events", 401),
        ("an old token", grid.altered("exp", json!(1_700_000_001)), "/events", 401),
        ("another application", grid.altered("azp", json!("11111111-0000-0000-0000-000000000000")), "/events", 403),
        ("no application", grid.altered("azp", Value::Null), "/events", 403),
        ("a pod's token", grid.pods_token(), "/events", 401),
        ("elsewhere", with_key(KEY), "/", 404),
    ] {
        assert_eq!(grid.status(&proof, path).await, expected, "{what}");
    }
    sleep(A_WHILE).await;
    assert_eq!(grid.calls(), []);
    assert_eq!([grid.counted("hinted").await, grid.counted("forbidden").await], ["0", "2"]);
    assert_eq!(grid.status(&with_key(KEY), "/events").await, 200);
    assert_eq!(grid.status(&nothing(), &format!("/events?key={KEY}")).await, 200);
    assert_eq!(grid.status(&grid.with_token(&grid.claims()), "/events").await, 200);
    grid.leaves_no_trace();
}

#[tokio::test]
async fn a_key_that_is_changed_is_taken_up_while_the_other_goes_on() {
    let grid = Grid::open(0).await;
    let status = async |key: &str| grid.status(&with_key(key), "/events").await;
    let until = async |key: &str, expected: u16| {
        let began = Instant::now();
        while status(key).await != expected {
            assert!(began.elapsed() < Duration::from_secs(20), "{expected} does not come");
            sleep(Duration::from_millis(100)).await;
        }
    };
    grid.write_key("key2", NEXT_KEY);
    until(NEXT_KEY, 200).await;
    assert_eq!(status(KEY).await, 200);
    grid.write_key("key1", "");
    until(KEY, 401).await;
    assert_eq!(status(NEXT_KEY).await, 200);
}
