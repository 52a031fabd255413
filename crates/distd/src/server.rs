//! The server: bound to an address and a data folder, it accepts connections until it is told to
//! stop, and then lets those under way finish.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use dist_model::ErrorCode;
use dist_model::decide::Defaults;
use dist_service::{Caller, OpenMode, Principal, Service, Setup};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

use crate::config::{Config, Limits};
use crate::connection::{self, Connections};
use crate::router;
use crate::setup::SetupLink;
use crate::state::Site;

/// Descriptors that connections leave alone: listeners, the runtime, `SQLite`'s files for each
/// thread, staging files of resumable uploads.
const RESERVED_DESCRIPTORS: u64 = 128;
/// A download or upload under way holds a file beside its socket.
const DESCRIPTORS_A_CONNECTION: u64 = 2;
/// The soft limit is raised to the hard one, but no further than any machine needs.
const ENOUGH_DESCRIPTORS: u64 = 1 << 16;
/// How many connections wait in the kernel to be accepted.
const BACKLOG: u32 = 4096;
/// How many clients at once are told that they are not served now; more are just hung up on.
const TURNED_AWAY_AT_ONCE: usize = 64;
/// Connections to the separate metrics address.
const METRICS_CONNECTIONS: usize = 16;
/// How often usage counters reach the tables.
const FLUSH_INTERVAL: Duration = Duration::from_secs(3);

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store cannot be opened.
    #[error("{}", .0.refusal().message)]
    Store(#[source] dist_service::Error),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The sign-in provider cannot be asked over TLS from here.
    #[error("cannot ask the sign-in provider: {0}")]
    Provider(#[source] reqwest::Error),
    /// The port file cannot be written.
    #[error("cannot write the port file {}: {source}", path.display())]
    PortFile {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A server that listens; [`Server::serve`] makes it answer.
pub struct Server {
    site: Arc<Site>,
    main: Door,
    metrics: Option<Door>,
    setup_url: Option<String>,
}

/// An address, what is served there, and the connections to it.
struct Door {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
    connections: Arc<Connections>,
}

impl Server {
    /// Opens the store, which is made where there is none, and listens.
    ///
    /// # Errors
    /// Where the store cannot be opened or the address not be listened on.
    pub async fn bind(config: Config) -> Result<Self, StartError> {
        let (listener, address) = listen(config.listen)?;
        let metrics_listener = config.metrics_listen.map(listen).transpose()?;
        let setup = Setup {
            defaults: Defaults {
                visibility: config.default_visibility,
            },
            backup_dir: config.backup_dir.clone(),
            inspector: Arc::clone(&config.inspector),
            ..Setup::default()
        };
        let service = open(config.data.clone(), setup).await.map_err(StartError::Store)?;
        if let Some(path) = &config.port_file {
            write_port_file(path, address.port()).map_err(|source| StartError::PortFile {
                path: path.clone(),
                source,
            })?;
        }
        let connections = Arc::new(Connections::new(connection_cap(config.limits.connections)));
        let (setup, setup_secret) = if service.is_set_up().await.map_err(StartError::Store)? {
            (SetupLink::none(), None)
        } else {
            let (setup, secret) = SetupLink::new();
            (setup, Some(secret))
        };
        let site = Site::new(&config, address, service, setup, Arc::clone(&connections));
        let site = Arc::new(site.map_err(StartError::Provider)?);
        let metrics = metrics_listener.map(|(listener, address)| Door {
            listener,
            address,
            router: router::metrics_only(Arc::clone(&site)),
            connections: Arc::new(Connections::new(METRICS_CONNECTIONS)),
        });
        Ok(Self {
            main: Door {
                listener,
                address,
                router: router::router(Arc::clone(&site), metrics.is_none()),
                connections,
            },
            metrics,
            setup_url: setup_secret.map(|secret| site.links.setup(&secret)),
            site,
        })
    }

    /// The address that the server listens on, with the port that it got.
    pub fn local_addr(&self) -> SocketAddr {
        self.main.address
    }

    /// The address that `/metrics` is served on, where it is a separate one.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|door| door.address)
    }

    /// Where the first admin is made, until there is one: for whoever started the server, and nobody
    /// else.
    pub fn setup_url(&self) -> Option<&str> {
        self.setup_url.as_deref()
    }

    /// The use-cases behind this server, for whoever runs it in their own process.
    pub fn service(&self) -> &Service {
        &self.site.service
    }

    /// Serves until `shutdown` is ready, then serves nobody new, lets requests under way finish for
    /// the configured grace, and closes the store.
    ///
    /// # Errors
    /// Where what is counted in memory could not be written at the end.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), dist_service::Error> {
        let limits = &self.site.limits;
        let (stop, stopped) = watch::channel(false);
        let mut work = JoinSet::new();
        work.spawn(keep_house(
            Arc::clone(&self.site),
            limits.cleanup_interval,
            stopped.clone(),
        ));
        for door in [Some(self.main), self.metrics].into_iter().flatten() {
            work.spawn(door.serve(Arc::clone(limits), stopped.clone()));
        }
        shutdown.await;
        tracing::info!(grace_s = limits.shutdown_grace.as_secs(), "stopping");
        self.site.stop();
        let _ = stop.send(true);
        while work.join_next().await.is_some() {}
        self.site.uploads.close();
        let flushed = self.site.service.flush_all().await;
        let service = self.site.service.clone();
        // It waits for the writer's thread and checkpoints, so not on this one.
        if tokio::task::spawn_blocking(move || service.shutdown()).await.is_err() {
            tracing::error!("the store was not closed cleanly");
        }
        flushed
    }
}

impl Door {
    async fn serve(self, limits: Arc<Limits>, mut stop: watch::Receiver<bool>) {
        let mut clients = JoinSet::new();
        let turned_away = Arc::new(Semaphore::new(TURNED_AWAY_AT_ONCE));
        loop {
            tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => match self.connections.admit() {
                        Some(admission) => {
                            let (router, limits) = (self.router.clone(), Arc::clone(&limits));
                            clients.spawn(connection::serve(stream, peer, admission, router, limits, stop.clone()));
                        }
                        None => turn_away(stream, &turned_away, ErrorCode::ServerBusy),
                    },
                    Err(error) => pause_after(&error).await,
                },
                Some(ended) = clients.join_next() => {
                    if ended.is_err_and(|error| error.is_panic()) {
                        tracing::error!("a connection's task panicked");
                    }
                }
                _ = stop.changed() => break,
            }
        }
        // Who comes while requests under way finish is told so, and knows sooner than by silence.
        let deadline = Instant::now() + limits.shutdown_grace;
        loop {
            tokio::select! {
                biased;
                ended = timeout_at(deadline, clients.join_next()) => if !matches!(ended, Ok(Some(_))) { break },
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, _)) => turn_away(stream, &turned_away, ErrorCode::ServerStopping),
                    Err(error) => pause_after(&error).await,
                },
            }
        }
        drop(self.listener);
        if !clients.is_empty() {
            tracing::warn!(connections = clients.len(), "requests were cut at the end of the grace");
        }
        clients.shutdown().await;
    }
}

