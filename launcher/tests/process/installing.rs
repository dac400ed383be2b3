//! `install DIR`.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::stage::{LAUNCHER, bare, installed, listing, run};

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
