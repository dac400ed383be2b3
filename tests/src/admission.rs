//! What the admission of a pod costs the webhook, beside a server that reads the same review and returns the same answer
//! without a thought. `cargo bench-admission` runs it.
//!
//! The real webhook asks the real broker about each pod's references. Both servers are asked by the same client, over
//! connections that are kept as an API server keeps them, in rounds that alternate. Then a webhook of its own lets in many
//! pods whose command it has to look up, and its memory is looked at.
//!
//! | room | does |
//! |---|---|
//! | [`stand`] | broker, vault, API server and registry, and the webhook's process |
//! | [`bare`] | the other server |
//! | [`reviews`] | what both are asked |
//! | [`load`] | the client |
//! | [`report`] | bars and the verdict: pure |

pub mod bare;
pub mod load;
pub mod report;
pub mod reviews;
pub mod stand;

use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use crate::{
    admission::{
        load::{Client, Connections},
        report::{Lookups, Report},
        reviews::Reviews,
        stand::Stand,
    },
    bench::{
        child::Server,
        cpu,
        rounds::{Figures, Round, Which, interleaved},
    },
    footprint::Memory,
};

/// What is asked, and how often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Rounds that count; one more goes before them.
    pub rounds: usize,
    /// Reviews of a round.
    pub reviews: usize,
    /// Connections, each with one review under way.
    pub connections: usize,
    /// Images that are looked up.
    pub images: usize,
    /// Reviews of pods with these images.
    pub lookup_reviews: usize,
}

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `keyward-webhook`.
    pub webhook: PathBuf,
    /// `keyward-broker`.
    pub broker: PathBuf,
    /// `bench-admission`, which has the other server in it.
    pub bare: PathBuf,
}

/// Runs all of it.
pub async fn run(programs: &Programs, workload: Workload) -> anyhow::Result<Report> {
    let stand = Stand::start(&programs.broker, workload.images).await?;
    let rounds = compared(&stand, programs, workload).await?;
    let lookups = looked_up(&stand, programs, workload).await.context("images")?;
    ensure!(!stand.broker.server.leaked(), "the broker printed a value");
    Ok(Report { rounds, lookups })
}

/// Pods that say what they run.
async fn compared(stand: &Stand, programs: &Programs, workload: Workload) -> anyhow::Result<Vec<Round>> {
    let reviews = Reviews::with_command()?;
    let webhook = stand.webhook(&programs.webhook).await?;
    let client = |server: &Server| Client::new(server.address(), &stand.broker.ca_pem());
    let mut ours = client(&webhook)?.open(workload.connections).await?;

    let first = reviews.one(0, stand::IMAGE);
    let answer = ours.ask(&first).await.context("the webhook")?;
    let bare = bare::start(&programs.bare, &stand.webhook_tls_dir(), &answer, &first.uid).await?;
    let mut others = client(&bare)?.open(workload.connections).await?;
    let same = others.ask(&first).await.context("the bare server")?;
    ensure!(answer == same, "the bare server answers something else");

    let mut next = 1;
    let mut sample = async |which| {
        let (server, connections) = match which {
            Which::Ours => (&webhook, &mut ours),
            Which::Bare => (&bare, &mut others),
        };
        let before = cpu::used(server.id())?;
        let asked = (next..next + workload.reviews).map(|number| reviews.one(number, stand::IMAGE));
        next += workload.reviews;
        let sample = connections.ask_all(asked).await?;
        Ok(Figures::of(sample, cpu::used(server.id())?.saturating_sub(before)))
    };
    interleaved(1, &mut sample).await.context("warm-up")?;
    let rounds = interleaved(workload.rounds, &mut sample).await?;
    ensure!(!webhook.leaked(), "the webhook printed a value");
    Ok(rounds)
}

/// Pods that do not: one image after the other, again and again.
async fn looked_up(stand: &Stand, programs: &Programs, workload: Workload) -> anyhow::Result<Lookups> {
    let reviews = Reviews::without_command()?;
    let webhook = stand.webhook(&programs.webhook).await?;
    let mut connections: Connections =
        Client::new(webhook.address(), &stand.broker.ca_pem())?.open(workload.connections).await?;
    let started = Memory::of(webhook.id())?;
    let before = cpu::used(webhook.id())?;
    let images = (0..workload.images).cycle().enumerate().take(workload.lookup_reviews);
    let asked = images.map(|(number, image)| reviews.one(number, &stand.image(image)));
    let sample = connections.ask_all(asked).await?;
    let figures = Figures::of(sample, cpu::used(webhook.id())?.saturating_sub(before));
    let ended = Memory::of(webhook.id())?;
    ensure!(!webhook.leaked(), "the webhook printed a value");
    Ok(Lookups {
        reviews: workload.lookup_reviews,
        images: workload.images,
        started,
        ended,
        figures,
        asked: stand.asked(),
    })
}
