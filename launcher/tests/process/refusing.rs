//! Answers that are final: one request, one exit code, one line.

use tonic::{Code, Status};

use crate::stage::{Stage, echo, run};

#[test]
fn each_refusal_has_its_exit_code_and_is_not_tried_again() {
    for (code, exit) in [
        (Code::InvalidArgument, 65),
        (Code::NotFound, 66),
        (Code::Internal, 70),
        (Code::Unknown, 70),
        (Code::Unimplemented, 70),
        (Code::FailedPrecondition, 76),
        (Code::PermissionDenied, 77),
        (Code::Unauthenticated, 77),
    ] {
        let stage = Stage::new(move |_| Err(Status::new(code, "because of `api` in team-a")));
        let mut launch = stage.launch(&["true"]);
        run(launch.env("A", "api@azurekeyvault").env("B", "db@azurekeyvault"))
            .failed(exit, &["cannot resolve api@azurekeyvault: ", "because of `api` in team-a"]);
        assert_eq!(stage.broker.calls().len(), 1, "{code:?}");
    }
}

#[test]
fn the_brokers_words_stay_on_one_bounded_line() {
    let stage = Stage::new(|_| Err(Status::not_found(format!("first\nsecond\u{1b}[31m{}", "x".repeat(5_000)))));
    let ended = run(stage.launch(&["true"]).env("A", "a@azurekeyvault"));
    ended.failed(66, &[r"first\nsecond\u{1b}[31m"]);
    assert!(ended.stderr.len() < 2_200, "{}", ended.stderr.len());
}

#[test]
fn a_malformed_reference_fails_before_anything_is_asked() {
    let stage = Stage::new(echo);
    let mut launch = stage.launch(&["true"]);
    run(launch.env("GOOD", "a@azurekeyvault").env("BAD", "A B@azurekeyvault")).failed(65, &["\"BAD\"", "`A B`"]);
    run(launch.env("BAD", "a@azurekeyvault\n")).failed(65, &["\"BAD\"", "white space"]);
    assert!(stage.broker.calls().is_empty());
}

#[test]
fn a_value_with_nul_names_its_variable() {
    let stage = Stage::new(|_| Ok(vec![b"kwcanary\0rest".to_vec()]));
    run(stage.launch(&["true"]).env("KEY", "k@azurekeyvault")).failed(65, &["\"KEY\"", "k@azurekeyvault", "NUL"]);
}

#[test]
fn more_or_fewer_values_than_references_are_not_used() {
    for count in [0, 1, 3] {
        let stage = Stage::new(move |_| Ok(vec![b"kwcanary".to_vec(); count]));
        let mut launch = stage.launch(&["true"]);
        run(launch.env("A", "a@azurekeyvault").env("B", "b@azurekeyvault"))
            .failed(70, &["2 references", &format!("{count} values")]);
        assert_eq!(stage.broker.calls().len(), 1);
    }
}

#[test]
fn a_reply_larger_than_any_environment_is_not_read() {
    let stage = Stage::new(|_| Ok(vec![b"kwcanary".repeat(keyward_proto::MAX_REPLY_BYTES / 8 + 1)]));
    run(stage.launch(&["true"]).env("A", "a@azurekeyvault")).failed(65, &["a@azurekeyvault", "too large"]);
}
