//! What is to be looked at because of hints, and when: soon, together, and seldom. Pure; the time is the caller's.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use keyward_types::ObjectName;
use tokio::time::Instant;

use super::hints::{About, Hint};
use crate::vault::origin::Origin;

/// Objects that change together are announced one by one: they are looked at together.
const GATHER: Duration = Duration::from_millis(100);
/// Between the beginnings of two looks at objects of one vault.
const OBJECTS_APART: Duration = Duration::from_secs(1);
/// Between the beginnings of two whole rounds of one vault. What a change of roles does takes minutes to arrive anyway.
const ROUNDS_APART: Duration = Duration::from_secs(10);
/// Objects named for one look. Where there are more a round is the cheaper way.
const MAX_NAMES: usize = 256;
/// Vaults with something on the agenda: as many as may be open.
const MAX_VAULTS: usize = 1_000;

/// A look that is to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At objects of these names.
    Objects(BTreeSet<ObjectName>),
    /// At everything that is held.
    Round,
}

/// Which of a vault's two looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Objects,
    Round,
}

impl Look {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Objects(_) => Kind::Objects,
            Self::Round => Kind::Round,
        }
    }
}

/// Looks that are wanted or under way, by vault.
#[derive(Debug, Default)]
pub(super) struct Agenda(HashMap<Origin, Line>);

#[derive(Debug)]
struct Line {
    names: BTreeSet<ObjectName>,
    objects: Pace,
    round: Pace,
}

#[derive(Debug)]
struct Pace {
    apart: Duration,
    due: Option<Instant>,
    began: Option<Instant>,
    under_way: bool,
}

impl Default for Line {
    fn default() -> Self {
        Self { names: BTreeSet::new(), objects: Pace::new(OBJECTS_APART), round: Pace::new(ROUNDS_APART) }
    }
}

impl Pace {
    fn new(apart: Duration) -> Self {
        Self { apart, due: None, began: None, under_way: false }
    }

    /// One more is wanted, not before `at`. What is wanted already is not put off.
    fn want(&mut self, at: Instant) {
        let at = self.began.map_or(at, |began| at.max(began + self.apart));
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When the next one may begin, unless one is under way.
    fn next(&self) -> Option<Instant> {
        self.due.filter(|_| !self.under_way)
    }

    fn begin(&mut self, now: Instant) -> bool {
        let begins = self.next().is_some_and(|due| due <= now);
        if begins {
            *self = Self { apart: self.apart, due: None, began: Some(now), under_way: true };
        }
        begins
    }

    /// Nothing is wanted, and the next one may begin at once: to know it and not to know it is the same.
    fn is_idle(&self, now: Instant) -> bool {
        self.due.is_none() && !self.under_way && self.began.is_none_or(|began| began + self.apart <= now)
    }
}

impl Agenda {
    /// Something may have changed.
    pub(super) fn want(&mut self, hint: Hint, now: Instant) {
        let Some(line) = self.line(hint.vault, now) else { return };
        match hint.about {
            About::Object(name) if line.names.len() < MAX_NAMES || line.names.contains(&name) => {
                line.names.insert(name);
                line.objects.want(now + GATHER);
            }
            About::Object(_) | About::Vault => line.round.want(now + GATHER),
        }
    }

    /// A round of the vault is wanted, not before `at`.
    pub(super) fn want_round(&mut self, vault: Origin, at: Instant) {
        if let Some(line) = self.line(vault, at) {
            line.round.want(at);
        }
    }

    /// When the next look is to begin.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().flat_map(|line| [line.objects.next(), line.round.next()]).flatten().min()
    }

    /// The looks that begin now.
    pub(super) fn begin(&mut self, now: Instant) -> Vec<(Origin, Look)> {
        let mut looks = Vec::new();
        for (vault, line) in &mut self.0 {
            if line.objects.begin(now) {
                looks.push((vault.clone(), Look::Objects(std::mem::take(&mut line.names))));
            }
            if line.round.begin(now) {
                looks.push((vault.clone(), Look::Round));
            }
        }
        looks
    }

    /// A look has ended, in whichever way.
    pub(super) fn ended(&mut self, vault: &Origin, kind: Kind) {
        if let Some(line) = self.0.get_mut(vault) {
            match kind {
                Kind::Objects => line.objects.under_way = false,
                Kind::Round => line.round.under_way = false,
            }
        }
    }