fn turn_away(stream: TcpStream, at_once: &Arc<Semaphore>, code: ErrorCode) {
    if let Ok(permit) = Arc::clone(at_once).try_acquire_owned() {
        tokio::spawn(async move {
            connection::turn_away(stream, code).await;
            drop(permit);
        });
    }
}

/// A client that left before it was accepted is no reason to wait; running out of descriptors or
/// memory is, since the next attempt would fail the same way.
async fn pause_after(error: &io::Error) {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    if !matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted) {
        tracing::warn!(%error, "cannot accept connections; trying again");
        sleep(Duration::from_millis(100)).await;
    }
}

/// What happens by itself: usage counters reach the tables, readers of the disk's state see it,
/// and what nothing refers to is cleaned up.
async fn keep_house(site: Arc<Site>, cleanup_interval: Duration, mut stop: watch::Receiver<bool>) {
    site.uploads.expire(site.service.now()).await;
    site.count_objects().await;
    let mut flush = tokio::time::interval(FLUSH_INTERVAL);
    flush.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cleanup = tokio::time::interval_at(Instant::now() + cleanup_interval, cleanup_interval);
    cleanup.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = flush.tick() => {
                if let Err(error) = site.service.flush().await {
                    tracing::warn!(error = crate::error::chain(&error), "usage counters wait for the disk");
                }
            }
            _ = cleanup.tick() => {
                site.clean_up().await;
                site.count_objects().await;
            }
            _ = stop.changed() => return,
        }
    }
}

/// Opening may import a store, or bring one of an older version forward, which takes a while and blocks.
async fn open(data: PathBuf, setup: Setup) -> Result<Service, dist_service::Error> {
    let open = move || match Service::open(&data, OpenMode::Create, setup.clone()) {
        Err(error) if error.refusal().code == ErrorCode::StoreProjections => {
            Service::upgrade(&Caller::new(Principal::System), &data, &setup)?;
            Service::open(&data, OpenMode::Existing, setup)
        }
        opened => opened,
    };
    tokio::task::spawn_blocking(open)
        .await
        .unwrap_or_else(|died| Err(dist_service::Error::Broken(died.to_string())))
}

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A restarted server takes its port over from connections that are still closing.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    listen().map_err(|source| StartError::Listen { address, source })
}

/// Whoever waits for the file must not read half a number, so it appears whole.
fn write_port_file(path: &Path, port: u16) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, format!("{port}\n"))?;
    std::fs::rename(&beside, path)
}

/// How many connections the descriptors allow, and no more than `wanted`. Raises the soft limit.
fn connection_cap(wanted: Option<usize>) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(ENOUGH_DESCRIPTORS).min(ENOUGH_DESCRIPTORS);
    if limit.current.is_some_and(|current| current < most) {
        let before = limit.current;
        limit.current = Some(most);
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit.current = before;
        }
    }
    let descriptors = limit.current.unwrap_or(ENOUGH_DESCRIPTORS).min(ENOUGH_DESCRIPTORS);
    let possible = descriptors.saturating_sub(RESERVED_DESCRIPTORS) / DESCRIPTORS_A_CONNECTION;
    let possible = usize::try_from(possible).unwrap_or(usize::MAX).max(1);
    match wanted {
        Some(wanted) if wanted > possible => {
            tracing::warn!(
                wanted,
                possible,
                "fewer connections than asked for: raise the descriptor limit"
            );
            possible
        }
        Some(wanted) => wanted.max(1),
        None => possible,
    }
}
