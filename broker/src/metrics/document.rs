//! `docs/metrics.md`, made from the table of series. Pure.

use std::fmt::Write as _;

use super::{
    PREFIX,
    series::{ALL, Kind},
};

const HEAD: &str = "# Metrics of the broker\n\n\
    Served in OpenMetrics at `/metrics` of the admin port. Made by \
    `cargo run -p keyward-broker --example metrics > docs/metrics.md`; the tests compare it with the code.\n\n\
    Labels are bounded: `vault` by the vaults that are open (at most 1,000; a vault that is closed takes its series along), \
    `identity` by the identities they are read as, every other label by a fixed list. No label holds a name that a tenant \
    chooses freely, except the vaults' own under `--access-default allow`.\n\n\
    `keyward_watch_…` and `keyward_snapshots_total` are there with `--source kubernetes`, `keyward_reviews_total` with \
    `--authn token-review`, `keyward_pod_reads_total` and `keyward_binding_…` with `--pod-binding on`.\n\n\
    | metric | type | labels | meaning |\n|---|---|---|---|\n";

/// The document.
pub fn document() -> String {
    let mut text = HEAD.to_owned();
    for series in ALL {
        let (suffix, kind) = match series.kind {
            Kind::Counter => ("_total", "counter"),
            Kind::Gauge => ("", "gauge"),
            Kind::Histogram => ("", "histogram"),
        };
        let labels: Vec<String> = series.labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing to a String does not fail.
        let _ =
            writeln!(text, "| `{PREFIX}_{}{suffix}` | {kind} | {} | {} |", series.name, labels.join(", "), series.help);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_code_s() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/metrics.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        let told = "run `cargo run -p keyward-broker --example metrics > docs/metrics.md`";
        assert!(written == document(), "docs/metrics.md is not what the code says; {told}");
    }
}
