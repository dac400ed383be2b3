//! Leaders that are lost in the middle of a rotation.

use keyward_tests::rotation::{
    served::{Rotations, Server},
    stand::Slots,
};

use super::support::Loaded;

#[tokio::test]
async fn a_rotation_outlives_every_leader_and_loses_nothing() {
    let mut loaded =
        Loaded::with_controllers(&["keyward-controller-0", "keyward-controller-1", "keyward-controller-2"]).await;
    loaded.until_slots(Slots::Settled).await;
    loaded.stand.ask_for_rotation();
    for slots in [Slots::Prepared, Slots::Retiring] {
        loaded.until("somebody leads", |loaded| loaded.stand.leader().is_some()).await;
        loaded.until_slots(slots).await;
        let leader = loaded.stand.leader().unwrap();
        loaded.stand.kill(leader).await.unwrap();
    }
    loaded.until_slots(Slots::Settled).await;
    let report = loaded.without_failure().await;
    for server in Server::ALL {
        assert_eq!(report.rotations[&server], Rotations { authorities: 1, leaves: 1 }, "{report}");
    }
}
