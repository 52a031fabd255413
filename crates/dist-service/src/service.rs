//! The handle, and how every write goes.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dist_blobs::FsStore;
use dist_inspect::{InProcess, Inspector};
use dist_model::decide::{Context, Decided, Defaults};
use dist_model::{Digest, ErrorCode, Event, Refusal, Timestamp, new_id};
use persist::{
    Append, Clock, Commit, Decision, ExpectedRevision, NewEvent, Options, Outcome, SqlRead, SqlStore, SqlTx,
    StreamName, SystemClock,
};
use serde_json::{Value, json};

use crate::access::Person;
use crate::idempotency::Receipted;
use crate::people::{self, People};
use crate::projection::{Audit, Entities};
use crate::throttle::Throttle;
use crate::usage::Usage;
use crate::{Caller, Entropy, Error, Idempotency, OsEntropy, Principal, import, rows, schema};

/// "dist" in the header of the database file, so that `file` and other programs know it.
const APPLICATION_ID: i32 = 0x6469_7374;

/// What a service is made with.
#[derive(Clone)]
pub struct Setup {
    /// Where it takes the time from.
    pub clock: Arc<dyn Clock>,
    /// Where it takes randomness from.
    pub entropy: Arc<dyn Entropy>,
    /// Who looks into files.
    pub inspector: Arc<dyn Inspector>,
    /// What a new app gets where nobody says.
    pub defaults: Defaults,
    /// Where backups go when nobody says; `DATA/backups` where absent.
    pub backup_dir: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            inspector: Arc::new(InProcess),
            defaults: Defaults::default(),
            backup_dir: None,
        }
    }
}

/// What to do where the folder holds no store. One of an older version is refused either way, with
/// `store.projection_mismatch`: see [`Service::upgrade`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make one.
    Create,
    /// Refuse with `store.not_found`.
    Existing,
}

/// A store and what can be done with it: a cheap handle.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    log: SqlStore,
    objects: FsStore,
    data: PathBuf,
    setup: Setup,
    usage: Usage,
    throttle: Throttle,
    cleaned: Mutex<Cleaned>,
}

/// What cleanups of this process came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// The bytes that they freed.
    pub bytes: u64,
    /// When the last one succeeded, whether or not there was anything to remove.
    pub at: Option<Timestamp>,
}

/// What a decision may use inside the write transaction, beside the tables.
pub(crate) struct Scene {
    /// Who decides, and when.
    pub context: Context,
    /// The caller.
    pub caller: Caller,
    /// The service, for its objects and defaults.
    pub service: Service,
}

impl Scene {
    /// Hands out ids. The entropy behind it was drawn before the transaction began to matter: a
    /// failure shows as an id that is refused.
    pub fn ids(&self) -> impl FnMut() -> String + use<> {
        let (service, now) = (self.service.clone(), self.context.now);
        move || {
            let mut random = [0; 10];
            match service.inner.setup.entropy.fill(&mut random) {
                Ok(()) => new_id(now, random),
                Err(_) => String::new(),
            }
        }
    }
}

impl Service {
    /// Opens the store in the folder `data`, or makes one. A folder that holds only a `db.json` of
    /// the older format is imported.
    pub fn open(data: &Path, mode: OpenMode, setup: Setup) -> Result<Self, Error> {
        let database = data.join("dist.db");
        let files = ["dist.db", "dist.db-wal", "dist.db-shm", "lock"].map(|name| data.join(name));
        for path in [data].into_iter().chain(files.iter().map(PathBuf::as_path)) {
            dist_blobs::check_access(data, path).map_err(Error::OpenFolder)?;
        }
        let old = import::read(data)?;
        // A loss of power can leave an empty file of what was a database.
        let is_absent = std::fs::metadata(&database).map_or(true, |file| file.len() == 0);
        if old.is_none() && is_absent {
            refuse_left_behind(data)?;
        }
        if mode != OpenMode::Create && old.is_none() && !database.exists() {
            let message = format!(
                "there is no store in {}: make one with `dist app create` or `distd`",
                data.display()
            );
            return Err(Refusal::new(ErrorCode::StoreNotFound, message).into());
        }
        std::fs::create_dir_all(data).map_err(|error| Error::file(format!("making {}", data.display()), error))?;
        let open_objects = || FsStore::open(data).map_err(Error::OpenFolder);
        let open_log = || Self::open_log(&database, persist::OpenMode::CreateIfMissing, &setup);
        // A database that is there is looked at before anything is made beside it; a new one is made
        // only where objects can be.
        let (log, objects) = if database.exists() {
            (open_log()?, open_objects()?)
        } else {
            let objects = open_objects()?;
            (open_log()?, objects)
        };
        let inner = Inner {
            log,
            objects,
            data: data.to_owned(),
            setup,
            usage: Usage::default(),
            throttle: Throttle::default(),
            cleaned: Mutex::default(),
        };
        let service = Self { inner: Arc::new(inner) };
        if let Some(old) = &old {
            import::run(&service, old)?;
        }
        Ok(service)
    }

