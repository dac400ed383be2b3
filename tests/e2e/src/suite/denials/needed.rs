//! The other side of least rights: nothing that Keyward asks the API server for is refused.

use anyhow::ensure;

use crate::scene::Scene;

tests![nothing_that_keyward_needs_was_refused_so_far];

/// Of the whole suite up to here. An API server that has just started refuses for a moment what it has not read the rule
/// for, so what stops it comes later.
async fn nothing_that_keyward_needs_was_refused_so_far(scene: &Scene) -> anyhow::Result<()> {
    let requests = scene.audit_of_suite().requests()?;
    let refused: Vec<_> = requests.iter().filter(|request| !request.allowed).take(5).collect();
    ensure!(refused.is_empty(), "the API server refused {refused:?}");
    Ok(())
}
