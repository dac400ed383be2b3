//! What is in no log.

use crate::{installation::site::Site, stand::no_value_below};

pub(super) async fn no_value_was_printed(site: &Site) -> anyhow::Result<()> {
    site.search.nothing_found()?;
    no_value_below(&site.cluster_logs())
}
