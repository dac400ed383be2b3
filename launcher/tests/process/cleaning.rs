//! The shared volume afterwards.

use std::path::Path;

use tonic::Status;

use crate::stage::{LAUNCHER, Stage, bare, echo, installed, listing, run};

const LEFT: [&str; 2] = [".keyward", "keyward-launcher"];

#[test]
fn a_pod_that_never_restarts_a_container_keeps_nothing() {
    let stage = Stage::new(echo);
    let (directory, launcher) = installed();
    std::fs::write(directory.path().join("beside"), "").unwrap();
    let mut launch = stage.launch_with(launcher.as_os_str(), &[], &["sh", "-c", "echo $A"]);
    launch.env("A", "a@azurekeyvault").env("KEYWARD_RESTART_POLICY", "Never");
    run(&mut launch).printed("kwcanary-a@azurekeyvault\n");
    assert!(listing(directory.path()).is_empty());
}

#[test]
fn any_other_restart_policy_keeps_all() {
    let (directory, launcher) = installed();
    for policy in ["Always", "OnFailure", "never", ""] {
        run(bare(launcher.as_os_str(), &[], &["true"]).env("KEYWARD_RESTART_POLICY", policy)).printed("");
        assert_eq!(listing(directory.path()), LEFT, "{policy}");
    }
    run(&mut bare(launcher.as_os_str(), &[], &["true"])).printed("");
    assert_eq!(listing(directory.path()), LEFT);
}

#[test]
fn always_and_never_do_not_ask_for_the_policy() {
    let (directory, launcher) = installed();
    let never = &["--cleanup", "never"];
    run(bare(launcher.as_os_str(), never, &["true"]).env("KEYWARD_RESTART_POLICY", "Never")).printed("");
    assert_eq!(listing(directory.path()), LEFT);
    run(&mut bare(launcher.as_os_str(), &["--cleanup=always"], &["true"])).printed("");
    assert!(listing(directory.path()).is_empty());
}

#[test]
fn nothing_is_deleted_until_the_application_can_start() {
    let (directory, launcher) = installed();
    let always = &["--cleanup=always"];
    run(&mut bare(launcher.as_os_str(), always, &["kw-no-such-command"])).failed(127, &[]);
    let stage = Stage::new(|_| Err(Status::permission_denied("no")));
    run(stage.launch_with(launcher.as_os_str(), always, &["true"]).env("A", "a@azurekeyvault")).failed(77, &[]);
    assert_eq!(listing(directory.path()), LEFT);
}

#[test]
fn a_directory_that_install_did_not_fill_is_never_emptied() {
    let (directory, launcher) = installed();
    std::fs::remove_file(directory.path().join(".keyward")).unwrap();
    run(&mut bare(launcher.as_os_str(), &["--cleanup=always"], &["true"]))
        .failed(73, &["will not clean up", ".keyward"]);
    run(bare(launcher.as_os_str(), &[], &["true"]).env("KEYWARD_RESTART_POLICY", "Never")).printed("");
    assert_eq!(listing(directory.path()), ["keyward-launcher"]);
    run(bare(LAUNCHER.as_ref(), &[], &["true"]).env("KEYWARD_RESTART_POLICY", "Never")).printed("");
    assert!(Path::new(LAUNCHER).exists());
}
