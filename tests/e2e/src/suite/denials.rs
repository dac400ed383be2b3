//! What must be refused, each on the real API server. Every refusal stands beside a grant, so that it is not refused for
//! another reason; and whoever is refused has cost the vault no call.

mod needed;
mod operators;
mod outages;
mod policy;
mod replaced;
mod rights;
mod tokens;

use crate::suite::Test;

/// The tests of this subject. What counts refusals in the audit log comes before what provokes them.
pub(super) fn tests() -> Vec<Test> {
    let subjects =
        [tokens::TESTS, policy::TESTS, replaced::TESTS, operators::TESTS, needed::TESTS, outages::TESTS, rights::TESTS];
    subjects.concat()
}
