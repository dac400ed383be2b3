//! `Sync/Describe` at the edge. Nothing of a value leaves by it, so it writes no audit line.

use keyward_proto::v1::{DescribeRequest, DescribeResponse, FetchRequest};
use tonic::{Request, Status};

use super::{
    SyncService,
    fetch::{status, wanted},
    patience,
};
use crate::{
    fetch::{self, Described},
    grpc::{milliseconds, timestamp},
};

pub(super) async fn answer(
    service: &SyncService,
    request: Request<DescribeRequest>,
) -> Result<DescribeResponse, Status> {
    let patience = patience::of(request.metadata());
    let DescribeRequest { namespace, name, uid, generation } = request.into_inner();
    let wanted = wanted(&FetchRequest { namespace, name, uid, generation })?;
    let Described { held, generation } = fetch::describe(&service.resolver, &service.snapshot, &wanted, patience)
        .await
        .map_err(|error| status(&wanted, None, &error))?;
    let entry = held.as_ref().map(|served| &served.entry);
    Ok(DescribeResponse {
        version: entry.map(|entry| entry.version.to_string()).unwrap_or_default(),
        expires: entry.and_then(|entry| entry.attributes.expires).map(timestamp),
        generation,
        stale_ms: held.as_ref().and_then(|served| served.stale).map_or(0, milliseconds),
    })
}
