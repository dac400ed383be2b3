//! The benchmark itself, small: figures of an unoptimised build are worth nothing, that there are any is what counts.

use std::path::Path;

use keyward_tests::{
    admission::{self, Programs, Workload},
    bench::rounds::Figures,
    programs,
};

const SMALL: Workload = Workload { rounds: 2, reviews: 40, connections: 4, images: 5, lookup_reviews: 50 };

#[tokio::test]
async fn admission_is_measured_beside_a_bare_server_and_an_image_is_fetched_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let built = programs::Programs::build().unwrap();
    let program = |name: &str| built.path(name).map(Path::to_path_buf).unwrap();
    let programs = Programs {
        webhook: program("keyward-webhook"),
        broker: program("keyward-broker"),
        bare: program("bench-admission"),
    };

    let report = admission::run(&programs, SMALL).await.unwrap();

    assert_eq!(report.rounds.len(), 2);
    let figures = report.rounds.iter().flat_map(|round| [round.ours, round.bare]).chain([report.lookups.figures]);
    for Figures { cpu_micros, requests_per_second, p50_micros, p99_micros, .. } in figures {
        assert!(cpu_micros > 1.0 && requests_per_second > 1.0, "{report}");
        assert!(0.0 < p50_micros && p50_micros <= p99_micros, "{report}");
    }
    let lookups = &report.lookups;
    assert!(0 < lookups.ended.anonymous && lookups.ended.anonymous < lookups.ended.resident, "{report}");
    assert_eq!(lookups.asked["GET blob"], 5, "{report}");
}
