//! Pods that are injected: the webhook changes them, the kubelet starts them, the launcher becomes the probe.

mod commands;
mod example;
mod images;
mod jobs;
mod networks;
mod outages;
mod pods;
mod processes;
mod references;
mod refusals;
mod restarts;
mod rollouts;

use crate::suite::Test;

/// The tests of this subject. What stops the webhook comes last.
pub(super) fn tests() -> Vec<Test> {
    let subjects = [
        example::TESTS,
        commands::TESTS,
        images::TESTS,
        pods::TESTS,
        references::TESTS,
        processes::TESTS,
        restarts::TESTS,
        jobs::TESTS,
        networks::TESTS,
        rollouts::TESTS,
        outages::TESTS,
        refusals::TESTS,
    ];
    subjects.concat()
}
