use super::{super::testing::Counting, *};

const NO_PAUSE: Duration = Duration::ZERO;
const HOUR: i64 = 3_600;
/// Holds, and is to be renewed.
const NEAR_ITS_END: i64 = 240;

async fn any(identity: &Identity) -> azure_core::Result<String> {
    identity.token(None).await.map(|(_, token)| token.token.secret().to_owned())
}

/// Lets the sign-in's task run as far as it can.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn all_who_come_together_wait_for_one_sign_in() {
    let source = Counting::gated(HOUR);
    let identity = source.identity(NO_PAUSE);
    let mut waiting = JoinSet::new();
    for _ in 0..50 {
        let identity = identity.clone();
        waiting.spawn(async move { any(&identity).await.unwrap() });
    }
    settle().await;
    source.let_through(50);
    assert!(waiting.join_all().await.iter().all(|token| token == "1"));
    assert_eq!(source.asked(), 1);
}

#[tokio::test]
async fn a_caller_who_gives_up_does_not_end_the_sign_in_of_others() {
    let source = Counting::gated(HOUR);
    let identity = source.identity(NO_PAUSE);
    let mut first = Box::pin(identity.token(None));
    assert!(futures::poll!(&mut first).is_pending());
    drop(first);
    let second = identity.clone();
    let second = async move { any(&second).await.unwrap() };
    source.let_through(1);
    assert_eq!((second.await.as_str(), source.asked()), ("1", 1));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_slow_authority_while_a_token_holds() {
    let source = Counting::gated(NEAR_ITS_END);
    let identity = source.identity(RENEWAL_PAUSE);
    source.let_through(1);
    assert_eq!(any(&identity).await.unwrap(), "1");
    tokio::time::advance(RENEWAL_PAUSE).await;
    for _ in 0..100 {
        assert_eq!(any(&identity).await.unwrap(), "1", "at once: the gate is shut");
    }
    settle().await;
    assert_eq!(source.asked(), 2, "one renewal is under way");
    source.let_through(1);
    settle().await;
    assert_eq!(any(&identity).await.unwrap(), "2");
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_fails_is_left_alone_for_a_growing_pause() {
    let source = Counting::living(HOUR);
    let identity = source.identity(NO_PAUSE);
    source.set_broken(true);
    for _ in 0..100 {
        assert!(any(&identity).await.is_err());
    }
    assert_eq!(source.asked(), 1);
    // Pauses of at most 1, 2, 4, 8, 16 and 30 s: 61 s see no more than six attempts, jitter or not.
    for _ in 0..61 {
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(any(&identity).await.is_err());
    }
    assert!((6..=11).contains(&source.asked()), "{}", source.asked());
    source.set_broken(false);
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(any(&identity).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_fails_costs_nobody_the_token_that_holds() {
    let source = Counting::living(NEAR_ITS_END);
    let identity = source.identity(RENEWAL_PAUSE);
    assert_eq!(any(&identity).await.unwrap(), "1");
    source.set_broken(true);
    for _ in 0..5 {
        tokio::time::advance(RENEWAL_PAUSE).await;
        assert_eq!(any(&identity).await.unwrap(), "1");
        settle().await;
    }
    assert!(source.asked() > 1 && identity.status().last_error.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_renewal_brings_a_fresh_token_and_is_not_repeated_at_once() {
    let source = Counting::living(HOUR);
    let identity = source.identity(RENEWAL_PAUSE);
    assert_eq!(any(&identity).await.unwrap(), "1");
    assert_eq!(identity.renew_now().await, Renewal::Fresh, "it was fetched a moment ago");
    assert_eq!(source.asked(), 1);
    tokio::time::advance(RENEWAL_PAUSE).await;
    assert_eq!(identity.renew_now().await, Renewal::Fresh);
    assert_eq!(identity.renew_now().await, Renewal::Fresh);
    assert_eq!((any(&identity).await.unwrap().as_str(), source.asked()), ("2", 2));
}

#[tokio::test(start_paused = true)]
async fn without_a_fresh_token_the_old_one_stays_and_proves_nothing() {
    let source = Counting::living(HOUR);
    let identity = source.identity(RENEWAL_PAUSE);
    assert_eq!(any(&identity).await.unwrap(), "1");
    tokio::time::advance(RENEWAL_PAUSE).await;
    source.set_broken(true);
    assert_eq!(identity.renew_now().await, Renewal::Stale);
    assert_eq!(identity.renew_now().await, Renewal::Stale);
    assert_eq!(source.asked(), 2, "the authority is left alone");
    assert_eq!(any(&identity).await.unwrap(), "1");
    source.set_broken(false);
    tokio::time::advance(RENEWAL_PAUSE).await;
    assert_eq!(identity.renew_now().await, Renewal::Fresh);
    assert_eq!(any(&identity).await.unwrap(), "3");
}

#[tokio::test]
async fn while_a_refused_token_is_replaced_others_keep_using_it() {
    let source = Counting::gated(HOUR);
    let identity = source.identity(RENEWAL_PAUSE);
    source.let_through(1);
    let (generation, _) = identity.token(None).await.unwrap();
    let mut refused = Box::pin(identity.token(Some(generation)));
    assert!(futures::poll!(&mut refused).is_pending());
    assert_eq!(any(&identity).await.unwrap(), "1");
    source.let_through(1);
    assert_eq!(refused.await.unwrap().1.token.secret(), "2");
}

#[tokio::test]
async fn a_token_that_has_expired_on_arrival_is_a_failure() {
    let identity = Counting::living(-1).identity(NO_PAUSE);
    let error = identity.token(None).await.unwrap_err();
    assert!(matches!(SignInError::within(&error), Some(SignInError::Expired)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_of_tokens_and_failures_and_quotes_neither() {
    let source = Counting::living(HOUR);
    let identity = source.identity(RENEWAL_PAUSE);
    let before = identity.status();
    assert_eq!((before.token_fetched, before.token_expires, before.sign_ins, before.failures), (None, None, 0, 0));
    any(&identity).await.unwrap();
    tokio::time::advance(RENEWAL_PAUSE).await;
    source.set_broken(true);
    identity.renew_now().await;
    let status = identity.status();
    assert_eq!((status.sign_ins, status.failures, status.named.kind), (1, 1, "managed"));
    assert!(status.token_expires > status.token_fetched && status.last_error.is_some());
    source.set_broken(false);
    tokio::time::advance(RENEWAL_PAUSE).await;
    identity.renew_now().await;
    assert_eq!(identity.status().last_error, None);
}
