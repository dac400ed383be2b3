//! The measurement itself, small: figures of an unoptimised build are worth nothing, that there are any is what counts.

use std::{path::Path, time::Duration};

use keyward_tests::{
    footprint::{self, Workload},
    programs::Programs,
};

#[tokio::test]
async fn memory_and_idleness_are_measured_and_an_idle_broker_calls_no_vault() {
    let broker = Programs::build().unwrap().path("keyward-broker").map(Path::to_path_buf).unwrap();
    let idle = Duration::from_secs(1);
    let workload = Workload { objects: 30, bytes: 200, secrets_in_a_file: 7, idle, broker };

    let report = footprint::run(workload).await.unwrap();

    assert_eq!((report.objects, report.calls), (30, 0));
    for memory in [report.base, report.declared, report.filled, report.polled, report.idled] {
        assert!(0 < memory.anonymous && memory.anonymous < memory.resident, "{report}");
    }
    assert!(report.idle_share() < 1.0, "{report}");
}
