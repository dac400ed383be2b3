//! The tests. One file a subject; a test is an async function whose name is a sentence, listed in its file's `tests!`.

use futures::future::LocalBoxFuture;

use crate::scene::Scene;

/// A test.
#[derive(Clone, Copy)]
pub struct Test {
    module: &'static str,
    sentence: &'static str,
    /// What it does.
    pub run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

impl Test {
    /// For [`tests!`].
    const fn new(
        module: &'static str,
        sentence: &'static str,
        run: for<'a> fn(&'a Scene) -> LocalBoxFuture<'a, anyhow::Result<()>>,
    ) -> Self {
        Self { module, sentence, run }
    }

    /// Whether it has pods run.
    pub fn runs_pods(&self) -> bool {
        self.name().starts_with("injection::")
    }

    /// Whether it needs definitions of third parties.
    pub fn needs_definitions(&self) -> bool {
        self.name().starts_with("charts::")
    }

    /// `subject::sentence`
    pub fn name(&self) -> String {
        let subject = self.module.rsplit_once("suite::").map_or(self.module, |(_, subject)| subject);
        format!("{subject}::{}", self.sentence)
    }
}

/// Lists a file's tests: `tests![a_sentence, another]` declares `TESTS`.
macro_rules! tests {
    ($($test:ident),+ $(,)?) => {
        /// The tests of this file.
        pub(super) const TESTS: &[$crate::suite::Test] =
            &[$($crate::suite::Test::new(module_path!(), stringify!($test), |scene| Box::pin($test(scene)))),+];
    };
}

mod charts;
mod cluster;
mod crds;
mod denials;
mod injection;
mod leaders;
mod lifecycle;
mod narrow;
mod outputs;
mod ownership;
mod restarts;
mod rights;
mod steady;

/// All tests, in the order in which they run.
pub fn all() -> Vec<Test> {
    [
        cluster::TESTS,
        crds::TESTS,
        charts::TESTS,
        rights::TESTS,
        outputs::TESTS,
        ownership::TESTS,
        lifecycle::TESTS,
        steady::TESTS,
        restarts::TESTS,
        leaders::TESTS,
        &denials::tests(),
        // Refused on purpose, and denials count what was refused before them.
        narrow::TESTS,
        &injection::tests(),
    ]
    .concat()
}
