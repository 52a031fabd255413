//! Backup and restore: the database as one snapshot, then every object that it refers to.
//!
//! The database is copied first. Objects are immutable and a hold keeps cleanups from removing any
//! until the copy is done, so whatever the snapshot refers to is still there when its turn comes.
//! A backup is a store: opening it needs nothing but a copy. `restore` makes that copy, checks
//! every object on the way, and gives the new store another epoch.
//!
//! Beside an earlier backup a new one costs only what is new: objects that the earlier one has get a
//! second name (a hard link), so that either can be removed without the other.
//!
//! An object that the store itself has lost or damaged ends neither: the backup says that it lacks it,
//! and the restore of such a backup says so again. Whatever else a backup lacks is refused.

use std::fs;
use std::path::{Path, PathBuf};

use dist_blobs::{BlobError, FsStore, Verdict, sync_folder};
use dist_model::decide::Decided;
use dist_model::{Actor, BackupReport, Digest, ErrorCode, Event, Refusal, Scope, Timestamp, events};
use persist::{Backend as _, Commit, Decision, SqlRead, SqlReadExt as _, SqlStore};
use serde_json::{Value, json};

use super::upgrade::Step;
use crate::idempotency::Receipted;
use crate::service::{append, blocking, off_runtime};
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
        let copied = self.fill(folder);
        if copied.is_err() {
            empty(folder);
        }
        copied
    }

    fn fill(&self, folder: &Path) -> Result<BackupReport, Error> {
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
            ..BackupReport::default()
        };
        let earlier = earlier_backup(folder).map(|backup| backup.join("objects"));
        for digest in digests? {
            let Some(copied) = self.copy_object(&digest, earlier.as_deref(), &objects_folder)? else {
                tracing::error!(%digest, "the backup lacks an object, which the store has lost or damaged");
                report.missing.push(digest);
                continue;
            };
            report.objects += 1;
            report.bytes += copied.size;
            report.copied_bytes += if copied.is_shared { 0 } else { copied.size };
        }
        sync_folder(&objects_folder)?;
        write_label(folder, &report)?;
        rename(&part, &folder.join("dist.db"))?;
        sync_folder(folder)?;
        sync_name_of(folder)?;
        drop(hold);
        Ok(report)
    }

    /// Copies an object, or gives that of the earlier backup a second name. `None` where neither has
    /// it whole. What is copied is hashed first, since a copy of damaged bytes could not be restored.
    fn copy_object(&self, digest: &Digest, earlier: Option<&Path>, objects: &Path) -> Result<Option<Copied>, Error> {
        let name = digest.to_string();
        let there = earlier.map(|earlier| earlier.join(&name));
        let there = there.and_then(|path| Some((fs::metadata(&path).ok()?.len(), path)));
        let share = || {
            let (size, path) = there.as_ref()?;
            // A file system that knows no second names gets a copy.
            fs::hard_link(path, objects.join(&name)).ok()?;
            Some(Copied {
                size: *size,
                is_shared: true,
            })
        };
        let size = self.objects().stat(digest)?;
        if there.as_ref().is_some_and(|(shared, _)| size == Some(*shared))
            && let Some(shared) = share()
        {
            return Ok(Some(shared));
        }
        if !matches!(self.objects().verify(digest), Ok(Verdict::Whole)) {
            return Ok(share());
        }
        let size = self.objects().copy_into(digest, objects)?;
        Ok(Some(Copied { size, is_shared: false }))
    }

    /// Makes a store in `data`, which must hold none, from a backup: each object is hashed while it
    /// is copied, and the database comes last, so that a restore that was cut leaves no store.
    ///
    /// # Errors
    /// `backup.invalid`, which names every object that is damaged, or absent though the store had it.
    pub fn restore(backup: &Path, data: &Path, setup: &Setup) -> Result<BackupReport, Error> {
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
        if fs::metadata(beside(&data.join("dist.db"), "-wal")).is_ok_and(|log| log.len() > 0) {
            // It would be taken for the log of the restored database, and ruin it.
            return Err(Refusal::new(
                ErrorCode::StoreNotEmpty,
                format!(
                    "{0} holds dist.db-wal, the end of a database that is not there any more: put that database back, \
                     or move {0}/dist.db-wal away and restore again",
                    data.display()
                ),
            )
            .into());
        }
        fs::create_dir_all(data).map_err(|error| Error::file(format!("making {}", data.display()), error))?;
        let objects = FsStore::open(data).map_err(Error::OpenFolder)?;
        let staged = data.join("dist.db.restoring");
        let (position, digests) = bring_database(backup, &staged, setup)?;
        let mut report = BackupReport {
            path: data.display().to_string(),
            position,
            ..BackupReport::default()
        };
        let lacking = lacking(backup);
        let mut broken = Vec::new();
        for digest in digests {
            match bring_back(&objects, backup, digest)? {
                Some(size) => {
                    report.bytes += size;
                    report.objects += 1;
                }
                None if lacking.contains(&digest) => report.missing.push(digest),
                None => broken.push(digest.to_string()),
            }
        }
        if !broken.is_empty() {
            return Err(not_whole(backup, &broken).into());
        }
        report.copied_bytes = report.bytes;
        rename(&staged, &data.join("dist.db"))?;
        sync_folder(data)?;
        sync_name_of(data)?;
        Ok(report)
    }
}

