//! What the application sees in its environment.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use tonic::Status;

use crate::stage::{LAUNCHER, Stage, bare, echo, run};

#[test]
fn every_reference_becomes_its_value_with_one_request() {
    let stage = Stage::new(echo);
    let mut launch = stage.launch(&["sh", "-c", "echo $PASSWORD; echo $USER_NAME; echo $PLAIN"]);
    launch.env("PASSWORD", "db@azurekeyvault").env("USER_NAME", "db@azurekeyvault?username").env("PLAIN", "as it was");
    run(&mut launch).printed("kwcanary-db@azurekeyvault\nkwcanary-db@azurekeyvault?username\nas it was\n");
    let calls = stage.broker.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].token.as_deref(), Some("the.pods.token"));
    assert_eq!(calls[0].references, ["db@azurekeyvault", "db@azurekeyvault?username"]);
}

#[test]
fn one_reference_in_three_variables_is_asked_for_once() {
    let stage = Stage::new(echo);
    let mut launch = stage.launch(&["sh", "-c", "test \"$A\" = \"$B\" && test \"$B\" = \"$C\" && echo $A"]);
    launch.env("A", "db@azurekeyvault").env("B", "db@azurekeyvault").env("C", "db@azurekeyvault");
    run(&mut launch).printed("kwcanary-db@azurekeyvault\n");
    assert_eq!(stage.broker.calls()[0].references, ["db@azurekeyvault"]);
}

#[test]
fn without_a_reference_nothing_is_read_or_asked() {
    let mut launch = bare(LAUNCHER.as_ref(), &[], &["env"]);
    launch
        .env("KEYWARD_BROKER", "not even a URL")
        .env("KEYWARD_TOKEN_FILE", "/nonexistent")
        .env("MAIL", "me@azure.example");
    run(&mut launch).printed("MAIL=me@azure.example\nPATH=/usr/bin:/bin\n");
}

#[test]
fn the_launchers_own_variables_are_gone_and_the_applications_are_not() {
    let stage = Stage::new(echo);
    let mut launch = stage.launch(&["env"]);
    launch.env("KEYWARD_BROKER_IP", "127.0.0.1").env("KEYWARD_RESTART_POLICY", "Always");
    launch.env("KEYWARD_OF_THE_APP", "stays").env("A", "a@azurekeyvault");
    run(&mut launch).printed("A=kwcanary-a@azurekeyvault\nKEYWARD_OF_THE_APP=stays\nPATH=/usr/bin:/bin\n");
}

#[test]
fn bytes_that_are_no_text_pass_through_and_come_back() {
    let stage = Stage::new(|_| Ok(vec![b"\xfekwcanary".to_vec()]));
    let mut launch = stage.launch(&["sh", "-c", r#"printf '%s%s' "$ODD" "$SECRET" | od -An -c"#]);
    launch.env("ODD", OsStr::from_bytes(b"\xff@azurekeyvault")).env("SECRET", "s@azurekeyvault");
    let ended = run(&mut launch);
    assert!(ended.status.success() && ended.stdout.starts_with(" 377   @"), "{}", ended.stderr);
    assert!(ended.stdout.replace([' ', '\n'], "").ends_with("376kwcanary"));
}

#[test]
fn a_value_keeps_its_newlines_and_may_be_empty() {
    let stage = Stage::new(|_| Ok(vec![b"kwcanary\nsecond line\n".to_vec(), Vec::new()]));
    let mut launch = stage.launch(&["sh", "-c", r#"printf '%s|' "$A" "${B-unset}""#]);
    launch.env("A", "a@azurekeyvault").env("B", "b@azurekeyvault");
    run(&mut launch).printed("kwcanary\nsecond line\n||");
}

#[test]
fn the_container_is_named_and_each_try_is_known_as_the_same_process_s() {
    let stage = Stage::new(|call| match call.number {
        1 => Err(Status::unavailable("come again")),
        _ => echo(call),
    });
    for container in ["app", "sidecar"] {
        let mut launch = stage.launch(&["sh", "-c", "echo $A ${KEYWARD_CONTAINER-gone}"]);
        launch.env("A", "a@azurekeyvault").env("KEYWARD_CONTAINER", container);
        run(&mut launch).printed("kwcanary-a@azurekeyvault gone\n");
    }
    let calls = stage.broker.calls();
    let containers: Vec<_> = calls.iter().map(|call| call.container.as_str()).collect();
    assert_eq!(containers, ["app", "app", "sidecar"]);
    assert_eq!(calls[0].nonce, calls[1].nonce);
    assert_ne!(calls[1].nonce, calls[2].nonce);
    assert!(calls.iter().all(|call| call.nonce.len() == 16));
}
