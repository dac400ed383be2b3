//! What the charts hold of both kinds is what the types say now.

use std::{fs, path::Path};

use keyward_crds::crd;

#[test]
fn the_charts_hold_what_is_generated() {
    let charts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts");
    for generated in crd::chart_files().unwrap() {
        let committed = fs::read_to_string(charts.join(&generated.file)).unwrap_or_default();
        assert!(
            committed == generated.text,
            "{} differs from what its types say; run `cargo run -p keyward-crds --bin crdgen`",
            generated.file
        );
    }
}
