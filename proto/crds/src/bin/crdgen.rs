//! Writes both kinds into the charts, or into copies of them below the directory that is named.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let charts = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts");
    let directory = env::args_os().nth(1).map_or_else(|| PathBuf::from(charts), PathBuf::from);
    for generated in keyward_crds::crd::chart_files()? {
        let path = directory.join(&generated.file);
        path.parent().map_or(Ok(()), fs::create_dir_all)?;
        fs::write(path, generated.text)?;
    }
    Ok(())
}
