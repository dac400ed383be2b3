//! The series that have an identity: one name may stand for several sign-ins, as while one secret replaces another, and
//! then the figures are taken together. A label set that stood there twice would spoil the scrape.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::{Samples, number, series};
use crate::vault::credential::IdentityStatus;

/// What is told under one name.
#[derive(Default)]
struct Figures {
    fetched: Option<OffsetDateTime>,
    expires: Option<OffsetDateTime>,
    sign_ins: u64,
    failures: u64,
}

/// Every sample that has an identity.
pub(super) fn samples(identities: Vec<IdentityStatus>) -> Vec<Samples> {
    let mut named: BTreeMap<String, Figures> = BTreeMap::new();
    for identity in identities {
        let figures = named.entry(identity.named.to_string()).or_default();
        // Of several the worst is told.
        figures.fetched = earlier(figures.fetched, identity.token_fetched);
        figures.expires = earlier(figures.expires, identity.token_expires);
        figures.sign_ins += identity.sign_ins;
        figures.failures += identity.failures;
    }
    let (mut ages, mut expiries, mut sign_ins) = (Vec::new(), Vec::new(), Vec::new());
    let now = OffsetDateTime::now_utc();
    for (name, figures) in named {
        if let Some(fetched) = figures.fetched {
            ages.push((vec![name.clone()], (now - fetched).as_seconds_f64().max(0.0)));
        }
        if let Some(expires) = figures.expires {
            expiries.push((vec![name.clone()], number(expires.unix_timestamp().unsigned_abs())));
        }
        for (outcome, count) in [("ok", figures.sign_ins), ("failed", figures.failures)] {
            sign_ins.push((vec![name.clone(), outcome.to_owned()], number(count)));
        }
    }
    vec![(&series::TOKEN_AGE, ages), (&series::TOKEN_EXPIRY, expiries), (&series::SIGN_INS, sign_ins)]
}

fn earlier(one: Option<OffsetDateTime>, other: Option<OffsetDateTime>) -> Option<OffsetDateTime> {
    one.into_iter().chain(other).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::credential::Named;

    fn status(client: &str, expires: i64, sign_ins: u64) -> IdentityStatus {
        let named = Named {
            kind: "client-secret",
            tenant_id: Some("t".to_owned()),
            client_id: Some(client.to_owned()),
            audience: "https://vault.azure.net".to_owned(),
        };
        let token_expires = OffsetDateTime::from_unix_timestamp(expires).ok();
        IdentityStatus { named, token_fetched: None, token_expires, last_error: None, sign_ins, failures: 1 }
    }

    #[test]
    fn one_name_is_told_once_however_many_sign_in_under_it() {
        let samples = samples(vec![status("one", 70, 2), status("other", 80, 1), status("one", 50, 3)]);
        let one = "client-secret t/one for https://vault.azure.net";
        for (series, found) in &samples {
            let labels: std::collections::BTreeSet<_> = found.iter().map(|(labels, _)| labels).collect();
            assert_eq!(labels.len(), found.len(), "{}", series.name);
        }
        let of = |index: usize| samples[index].1.iter().filter(|(labels, _)| labels[0] == one).map(|(_, value)| *value);
        assert_eq!(of(1).collect::<Vec<_>>(), [50.0]);
        assert_eq!(of(2).collect::<Vec<_>>(), [5.0, 2.0]);
    }
}
