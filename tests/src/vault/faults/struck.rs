//! A struck call: what becomes of it, and of its answer.

use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio_util::sync::CancellationToken;

use super::dice::Dice;
use super::fault::{Fault, RetryAfter, Revocation};
use super::page::PageTrouble;
use super::{Faults, Target, body};
use crate::vault::line::Line;

/// What a proxy on the way would say.
const HTML: &str = "<!DOCTYPE html>\n<html><head><title>Proxy</title></head><body><h1>This page is not what you asked \
                    for</h1></body></html>\n";

/// What a struck call is answered with where nothing is done; each endpoint has its own words for it.
pub(in crate::vault) enum Instead {
    Status { code: StatusCode, retry_after: Option<RetryAfter>, inner: Option<String> },
    Revoked(Revocation),
}

/// A fault that strikes one call.
pub(super) struct Struck {
    fault: Fault,
    dice: Dice,
    lifted: CancellationToken,
}

impl Faults {
    /// Takes a call through the armed rules. `act` does it and answers; `refuse` answers in its stead. Where the fault
    /// resets the connection, this never returns.
    pub(in crate::vault) async fn through<A: Future<Output = Response>>(
        &self,
        target: &Target<'_>,
        line: &Line,
        refuse: impl FnOnce(&Instead) -> Response,
        act: impl FnOnce(Option<PageTrouble>) -> A,
    ) -> Response {
        let Some(Struck { fault, mut dice, lifted }) = self.strike(target) else {
            return act(None).await;
        };
        let pause = async |millis| {
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(millis)) => {}
                () = lifted.cancelled() => {}
            }
        };
        match fault {
            Fault::Status { code, retry_after, inner } => {
                let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return refuse(&Instead::Status { code, retry_after, inner });
            }
            Fault::Html { code } => {
                let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                return (code, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], HTML).into_response();
            }
            Fault::Revoked(what) => return refuse(&Instead::Revoked(what)),
            Fault::Delay { millis } => pause(millis).await,
            Fault::Latency { from_millis, to_millis } => pause(dice.between(from_millis, to_millis)).await,
            Fault::Hold { gate } => {
                let gate = self.gate(&gate);
                tokio::select! {
                    () = gate.pass() => {}
                    () = lifted.cancelled() => {}
                }
            }
            Fault::Hang => lifted.cancelled().await,
            Fault::Reset => match line.reset().await {},
            Fault::Body(fault) => return body::damage(act(None).await, fault, lifted).await,
            Fault::Page(fault) => return act(Some(PageTrouble::new(fault, dice))).await,
        }
        act(None).await
    }
}

impl Struck {
    pub(super) fn new(fault: Fault, dice: Dice, lifted: CancellationToken) -> Self {
        Self { fault, dice, lifted }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Rule;
    use super::*;

    async fn call(faults: Arc<Faults>) -> StatusCode {
        let target = Target { vault: "acme", operation: "SecretGet", object: "a", client: None, admitted: true };
        let refuse = |_: &Instead| StatusCode::IM_A_TEAPOT.into_response();
        faults.through(&target, &Line::default(), refuse, async |_| StatusCode::OK.into_response()).await.status()
    }

    #[tokio::test]
    async fn a_held_call_waits_for_its_gate() {
        let faults = Arc::new(Faults::default());
        faults.arm(Rule::hold("g")).unwrap();
        let gate = faults.gate("g");
        let held = tokio::spawn(call(faults.clone()));
        gate.arrived(1).await;
        assert!(!held.is_finished());
        gate.release();
        assert_eq!(held.await.unwrap(), StatusCode::OK);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_in_a_range_is_the_same_for_the_same_seed() {
        let times = async |seed| {
            let faults = Arc::new(Faults::default());
            faults.arm(Rule::always(Fault::Latency { from_millis: 10, to_millis: 5_000 }).seed(seed)).unwrap();
            let mut times = Vec::new();
            for _ in 0..8 {
                let began = tokio::time::Instant::now();
                call(faults.clone()).await;
                times.push(began.elapsed());
            }
            times
        };
        let first = times(3).await;
        assert!(first.iter().all(|time| (10..=5_001).contains(&time.as_millis())), "{first:?}");
        assert_eq!(first, times(3).await);
        assert_ne!(first, times(4).await);
    }

    #[tokio::test(start_paused = true)]
    async fn lifting_a_rule_ends_the_delay_it_made() {
        let faults = Arc::new(Faults::default());
        let id = faults.arm(Rule::next(1, Fault::Delay { millis: 3_600_000 })).unwrap();
        let began = tokio::time::Instant::now();
        let lift = async {
            tokio::task::yield_now().await;
            assert!(faults.lift(id));
        };
        let (status, ()) = tokio::join!(call(faults.clone()), lift);
        assert_eq!((status, began.elapsed()), (StatusCode::OK, Duration::ZERO));
    }
}
