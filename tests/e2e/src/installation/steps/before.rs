//! akv2k8s was here before.

use crate::installation::{akv2k8s, site::Site};

pub(super) async fn akv2k8s_ran_here(site: &Site) -> anyhow::Result<()> {
    let left = akv2k8s::leave(site).await?;
    site.left.set(left)?;
    Ok(())
}
