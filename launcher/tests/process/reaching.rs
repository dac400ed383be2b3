//! Getting to the broker: addresses, names, trust, and trying again.

use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use keyward_stand_in::{Authority, StandIn};
use tonic::{Code, Status};

use crate::stage::{LAUNCHER, Stage, bare, echo, loopback, run};

/// Nobody is given this name (RFC 6761).
const NO_HOST: &str = "broker.keyward.invalid";

#[test]
fn a_broker_that_cannot_answer_yet_is_asked_again() {
    let stage = Stage::new(|call| if call.number < 3 { Err(Status::unavailable("cold")) } else { echo(call) });
    run(stage.launch(&["sh", "-c", "echo $A"]).env("A", "a@azurekeyvault")).printed("kwcanary-a@azurekeyvault\n");
    assert_eq!(stage.broker.calls().len(), 3);
}

/// A status with the broker's advice when to ask again.
fn busy(code: Code, milliseconds: u32) -> Status {
    let mut busy = Status::new(code, "this pod asks too often");
    busy.metadata_mut().insert("retry-after-ms", milliseconds.into());
    busy
}

#[test]
fn every_refusal_that_passes_is_tried_again() {
    let passing = [Code::Cancelled, Code::Aborted, Code::DeadlineExceeded, Code::ResourceExhausted, Code::Unavailable];
    let stage = Stage::new(move |call| match passing.get(call.number - 1) {
        Some(code) => Err(Status::new(*code, "not now")),
        None => echo(call),
    });
    run(stage.launch(&["sh", "-c", "echo $A"]).env("A", "a@azurekeyvault")).printed("kwcanary-a@azurekeyvault\n");
    assert_eq!(stage.broker.calls().len(), passing.len() + 1);
}

#[test]
fn the_wait_a_broker_asks_for_is_kept() {
    for code in [Code::Unavailable, Code::ResourceExhausted] {
        let stage = Stage::new(move |call| if call.number == 1 { Err(busy(code, 700)) } else { echo(call) });
        let start = Instant::now();
        run(stage.launch(&["true"]).env("A", "a@azurekeyvault")).printed("");
        assert!(start.elapsed() >= Duration::from_millis(700), "{code:?}");
        assert_eq!(stage.broker.calls().len(), 2, "{code:?}");
    }
}

#[test]
fn a_wait_beyond_the_deadline_is_not_begun() {
    let stage = Stage::new(|_| Err(busy(Code::ResourceExhausted, 30_000)));
    let start = Instant::now();
    run(stage.launch(&["true"]).env("A", "a@azurekeyvault").env("KEYWARD_DEADLINE", "25s"))
        .failed(69, &["a@azurekeyvault", "tries: 1", "this pod asks too often"]);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(stage.broker.calls().len(), 1);
}

#[test]
fn a_broker_that_is_not_up_yet_is_waited_for() {
    let authority = Authority::new().unwrap();
    let listener = TcpListener::bind(loopback()).unwrap();
    let address = listener.local_addr().unwrap();
    let stage = Stage::new(echo);
    std::fs::write(stage.file("ca.crt"), authority.pem()).unwrap();
    let mut launch = stage.launch(&["true"]);
    let mut child =
        launch.env("KEYWARD_BROKER", format!("https://{address}")).env("A", "a@azurekeyvault").spawn().unwrap();
    // One try has certainly been made, and its connection breaks in the handshake.
    let (mut connection, _) = listener.accept().unwrap();
    connection.read_exact(&mut [0]).unwrap();
    drop((connection, listener));
    let broker = StandIn::start(address, &authority.issue(&["127.0.0.1"]).unwrap(), echo).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(broker.calls().len(), 1);
}

#[test]
fn files_are_read_anew_for_each_try() {
    let stage = Stage::new(|_| Ok(Vec::new()));
    let token = stage.file("token");
    let rotate = move |number: usize| std::fs::write(&token, format!("token-{number}")).unwrap();
    let names = ["127.0.0.1"];
    let broker = StandIn::start(loopback(), &stage.authority.issue(&names).unwrap(), move |call| {
        rotate(call.number);
        if call.number < 3 { Err(Status::unavailable("cold")) } else { echo(call) }
    });
    let broker = broker.unwrap();
    let mut launch = stage.launch(&["true"]);
    run(launch.env("KEYWARD_BROKER", format!("https://{}", broker.address())).env("A", "a@azurekeyvault")).printed("");
    let tokens: Vec<_> = broker.calls().into_iter().map(|call| call.token.unwrap()).collect();
    assert_eq!(tokens, ["the.pods.token", "token-1", "token-2"]);
}

