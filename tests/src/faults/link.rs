//! A network between processes that can be made bad: every connection to a [`Link`] goes on to its target, as the mood of the
//! link lets it. A mood may be about one process alone, as where one node of several is cut off.

mod origin;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinSet,
    time::sleep,
};

const CHUNK: usize = 16 * 1024;

/// What becomes of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// They pass.
    #[default]
    Open,
    /// Connections are reset, new ones too.
    Cut,
    /// Nothing passes and nothing is said, as where packets are dropped; what was on its way arrives later.
    Stalled,
    /// What clients say passes, and nothing comes back; it arrives later.
    HalfOpen,
    /// They pass in pieces of so many bytes, each so late.
    Slow {
        /// The largest piece.
        bytes: usize,
        /// How late each is.
        each: Duration,
    },
}

/// A port that leads to another.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    state: watch::Sender<State>,
    target: watch::Sender<SocketAddr>,
    _serving: JoinSet<()>,
}

/// A mood, and whom it is about: everybody, unless a process is named.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    mood: Mood,
    only: Option<u32>,
}

impl State {
    fn of(self, socket: Option<u64>) -> Mood {
        let concerned = self.only.is_none_or(|process| socket.is_some_and(|socket| origin::holds(process, socket)));
        if concerned { self.mood } else { Mood::Open }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

impl Mood {
    fn passes(self, way: Way) -> bool {
        match self {
            Self::Open | Self::Slow { .. } => true,
            Self::Cut | Self::Stalled => false,
            Self::HalfOpen => way == Way::There,
        }
    }

    fn piece(self) -> (usize, Duration) {
        match self {
            Self::Slow { bytes, each } => (bytes.clamp(1, CHUNK), each),
            _ => (CHUNK, Duration::ZERO),
        }
    }
}

impl Link {
    /// One to `target`, on a port of its own.
    pub async fn to(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (state, target) = (watch::Sender::default(), watch::Sender::new(target));
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, state.subscribe(), target.subscribe()));
        Ok(Self { address, state, target, _serving: serving })
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what becomes of bytes.
    pub fn set(&self, mood: Mood) {
        self.state.send_replace(State { mood, only: None });
    }

    /// Changes what becomes of the bytes of one process; all others' pass.
    pub fn set_for(&self, process: u32, mood: Mood) {
        self.state.send_replace(State { mood, only: Some(process) });
    }

    /// New connections lead elsewhere.
    pub fn lead_to(&self, target: SocketAddr) {
        self.target.send_replace(target);
    }
}

async fn serve(listener: TcpListener, state: watch::Receiver<State>, target: watch::Receiver<SocketAddr>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((client, peer)) = accepted else { continue };
                let (state, target) = (state.clone(), *target.borrow());
                connections.spawn(async move {
                    let socket = origin::socket(peer);
                    let own = watch::Sender::new(state.borrow().of(socket));
                    let mood = own.subscribe();
                    // However it ends, both sides have heard of it.
                    tokio::select! {
                        _ = connection(client, target, mood) => {}
                        () = follow(state, socket, own) => {}
                    }
                });
            }
        }
    }
}

/// Keeps the mood of one connection as the link's is.
async fn follow(mut state: watch::Receiver<State>, socket: Option<u64>, own: watch::Sender<Mood>) {
    while state.changed().await.is_ok() {
        let state = *state.borrow_and_update();
        own.send_replace(state.of(socket));
    }
}

