//! What is particular to objects in a folder.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use dist_blobs::{BlobError, FsStore, OpenError, Staging, Stored, Swept, Verdict, sync_folder};
use dist_model::{ErrorCode, Timestamp};
use tempfile::TempDir;

fn open() -> (TempDir, FsStore) {
    let data = tempfile::tempdir().unwrap();
    let store = FsStore::open(data.path()).unwrap();
    (data, store)
}

fn staging(store: &FsStore, text: &str) -> Staging {
    let mut staging = store.begin(1 << 20).unwrap();
    staging.write(&[text]).unwrap();
    staging
}

fn put(store: &FsStore, text: &str) -> Stored {
    staging(store, text).finish(None).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn a_person_can_read_the_folder() {
    let (data, store) = open();
    let stored = put(&store, "hello");
    let path = data.path().join("objects").join(stored.digest.to_string());
    assert_eq!(fs::read_to_string(&path).unwrap(), "hello");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o444);
    let staging = fs::metadata(data.path().join("staging")).unwrap();
    assert_eq!(staging.permissions().mode() & 0o7777, 0o700);
}

#[test]
fn nothing_is_left_in_staging() {
    let (data, store) = open();
    let folder = data.path().join("staging");
    let dropped = staging(&store, "dropped");
    assert_eq!(names(&folder), [dropped.name().as_str()]);
    drop(dropped);
    put(&store, "stored");
    put(&store, "stored");
    let announced = put(&store, "announced").digest;
    staging(&store, "other").finish(Some(announced)).unwrap_err();
    assert!(names(&folder).is_empty());
}

#[test]
fn a_kept_upload_goes_on_after_a_restart() {
    let (data, store) = open();
    let name = staging(&store, "hello ").keep().unwrap();
    assert_eq!(store.staged_len(&name).unwrap(), Some(6));
    drop(store);

    let store = FsStore::open(data.path()).unwrap();
    let mut resumed = store.resume(&name, 11).unwrap();
    assert_eq!(resumed.len(), 6);
    assert!(matches!(store.resume(&name, 11), Err(BlobError::Locked(locked)) if locked == name));
    resumed.write(&["wor"]).unwrap();
    // A part that breaks off drops the staging; the bytes stay.
    drop(resumed);

    let mut resumed = store.resume(&name, 11).unwrap();
    assert_eq!(resumed.len(), 9);
    assert_eq!(resumed.write(&["ld!"]).unwrap_err().code(), ErrorCode::UploadTooLarge);
    resumed.write(&["ld"]).unwrap();
    let stored = resumed.finish(None).unwrap();
    assert_eq!(stored.digest, put(&store, "hello world").digest);
    assert!(matches!(store.resume(&name, 11), Err(BlobError::NoSuchStaging(_))));
    assert_eq!(store.staged_len(&name).unwrap(), None);
}

#[test]
fn a_kept_upload_can_be_discarded() {
    let (data, store) = open();
    let name = staging(&store, "text").keep().unwrap();
    let resumed = store.resume(&name, 9).unwrap();
    assert!(matches!(store.discard_staged(&name), Err(BlobError::Locked(_))));
    drop(resumed);
    assert!(store.discard_staged(&name).unwrap());
    assert!(!store.discard_staged(&name).unwrap());
    assert!(names(&data.path().join("staging")).is_empty());

    let name = staging(&store, "text").keep().unwrap();
    let other = put(&store, "other").digest;
    store.resume(&name, 9).unwrap().finish(Some(other)).unwrap_err();
    assert!(names(&data.path().join("staging")).is_empty());
}

#[test]
fn a_sweep_takes_what_is_old_and_has_no_writer() {
    let (data, store) = open();
    let written = staging(&store, "written");
    let orphan = staging(&store, "orphan").keep().unwrap();
    fs::write(data.path().join("staging/notes.txt"), "a person's").unwrap();
    let ages = fs::metadata(data.path().join("staging").join(orphan.as_str())).unwrap();
    let age = ages.modified().unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
    let made = Timestamp::from_millis(i64::try_from(age.as_millis()).unwrap());
    let later = made.plus_millis(60_000);

    let nothing = Swept { files: 0, bytes: 0 };
    let one = Swept { files: 1, bytes: 6 };
    assert_eq!(store.sweep_staging(made, false).unwrap(), nothing);
    assert_eq!(store.sweep_staging(later, true).unwrap(), one);
    assert_eq!(store.sweep_staging(later, false).unwrap(), one);
    assert_eq!(store.sweep_staging(later, false).unwrap(), nothing);
    assert_eq!(written.finish(None).unwrap().size, 7);
    assert_eq!(names(&data.path().join("staging")), ["notes.txt"]);
}

#[test]
fn uploads_begin_while_sweeps_spare_no_age() {
    let (_data, store) = open();
    let later = Timestamp::from_millis(i64::MAX);
    std::thread::scope(|scope| {
        let sweeper = scope.spawn(|| {
            (0..300)
                .map(|_| store.sweep_staging(later, false).unwrap().files)
                .sum::<u64>()
        });
        for i in 0..100 {
            put(&store, &i.to_string());
        }
        sweeper.join().unwrap();
    });
    assert_eq!(store.list().unwrap().count(), 100);
}

#[test]
fn a_backup_holds_removal_off() {
    let (data, store) = open();
    let other_process = FsStore::open(data.path()).unwrap();
    let first = store.hold_off_removal().unwrap();
    let second = other_process.hold_off_removal().unwrap();
    drop(first);
    assert!(store.try_removal().unwrap().is_none());
    drop(second);
    let guard = store.try_removal().unwrap();
    assert!(guard.is_some());
    assert!(other_process.try_removal().unwrap().is_none());
    drop(guard);
    assert!(other_process.try_removal().unwrap().is_some());
}

