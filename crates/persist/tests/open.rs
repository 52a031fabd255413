//! Which files are opened, which are made, and which are refused untouched.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods)]

mod common;

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use common::{NewerTotals, Totals, amount, append, committed, open, submit, totals, with_newer_totals, with_totals};
use persist::{
    Adoption, Append, Backend, Error, ExpectedRevision, OpenError, OpenMode, Options, Position, SqlStore, SubmitError,
};
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use tempfile::tempdir;

fn refused(path: &Path, mode: OpenMode, options: Options) -> OpenError {
    let before = fs::read(path).ok();
    let error = SqlStore::open_with(path, mode, options).map(drop).unwrap_err();
    assert_eq!(fs::read(path).ok(), before, "a refusal changes nothing");
    error
}

#[test]
fn an_absent_store_is_made_only_where_that_is_wanted() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    for mode in [OpenMode::MustExist, OpenMode::AdoptProjections] {
        assert!(matches!(refused(&path, mode, with_totals()), OpenError::NotFound));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
    SqlStore::open(&path, with_totals()).unwrap();
    SqlStore::open_with(&path, OpenMode::MustExist, with_totals()).unwrap();
}

#[test]
fn an_absent_folder_is_not_made() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("absent/store.db");
    assert!(matches!(
        refused(&path, OpenMode::CreateIfMissing, with_totals()),
        OpenError::NotFound
    ));
}

#[test]
fn an_empty_file_is_a_store_that_was_never_made() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    File::create(&path).unwrap();
    assert!(matches!(
        refused(&path, OpenMode::MustExist, with_totals()),
        OpenError::NotFound
    ));
    SqlStore::open(&path, with_totals()).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    fs::write(
        &path,
        "not a database, but long enough to have a header of one hundred bytes ".repeat(4),
    )
    .unwrap();
    assert!(matches!(
        refused(&path, OpenMode::CreateIfMissing, with_totals()),
        OpenError::NotADatabase
    ));
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let error = refused(&path, OpenMode::CreateIfMissing, with_totals());
    assert!(matches!(error, OpenError::Foreign { application_id: 0 }), "{error:?}");
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA application_id = 7")
        .unwrap();
    let error = refused(&path, OpenMode::CreateIfMissing, with_totals());
    assert!(matches!(error, OpenError::Foreign { application_id: 7 }), "{error:?}");
}

#[test]
fn a_newer_store_is_refused_at_once_and_by_those_who_have_it_open() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = open(folder.path());
    Connection::open(&path)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let outcome = submit(&store, append("a", vec![amount(1)]));
    assert!(
        matches!(outcome, Err(SubmitError::Store(Error::Superseded { .. }))),
        "{outcome:?}"
    );
    drop(store);
    let error = refused(&path, OpenMode::CreateIfMissing, with_totals());
    assert!(matches!(error, OpenError::Newer { found: 99, known: 1 }), "{error:?}");
}

#[test]
fn another_set_of_projections_is_refused() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(open(folder.path()));
    let error = refused(&path, OpenMode::CreateIfMissing, with_newer_totals());
    let OpenError::ProjectionMismatch { stored, own } = error else {
        panic!("{error:?}")
    };
    assert_eq!((stored.as_str(), own.as_str()), ("totals@1", "totals@2"));
    let error = refused(&path, OpenMode::CreateIfMissing, Options::default());
    assert!(matches!(error, OpenError::ProjectionMismatch { .. }), "{error:?}");
}

#[test]
fn another_set_of_projections_can_take_over() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let older = open(folder.path());
    committed(&older, append("a", vec![amount(2), amount(3)]));
    // What the older fold had made is not trusted, not even that it is there.
    Connection::open(&path)
        .unwrap()
        .execute_batch("DROP TABLE totals")
        .unwrap();

    let store = SqlStore::open_with(&path, OpenMode::AdoptProjections, with_newer_totals()).unwrap();
    assert_eq!(totals(&store), [("a".to_owned(), 2, 5)]);
    committed(&store, append("a", vec![amount(1)]));
    // The older program can do no harm any more.
    let outcome = submit(&older, append("a", vec![amount(1)]));
    assert!(
        matches!(outcome, Err(SubmitError::Store(Error::Superseded { .. }))),
        "{outcome:?}"
    );
    assert_eq!(totals(&store), [("a".to_owned(), 3, 6)]);
    drop((older, store));
    SqlStore::open_with(&path, OpenMode::AdoptProjections, with_newer_totals()).unwrap();
}

