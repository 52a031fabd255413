//! Backup and restore: the database as one snapshot, then every object that it refers to.
//!
//! The database is copied first. Objects are immutable and a hold keeps cleanups from removing any
//! until the copy is done, so whatever the snapshot refers to is still there when its turn comes.
//! A backup is a store: opening it needs nothing but a copy. `restore` makes that copy, checks
//! every object on the way, and gives the new store another epoch.
//!
//! Beside an earlier backup a new one costs only what is new: objects that the earlier one has get a
//! second name (a hard link), so that either can be removed without the other.

use std::fs;
use std::path::{Path, PathBuf};

use dist_blobs::{FsStore, sync_folder};
use dist_model::decide::Decided;
use dist_model::{BackupReport, Digest, ErrorCode, Event, Refusal, Scope, events};
use persist::{Backend as _, SqlRead, SqlReadExt as _, SqlStore};
use serde_json::Value;

use super::upgrade::Step;
use crate::idempotency::Receipted;
use crate::service::{blocking, off_runtime};
use crate::{Caller, Error, Idempotency, Principal, Service, Setup, rows};

/// The report of a backup, in its folder.
const LABEL: &str = "backup.json";

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
        // It gets its name when everything else is there: what has a dist.db is whole.
        let part = folder.join("dist.db.part");
        let position = self.log().backup_to(&part)?;
        let setup = Setup {
            clock: self.setup().clock.clone(),
            ..Setup::default()
        };
        let snapshot = Self::open_log(&part, persist::OpenMode::MustExist, &setup)?;
        let digests = snapshot.read(referred_objects);
        close(snapshot, &part)?;
        let objects_folder = folder.join("objects");
        fs::create_dir_all(&objects_folder)
            .map_err(|error| Error::file(format!("making {}", objects_folder.display()), error))?;
        let mut report = BackupReport {
            path: folder.display().to_string(),
            position: position.get(),
            objects: 0,
            bytes: 0,
            copied_bytes: 0,
        };
        let earlier = earlier_backup(folder).map(|backup| backup.join("objects"));
        for digest in digests? {
            let shared = earlier
                .as_ref()
                .map_or(Ok(None), |earlier| self.share_object(&digest, earlier, &objects_folder))?;
            if let Some(size) = shared {
                report.bytes += size;
            } else {
                let size = self.objects().copy_into(&digest, &objects_folder)?;
                report.bytes += size;
                report.copied_bytes += size;
            }
            report.objects += 1;
        }
        sync_folder(&objects_folder)?;
        write_label(folder, &report)?;
        rename(&part, &folder.join("dist.db"))?;
        sync_folder(folder)?;
        drop(hold);
        Ok(report)
    }

    /// Gives an object of an earlier backup a second name in the new one, where that can be; its size.
    fn share_object(&self, digest: &Digest, earlier: &Path, objects: &Path) -> Result<Option<u64>, Error> {
        let name = digest.to_string();
        let shared = earlier.join(&name);
        let size = fs::metadata(&shared).ok().map(|file| file.len());
        if size.is_none() || size != self.objects().stat(digest)? {
            return Ok(None);
        }
        // A file system that knows no second names gets a copy.
        Ok(fs::hard_link(&shared, objects.join(name)).ok().and(size))
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
        let staged = data.join("dist.db.restoring");
        let (position, digests) = bring_database(backup, &staged, &setup)?;
        let mut report = BackupReport {
            path: data.display().to_string(),
            position,
            objects: 0,
            bytes: 0,
            copied_bytes: 0,
        };
        for digest in digests {
            report.bytes += bring_back(&objects, backup, digest)?;
            report.objects += 1;
        }
        report.copied_bytes = report.bytes;
        rename(&staged, &data.join("dist.db"))?;
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

/// Copies a backup's database, since the backup is not to be changed and may lie on a disk that cannot
/// be written, and brings the copy forward where it is of an older version. Gives its position and what
/// it refers to.
fn bring_database(backup: &Path, staged: &Path, setup: &Setup) -> Result<(u64, Vec<Digest>), Error> {
    // A backup of a copied data folder may still have its log beside it.
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (backup.join(format!("dist.db{suffix}")), beside(staged, suffix));
        if to.exists() {
            // A restore that was cut has left it.
            fs::remove_file(&to).map_err(|error| Error::file(format!("removing {}", to.display()), error))?;
        }
        if suffix != "-shm" && from.exists() {
            copy_file(&from, &to)?;
        }
    }
    let log = match Service::open_log(staged, persist::OpenMode::MustExist, setup) {
        Ok(log) => log,
        Err(error) => Step::forward(error)?.take(staged, &Caller::new(Principal::System), setup, backup, None)?,
    };
    let found = (log.head()?.get(), log.read(referred_objects)?);
    close(log, staged)?;
    Ok(found)
}

/// Closes a database that is to be renamed: all of it must be in the one file, durably.
fn close(log: SqlStore, path: &Path) -> Result<(), Error> {
    log.shutdown();
    drop(log);
    if beside(path, "-wal").exists() {
        return Err(Error::Broken(format!(
            "the log of {} was not written back",
            path.display()
        )));
    }
    let file = fs::File::open(path).and_then(|file| file.sync_all());
    file.map_err(|error| Error::file(format!("syncing {}", path.display()), error))
}

/// What `SQLite` keeps beside a database.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|error| Error::file(format!("renaming {}", from.display()), error))
}

/// Says what a folder is: a backup, and no store in use.
fn write_label(folder: &Path, report: &BackupReport) -> Result<(), Error> {
    let path = folder.join(LABEL);
    let text = serde_json::to_string_pretty(report).unwrap_or_default();
    let written = fs::write(&path, text + "\n").and_then(|()| fs::File::open(&path)?.sync_all());
    written.map_err(|error| Error::file(format!("writing {}", path.display()), error))
}

/// The newest backup beside `folder` that is whole. A store is none, whatever it holds: a backup must
/// not share files with what it is a backup of.
fn earlier_backup(folder: &Path) -> Option<PathBuf> {
    let siblings = fs::read_dir(folder.parent()?).ok()?.flatten();
    let backups = siblings.map(|entry| entry.path()).filter_map(|path| {
        let made = fs::metadata(path.join(LABEL)).ok()?.modified().ok()?;
        path.join("dist.db").exists().then_some((made, path))
    });
    backups.max().map(|(_, path)| path)
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