    pub(crate) fn open_log(database: &Path, mode: persist::OpenMode, setup: &Setup) -> Result<SqlStore, Error> {
        SqlStore::open_with(database, mode, Self::log_options(database, setup)).map_err(Error::OpenDatabase)
    }

    pub(crate) fn log_options(database: &Path, setup: &Setup) -> Options {
        Options {
            projections: vec![Arc::new(Entities), Arc::new(People), Arc::new(Audit)],
            side_tables: schema::SIDE_TABLES,
            clock: setup.clock.clone(),
            application_id: APPLICATION_ID,
            lock_path: database.parent().map(|data| data.join("lock")),
            ..Options::default()
        }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.inner.setup.clock.now_ms())
    }

    /// The objects.
    pub fn objects(&self) -> &FsStore {
        &self.inner.objects
    }

    /// What the sequencer is doing.
    pub fn stats(&self) -> persist::Stats {
        self.inner.log.stats()
    }

    /// Drains the writer and closes the log. Later writes are refused with `server.stopping`.
    pub fn shutdown(&self) {
        self.inner.log.shutdown();
    }

    /// Refuses unless the store can be read and written: a real commit, and a staging file that is
    /// synced.
    pub async fn check_ready(&self) -> Result<(), Error> {
        let service = self.clone();
        blocking(move || {
            let objects = service.objects();
            if !objects.is_in_place(service.data()) {
                return Err(Refusal::new(ErrorCode::StoreGone, ErrorCode::StoreGone.help()).into());
            }
            let mut staging = objects.begin(64)?;
            staging.write(&["ready?"])?;
            staging.sync()?;
            Ok(())
        })
        .await?;
        let now = self.now().to_string();
        self.submit(move |tx| {
            let sql = "INSERT INTO readiness (id, checked_at) VALUES (1, ?1) ON CONFLICT (id) DO UPDATE SET checked_at = excluded.checked_at";
            tx.execute(sql, persist::params![&now])?;
            Ok(Decision { commit: Commit::default(), value: () })
        })
        .await
    }

    pub(crate) fn data(&self) -> &Path {
        &self.inner.data
    }

    pub(crate) fn log(&self) -> &SqlStore {
        &self.inner.log
    }

    pub(crate) fn setup(&self) -> &Setup {
        &self.inner.setup
    }

    /// What cleanups of this process came to so far.
    pub(crate) fn cleaned(&self) -> MutexGuard<'_, Cleaned> {
        self.inner.cleaned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.inner.usage
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.inner.throttle
    }

    /// Reads in one transaction, on this thread.
    pub(crate) fn read<T>(&self, f: impl FnOnce(&dyn SqlRead) -> Result<T, Error>) -> Result<T, Error> {
        #[cfg(test)]
        return self.inner.log.read(|tx| f(&crate::plans::Remembering(tx)));
        #[cfg(not(test))]
        self.inner.log.read(f)
    }

    /// Runs a command that nothing can stand against but the store itself.
    pub(crate) async fn submit<T: Send + 'static>(
        &self,
        command: impl FnOnce(&mut dyn SqlTx) -> Result<Decision<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        match self.inner.log.submit(command).await? {
            Outcome::Committed { value, .. } => Ok(value),
            // Receipts and revisions are looked at inside the same transaction, before.
            Outcome::Duplicate(_) | Outcome::Conflict(_) => Err(Error::Broken(
                "a commit met what its own transaction did not see".to_owned(),
            )),
        }
    }

    /// A write without an idempotency key.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        caller: &Caller,
        decide: impl FnOnce(&mut dyn SqlTx, &Scene) -> Result<Decided<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (service, caller) = (self.clone(), caller.clone());
        self.submit(move |tx| {
            let scene = service.scene(current(&*tx, caller)?);
            let decided = decide(tx, &scene)?;
            Ok(Decision {
                commit: commit(&decided.events, &scene)?,
                value: decided.value,
            })
        })
        .await
    }

    /// A write that acts once for an idempotency key: the receipt is looked for before anything is
    /// decided, and committed with what is.
    pub(crate) async fn write_once<T: Receipted + Send + 'static>(
        &self,
        caller: &Caller,
        idempotency: Option<Idempotency>,
        decide: impl FnOnce(&mut dyn SqlTx, &Scene) -> Result<Decided<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (service, caller) = (self.clone(), caller.clone());
        self.submit(move |tx| {
            if let Some(idempotency) = &idempotency
                && let Some(value) = idempotency.recall(&*tx, &caller)?
            {
                return Ok(Decision {
                    commit: Commit::default(),
                    value,
                });
            }
            let scene = service.scene(current(&*tx, caller)?);
            let decided = decide(tx, &scene)?;
            let mut commit = commit(&decided.events, &scene)?;
            commit.receipt = idempotency.map(|idempotency| idempotency.receipt(&scene.caller, decided.value.receipt()));
            Ok(Decision {
                commit,
                value: decided.value,
            })
        })
        .await
    }

    pub(crate) fn scene(&self, caller: Caller) -> Scene {
        Scene {
            context: Context {
                actor: caller.actor(),
                now: self.now(),
            },
            caller,
            service: self.clone(),
        }
    }
}