#[test]
fn the_deadline_bounds_all_tries_together() {
    let stage = Stage::new(|_| Err(Status::unavailable("the vault is away")));
    let start = Instant::now();
    run(stage.launch(&["true"]).env("A", "a@azurekeyvault").env("KEYWARD_DEADLINE", "600ms"))
        .failed(69, &["a@azurekeyvault", "within 600ms", "the vault is away", "KEYWARD_DEADLINE"]);
    // Generous, for a loaded machine; without a deadline this would not end.
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(stage.broker.calls().len() >= 2);
}

#[test]
fn a_broker_that_accepts_and_says_nothing_does_not_hold_up_the_deadline() {
    let silent = TcpListener::bind(loopback()).unwrap();
    let stage = Stage::new(echo);
    let broker = format!("https://{}", silent.local_addr().unwrap());
    run(stage
        .launch(&["true"])
        .env("A", "a@azurekeyvault")
        .env("KEYWARD_BROKER", broker)
        .env("KEYWARD_DEADLINE", "400ms"))
    .failed(69, &["a@azurekeyvault", "tries: 1", "no reply in time"]);
}

#[test]
fn the_address_is_used_and_the_name_verified() {
    let stage = Stage::named(&[NO_HOST], echo);
    let mut launch = stage.launch(&["true"]);
    launch.env("A", "a@azurekeyvault").env("KEYWARD_BROKER_IP", "127.0.0.1");
    let port = stage.broker.address().port();
    run(launch.env("KEYWARD_BROKER", format!("https://{NO_HOST}:{port}"))).printed("");
    run(launch.env("KEYWARD_BROKER", format!("https://other.keyward.invalid:{port}")))
        .failed(78, &["untrusted certificate"]);
    assert_eq!(stage.broker.calls().len(), 1);
}

#[test]
fn an_address_where_nobody_listens_leads_back_to_the_name() {
    let stage = Stage::named(&["localhost"], echo);
    let mut launch = stage.launch(&["true"]);
    launch.env("A", "a@azurekeyvault").env("KEYWARD_BROKER_IP", "127.0.0.2");
    run(launch.env("KEYWARD_BROKER", format!("https://localhost:{}", stage.broker.address().port()))).printed("");
    assert_eq!(stage.broker.calls().len(), 1);
}

#[test]
fn a_stranger_gets_no_token_and_no_second_try() {
    let stage = Stage::new(echo);
    std::fs::write(stage.file("ca.crt"), Authority::new().unwrap().pem()).unwrap();
    let start = Instant::now();
    run(stage.launch(&["true"]).env("A", "a@azurekeyvault"))
        .failed(78, &["untrusted certificate", "no token was sent", "ca.crt", &stage.broker.address().to_string()]);
    assert!(start.elapsed() < Duration::from_secs(30), "it was tried again up to the deadline");
    assert!(stage.broker.calls().is_empty());
}

#[test]
fn no_connection_is_told_apart_from_no_trust() {
    let free = TcpListener::bind(loopback()).unwrap().local_addr().unwrap();
    let stage = Stage::new(echo);
    let mut launch = stage.launch(&["true"]);
    launch.env("A", "a@azurekeyvault").env("KEYWARD_DEADLINE", "300ms");
    run(launch.env("KEYWARD_BROKER", format!("https://{free}"))).failed(69, &["cannot connect", "refused"]);
}

#[test]
fn missing_files_and_bad_variables_are_named() {
    let stage = Stage::new(echo);
    let launch = |name: &str, value: &str| run(stage.launch(&["true"]).env("A", "a@azurekeyvault").env(name, value));
    launch("KEYWARD_TOKEN_FILE", "/nonexistent/t").failed(78, &["/nonexistent/t", "KEYWARD_TOKEN_FILE"]);
    launch("KEYWARD_CA_FILE", "/nonexistent/c")
        .failed(78, &["/nonexistent/c", "KEYWARD_CA_FILE", "ConfigMap keyward-ca"]);
    launch("KEYWARD_CA_FILE", "/etc/hostname").failed(78, &["/etc/hostname", "no PEM certificate"]);
    launch("KEYWARD_TOKEN_FILE", "/dev/null").failed(78, &["/dev/null", "does not hold"]);
    launch("KEYWARD_BROKER", "http://b").failed(78, &["KEYWARD_BROKER=\"http://b\"", "https://HOST:PORT"]);
    launch("KEYWARD_DEADLINE", "forever").failed(78, &["KEYWARD_DEADLINE=\"forever\"", "90s"]);
    launch("KEYWARD_BROKER_IP", "broker").failed(78, &["KEYWARD_BROKER_IP=\"broker\""]);
    assert!(stage.broker.calls().is_empty());
    run(bare(LAUNCHER.as_ref(), &[], &["true"]).env("A", "a@azurekeyvault")).failed(78, &["KEYWARD_BROKER is not set"]);
}
