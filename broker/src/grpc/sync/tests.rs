//! `Watch` with a real client on a real connection, in plain text: TLS and roles are tested with the whole program.

use std::collections::BTreeSet;

use keyward_proto::v1::{sync_client::SyncClient, sync_server::SyncServer, watch_response::Event};
use tokio::{net::TcpListener, task::JoinSet};
use tonic::{
    Streaming,
    transport::{Channel, Endpoint, Server, server::TcpIncoming},
};

use super::*;
use crate::{
    authz,
    cache::CacheKey,
    changes::Change,
    testing::{self, ACME, Memory},
};

const SECRETS: usize = 500;

struct World {
    changes: Changes,
    snapshot: Arc<Current>,
    drain: CancellationToken,
    address: std::net::SocketAddr,
    server: JoinSet<()>,
}

impl World {
    async fn start() -> Self {
        let secrets: String =
            (0..SECRETS).map(|n| testing::secret("shop", &format!("s{n}"), "acme", &format!("o{n}"))).collect();
        let snapshot = Arc::new(Current::new(testing::snapshot(&format!("{ACME}{secrets}"))));
        let (changes, drain) = (Changes::default(), CancellationToken::new());
        let resolver = testing::resolver(&snapshot, &Memory::new(0));
        let service = SyncService::new(
            Arc::clone(&snapshot),
            resolver,
            Arc::new(AuditLog::new(std::io::sink())),
            changes.clone(),
            drain.clone(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = Server::builder()
            .add_service(SyncServer::new(service))
            .serve_with_incoming_shutdown(TcpIncoming::from(listener), drain.clone().cancelled_owned());
        let mut server = JoinSet::new();
        server.spawn(async move { serving.await.unwrap() });
        Self { changes, snapshot, drain, address, server }
    }

    async fn client(&self) -> SyncClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        // Small windows, so that a reader who does not read is soon noticed.
        let endpoint = endpoint.initial_stream_window_size(8_192).initial_connection_window_size(65_535);
        SyncClient::new(endpoint.connect().await.unwrap())
    }

    async fn watch(&self) -> Streaming<WatchResponse> {
        self.client().await.watch(WatchRequest {}).await.unwrap().into_inner()
    }

    fn tell(&self, secret: usize) {
        let snapshot = self.snapshot.load();
        let secret = authz::find(&snapshot, "shop", &format!("s{secret}")).unwrap();
        let vault = authz::vault_of(&snapshot, secret).unwrap();
        self.changes.tell(Change::Object(Arc::new(CacheKey::of(secret, &vault))));
    }
}

async fn next(stream: &mut Streaming<WatchResponse>) -> Event {
    stream.message().await.unwrap().unwrap().event.unwrap()
}

fn changed(secret: usize) -> Event {
    Event::Changed(v1::SecretChanged { namespace: "shop".into(), name: format!("s{secret}") })
}

#[tokio::test]
async fn a_stream_begins_with_a_resync_and_then_names_what_changed() {
    let world = World::start().await;
    let mut stream = world.watch().await;
    assert!(matches!(next(&mut stream).await, Event::Resync(_)));
    world.tell(7);
    assert_eq!(next(&mut stream).await, changed(7));
    world.changes.tell(Change::Declarations);
    assert!(matches!(next(&mut stream).await, Event::Resync(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_is_told_to_resync_and_nobody_waits_for_it() {
    let world = World::start().await;
    let mut slow = world.watch().await;
    let mut quick = world.watch().await;
    assert!(matches!(next(&mut quick).await, Event::Resync(_)));
    for n in 0..100_000 {
        world.tell(n % SECRETS);
    }
    world.tell(3);
    // One who reads hears the last word, however much the other has still before it.
    let mut heard = BTreeSet::new();
    while !heard.contains("s3") {
        match next(&mut quick).await {
            Event::Changed(secret) => heard.insert(secret.name),
            Event::Resync(_) => break,
        };
    }
    // The slow one's first word, some that its window took, and instead of all others one resync.
    assert!(matches!(next(&mut slow).await, Event::Resync(_)));
    let mut told = 0;
    while let Event::Changed(_) = next(&mut slow).await {
        told += 1;
        assert!(told < 10_000, "what it missed was kept for it");
    }
    world.tell(9);
    loop {
        match next(&mut slow).await {
            event if event == changed(9) => break,
            // It was still behind: that word stood for this change too.
            Event::Resync(_) => world.tell(9),
            Event::Changed(_) => {}
        }
    }
}

#[tokio::test]
async fn streams_end_when_the_broker_drains_and_say_why() {
    let mut world = World::start().await;
    let mut stream = world.watch().await;
    assert!(matches!(next(&mut stream).await, Event::Resync(_)));
    world.drain.cancel();
    let ended = stream.message().await.unwrap_err();
    assert_eq!(ended.code(), Code::Unavailable);
    world.server.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn streams_are_bounded_in_number_and_one_that_ends_makes_room() {
    let world = World::start().await;
    let mut client = world.client().await;
    let mut streams = Vec::new();
    for _ in 0..MAX_WATCHES {
        streams.push(client.watch(WatchRequest {}).await.unwrap().into_inner());
    }
    let refused = client.watch(WatchRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.metadata().contains_key(keyward_proto::RETRY_AFTER_METADATA));
    streams.pop();
    // The server learns of the end when the reset arrives.
    while client.watch(WatchRequest {}).await.is_err() {}
}
