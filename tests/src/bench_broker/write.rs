//! Puts figures into the repository's documents.

use std::{fs, path::Path};

use anyhow::Context as _;

use super::{page, plot, report::Report};

/// Replaces the section of docs/performance.md, and docs/performance.svg.
pub fn write(report: &Report) -> anyhow::Result<()> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let path = docs.join("performance.md");
    let before = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let after = page::replaced(&before, &page::section(report, &machine()));
    fs::write(&path, after.with_context(|| format!("{} has no place for figures", path.display()))?)?;
    fs::write(docs.join("performance.svg"), plot::svg(&report.start))?;
    Ok(())
}

/// The machine, in neutral terms.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    format!("a machine of {processors} {} processors, which clients, vaults and servers share", std::env::consts::ARCH)
}
