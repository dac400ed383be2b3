//! The end-to-end suite: Keyward's own programs against a real API server.
//!
//! The program runs twice. From [`outside`] it starts the cluster of `tests/cluster` and runs itself in the cluster's
//! namespaces, where the API server, the emulator and the broker reach each other; there, [`inside`], it runs the tests.
//!
//! | room | holds |
//! |---|---|
//! | [`args`] | the command line |
//! | [`cluster`] | the script of `tests/cluster`, called |
//! | [`installation`] | the charts with their images, step by step: `cargo e2e-install` |
//! | [`mod@bench`] | what syncing costs, measured instead of tested |
//! | [`suite`] | the tests, one file a subject |
//! | [`scene`] | what one test is given: the API server, the stand, and an end that takes away what it made |
//! | [`stand`] | what all tests share: emulator, charts, broker, controllers |
//! | [`kubectl`], [`mod@helm`] | kubectl and helm themselves |
//! | [`manifests`], [`pods`], [`tokens`] | how tests make objects, pods and their tokens |
//! | [`shop`] | a namespace whose `AzureKeyVaultSecret`s the controllers look after |
//! | [`apps`], [`report`] | a namespace whose pods are injected, and what the probes in them told |
//! | [`images`] | the images of these pods |
//! | [`callers`] | how tests ask the broker: as a pod, as an operator, as a role |
//! | [`requests`] | what the API server was asked, by its own count |
//! | [`wait`] | until something is so, within a bound |

pub mod apps;
pub mod args;
pub mod bench;
pub mod callers;
pub mod cluster;
pub mod helm;
pub mod images;
pub mod inside;
pub mod installation;
pub mod kubectl;
pub mod manifests;
pub mod outside;
pub mod pods;
pub mod report;
pub mod requests;
pub mod scene;
pub mod shop;
pub mod stand;
pub mod suite;
pub mod tokens;
pub mod wait;

use std::process::ExitCode;

use crate::cluster::Cluster;

/// The whole program. Its status is that of the suite.
#[allow(clippy::print_stderr, reason = "a program that people run")]
pub fn run() -> ExitCode {
    let args = args::of_process();
    let ran = if Cluster::is_around_us() { inside::run(args) } else { outside::run(&args) };
    ran.unwrap_or_else(|error| {
        eprintln!("e2e: {error:#}");
        ExitCode::FAILURE
    })
}
