//! The promise that Keyward exists for: what launches cost the vault does not grow with launches.

use keyward_tests::launches::{self, Cost, SECRETS};

#[tokio::test]
async fn many_launches_cost_one_read_for_each_object_and_then_nothing() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let stand = launches::stand().await.unwrap();
    let cold = launches::round(&stand, 40).await.unwrap();
    assert_eq!(cold, Cost { reads: SECRETS as u64, challenges: 1, others: 0 });
    let warm = launches::round(&stand, 40).await.unwrap();
    assert_eq!(warm, Cost { reads: 0, challenges: 0, others: 0 });
}
