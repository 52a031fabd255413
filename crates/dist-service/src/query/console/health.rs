//! How the system does.

use dist_inspect::Workers;
use dist_model::Scope;
use persist::{Backend as _, StoreIdentity};

use crate::maintenance::cleanup::is_referenced;
use crate::query::audit::{AuditLine, Names, last_of_action};
use crate::service::{Cleaned, blocking};
use crate::{Caller, Error, Service};

/// How the system does, but for what only the disk tells slowly: see [`Service::objects_on_disk`].
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// The version of this program.
    pub version: &'static str,
    /// Which store it is, how often it was restored, and the version of its schema.
    pub store: StoreIdentity,
    /// The position of the log's last event.
    pub head: u64,
    /// The size of the database, without its write-ahead log.
    pub database_bytes: u64,
    /// What the sequencer has done since the start, and the size of the write-ahead log.
    pub sequencer: persist::Stats,
    /// The free bytes of the file system that the objects are on.
    pub free_bytes: u64,
    /// The processes that inspect files; `None` where this one does it itself.
    pub inspectors: Option<Workers>,
    /// The last backup that was taken.
    pub last_backup: Option<AuditLine>,
    /// The last cleanup that removed anything.
    pub last_cleanup: Option<AuditLine>,
    /// What cleanups of this process came to.
    pub cleaned: Cleaned,
}

/// The files under `objects/`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObjectsOnDisk {
    /// How many.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them nothing refers to: uploads that no release is made of yet, and what the
    /// next cleanups remove.
    pub unreferenced_objects: u64,
    /// The bytes of those.
    pub unreferenced_bytes: u64,
}

impl Service {
    /// How the system does, for admins.
    pub async fn health(&self, caller: &Caller) -> Result<Health, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let (last_backup, last_cleanup) = self.read(|tx| {
            let mut names = Names::default();
            let backup = last_of_action(tx, &mut names, "store.backed_up")?;
            Ok::<_, Error>((backup, last_of_action(tx, &mut names, "store.cleaned")?))
        })?;
        let database = self.data().join("dist.db");
        let size = std::fs::metadata(&database);
        Ok(Health {
            version: env!("CARGO_PKG_VERSION"),
            store: self.log().identity()?,
            head: self.log().head()?.get(),
            database_bytes: size
                .map_err(|error| Error::file(format!("looking at {}", database.display()), error))?
                .len(),
            sequencer: self.stats(),
            free_bytes: self.objects().free_bytes()?,
            inspectors: self.setup().inspector.workers(),
            last_backup,
            last_cleanup,
            cleaned: *self.cleaned(),
        })
    }

    /// Counts the files under `objects/`, each looked up, for admins: milliseconds a thousand.
    pub async fn objects_on_disk(&self, caller: &Caller) -> Result<ObjectsOnDisk, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        let service = self.clone();
        blocking(move || {
            let mut found = ObjectsOnDisk::default();
            for entry in service.objects().list()? {
                let (digest, size) = entry?;
                found.objects += 1;
                found.bytes += size;
                if !service.read(|tx| is_referenced(tx, &digest, &std::collections::BTreeSet::new()))? {
                    found.unreferenced_objects += 1;
                    found.unreferenced_bytes += size;
                }
            }
            Ok(found)
        })
        .await
    }
}