#[test]
fn damage_is_found_and_the_right_bytes_mend_it() {
    let (data, store) = open();
    let stored = put(&store, "hello");
    let path = data.path().join("objects").join(stored.digest.to_string());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "jello").unwrap();
    let jello = put(&store, "jello").digest;
    assert_eq!(
        store.verify(&stored.digest).unwrap(),
        Verdict::Corrupt { found: jello, size: 5 }
    );

    fs::write(&path, "hell").unwrap();
    assert!(!put(&store, "hello").deduplicated);
    assert_eq!(store.verify(&stored.digest).unwrap(), Verdict::Whole);
}

#[test]
fn foreign_names_are_told_and_left_alone() {
    let (data, store) = open();
    let stored = put(&store, "hello");
    let objects = data.path().join("objects");
    fs::write(objects.join("README"), "").unwrap();
    fs::write(objects.join(stored.digest.to_string().to_uppercase()), "").unwrap();
    fs::create_dir(objects.join("ab".repeat(32))).unwrap();
    assert_eq!(store.list().unwrap().count(), 1);
    assert_eq!(store.foreign_names().unwrap().len(), 3);
    assert_eq!(store.stat(&"ab".repeat(32).parse().unwrap()).unwrap(), None);
}

#[test]
fn a_copy_is_whole_and_never_over_another() {
    let (_data, store) = open();
    let stored = put(&store, "hello");
    let backup = tempfile::tempdir().unwrap();
    assert_eq!(store.copy_into(&stored.digest, backup.path()).unwrap(), 5);
    sync_folder(backup.path()).unwrap();
    let copy = backup.path().join(stored.digest.to_string());
    assert_eq!(fs::read_to_string(&copy).unwrap(), "hello");
    assert_eq!(
        store.copy_into(&stored.digest, backup.path()).unwrap_err().code(),
        ErrorCode::StoreIo
    );
    assert!(copy.exists());

    let (_data, restored) = open();
    let mut file = fs::File::open(&copy).unwrap();
    assert_eq!(restored.import(&mut file, 5, Some(stored.digest)).unwrap(), stored);
    let missing = restored
        .copy_into(&put(&store, "other").digest, backup.path())
        .unwrap_err();
    assert_eq!(missing.code(), ErrorCode::ObjectMissing);
}

#[test]
fn a_folder_of_another_user_is_refused_by_name() {
    const NOBODY: u32 = 65_534;
    if !rustix::process::geteuid().is_root() {
        println!("not run as root: rights cannot be dropped");
        return;
    }
    let (data, _store) = open();
    fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let path = data.path().to_owned();
    // Linux keeps the user of each thread apart, and this thread ends here.
    let opened = std::thread::spawn(move || {
        rustix::thread::set_thread_uid(rustix::process::Uid::from_raw(NOBODY)).unwrap();
        FsStore::open(&path).map(drop)
    });
    let refused = opened.join().unwrap().unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StorePermission);
    let OpenError::PermissionDenied { path, owner, ours, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(path, data.path().join("objects"));
    assert_eq!((owner.user, ours.user), (0, NOBODY));
}

/// A file system of its own that is gone with the test.
struct Tmpfs(TempDir);

impl Tmpfs {
    fn of(kib: u32) -> Option<Self> {
        use rustix::mount::{MountFlags, mount};
        let folder = tempfile::tempdir().unwrap();
        let size = std::ffi::CString::new(format!("size={kib}k")).unwrap();
        match mount(
            "tmpfs",
            folder.path(),
            "tmpfs",
            MountFlags::empty(),
            Some(size.as_c_str()),
        ) {
            Ok(()) => Some(Self(folder)),
            Err(errno) => {
                println!("not run: a tmpfs cannot be mounted here ({errno})");
                None
            }
        }
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = rustix::mount::unmount(self.0.path(), rustix::mount::UnmountFlags::DETACH);
    }
}

#[test]
fn a_full_disk_refuses_writes_and_recovers() {
    let Some(disk) = Tmpfs::of(256) else { return };
    let store = FsStore::open(disk.0.path()).unwrap();
    let first = store
        .import(&mut vec![1; 128 << 10].as_slice(), u64::MAX, None)
        .unwrap();
    let mut staging = staging(&store, "begun ");
    assert_eq!(
        staging.write(&[vec![2; 256 << 10]]).unwrap_err().code(),
        ErrorCode::StoreFull
    );
    assert_eq!(staging.len(), 6);
    assert_eq!(store.verify(&first.digest).unwrap(), Verdict::Whole);
    assert!(FsStore::open(disk.0.path()).is_ok());

    store.remove(&first.digest).unwrap();
    staging.write(&["and ended"]).unwrap();
    let stored = staging.finish(None).unwrap();
    assert_eq!(store.verify(&stored.digest).unwrap(), Verdict::Whole);
}

#[test]
fn folders_on_two_file_systems_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
        println!("two file systems: not run, there is no /dev/shm here");
        return;
    };
    let device = |path: &Path| fs::metadata(path).unwrap().dev();
    if device(folder.path()) == device(memory.path()) {
        println!("two file systems: not run, /dev/shm is the one that the temporary folder is on");
        return;
    }
    std::os::unix::fs::symlink(memory.path(), folder.path().join("objects")).unwrap();
    let refused = FsStore::open(folder.path()).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::StoreApart);
}
