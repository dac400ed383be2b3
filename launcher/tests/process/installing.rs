//! `install DIRECTORY`, and the same for each container.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use crate::stage::{LAUNCHER, Stage, bare, echo, installed, listing, run};

/// What `install` leaves.
const LEFT: [&str; 2] = [".keyward", "keyward-launcher"];

/// `install VOLUME CONTAINER…` under a umask that leaves others nothing.
fn install_for(volume: &Path, containers: &[&str]) -> Command {
    let mut install = Command::new("sh");
    install.args(["-c", r#"umask 077; exec "$@""#, "sh", LAUNCHER, "install"]).arg(volume).args(containers);
    install
}

fn launcher_of(volume: &Path, container: &str) -> PathBuf {
    volume.join(container).join("keyward-launcher")
}

#[allow(clippy::unwrap_used, reason = "clippy sees a test only in a function marked as one")]
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn the_copy_runs_and_cannot_be_written() {
    let (directory, launcher) = installed();
    assert_eq!(listing(directory.path()), [".keyward", "keyward-launcher"]);
    assert_eq!(std::fs::metadata(&launcher).unwrap().permissions().mode() & 0o7777, 0o555);
    assert!(std::fs::read(&launcher).unwrap() == std::fs::read(LAUNCHER).unwrap());
    run(&mut bare(launcher.as_os_str(), &[], &["echo", "runs"])).printed("runs\n");
}

#[test]
fn a_second_install_replaces_the_first_and_what_a_killed_one_left() {
    let (directory, launcher) = installed();
    std::fs::write(directory.path().join(".keyward-launcher.partial"), "half").unwrap();
    run(Command::new(&launcher).arg("install").arg(directory.path())).printed("");
    assert_eq!(listing(directory.path()), [".keyward", "keyward-launcher"]);
}

#[test]
fn a_directory_with_other_files_is_not_marked_and_so_never_emptied() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("theirs"), "").unwrap();
    run(Command::new(LAUNCHER).arg("install").arg(directory.path())).printed("");
    assert_eq!(listing(directory.path()), ["keyward-launcher", "theirs"]);
    let launcher = directory.path().join("keyward-launcher");
    let mut command = Command::new(&launcher);
    command.env_clear().env("PATH", "/usr/bin:/bin").args(["exec", "--cleanup", "always", "--", "true"]);
    run(&mut command).failed(73, &[".keyward"]);
    assert_eq!(listing(directory.path()), ["keyward-launcher", "theirs"]);
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    run(Command::new(LAUNCHER).args(["install", "/nonexistent"])).failed(73, &["/nonexistent", "must exist"]);
}

#[test]
fn each_container_has_a_folder_of_its_own_and_all_share_one_file() {
    let volume = tempfile::tempdir().unwrap();
    run(&mut install_for(volume.path(), &["app", "side-1", "app"])).printed("");
    assert_eq!(listing(volume.path()), ["app", "side-1"]);
    for container in ["app", "side-1"] {
        let (folder, launcher) = (volume.path().join(container), launcher_of(volume.path(), container));
        assert_eq!(listing(&folder), LEFT);
        assert_eq!((mode(&folder), mode(&launcher), mode(&folder.join(".keyward"))), (0o777, 0o555, 0o444));
        assert_eq!(std::fs::metadata(&launcher).unwrap().nlink(), 2, "one link for each container");
        run(&mut bare(launcher.as_os_str(), &[], &["echo", "runs"])).printed("runs\n");
    }
}

#[test]
fn a_container_that_cleans_up_takes_the_launcher_from_no_other() {
    let volume = tempfile::tempdir().unwrap();
    let containers = ["app", "side"];
    run(&mut install_for(volume.path(), &containers)).printed("");
    let mut app = bare(launcher_of(volume.path(), "app").as_os_str(), &[], &["true"]);
    run(app.env("KEYWARD_RESTART_POLICY", "Never")).printed("");
    assert!(listing(&volume.path().join("app")).is_empty());
    run(&mut bare(launcher_of(volume.path(), "side").as_os_str(), &[], &["echo", "runs"])).printed("runs\n");
    // The pod's sandbox is made anew, and with it all of its containers.
    run(&mut install_for(volume.path(), &containers)).printed("");
    assert_eq!(listing(&volume.path().join("app")), LEFT);
}

#[test]
fn launchers_that_are_running_are_replaced_and_go_on() {
    let volume = Arc::new(tempfile::tempdir().unwrap());
    run(&mut install_for(volume.path(), &["app", "side"])).printed("");
    let installing = Arc::clone(&volume);
    let stage = Stage::new(move |call| {
        // At this moment the launcher that asks is running.
        run(&mut install_for(installing.path(), &["app", "side"])).printed("");
        echo(call)
    });
    let launcher = launcher_of(volume.path(), "app");
    let before = std::fs::metadata(&launcher).unwrap().ino();
    let mut launch = stage.launch_with(launcher.as_os_str(), &[], &["sh", "-c", "echo $A"]);
    run(launch.env("A", "a@azurekeyvault")).printed("kwcanary-a@azurekeyvault\n");
    assert_ne!(std::fs::metadata(&launcher).unwrap().ino(), before);
    assert_eq!(listing(&volume.path().join("app")), LEFT);
}

#[test]
fn what_a_killed_install_left_is_removed() {
    let volume = tempfile::tempdir().unwrap();
    let folder = volume.path().join("app");
    std::fs::create_dir(&folder).unwrap();
    for half in [volume.path(), &folder] {
        std::fs::write(half.join(".keyward-launcher.partial"), "half").unwrap();
    }
    std::fs::write(folder.join("..keyward.partial"), "half").unwrap();
    run(&mut install_for(volume.path(), &["app"])).printed("");
    assert_eq!(listing(volume.path()), ["app"]);
    assert_eq!((listing(&folder), mode(&folder)), (LEFT.map(str::to_owned).to_vec(), 0o777));
}

#[test]
fn a_name_that_leads_elsewhere_is_refused_before_anything_is_written() {
    let volume = tempfile::tempdir().unwrap();
    run(&mut install_for(volume.path(), &["app", "../app"])).failed(64, &["\"../app\"", "name of a container"]);
    assert!(listing(volume.path()).is_empty());
    std::fs::write(volume.path().join("app"), "").unwrap();
    run(&mut install_for(volume.path(), &["app"])).failed(73, &["/app: ", "Not a directory"]);
    assert_eq!(listing(volume.path()), ["app"]);
}