/// An object of a backup.
struct Copied {
    /// Its size in bytes.
    size: u64,
    /// Whether it is a second name of an earlier backup's.
    is_shared: bool,
}

/// The folder that `path` is in; that of a single name is the present one.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Makes the name of a folder durable, where the one that it is in may be opened.
fn sync_name_of(folder: &Path) -> Result<(), Error> {
    match sync_folder(parent_of(folder)) {
        Err(BlobError::Io { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        synced => Ok(synced?),
    }
}

/// Removes what a backup that failed has written, which would take up room for nothing.
fn empty(folder: &Path) {
    // What stays is no backup, having no dist.db.
    let _ = fs::remove_dir_all(folder.join("objects"));
    for name in ["dist.db.part", "dist.db.part-wal", "dist.db.part-shm", "lock", LABEL] {
        let _ = fs::remove_file(folder.join(name));
    }
}

/// The objects that the store had lost when the backup was taken, as its report says.
fn lacking(backup: &Path) -> Vec<Digest> {
    let label = fs::read(backup.join(LABEL)).unwrap_or_default();
    // A copied data folder has no report, and lacks nothing.
    let report: Option<BackupReport> = serde_json::from_slice(&label).ok();
    report.map_or_else(Vec::new, |report| report.missing)
}

fn not_whole(backup: &Path, broken: &[String]) -> Refusal {
    const NAMED: usize = 5;
    let named = broken[..broken.len().min(NAMED)].join(", ");
    let more = broken.len().saturating_sub(NAMED);
    let more = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    let backup = backup.display();
    let message = format!(
        "the backup lacks objects, or has them damaged: {named}{more}. Copy them into {backup}/objects from another backup \
         and restore again; where none has them, copy the folder {backup} itself, which is a store, and look at it with \
         `dist store verify`"
    );
    Refusal::new(ErrorCode::BackupInvalid, message).with("sha256", json!(broken))
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
    stamp(&log, found.0, setup)?;
    close(log, staged)?;
    Ok(found)
}

/// Begins a new epoch and records the restore, while the database has no name yet: at no moment does
/// a restored store pass for the one that it was.
fn stamp(log: &SqlStore, position: u64, setup: &Setup) -> Result<(), Error> {
    let event = Event::StoreRestored(events::StoreRestored { position });
    let now = Timestamp::from_millis(setup.clock.now_ms());
    let mut commit = Commit::default();
    append(&mut commit, &event, now, json!({ "actor": Actor::System.to_string() }))?;
    off_runtime(|| {
        log.advance_epoch()?;
        log.submit_blocking(move |_| Ok::<_, Error>(Decision { commit, value: () }))?;
        Ok(())
    })
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
    let siblings = fs::read_dir(parent_of(folder)).ok()?.flatten();
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

/// Copies an object of a backup into the store; its size, or `None` where it is not there or damaged.
fn bring_back(objects: &FsStore, backup: &Path, digest: Digest) -> Result<Option<u64>, Error> {
    let path = backup.join("objects").join(digest.to_string());
    let import = || match fs::File::open(&path) {
        Ok(mut file) => match objects.import(&mut file, u64::MAX, Some(digest)) {
            Err(error) if error.code() == ErrorCode::DigestMismatch => Ok(None),
            stored => Ok(Some(stored?)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(format!("opening {}", path.display()), error)),
    };
    let stored = import()?;
    if stored.is_some_and(|stored| stored.deduplicated) && objects.verify(&digest)? != Verdict::Whole {
        // What lay in the folder has the object's name and length, and other bytes.
        objects.remove(&digest)?;
        import()?;
    }
    Ok(stored.map(|stored| stored.size))
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
