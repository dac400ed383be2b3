//! The `ClusterIP` behind the broker's name, for pods that cannot look names of the cluster up themselves (`dnsPolicy:
//! Default` or `None`). TLS verifies the name either way: a wrong address can delay a pod and never mislead it.

use std::{convert::Infallible, future::Future, io, net::IpAddr, sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use url::{Host, Url};

/// How often the name is looked up. An address of a Service changes only when somebody makes it anew.
pub const LOOK_EVERY: Duration = Duration::from_secs(30);
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// The address as it is known. Clones share it.
#[derive(Clone, Debug)]
pub struct BrokerAddress {
    /// `None` where there is nothing to look up.
    name: Option<Arc<str>>,
    current: Arc<ArcSwapOption<IpAddr>>,
}

impl BrokerAddress {
    /// That of `broker`, or `pinned` whatever its name says. A URL that holds an address needs no look-up.
    pub fn new(broker: &Url, pinned: Option<IpAddr>) -> Self {
        let (name, known) = match (pinned, broker.host()) {
            (Some(pinned), _) => (None, Some(pinned)),
            (None, Some(Host::Domain(name))) => (Some(name.into()), None),
            (None, Some(Host::Ipv4(address))) => (None, Some(address.into())),
            (None, Some(Host::Ipv6(address))) => (None, Some(address.into())),
            (None, None) => (None, None),
        };
        Self { name, current: Arc::new(ArcSwapOption::new(known.map(Arc::new))) }
    }

    /// The last good answer. `None` as long as there was none.
    pub fn get(&self) -> Option<IpAddr> {
        self.current.load().as_deref().copied()
    }

    /// Looks the name up every `period` until `shutdown`: a task.
    pub async fn run(self, period: Duration, shutdown: CancellationToken) -> Result<(), Infallible> {
        self.run_with(looked_up, period, shutdown).await;
        Ok(())
    }

    async fn run_with<F>(&self, look_up: impl Fn(Arc<str>) -> F, period: Duration, shutdown: CancellationToken)
    where
        F: Future<Output = io::Result<Vec<IpAddr>>>,
    {
        let Some(name) = &self.name else { return shutdown.cancelled().await };
        let mut ticks = interval(period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = String::new();
        while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
            let Some(looked) = shutdown.run_until_cancelled(timeout(LOOKUP_TIMEOUT, look_up(name.clone()))).await
            else {
                return;
            };
            let chosen = match looked {
                Err(_) => Err(format!("no answer within {LOOKUP_TIMEOUT:?}")),
                Ok(Err(error)) => Err(error.to_string()),
                Ok(Ok(addresses)) => chosen(&addresses, self.get()),
            };
            match chosen {
                Ok(address) => {
                    told.clear();
                    self.learned(address);
                }
                Err(reason) if told != reason => {
                    tracing::warn!(%name, %reason, known = ?self.get(), "the broker's address is not looked up");
                    told = reason;
                }
                Err(_) => {}
            }
        }
    }

    fn learned(&self, address: IpAddr) {
        if self.get() != Some(address) {
            tracing::info!(%address, "the broker's address, for pods");
            self.current.store(Some(Arc::new(address)));
        }
    }
}

async fn looked_up(name: Arc<str>) -> io::Result<Vec<IpAddr>> {
    Ok(tokio::net::lookup_host((&*name, 0)).await?.map(|address| address.ip()).collect())
}

/// The address of a Service: one, or one of each family. That which is known stays while it is among them; otherwise the
/// resolver's first. Several of one family are pods behind a headless Service, which come and go while others keep their
/// addresses.
fn chosen(addresses: &[IpAddr], known: Option<IpAddr>) -> Result<IpAddr, String> {
    let first = *addresses.first().ok_or("the name has no address")?;
    let of_first = |other: &IpAddr| other.is_ipv4() == first.is_ipv4();
    let (mut same, mut other): (Vec<_>, Vec<_>) = addresses.iter().copied().partition(of_first);
    for family in [&mut same, &mut other] {
        family.sort_unstable();
        family.dedup();
        if family.len() > 1 {
            return Err(format!(
                "{} addresses: a Service with a ClusterIP has one (--broker-ip pins it)",
                family.len()
            ));
        }
    }
    Ok(known.filter(|known| addresses.contains(known)).unwrap_or(first))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        collections::VecDeque,
        future::{pending, ready},
    };

    use super::*;

    const TICK: Duration = Duration::from_secs(30);

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| ip(text)).collect()
    }

    #[test]
    fn one_address_is_taken_and_the_known_one_stays_while_it_is_true() {
        let both = ips(&["fd00::1", "10.0.0.1"]);
        assert_eq!(chosen(&both, None), Ok(ip("fd00::1")));
        assert_eq!(chosen(&both, Some(ip("10.0.0.1"))), Ok(ip("10.0.0.1")));
        assert_eq!(chosen(&both, Some(ip("10.0.0.9"))), Ok(ip("fd00::1")));
        assert_eq!(chosen(&ips(&["10.0.0.1", "10.0.0.1"]), None), Ok(ip("10.0.0.1")));
    }

    #[test]
    fn no_address_and_several_of_one_family_are_no_answer() {
        assert!(chosen(&[], None).is_err());
        let error = chosen(&ips(&["10.0.0.1", "fd00::1", "10.0.0.2"]), None).unwrap_err();
        assert!(error.starts_with("2 addresses"), "{error}");
    }

    #[tokio::test]
    async fn what_is_pinned_or_in_the_url_is_never_looked_up() {
        for (broker, pinned, expected) in [
            ("https://keyward-broker.keyward.svc:8443", Some(ip("10.0.0.7")), "10.0.0.7"),
            ("https://10.0.0.8:8443", None, "10.0.0.8"),
            ("https://[fd00::8]:8443", None, "fd00::8"),
        ] {
            let address = BrokerAddress::new(&url(broker), pinned);
            assert_eq!(address.get(), Some(ip(expected)));
            let stop = CancellationToken::new();
            stop.cancel();
            let never = |_| async { panic!("{broker} was looked up") };
            address.run_with(never, TICK, stop).await;
        }
    }

    /// What is known after each of these answers.
    async fn after(answers: Vec<Option<io::Result<Vec<IpAddr>>>>) -> Vec<Option<IpAddr>> {
        let address = BrokerAddress::new(&url("https://broker.keyward.svc:8443"), None);
        let stop = CancellationToken::new();
        let answers = RefCell::new(VecDeque::from(answers));
        let known = RefCell::new(Vec::new());
        let look_up = |name: Arc<str>| {
            assert_eq!(&*name, "broker.keyward.svc");
            known.borrow_mut().push(address.get());
            let answer = answers.borrow_mut().pop_front();
            let stop = stop.clone();
            async move {
                match answer {
                    Some(Some(answer)) => ready(answer).await,
                    Some(None) => pending().await,
                    None => {
                        stop.cancel();
                        pending().await
                    }
                }
            }
        };
        address.run_with(look_up, TICK, stop.clone()).await;
        // Before the first there was nothing.
        known.into_inner().split_off(1)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_good_answer_outlives_bad_ones_and_silence() {
        let (one, two) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let gone = || Some(Err(io::Error::other("no such host")));
        let known = after(vec![gone(), Some(Ok(vec![one])), gone(), None, Some(Ok(vec![])), Some(Ok(vec![two]))]).await;
        assert_eq!(known, [None, Some(one), Some(one), Some(one), Some(one), Some(two)]);
    }

    #[tokio::test]
    async fn the_systems_resolver_is_asked() {
        let address = BrokerAddress::new(&url("https://localhost:8443"), None);
        let stop = CancellationToken::new();
        let running = address.clone().run(Duration::from_millis(5), stop.clone());
        let known = async {
            while address.get().is_none() {
                tokio::task::yield_now().await;
            }
            stop.cancel();
        };
        timeout(Duration::from_secs(30), async { tokio::join!(running, known) }).await.unwrap().0.unwrap();
        assert!(address.get().unwrap().is_loopback());
    }
}
