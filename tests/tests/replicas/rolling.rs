//! All replicas are replaced, one after another, while the vaults are down and values are asked for without a pause.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use keyward_tests::fleet::{Asker, Door};
use tonic::Code;

use super::shop::{SECRETS, VAULTS, ask_for_all, calls, fleet, reference, vaults_down};

/// The deadline of a launcher is minutes; here nothing should take so long.
const DEADLINE: Duration = Duration::from_secs(20);

/// As launchers do: another connection after each that breaks, and again where that is advised, up to a deadline.
async fn launch(doors: &[Door], first: usize, name: &str) -> Result<String, String> {
    let began = Instant::now();
    let mut last = String::new();
    for number in (first..).map(|number| number % doors.len()) {
        if began.elapsed() > DEADLINE {
            break;
        }
        let answer = match doors[number].enter().await {
            Ok(asker) => Asker::value(&asker, name).await,
            Err(error) => Err(tonic::Status::unavailable(error.to_string())),
        };
        match answer {
            Ok(value) => return Ok(value),
            Err(status) if matches!(status.code(), Code::Unavailable | Code::Cancelled | Code::Unknown) => {
                last = format!("replica {number}: {status:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(status) => return Err(format!("replica {number}: {status:?}")),
        }
    }
    Err(format!("no answer within {DEADLINE:?}; {last}"))
}

#[tokio::test]
async fn rolling_all_of_them_with_the_vaults_down_fails_no_resolve() {
    let mut fleet = fleet("", 3).await;
    ask_for_all(&fleet.asker(0, "checkout-1").await.unwrap()).await;
    vaults_down(&fleet);
    let doors: Vec<Door> = (0..3).map(|number| fleet.door(number, "checkout-1").unwrap()).collect();
    let (over, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let asking = async |first: usize| {
        for n in first.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let vault = VAULTS[n % VAULTS.len()];
            let value = launch(&doors, n, &reference(vault, n % SECRETS)).await;
            let expected = format!("kwcanary-{vault}-{}-1", n % SECRETS);
            assert!(value.as_ref() == Ok(&expected), "{:?}", value.map(|_| "another value"));
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rolling = async {
        for number in 0..3 {
            fleet.stop(number).await.unwrap();
            fleet.launch(number).await.unwrap();
            fleet.until_ready(number).await.unwrap();
            fleet.until_all_see(2).await.unwrap();
        }
        over.store(true, Ordering::Relaxed);
    };
    tokio::join!(asking(0), asking(1), asking(2), rolling);
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 50, "{asked}");
    for door in &doors {
        ask_for_all(&door.enter().await.unwrap()).await;
    }
    assert_eq!(calls(&fleet), 0, "{:?}", fleet.emulator.calls().rows());
}