#[test]
fn a_take_over_leaves_a_copy_of_what_was_and_a_note_in_the_log() {
    let folder = tempdir().unwrap();
    let (path, copy) = (folder.path().join("store.db"), folder.path().join("before.db"));
    committed(&open(folder.path()), append("a", vec![amount(2)]));
    let with = |backup: &Path| Options {
        adoption: Adoption {
            backup: Some(backup.to_owned()),
            appends: vec![Append::new(common::stream("b"), ExpectedRevision::Any, vec![amount(7)])],
        },
        ..with_newer_totals()
    };
    // Without the copy nothing is taken over.
    let error = refused(&path, OpenMode::AdoptProjections, with(&path));
    assert!(matches!(error, OpenError::Adopt(_)), "{error:?}");
    let nowhere = folder.path().join("no folder/before.db");
    let error = refused(&path, OpenMode::AdoptProjections, with(&nowhere));
    assert!(matches!(error, OpenError::Adopt(_)), "{error:?}");
    assert_eq!(totals(&open(folder.path())), [("a".to_owned(), 1, 2)]);

    let store = SqlStore::open_with(&path, OpenMode::AdoptProjections, with(&copy)).unwrap();
    assert_eq!(totals(&store), [("a".to_owned(), 1, 2), ("b".to_owned(), 1, 7)]);
    assert_eq!(store.head().unwrap(), Position::new(2));
    committed(&store, append("b", vec![amount(1)]));
    assert_eq!(store.verify_projections().unwrap(), []);
    drop(store);
    // What is current is not taken over again, and needs no copy.
    let store = SqlStore::open_with(&path, OpenMode::AdoptProjections, with(&copy)).unwrap();
    assert_eq!(store.head().unwrap(), Position::new(3));
    let before = SqlStore::open(&copy, with_totals()).unwrap();
    assert_eq!(totals(&before), [("a".to_owned(), 1, 2)]);
}

#[test]
fn two_projections_of_one_name_are_refused() {
    let options = Options {
        projections: vec![Arc::new(Totals), Arc::new(NewerTotals)],
        ..Options::default()
    };
    let error = SqlStore::in_memory(options).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Invalid(_)), "{error:?}");
}

#[test]
fn waits_for_the_file_lock_and_no_longer_than_it_should() {
    let folder = tempdir().unwrap();
    let lock_path = folder.path().join("lock");
    let options = || Options {
        lock_path: Some(lock_path.clone()),
        busy_timeout: Duration::from_millis(20),
        ..with_totals()
    };
    let held = File::create(&lock_path).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let path = folder.path().join("store.db");
    assert!(matches!(
        refused(&path, OpenMode::CreateIfMissing, options()),
        OpenError::Busy
    ));
    drop(held);
    SqlStore::open(&path, options()).unwrap();
}

#[test]
fn a_locked_database_is_busy_and_then_is_not() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    let options = Options {
        busy_timeout: Duration::from_millis(20),
        ..with_totals()
    };
    let store = SqlStore::open(&path, options).unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let outcome = submit(&store, append("a", vec![amount(1)]));
    assert!(matches!(outcome, Err(SubmitError::Store(Error::Busy))), "{outcome:?}");
    // Readers do not notice.
    assert_eq!(store.head().unwrap(), Position::ZERO);
    other.execute_batch("ROLLBACK").unwrap();
    committed(&store, append("a", vec![amount(1)]));
}

#[test]
fn a_backup_is_a_store_of_its_own() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    committed(&store, append("a", vec![amount(2)]));
    let copy = folder.path().join("copy.db");
    assert_eq!(store.backup_to(&copy).unwrap(), Position::FIRST);
    committed(&store, append("a", vec![amount(3)]));

    let restored = SqlStore::open_with(&copy, OpenMode::MustExist, with_totals()).unwrap();
    assert_eq!(totals(&restored), [("a".to_owned(), 1, 2)]);
    assert_eq!(restored.identity().unwrap(), store.identity().unwrap());
    assert_eq!(restored.advance_epoch().unwrap(), 2);
    committed(&restored, append("a", vec![amount(1)]));
    assert!(restored.verify_projections().unwrap().is_empty());
}

#[test]
fn a_backup_replaces_nothing() {
    let folder = tempdir().unwrap();
    let store = open(folder.path());
    let taken = folder.path().join("taken");
    fs::write(&taken, "something else").unwrap();
    assert!(store.backup_to(&taken).is_err());
    assert_eq!(fs::read_to_string(&taken).unwrap(), "something else");
}

const READ_ONLY: &str = "PERSIST_READ_ONLY_STORE";

/// A child, without the powers of root: tries to open a store that it may only read.
#[test]
fn child_opens_what_it_may_only_read() {
    let Some(path) = env::var_os(READ_ONLY) else { return };
    for mode in [
        OpenMode::CreateIfMissing,
        OpenMode::MustExist,
        OpenMode::AdoptProjections,
    ] {
        let error = refused(Path::new(&path), mode, Options::default());
        assert!(matches!(error, OpenError::PermissionDenied(_)), "{error:?}");
    }
}

#[test]
fn a_store_that_may_only_be_read_is_refused_and_left_alone() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("store.db");
    drop(SqlStore::open(&path, Options::default()).unwrap());
    // The child's own copy of this program, where it may run it.
    let program = folder.path().join("child");
    fs::copy(env::current_exe().unwrap(), &program).unwrap();
    let permit = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    permit(&path, 0o444);
    permit(&program, 0o555);
    permit(folder.path(), 0o555);
    let before = fs::read(&path).unwrap();

    let mut child = Command::new(program);
    child
        .args(["--exact", "child_opens_what_it_may_only_read"])
        .env(READ_ONLY, &path);
    if rustix::process::geteuid().is_root() {
        const NOBODY: u32 = 65534;
        child.uid(NOBODY).gid(NOBODY).current_dir("/");
    }
    let output = child.output().unwrap();
    permit(folder.path(), 0o755);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(fs::read(&path).unwrap(), before);
}