    /// The vault's line; none where there are too many already.
    fn line(&mut self, vault: Origin, now: Instant) -> Option<&mut Line> {
        if self.0.len() >= MAX_VAULTS && !self.0.contains_key(&vault) {
            self.0.retain(|_, line| !line.objects.is_idle(now) || !line.round.is_idle(now));
            if self.0.len() >= MAX_VAULTS {
                return None;
            }
        }
        Some(self.0.entry(vault).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn vault(n: usize) -> Origin {
        Origin::parse(&format!("https://v{n}.vault.azure.net")).unwrap()
    }

    fn of(name: &str) -> Hint {
        Hint { vault: vault(0), about: About::Object(ObjectName::new(name).unwrap()) }
    }

    fn whole() -> Hint {
        Hint { vault: vault(0), about: About::Vault }
    }

    fn names(looks: &[(Origin, Look)]) -> Vec<String> {
        let text = |look: &Look| match look {
            Look::Objects(names) => names.iter().map(ObjectName::as_str).collect::<Vec<_>>().join(" "),
            Look::Round => "round".to_owned(),
        };
        looks.iter().map(|(_, look)| text(look)).collect()
    }

    #[test]
    fn what_is_hinted_within_a_moment_is_looked_at_together() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        assert_eq!(agenda.next(), None);
        agenda.want(of("db"), start);
        agenda.want(of("DB"), start + MS(50));
        agenda.want(of("api"), start + MS(99));
        assert_eq!(agenda.next(), Some(start + GATHER), "the first is not put off by the others");
        assert_eq!(agenda.begin(start + MS(99)), []);
        assert_eq!(names(&agenda.begin(start + MS(100))), ["api db"]);
        assert_eq!(agenda.next(), None);
    }

    #[test]
    fn a_vault_s_next_look_waits_for_the_end_of_the_last_and_a_second_after_its_beginning() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.want(of("db"), start);
        agenda.begin(start + MS(100));
        agenda.want(of("db"), start + MS(200));
        assert_eq!(agenda.next(), None, "one is under way");
        assert_eq!(agenda.begin(start + MS(5_000)), []);
        agenda.ended(&vault(0), Kind::Objects);
        assert_eq!(agenda.next(), Some(start + MS(1_100)));
        assert_eq!(agenda.begin(start + MS(1_099)), []);
        assert_eq!(names(&agenda.begin(start + MS(1_100))), ["db"]);
    }

    #[test]
    fn a_storm_costs_a_look_a_second_and_a_round_each_ten() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        let (mut objects, mut rounds) = (0, 0);
        for ms in 0..20_000 {
            let now = start + MS(ms);
            agenda.want(of("db"), now);
            agenda.want(whole(), now);
            for (origin, look) in agenda.begin(now) {
                *(if look == Look::Round { &mut rounds } else { &mut objects }) += 1;
                agenda.ended(&origin, look.kind());
            }
        }
        assert_eq!((objects, rounds), (20, 2));
    }

    #[test]
    fn more_names_than_are_cheap_become_a_round() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        (0..=MAX_NAMES).for_each(|n| agenda.want(of(&format!("s{n}")), start));
        let looks = agenda.begin(start + GATHER);
        assert!(matches!(&looks[0].1, Look::Objects(names) if names.len() == MAX_NAMES));
        assert_eq!(looks[1].1, Look::Round);
    }

    #[test]
    fn a_round_that_is_to_come_later_is_no_reason_to_put_one_off() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        agenda.want_round(vault(0), start + MS(10_000));
        assert_eq!(agenda.next(), Some(start + MS(10_000)));
        agenda.want(whole(), start);
        assert_eq!(agenda.next(), Some(start + GATHER));
    }

    #[test]
    fn memory_is_bounded_and_a_vault_that_rests_gives_its_place_away() {
        let (mut agenda, start) = (Agenda::default(), Instant::now());
        let hint = |n| Hint { vault: vault(n), about: About::Vault };
        (0..=MAX_VAULTS).for_each(|n| agenda.want(hint(n), start));
        let looks = agenda.begin(start + GATHER);
        assert_eq!((looks.len(), agenda.0.len()), (MAX_VAULTS, MAX_VAULTS));
        agenda.ended(&looks[0].0, Kind::Round);
        agenda.want(hint(MAX_VAULTS), start + ROUNDS_APART);
        assert_eq!(agenda.next(), None, "no place is free yet");
        agenda.want(hint(MAX_VAULTS), start + GATHER + ROUNDS_APART);
        assert!(agenda.next().is_some() && agenda.0.len() == MAX_VAULTS);
    }
}
