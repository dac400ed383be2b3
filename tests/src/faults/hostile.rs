//! Who may read nothing, and asks all along: with a token of another namespace, one that has ended or does not hold yet, one
//! that somebody else signed or nobody, one for another audience, one bound to no pod, and without any.

use std::{
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use fastrand::Rng;
use keyward_proto::v1::{Reference, ResolveRequest, secrets_client::SecretsClient};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, Request, transport::Channel};

use super::{
    check::Breach,
    stage::{NAMESPACE, OBJECTS, STRANGERS, Stage, reference, token_of},
};
use crate::vault::ProjectedToken;

/// Refused tokens are counted by address: pods must not be taken for these.
const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 66));
/// Slower than an address is let.
const PACE: Duration = Duration::from_millis(70);
/// What takes longer is no answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What an admitted caller is never told: any of these is a refusal.
const REFUSALS: [Code; 6] = [
    Code::Unauthenticated,
    Code::PermissionDenied,
    Code::NotFound,
    Code::ResourceExhausted,
    // The broker cannot decide, or is not there.
    Code::Unavailable,
    Code::Cancelled,
];

/// Asking until dropped.
pub struct Hostile {
    told: Arc<Told>,
    _asking: JoinSet<()>,
}

#[derive(Default)]
struct Told {
    asked: AtomicU64,
    breaches: Mutex<Vec<Breach>>,
}

impl Hostile {
    /// Begins to ask for objects of all `vaults`.
    pub fn start(stage: &Arc<Stage>, vaults: Vec<String>, seed: u64) -> anyhow::Result<Self> {
        let (told, stage, callers) = (Arc::new(Told::default()), Arc::clone(stage), callers(stage)?);
        let mut asking = JoinSet::new();
        asking.spawn({
            let told = Arc::clone(&told);
            async move { ask_on(&stage, &vaults, &callers, Rng::with_seed(seed), &told).await }
        });
        Ok(Self { told, _asking: asking })
    }

    /// How often it was refused.
    pub fn asked(&self) -> u64 {
        self.told.asked.load(Ordering::Relaxed)
    }

    /// What it got.
    pub fn breaches(&self) -> Vec<Breach> {
        self.told.breaches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What it calls itself, and its header.
type Caller = (&'static str, Option<String>);

fn callers(stage: &Stage) -> anyhow::Result<Vec<Caller>> {
    let (own, forge) = (token_of(NAMESPACE, "intruder"), stage.emulator.forge());
    let mut early = forge.claims(&own);
    for claim in ["iat", "nbf", "exp"] {
        early[claim] = (early[claim].as_i64().unwrap_or_default() + 7_200).into();
    }
    let honest = |token: &ProjectedToken| stage.emulator.projected_token(token);
    let tokens = [
        ("a pod of another namespace", honest(&token_of(STRANGERS, "intruder"))?),
        ("a token that has ended", forge.expired(&own)?),
        ("a token that does not hold yet", forge.sign(&early)?),
        ("a token that somebody else signed", forge.wrong_key(&own)?),
        ("a token that nobody signed", forge.unsigned(&own)),
        ("a token for somebody else", honest(&own.clone().audience("https://kubernetes.default.svc"))?),
        ("a token of no pod", honest(&ProjectedToken::unbound(NAMESPACE, "checkout"))?),
    ];
    let with_token = tokens.map(|(name, token)| (name, Some(format!("Bearer {token}"))));
    Ok(with_token.into_iter().chain([("nobody", None)]).collect())
}

async fn ask_on(stage: &Stage, vaults: &[String], callers: &[Caller], mut random: Rng, told: &Told) {
    let mut open: Vec<Option<Channel>> = vec![None; stage.doors.count()];
    loop {
        sleep(PACE).await;
        let (Some(vault), Some(caller)) = (random.choice(vaults), random.choice(callers)) else { return };
        let (replica, object) = (random.usize(..open.len()), random.usize(..OBJECTS));
        let channel = match open[replica].take() {
            Some(channel) => Some(channel),
            None => connect(stage, replica).await,
        };
        let Some(channel) = channel else { continue };
        let name = reference(vault, object);
        let asked = ask(channel.clone(), name.clone(), caller.1.as_deref());
        match tokio::time::timeout(PATIENCE, asked).await {
            Ok(Some(breach)) => {
                let caller = format!("{} (replica {replica}, {name}): {breach}", caller.0);
                told.breaches.lock().unwrap_or_else(PoisonError::into_inner).push(Breach::Leaked { caller });
            }
            Ok(None) => open[replica] = Some(channel),
            // Another connection next time.
            Err(_) => {}
        }
        told.asked.fetch_add(1, Ordering::Relaxed);
    }
}

async fn connect(stage: &Stage, replica: usize) -> Option<Channel> {
    stage.doors.pod_from(replica, ADDRESS).ok()?.connect().await.ok()
}

/// What is wrong with the answer, if anything.
async fn ask(channel: Channel, name: String, authorization: Option<&str>) -> Option<&'static str> {
    let references = vec![Reference { name, query: None }];
    let mut request = Request::new(ResolveRequest { references, ..ResolveRequest::default() });
    if let Some(authorization) = authorization.and_then(|text| text.parse().ok()) {
        request.metadata_mut().insert("authorization", authorization);
    }
    match SecretsClient::new(channel).resolve(request).await {
        Ok(_) => Some("values"),
        Err(status) if REFUSALS.contains(&status.code()) => None,
        // The connection broke: tonic calls that so.
        Err(status) if std::error::Error::source(&status).is_some() => None,
        Err(_) => Some("an answer that is no refusal"),
    }
}
