//! Backup and restore: the database as one snapshot, then every object that it refers to.
//!
//! The database is copied first. Objects are immutable and a hold keeps cleanups from removing any
//! until the copy is done, so whatever the snapshot refers to is still there when its turn comes.
//! A backup is a store: opening it needs nothing but a copy. `restore` makes that copy, checks
//! every object on the way, and gives the new store another epoch.

use std::fs;
use std::path::{Path, PathBuf};

use dist_blobs::{FsStore, sync_folder};
use dist_model::decide::Decided;
use dist_model::{BackupReport, Digest, ErrorCode, Event, Refusal, Scope, events};
use persist::{Backend as _, SqlRead, SqlReadExt as _};
use serde_json::Value;

use crate::idempotency::Receipted;
use crate::service::{blocking, off_runtime};
use crate::{Caller, Error, Idempotency, Principal, Service, Setup, rows};

impl Service {
    /// Takes a backup while the store is in use: into `destination`, which must not exist or be
    /// empty, or into a new folder named by the time below the configured one.
    pub async fn backup(
        &self,
        caller: &Caller,
        destination: Option<&Path>,
        idempotency: Option<Idempotency>,
    ) -> Result<BackupReport, Error> {
        caller.require(Scope::Admin, None, None, self.now())?;
        if let Some(idempotency) = &idempotency
            && let Some(report) = self.read(|tx| idempotency.recall::<BackupReport>(tx, caller))?
        {
            return Ok(report);
        }
        let folder = destination.map_or_else(|| self.next_backup(), Path::to_owned);
        let (service, to) = (self.clone(), folder);
        let report = blocking(move || service.copy_to(&to)).await?;
        let event = Event::StoreBackedUp(events::StoreBackedUp {
            destination: report.path.clone(),
            position: report.position,
            objects: report.objects,
            bytes: report.bytes,
        });
        self.write_once(caller, idempotency, move |_, _| {
            Ok(Decided {
                events: vec![event],
                value: report,
            })
        })
        .await
    }

    fn next_backup(&self) -> PathBuf {
        let parent = self
            .setup()
            .backup_dir
            .clone()
            .unwrap_or_else(|| self.data().join("backups"));
        // Colons do not go well with every file system that a backup may be moved to.
        parent.join(self.now().to_string().replace(':', "-"))
    }

    fn copy_to(&self, folder: &Path) -> Result<BackupReport, Error> {
        make_empty_folder(folder)?;
        let hold = self.objects().hold_off_removal()?;
        let position = self.log().backup_to(&folder.join("dist.db"))?;
        let setup = Setup {
            clock: self.setup().clock.clone(),
            ..Setup::default()
        };
        let snapshot = Self::open_log(&folder.join("dist.db"), persist::OpenMode::MustExist, &setup)?;
        let digests = snapshot.read(referred_objects);
        snapshot.shutdown();
        let objects_folder = folder.join("objects");
        fs::create_dir_all(&objects_folder)
            .map_err(|error| Error::file(format!("making {}", objects_folder.display()), error))?;
        let mut report = BackupReport {
            path: folder.display().to_string(),
            position: position.get(),
            objects: 0,
            bytes: 0,
        };
        for digest in digests? {
            report.bytes += self.objects().copy_into(&digest, &objects_folder)?;
            report.objects += 1;
        }
        sync_folder(&objects_folder)?;
        sync_folder(folder)?;
        drop(hold);
        Ok(report)
    }

    /// Makes a store in `data`, which must hold none, from a backup: each object is hashed while it
    /// is copied, and the database comes last, so that a restore that was cut leaves no store.
    pub fn restore(backup: &Path, data: &Path, setup: Setup) -> Result<BackupReport, Error> {
        let database = backup.join("dist.db");
        if !database.is_file() {
            return Err(Refusal::new(
                ErrorCode::BackupInvalid,
                format!("{} holds no backup: dist.db is not there", backup.display()),
            )
            .into());
        }
        if data.join("dist.db").exists() || data.join("db.json").exists() {
            return Err(Refusal::new(
                ErrorCode::StoreNotEmpty,
                format!("{} holds a store already; restore into an empty folder", data.display()),
            )
            .into());
        }
        fs::create_dir_all(data).map_err(|error| Error::file(format!("making {}", data.display()), error))?;
        let objects = FsStore::open(data).map_err(Error::OpenFolder)?;
        let copy = objects_of(backup, &database, &setup)?;
        let mut report = BackupReport {
            path: data.display().to_string(),
            position: copy.position,
            objects: 0,
            bytes: 0,
        };
        for digest in copy.digests {
            report.bytes += bring_back(&objects, backup, digest)?;
            report.objects += 1;
        }
        let staged = data.join("dist.db.restoring");
        copy_file(&copy.database, &staged)?;
        fs::rename(&staged, data.join("dist.db"))
            .map_err(|error| Error::file("putting dist.db in its place", error))?;
        sync_folder(data)?;
        let service = Self::open(data, crate::OpenMode::Existing, setup)?;
        let event = Event::StoreRestored(events::StoreRestored {
            position: report.position,
        });
        let commit = crate::service::commit(&[event], &service.scene(Caller::new(Principal::System)))?;
        off_runtime(|| {
            service.log().advance_epoch()?;
            service
                .log()
                .submit_blocking(move |_| Ok::<_, Error>(persist::Decision { commit, value: () }))?;
            Ok(())
        })?;
        service.shutdown();
        Ok(report)
    }
}

