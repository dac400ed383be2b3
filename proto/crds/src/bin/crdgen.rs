//! Writes the templates of `charts/keyward-crds`, or of the directory that is named.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/keyward-crds/templates");
    let directory = env::args_os().nth(1).map_or_else(|| PathBuf::from(chart), PathBuf::from);
    for template in keyward_crds::crd::templates()? {
        fs::write(directory.join(&template.file), template.text)?;
    }
    Ok(())
}
