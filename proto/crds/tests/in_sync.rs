//! The templates of `charts/keyward-crds` are what the types say now.

use std::{fs, path::Path};

use keyward_crds::crd;

#[test]
fn the_chart_holds_what_is_generated() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/keyward-crds/templates");
    for template in crd::templates().unwrap() {
        let committed = fs::read_to_string(directory.join(&template.file)).unwrap_or_default();
        assert!(
            committed == template.text,
            "{} differs from what its types say; run `cargo run -p keyward-crds --bin crdgen`",
            template.file
        );
    }
}
