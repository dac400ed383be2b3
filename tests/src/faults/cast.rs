//! Who asks: pods that behave as the launcher does, and a controller, whose answers name versions. Everything they get is
//! noted.

mod launch;
mod way;

use std::{sync::Arc, time::Duration};

use fastrand::Rng;
use keyward_proto::v1::{FetchRequest, Reference, ResolveRequest};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

pub use self::launch::delay;
use self::{
    launch::{Got, TryError},
    way::{Connection, Way},
};
use super::{
    history::{Client, History},
    stage::{NAMESPACE, Stage, reference},
    value,
};

/// Between two launches of one pod.
const ANEW: Duration = Duration::from_millis(450);
const KEPT: Duration = Duration::from_millis(150);
/// Between two questions of the controller.
const FETCH: Duration = Duration::from_millis(350);

/// How somebody asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A launcher: a connection of its own, to any replica, for each launch.
    Launcher,
    /// The same over one connection for as long as that holds.
    Kept,
    /// One `Fetch` after the other over one connection: an answer names the version.
    Controller,
}

/// Somebody who asks for objects of one vault.
pub struct Actor {
    client: Client,
    kind: Kind,
    vault: Arc<str>,
    stage: Arc<Stage>,
    history: Arc<History>,
    authorization: MetadataValue<Ascii>,
    deadline: Duration,
    way: Way,
    random: Rng,
}

impl Actor {
    /// Client `client` of `vault`, who gives up after `deadline`.
    pub fn new(
        (client, kind): (Client, Kind),
        vault: &str,
        (stage, history): (&Arc<Stage>, &Arc<History>),
        deadline: Duration,
        seed: u64,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            client,
            kind,
            vault: vault.into(),
            stage: Arc::clone(stage),
            history: Arc::clone(history),
            authorization: stage.pod(&format!("{vault}-pod-{}", client.0))?.parse()?,
            deadline,
            way: Way::default(),
            random: Rng::with_seed(seed.wrapping_add(client.0 as u64)),
        })
    }

    /// Asks again and again for what is wanted at that moment, until it is dropped.
    pub async fn play(mut self, wanted: watch::Receiver<Vec<usize>>) {
        let pace = match self.kind {
            Kind::Launcher => ANEW,
            Kind::Kept => KEPT,
            Kind::Controller => FETCH,
        };
        loop {
            let objects = wanted.borrow().clone();
            if !objects.is_empty() {
                self.launch(&objects).await;
            }
            // Nobody marches in step.
            sleep(pace / 2 + pace.mul_f64(self.random.f64())).await;
        }
    }

    /// One call, whatever becomes of it.
    async fn ask(&mut self, objects: &[usize]) -> Result<Vec<Got>, TryError> {
        let doors = &self.stage.doors;
        let connection = match self.kind {
            Kind::Controller => self.way.fetching(doors, &mut self.random).await?,
            Kind::Kept => self.way.resolving(doors, &mut self.random).await?,
            Kind::Launcher => {
                self.way.close();
                self.way.resolving(doors, &mut self.random).await?
            }
        };
        match connection {
            Connection::Secrets(mut client) => {
                let names = objects.iter().map(|object| reference(&self.vault, *object));
                let references = names.map(|name| Reference { name, query: None }).collect();
                let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
                request.metadata_mut().insert("authorization", self.authorization.clone());
                let values = client.resolve(request).await?.into_inner().values;
                if values.len() != objects.len() {
                    return Err(TryError::Count(values.len()));
                }
                let number = |(object, value): (&usize, &Vec<u8>)| Got {
                    object: *object,
                    number: value::number(&self.vault, *object, value),
                    version: None,
                };
                Ok(objects.iter().zip(&values).map(number).collect())
            }
            Connection::Sync(mut client) => {
                let mut got = Vec::new();
                for object in objects {
                    let name = reference(&self.vault, *object);
                    let (uid, generation) = self.stage.identity_of(&name);
                    let request = FetchRequest { namespace: NAMESPACE.to_owned(), name, uid, generation };
                    let answer = client.fetch(request).await?.into_inner();
                    let data = answer.secret.map(|secret| secret.data).unwrap_or_default();
                    let number = data.get("value").and_then(|value| value::number(&self.vault, *object, value));
                    got.push(Got { object: *object, number, version: Some(answer.version) });
                }
                Ok(got)
            }
        }
    }
}

/// Actors at work until dropped.
pub struct Cast {
    wanted: watch::Sender<Vec<usize>>,
    _playing: JoinSet<()>,
}

impl Cast {
    /// Sets `actors` to work; they want nothing yet.
    pub fn start(actors: Vec<Actor>) -> Self {
        let wanted = watch::Sender::default();
        let mut playing = JoinSet::new();
        for actor in actors {
            playing.spawn(actor.play(wanted.subscribe()));
        }
        Self { wanted, _playing: playing }
    }

    /// What they ask for from now on.
    pub fn want(&self, objects: &[usize]) {
        self.wanted.send_replace(objects.to_vec());
    }
}