async fn connection(client: TcpStream, target: SocketAddr, mut mood: watch::Receiver<Mood>) -> io::Result<()> {
    if *mood.borrow() == Mood::Cut {
        return client.set_zero_linger();
    }
    // The kernel would finish the handshake here; nobody sees the difference before the first byte.
    let Ok(()) = reached(&mut mood).await else { return client.set_zero_linger() };
    let server = match TcpStream::connect(target).await {
        Ok(server) => server,
        Err(error) => {
            client.set_zero_linger()?;
            return Err(error);
        }
    };
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let passing = async {
        let there = pump(from_client, to_server, mood.clone(), Way::There);
        let back = pump(from_server, to_client, mood.clone(), Way::Back);
        tokio::join!(there, back)
    };
    let mut watched = mood.clone();
    tokio::select! {
        (there, back) = passing => there.and(back),
        // The halves go with `passing`, which closes both sockets.
        cut = watched.wait_for(|mood| *mood == Mood::Cut) => cut.map(drop).map_err(io::Error::other),
    }
}

/// Returns once connections may be made; fails where they are cut meanwhile.
async fn reached(mood: &mut watch::Receiver<Mood>) -> Result<(), ()> {
    let mood = mood.wait_for(|mood| *mood == Mood::Cut || mood.passes(Way::There)).await.map_err(drop)?;
    if *mood == Mood::Cut { Err(()) } else { Ok(()) }
}

/// Passes bytes on until one side ends; the other is told.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mood: watch::Receiver<Mood>,
    way: Way,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let (most, _) = passing(&mut mood, way).await?;
        let read = from.read(&mut buffer[..most]).await?;
        // A mood that has come since holds for these bytes too.
        let (_, each) = passing(&mut mood, way).await?;
        sleep(each).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

/// Returns once bytes pass this way: how many at once, and how late.
async fn passing(mood: &mut watch::Receiver<Mood>, way: Way) -> io::Result<(usize, Duration)> {
    let mood = mood.wait_for(|mood| mood.passes(way)).await.map_err(io::Error::other)?;
    Ok(mood.piece())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    /// Answers each byte with the next one.
    async fn counter() -> (Link, JoinSet<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let link = Link::to(listener.local_addr().unwrap()).await.unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                while let Ok(byte) = stream.read_u8().await {
                    stream.write_u8(byte + 1).await.unwrap();
                }
            }
        });
        (link, serving)
    }

    #[tokio::test]
    async fn bytes_pass_and_wait_while_it_is_stalled_or_half_open() {
        let (link, _serving) = counter().await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        for (byte, mood) in [(1, Mood::Stalled), (3, Mood::HalfOpen)] {
            link.set(mood);
            stream.write_u8(byte).await.unwrap();
            timeout(SHORT, stream.read_u8()).await.unwrap_err();
            link.set(Mood::Open);
            assert_eq!(stream.read_u8().await.unwrap(), byte + 1);
        }
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_refuses_new_ones_until_it_is_over() {
        let (link, _serving) = counter().await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
        link.set(Mood::Cut);
        stream.read_u8().await.unwrap_err();
        let mut another = TcpStream::connect(link.address()).await.unwrap();
        another.read_u8().await.unwrap_err();
        link.set(Mood::Open);
        let mut third = TcpStream::connect(link.address()).await.unwrap();
        third.write_u8(7).await.unwrap();
        assert_eq!(third.read_u8().await.unwrap(), 8);
    }

    #[tokio::test]
    async fn a_mood_about_one_process_leaves_others_alone() {
        let (link, _serving) = counter().await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        link.set_for(u32::MAX, Mood::Stalled);
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
        link.set_for(std::process::id(), Mood::Stalled);
        stream.write_u8(3).await.unwrap();
        timeout(SHORT, stream.read_u8()).await.unwrap_err();
        link.set(Mood::Open);
        assert_eq!(stream.read_u8().await.unwrap(), 4);
    }

    #[tokio::test]
    async fn a_slow_one_takes_its_time_both_ways() {
        let (link, _serving) = counter().await;
        let mut stream = TcpStream::connect(link.address()).await.unwrap();
        link.set(Mood::Slow { bytes: 1, each: SHORT });
        let began = Instant::now();
        stream.write_u8(1).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 2);
        assert!(began.elapsed() >= 2 * SHORT, "{:?}", began.elapsed());
    }
}