/// What a backup's database says, read from a copy: a backup may lie on a disk that cannot be
/// written, and is not to be changed by looking at it.
struct Copied {
    database: PathBuf,
    position: u64,
    digests: Vec<Digest>,
    _folder: TemporaryFolder,
}

fn objects_of(backup: &Path, database: &Path, setup: &Setup) -> Result<Copied, Error> {
    let folder = TemporaryFolder::new(setup)?;
    let copy = folder.0.join("dist.db");
    copy_file(database, &copy)?;
    // A backup of a copied data folder may still have its log beside it.
    let wal = backup.join("dist.db-wal");
    if wal.exists() {
        copy_file(&wal, &folder.0.join("dist.db-wal"))?;
    }
    let plain = Setup {
        clock: setup.clock.clone(),
        ..Setup::default()
    };
    let log = Service::open_log(&copy, persist::OpenMode::MustExist, &plain)?;
    let digests = log.read(referred_objects)?;
    let position = log.head()?.get();
    log.shutdown();
    Ok(Copied {
        database: copy,
        position,
        digests,
        _folder: folder,
    })
}

/// A folder that goes with its owner.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new(setup: &Setup) -> Result<Self, Error> {
        let mut random = [0; 8];
        setup
            .entropy
            .fill(&mut random)
            .map_err(|error| Error::file("reading randomness", error))?;
        let path = std::env::temp_dir().join(format!("dist-restore-{}", hex::encode(random)));
        fs::create_dir(&path).map_err(|error| Error::file(format!("making {}", path.display()), error))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Every object that a release which was not cleaned up is made of, or that shows what it looks like.
fn referred_objects(tx: &dyn SqlRead) -> Result<Vec<Digest>, Error> {
    let sql = "SELECT a.sha256 FROM artifacts a JOIN releases r ON r.id = a.release_id WHERE r.status <> 'deleted' \
         UNION SELECT a.icon_sha256 FROM artifacts a JOIN releases r ON r.id = a.release_id \
         WHERE r.status <> 'deleted' AND a.icon_sha256 IS NOT NULL ORDER BY 1";
    Ok(tx.query_all(sql, &[], |row| rows::parsed(row, 0))?)
}

fn bring_back(objects: &FsStore, backup: &Path, digest: Digest) -> Result<u64, Error> {
    let path = backup.join("objects").join(digest.to_string());
    let mut file = match fs::File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Refusal::new(
                ErrorCode::BackupInvalid,
                format!("the backup lacks the object {digest}"),
            )
            .with("sha256", digest.to_string())
            .into());
        }
        Err(error) => return Err(Error::file(format!("opening {}", path.display()), error)),
    };
    match objects.import(&mut file, u64::MAX, Some(digest)) {
        Ok(stored) => Ok(stored.size),
        Err(error) if error.code() == ErrorCode::DigestMismatch => Err(Refusal::new(
            ErrorCode::BackupInvalid,
            format!("the backup's object {digest} is damaged: its bytes have another digest"),
        )
        .with("sha256", digest.to_string())
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn make_empty_folder(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|error| Error::file(format!("making {}", folder.display()), error))?;
    let mut entries =
        fs::read_dir(folder).map_err(|error| Error::file(format!("reading {}", folder.display()), error))?;
    if entries.next().is_some() {
        return Err(Refusal::new(
            ErrorCode::StoreNotEmpty,
            format!("{} is not empty: back up into a new folder", folder.display()),
        )
        .into());
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), Error> {
    let failed = |error| Error::file(format!("copying {} to {}", from.display(), to.display()), error);
    fs::copy(from, to).map_err(failed)?;
    fs::File::open(to).and_then(|file| file.sync_all()).map_err(failed)
}

impl Receipted for BackupReport {
    fn receipt(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn recall(_: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        serde_json::from_value(receipt.clone())
            .map_err(|error| Error::Broken(format!("a receipt cannot be read: {error}")))
    }
}
