//! `keyward.v1.Peers`: what other replicas ask. Values go out here, to brokers alone.

mod telling;

use std::{sync::Arc, time::Duration};

use futures::{StreamExt as _, future::join_all, stream::BoxStream};
use keyward_proto::v1::{
    self, CheckVaultsRequest, CheckVaultsResponse, EntrustRequest, EntrustResponse, FollowRequest, FollowResponse,
    HintRequest, HintResponse, ReadRequest, ReadResponse, RedeemRequest, RedeemResponse, follow_request,
    read_response::Outcome,
};
use keyward_types::ObjectName;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Response, Status, Streaming};

use self::telling::Telling;
use super::{cache::shown, errors};
use crate::{
    cache::{CacheKey, LoadError, Served},
    peers::{
        Peers,
        encoding::{self, Garbled, vault::to_vault},
        mirror::Copies,
        routes::PodRecords,
    },
    policy::VaultEntry,
    poll::{
        Refresh,
        hints::{About, Hint, Hinted},
    },
    ticks::ticks,
    vault::origin::Origin,
};

/// For the first word of who wants to follow.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// For a declaration that the other replica knows already.
const PATIENCE: Duration = Duration::from_secs(2);
/// Vaults of one check.
const MAX_VAULTS: usize = 1_000;

/// The service.
pub struct PeersService {
    /// What this replica shares with the others.
    pub peers: Arc<Peers>,
    /// What is held.
    pub copies: Copies,
    /// Checks the vaults of this replica.
    pub refresh: Arc<dyn Refresh>,
    /// Looks at vaults soon, whomever this replica takes for their owner: a hint is never passed on twice.
    pub hints: Arc<dyn Hinted>,
    /// Records of what pods were given, where they are kept.
    pub records: Option<Arc<dyn PodRecords>>,
    /// Streams end with it.
    pub drain: CancellationToken,
}

#[tonic::async_trait]
impl v1::peers_server::Peers for PeersService {
    type FollowStream = BoxStream<'static, Result<FollowResponse, Status>>;

    async fn follow(&self, request: Request<Streaming<FollowRequest>>) -> Result<Response<Self::FollowStream>, Status> {
        let mut words = request.into_inner();
        let first = timeout(FIRST_WORD, words.message()).await.map_err(|_| errors::invalid("no hello"))??;
        let Some(FollowRequest { word: Some(follow_request::Word::Hello(hello)) }) = first else {
            return Err(errors::invalid("the first word is no hello"));
        };
        let following = self.peers.followers.add(hello.id.into()).ok_or_else(|| {
            errors::refusal(Code::ResourceExhausted, "TOO_MANY_FOLLOWERS", "too many replicas follow this one")
        })?;
        let telling = Telling::new(following, words, &self.peers, self.copies.cache.clone(), self.drain.clone());
        Ok(Response::new(telling.stream().boxed()))
    }

    async fn read(&self, request: Request<ReadRequest>) -> Result<Response<ReadResponse>, Status> {
        let key = request.into_inner().key.ok_or_else(|| errors::invalid("no key"))?;
        let object = Arc::new(encoding::to_object(key.object).map_err(garbled)?);
        let vault = self.vault(key.vault.ok_or_else(|| errors::invalid("no vault"))?).await?;
        let key = CacheKey { vault: Arc::clone(&vault.id), object };
        let served = self.read_here(&key, &vault).await;
        let now = Instant::now();
        let outcome = match served {
            Ok(served) => Outcome::Entry(encoding::of_entry(&served.entry, now)),
            Err(error) => Outcome::Failure(encoding::of_failure(&error)),
        };
        Ok(Response::new(ReadResponse { outcome: Some(outcome), said_at: ticks(now) }))
    }

    async fn check(&self, request: Request<CheckVaultsRequest>) -> Result<Response<CheckVaultsResponse>, Status> {
        let CheckVaultsRequest { vaults } = request.into_inner();
        if vaults.len() > MAX_VAULTS {
            return Err(errors::invalid("too many vaults"));
        }
        let origins: Result<Vec<_>, _> = vaults.iter().map(|vault| Origin::parse(vault)).collect();
        let origins = origins.map_err(|error| errors::invalid(error.to_string()))?;
        let checked = join_all(origins.iter().map(|origin| self.refresh.refresh(Some(origin)))).await;
        let vaults = checked.iter().flatten().map(shown).collect();
        Ok(Response::new(CheckVaultsResponse { vaults }))
    }

    async fn hint(&self, request: Request<HintRequest>) -> Result<Response<HintResponse>, Status> {
        let HintRequest { vault, name } = request.into_inner();
        let vault = Origin::parse(&vault).map_err(|error| errors::invalid(error.to_string()))?;
        let about = if name.is_empty() {
            About::Vault
        } else {
            About::Object(ObjectName::new(&name).map_err(|error| errors::invalid(error.to_string()))?)
        };
        self.hints.hint(Hint { vault, about });
        Ok(Response::new(HintResponse {}))
    }

    async fn redeem(&self, request: Request<RedeemRequest>) -> Result<Response<RedeemResponse>, Status> {
        self.records()?.redeem(request.into_inner()).await.map(Response::new)
    }

    async fn entrust(&self, request: Request<EntrustRequest>) -> Result<Response<EntrustResponse>, Status> {
        self.records()?.entrust(request.into_inner().starts).await?;
        Ok(Response::new(EntrustResponse {}))
    }
}

impl PeersService {
    /// From memory, or by this replica itself, whomever it takes for the owner.
    async fn read_here(&self, key: &CacheKey, vault: &Arc<VaultEntry>) -> Result<Served, LoadError> {
        let open = self.copies.readers.open(vault)?;
        let _question = self.peers.asked.note(key);
        self.copies.cache.get(key, &open).await
    }

    /// The declaration that is meant, which may be known here a moment later than there.
    async fn vault(&self, key: v1::VaultKey) -> Result<Arc<VaultEntry>, Status> {
        let snapshot = &self.copies.snapshot;
        snapshot.until(Instant::now() + PATIENCE, |snapshot| to_vault(&key, snapshot).is_some()).await;
        to_vault(&key, &snapshot.load()).ok_or_else(|| {
            let message = "no AzureKeyVault that this replica knows declares the vault as yours does";
            errors::refusal(Code::Unavailable, "VAULT_NOT_YET_KNOWN", message)
        })
    }

    fn records(&self) -> Result<&dyn PodRecords, Status> {
        self.records.as_deref().ok_or_else(|| {
            errors::refusal(Code::FailedPrecondition, "PODS_NOT_BOUND", "this replica binds no tokens to their pods")
        })
    }
}

fn garbled(error: Garbled) -> Status {
    errors::invalid(error.to_string())
}
