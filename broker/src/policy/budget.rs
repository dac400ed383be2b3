//! What a budget may be. Pure; which part of it is whose is said by [`crate::peers`].

/// Bounds of a budget: a certificate takes two requests at once; a vault allows 4,000 secret reads in ten seconds, and
/// ten times that is surely a mistake.
pub(super) const MIN: u32 = 10;
pub(super) const MAX: u32 = 40_000;

/// Whether it makes sense.
pub(super) fn is_valid(budget: u32) -> bool {
    (MIN..=MAX).contains(&budget)
}
