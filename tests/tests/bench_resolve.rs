//! The benchmark itself, small: figures of an unoptimised build are worth nothing, that there are any is what counts.

use std::path::Path;

use keyward_tests::{
    bench::{self, Programs, Workload, echo::Payload, rounds::Figures},
    programs,
};

const SMALL: Workload = Workload {
    rounds: 2,
    kept_requests: 40,
    fresh_requests: 20,
    connections: 2,
    in_flight: 4,
    payload: Payload { values: 10, bytes: 200 },
};

#[tokio::test]
async fn a_cached_resolve_is_measured_beside_an_echo_and_calls_no_vault() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let built = programs::Programs::build().unwrap();
    let program = |name: &str| built.path(name).map(Path::to_path_buf).unwrap();
    let programs = Programs { broker: program("keyward-broker"), echo: program("bench-resolve") };

    let report = bench::run(&programs, SMALL).await.unwrap();

    assert_eq!((report.vault_calls, report.audit_lines), (0, 3 * 60));
    assert_eq!((report.kept.len(), report.fresh.len()), (2, 2));
    for round in report.kept.iter().chain(&report.fresh) {
        for Figures { cpu_micros, requests_per_second, p50_micros, p99_micros, p999_micros } in [round.ours, round.bare]
        {
            assert!(cpu_micros > 1.0 && requests_per_second > 1.0, "{round:?}");
            assert!(0.0 < p50_micros && p50_micros <= p99_micros && p99_micros <= p999_micros, "{round:?}");
        }
    }
}
