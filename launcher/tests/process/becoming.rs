//! The launcher is the application afterwards: same process, its signals, its exit code; and a shell's way to find it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use crate::stage::{LAUNCHER, Stage, bare, echo, run};

/// With one reference to resolve, so that the runtime has lived and died before.
fn resolved(stage: &Stage, command: &[&str]) -> Command {
    let mut launch = stage.launch(command);
    launch.env("A", "a@azurekeyvault");
    launch
}

#[test]
fn the_application_is_the_same_process() {
    let stage = Stage::new(echo);
    let mut launch = resolved(&stage, &["sh", "-c", "echo $$"]);
    let child = launch.stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id().to_string();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim(), pid);
}

#[test]
fn its_exit_code_and_its_signal_are_the_applications() {
    let stage = Stage::new(echo);
    assert_eq!(run(&mut resolved(&stage, &["sh", "-c", "exit 42"])).status.code(), Some(42));
    assert_eq!(run(&mut resolved(&stage, &["sh", "-c", "kill -TERM $$"])).status.signal(), Some(15));
}

/// What a command prints that is started without the launcher: whatever the test runner itself hands down is in it.
fn directly(command: &[&str]) -> String {
    run(Command::new(command[0]).args(&command[1..]).stdin(Stdio::null())).stdout
}

#[test]
fn signals_are_as_if_there_had_been_no_launcher_and_one_thread_is_left() {
    let stage = Stage::new(echo);
    let status = ["grep", "-E", "^(Threads|SigBlk|SigIgn):", "/proc/self/status"];
    let ended = run(&mut resolved(&stage, &status));
    ended.printed(&directly(&status));
    let ignored = ended.stdout.lines().find_map(|line| line.strip_prefix("SigIgn:	")).unwrap();
    let sigpipe = 1 << (13 - 1);
    assert_eq!(u64::from_str_radix(ignored, 16).unwrap() & sigpipe, 0, "{ignored}");
}

#[test]
fn no_file_of_the_launcher_stays_open() {
    let stage = Stage::new(echo);
    let open = ["ls", "/proc/self/fd"];
    run(&mut resolved(&stage, &open)).printed(&directly(&open));
}

#[test]
fn arguments_arrive_as_given_and_the_name_too() {
    let stage = Stage::new(echo);
    run(&mut resolved(&stage, &["sh", "-c", r#"printf '%s|' "$0" "$@""#, "zero", "", "a b", "--", "*"]))
        .printed("zero||a b|--|*|");
    // A multi-call binary goes by the name it is started under.
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/bin/sh", directory.path().join("another-name")).unwrap();
    let mut launch = resolved(&stage, &["another-name", "-c", "tr '\\0' '\\n' < /proc/$$/cmdline | head -n 1"]);
    launch.env("PATH", format!("{}:/usr/bin:/bin", directory.path().display()));
    run(&mut launch).printed("another-name\n");
}

#[test]
fn a_command_is_found_in_the_path_of_its_own_environment() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("kw-app");
    std::fs::write(&script, "#!/bin/sh\necho found\n").unwrap();
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let mut launch = bare(LAUNCHER.as_ref(), &[], &["kw-app"]);
    run(launch.env("PATH", format!("/nonexistent:{}", directory.path().display()))).printed("found\n");
    // An empty entry is the working directory; without PATH there is still a usual one.
    run(launch.env("PATH", ":/bin").current_dir(directory.path())).printed("found\n");
    run(bare(LAUNCHER.as_ref(), &[], &["echo", "hello"]).env_remove("PATH")).printed("hello\n");
}

#[test]
fn what_cannot_be_started_has_a_shells_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str, mode| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path.into_os_string().into_string().unwrap()
    };
    let launch = |command: &str| run(&mut bare(LAUNCHER.as_ref(), &[], &[command]));
    launch("kw-no-such-command").failed(127, &["\"kw-no-such-command\" was not found"]);
    launch("/nonexistent/app").failed(127, &["was not found"]);
    launch("").failed(127, &["was not found"]);
    launch(&file("plain", "", 0o644)).failed(126, &["plain\" cannot be executed"]);
    launch(directory.path().to_str().unwrap()).failed(126, &["cannot be executed"]);
    launch(&file("no-interpreter", "#!/nonexistent/sh\n", 0o755)).failed(126, &["interpreter or loader"]);
}

#[test]
fn a_value_larger_than_the_system_passes_on_is_named_by_its_variable() {
    let stage = Stage::new(|_| Ok(vec![b"kwcanary".repeat(300_000)]));
    let mut launch = resolved(&stage, &["true"]);
    run(launch.env("HUGE", "a@azurekeyvault").env_remove("A")).failed(65, &["\"HUGE\"", "mount it as a file"]);
}

#[test]
fn the_command_line_is_refused_or_explained() {
    let launcher = |arguments: &[&str]| run(Command::new(LAUNCHER).args(arguments));
    launcher(&["exec"]).failed(64, &["command is missing"]);
    launcher(&[]).failed(64, &["--help"]);
    launcher(&["exec", "--cleanup", "soon", "--", "true"]).failed(64, &["\"soon\""]);
    launcher(&["--version"]).printed(&format!("keyward-launcher {}\n", keyward_launcher::args::VERSION));
    let help = launcher(&["--help"]);
    assert!(help.status.success() && help.stdout.contains("Exit codes"));
}