/// Refuses a folder whose database was lost: in a new one nothing would refer to the objects, and the
/// next cleanups would remove them all.
fn refuse_left_behind(data: &Path) -> Result<(), Error> {
    let is_object = |name: &std::ffi::OsStr| name.to_str().is_some_and(|name| name.parse::<Digest>().is_ok());
    let mut objects = std::fs::read_dir(data.join("objects")).into_iter().flatten().flatten();
    let log = std::fs::metadata(data.join("dist.db-wal")).is_ok_and(|log| log.len() > 0);
    if !log && !objects.any(|entry| is_object(&entry.file_name())) {
        return Ok(());
    }
    let message = format!(
        "{0} holds what belongs to a store, and its database, dist.db, is not there or empty: put it back, or restore a backup \
         into another folder with `dist store restore`; for a new store choose another folder",
        data.display()
    );
    Err(Refusal::new(ErrorCode::StoreNotFound, message).into())
}

/// The caller with their token or role as it is now: it may have been taken since the request began.
pub(crate) fn current(tx: &dyn SqlRead, mut caller: Caller) -> Result<Caller, Error> {
    match &caller.principal {
        Principal::Token(token) => {
            let token = rows::token(tx, &token.id)?.ok_or_else(|| people::no_such(ErrorCode::AuthUnknownToken))?;
            caller.principal = Principal::Token(Arc::new(token));
        }
        Principal::Person(person) => {
            let ended = || people::no_such(ErrorCode::AuthSessionEnded);
            let mut session = people::session(tx, &person.session.id)?.ok_or_else(ended)?;
            // When it was last seen is known better to the request than to the table.
            session.last_seen_at = person.session.last_seen_at.max(session.last_seen_at);
            let user = people::user(tx, &person.user.id)?.ok_or_else(ended)?;
            caller.principal = Principal::Person(Arc::new(Person { user, session }));
        }
        _ => {}
    }
    Ok(caller)
}

/// The events of a decision as a commit.
pub(crate) fn commit(events: &[Event], scene: &Scene) -> Result<Commit, Error> {
    let mut meta = json!({ "actor": scene.context.actor.to_string() });
    match &scene.caller.principal {
        Principal::Token(token) => meta["token_id"] = token.id.as_str().into(),
        Principal::Person(person) => meta["session_id"] = person.session.id.as_str().into(),
        _ => {}
    }
    if let Some(id) = &scene.caller.request_id {
        meta["request_id"] = (**id).into();
    }
    let mut commit = Commit::default();
    for event in events {
        append(&mut commit, event, scene.context.now, meta.clone())?;
    }
    Ok(commit)
}

/// Adds an event to a commit. What it was done to goes into the envelope, so that a reader of the
/// log need not know every event's data.
pub(crate) fn append(commit: &mut Commit, event: &Event, at: Timestamp, mut meta: Value) -> Result<(), Error> {
    let target = event.target();
    let stream = StreamName::new(event.stream()).map_err(|error| Error::Broken(error.to_string()))?;
    meta["target"] = json!({ "type": target.kind, "id": target.id, "app_id": target.app_id });
    let data = event.to_data().map_err(|error| Error::Broken(error.to_string()))?;
    let new = NewEvent {
        meta,
        ..NewEvent::new(event.action(), at.as_millis(), data)
    };
    match commit.appends.last_mut() {
        Some(last) if last.stream == stream => last.events.push(new),
        _ => commit
            .appends
            .push(Append::new(stream, ExpectedRevision::Any, vec![new])),
    }
    Ok(())
}

/// Runs what blocks on a thread that may.
pub(crate) async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    // What is logged there belongs to the same request.
    let span = tracing::Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(f))
        .await
        .map_err(|error| Error::Broken(error.to_string()))?
}

/// Runs, on a thread of its own, what must not block a thread that drives a runtime: a store is
/// opened and restored from plain functions, which are called from either.
pub(crate) fn off_runtime<T: Send>(f: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
    let joined = std::thread::scope(|scope| scope.spawn(f).join());
    joined.unwrap_or_else(|_| Err(Error::Broken("a thread panicked".to_owned())))
}
