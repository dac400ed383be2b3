//! Rotations that come by themselves, and one that is asked for.

use keyward_tests::rotation::{
    self,
    served::{Rotations, Server},
};

use super::support::delays;

#[tokio::test]
async fn two_rotations_of_the_authority_and_all_renewals_within_them_fail_no_call() {
    let report = rotation::run(Rotations { authorities: 2, leaves: 10 }, delays(), true).await.unwrap();
    assert_eq!(report.failures(), 0, "{report}");
    assert!(Server::ALL.iter().all(|server| report.rotations[server].authorities >= 2), "{report}");
    assert!(report.rotations.values().map(|rotations| rotations.leaves).sum::<usize>() >= 10, "{report}");
    println!("{report}");
}
