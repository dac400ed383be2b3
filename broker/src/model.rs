//! Cache, poller and budget together against a simple model of what is right, in simulated time: random stories of writes,
//! deletions, faults and questions, each answer judged when it is given.
//!
//! | room | holds |
//! |---|---|
//! | `story` | what may happen, and how often |
//! | `vault` | a vault whose every answer is on record |
//! | `world` | the real parts around it, and what happens to them |
//! | `judge` | which answers are right |
//!
//! `PROPTEST_CASES` says how many stories are told.

mod judge;
mod story;
mod vault;
mod world;

use proptest::prelude::*;

use story::Story;
use world::World;

/// Stories told where nobody says how many.
const STORIES: u32 = 64;

fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { STORIES };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

fn tell(story: &Story) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(World::tell(story)).map_err(TestCaseError::fail)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_answer_is_right(story in Story::any()) {
        tell(&story)?;
    }
}
