//! Numbers that are the same each time: `SplitMix64`, so that a seeded rule strikes the same calls in every run.

/// A sequence of numbers that its seed decides.
#[derive(Clone, Debug)]
pub(in crate::vault) struct Dice(u64);

impl Dice {
    pub(in crate::vault) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(in crate::vault) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Whether something of this chance, 0 to 1, happens.
    pub(in crate::vault) fn hits(&mut self, chance: f64) -> bool {
        let [a, b, c, d, ..] = self.roll().to_be_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) < chance * (f64::from(u32::MAX) + 1.0)
    }

    /// A number from `from` to `to`, both possible.
    pub(in crate::vault) fn between(&mut self, from: u64, to: u64) -> u64 {
        let span = to.saturating_sub(from).saturating_add(1);
        from.saturating_add(self.roll() % span)
    }

    /// Dice of their own, for what one strike decides: however much it rolls, the next strike is the same.
    pub(in crate::vault) fn split(&mut self) -> Self {
        Self(self.roll())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        let mut dice = Dice::new(1_234_567);
        let rolled: Vec<u64> = (0..3).map(|_| dice.roll()).collect();
        assert_eq!(rolled, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn chances_are_kept_and_their_ends_are_certain() {
        let mut dice = Dice::new(7);
        let hits = (0..10_000).filter(|_| dice.hits(0.25)).count();
        assert!((2_300..2_700).contains(&hits), "{hits}");
        assert!((0..1_000).all(|_| dice.hits(1.0) && !dice.hits(0.0)));
    }

    #[test]
    fn a_number_between_two_may_be_either() {
        let mut dice = Dice::new(7);
        let rolled: std::collections::BTreeSet<u64> = (0..100).map(|_| dice.between(3, 5)).collect();
        assert_eq!(rolled.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert_eq!(dice.between(9, 9), 9);
    }
}
