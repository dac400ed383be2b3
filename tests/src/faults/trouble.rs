//! What goes wrong in a scene: as data, and how each begins and ends.

mod of_vault;

use std::time::Duration;

use anyhow::Context as _;
use tonic::Code;

pub use self::of_vault::{OF_VAULT, VaultTrouble};
use super::{
    link::Mood,
    stage::{Output, Stage},
};
use crate::process::Signal;

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Trouble {
    /// A fault of the emulator, in one vault and at its identity's authority alone.
    Vault(&'static VaultTrouble),
    /// A replica is killed, and another started in its place when the trouble is over.
    Kill,
    /// The same with SIGTERM.
    Restart,
    /// A replica is stopped by SIGSTOP, and goes on.
    Pause,
    /// A replica's audit lines cannot be written: its disk is full.
    FullDisk,
    /// The way between all brokers and the vault.
    ToVault(&'static str, Mood),
    /// The way between one replica and the vault.
    OneToVault(&'static str, Mood),
    /// The way between clients and a replica.
    ToReplica(&'static str, Mood),
    /// The way between a replica and all others.
    Between(&'static str, Mood),
    /// The API server is away, and its watches end.
    ApiServer,
    /// The vault's clock goes ahead by an hour each time, against ours. Never back: a vault's versions would be dated before
    /// those that they replace.
    Clock,
    /// Another authority signs the brokers' certificates.
    Certificates,
}

/// Troubles with processes, networks and clocks: each has a stage of its own.
pub const OF_STAGE: [Trouble; 14] = [
    Trouble::Kill,
    Trouble::Restart,
    Trouble::Pause,
    Trouble::FullDisk,
    Trouble::ToVault("vault cut off", Mood::Cut),
    Trouble::ToVault("vault stalled", Mood::Stalled),
    Trouble::ToVault("vault half open", Mood::HalfOpen),
    Trouble::ToVault("vault slow", SLOW),
    Trouble::ToReplica("broker cut off", Mood::Cut),
    Trouble::ToReplica("broker half open", Mood::HalfOpen),
    Trouble::ToReplica("broker slow", SLOW),
    Trouble::ApiServer,
    Trouble::Clock,
    Trouble::Certificates,
];

/// Those that only several replicas can have.
pub const OF_REPLICAS: [Trouble; 5] = [
    Trouble::OneToVault("replica cut off from vault", Mood::Cut),
    Trouble::OneToVault("replica stalls to vault", Mood::Stalled),
    Trouble::Between("replica apart: cut", Mood::Cut),
    Trouble::Between("replica apart: stalled", Mood::Stalled),
    Trouble::Between("replica apart: slow", SLOW),
];

/// A modem: a handshake takes a second or two.
const SLOW: Mood = Mood::Slow { bytes: 1_024, each: Duration::from_millis(60) };

/// Brokers look at their certificates every other second.
const LOOKED_AT: Duration = Duration::from_millis(2_500);

/// Whom it strikes, and how it is told from an earlier one.
#[derive(Clone, Copy, Debug)]
pub struct Struck<'a> {
    /// The vault of the scene.
    pub vault: &'a str,
    /// The client id that reads it.
    pub client: &'a str,
    /// The replica, where it is about one.
    pub replica: usize,
    /// Decides about chance.
    pub seed: u64,
}

impl Trouble {
    /// In a few words.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Vault(VaultTrouble { name, .. })
            | Self::ToVault(name, _)
            | Self::OneToVault(name, _)
            | Self::ToReplica(name, _)
            | Self::Between(name, _) => name,
            Self::Kill => "broker killed",
            Self::Restart => "broker restarted",
            Self::Pause => "broker paused",
            Self::FullDisk => "broker's disk full",
            Self::ApiServer => "API server away",
            Self::Clock => "vault's clock an hour on",
            Self::Certificates => "authority replaced",
        }
    }

    /// Begins.
    pub async fn begin(&self, stage: &Stage, struck: Struck<'_>) -> anyhow::Result<()> {
        let replica = stage.replica(struck.replica)?;
        match self {
            Self::Vault(trouble) => trouble.begin(stage, struck)?,
            Self::Kill => replica.kill().await?,
            Self::Restart => {
                replica.stop().await?;
            }
            Self::Pause => replica.signal(Signal::STOP).await?,
            Self::FullDisk => {
                replica.stop().await?;
                stage.start(struck.replica, Output::Full).await?;
            }
            Self::ToVault(_, mood) => stage.way_to_vault(struck.vault, *mood),
            Self::OneToVault(_, mood) => stage.way_to_vault_of(struck.replica, struck.vault, *mood).await?,
            Self::ToReplica(_, mood) => replica.way_in(*mood),
            Self::Between(_, mood) => stage.way_to_others(struck.replica, *mood),
            Self::ApiServer => stage.api.as_ref().context("there is no API server")?.down(),
            Self::Clock => stage.an_hour_on(),
            Self::Certificates => {
                let next = stage.publish_authority()?;
                tokio::time::sleep(LOOKED_AT).await;
                stage.rotate(next)?;
            }
        }
        Ok(())
    }

    /// Ends, and returns when everything is as it was.
    pub async fn end(&self, stage: &Stage, struck: Struck<'_>) -> anyhow::Result<()> {
        let replica = stage.replica(struck.replica)?;
        match self {
            Self::Vault(_) => {
                stage.emulator.faults().lift_named(struck.vault);
            }
            Self::Kill | Self::Restart => stage.start(struck.replica, Output::Kept).await?,
            Self::FullDisk => {
                replica.stop().await?;
                stage.start(struck.replica, Output::Kept).await?;
            }
            Self::Pause => replica.signal(Signal::CONT).await?,
            Self::ToVault(..) | Self::OneToVault(..) => stage.way_to_vault(struck.vault, Mood::Open),
            Self::ToReplica(..) => replica.way_in(Mood::Open),
            Self::Between(..) => stage.way_to_others(struck.replica, Mood::Open),
            Self::ApiServer => stage.api.as_ref().context("there is no API server")?.up(),
            Self::Clock | Self::Certificates => {}
        }
        Ok(())
    }

    /// Whether what is in memory is answered for at every try, however long it lasts.
    pub fn leaves_memory(&self) -> bool {
        match self {
            Self::Vault(trouble) => !trouble.refuses,
            Self::ToVault(..) | Self::OneToVault(..) | Self::Clock | Self::Between(..) => true,
            _ => false,
        }
    }

    /// The refusals that a client may be left with.
    pub fn refusals(&self) -> Vec<Code> {
        match self {
            Self::Vault(VaultTrouble { refuses: true, .. }) => vec![Code::FailedPrecondition, Code::NotFound],
            Self::Vault(VaultTrouble { confuses: true, .. }) => vec![Code::Internal],
            _ => Vec::new(),
        }
    }

    /// Whether replicas cannot hear each other meanwhile.
    pub fn splits(&self) -> bool {
        matches!(self, Self::Between(..) | Self::Pause)
    }

    /// Whether the process of a replica ends, and another comes in its place.
    pub fn ends_programs(&self) -> bool {
        matches!(self, Self::Kill | Self::Restart | Self::FullDisk)
    }

    /// Whether it needs an API server.
    pub fn is_of_the_cluster(&self) -> bool {
        matches!(self, Self::ApiServer)
    }

    /// By how much calls may come late to a vault: what was sent into a network that keeps it for so long.
    pub fn delays_calls(&self, lasts: Duration) -> Duration {
        match self {
            Self::ToVault(..) | Self::OneToVault(..) | Self::Pause => lasts,
            _ => Duration::ZERO,
        }
    }
}
