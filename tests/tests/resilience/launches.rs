//! Pods that start while every vault is away.

use keyward_tests::{launches::Cost, resilience::launches::during_an_outage};

#[tokio::test]
async fn launches_succeed_from_a_warm_cache_while_every_vault_and_entra_are_away() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // As many as it says: each must see all of its values.
    let Cost { reads, challenges, others: _ } = during_an_outage(100).await.unwrap();
    assert_eq!((reads, challenges), (0, 0), "the vault was not away");
}
