//! Files on their way into a release: looked at, hashed once, and compared with what the manifest
//! says of them.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dist_api::client::FileStamp;
use dist_api::manifest::ArtifactEntry;
use dist_inspect::{Inspector, Report, Severity, Verdict, agrees};
use dist_model::{Digest, ErrorCode, FileName, Refusal, Timestamp};
use dist_service::{Clock as _, SystemClock};
use sha2::{Digest as _, Sha256};

/// How much is read from a file at once.
const READ: usize = 1 << 20;

/// What a file is.
#[derive(Clone, Debug)]
pub struct Examined {
    /// What tells later that it is still the same.
    pub stamp: FileStamp,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// What was found inside.
    pub report: Report,
}

/// An artifact with nothing left open: its entry names digest, size, platform and the rest.
#[derive(Clone, Debug)]
pub struct Staged {
    /// The file.
    pub path: PathBuf,
    /// As it goes into the request.
    pub entry: ArtifactEntry,
    /// What the file is.
    pub examined: Examined,
}

/// A file to look at, under the name that it is known by.
pub type Named<'a> = (&'a Path, Cow<'a, str>);

/// The file under its own name.
pub fn named(path: &Path) -> Named<'_> {
    (path, path.file_name().map(OsStr::to_string_lossy).unwrap_or_default())
}

/// Looks at every file, several at a time; the answers stand in the order of `files`.
pub fn examine_all(files: &[Named<'_>], inspector: &dyn Inspector) -> Vec<Result<Examined, Refusal>> {
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(files.len());
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(files.len()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((path, name)) = files.get(place) else { break };
                    let examined = examine(path, name, inspector);
                    done.lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((place, examined));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(place, _)| *place);
    done.into_iter().map(|(_, examined)| examined).collect()
}

/// Inspects a file and hashes it.
///
/// # Errors
/// `artifact.path_not_found`, `artifact.not_a_file`, `artifact.unreadable`, or `artifact.changed`
/// where it was written to in the meantime.
fn examine(path: &Path, name: &str, inspector: &dyn Inspector) -> Result<Examined, Refusal> {
    let unreadable = |error| refuse_io(path, &error);
    // Looked at before it is opened, since opening a pipe would wait for a writer.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(about(
            path,
            ErrorCode::PathNotAFile,
            "is not a file: name the archive or package itself",
        ));
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let stamp = FileStamp::of(&file.metadata().map_err(unreadable)?);
    let now = Timestamp::from_millis(SystemClock.now_ms());
    let report = inspector.inspect(&file, name, now).map_err(unreadable)?.report;
    let sha256 = hash(&mut file).map_err(unreadable)?;
    stamp.check(path)?;
    Ok(Examined { stamp, sha256, report })
}

fn hash(file: &mut File) -> std::io::Result<Digest> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; READ];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(Digest::from_bytes(hash.finalize().into())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Brings each entry of a manifest together with its file.
///
/// # Errors
/// The first that is wrong: missing, empty, not what was declared, or not installable.
pub fn stage(
    entries: Vec<ArtifactEntry>,
    paths: Vec<PathBuf>,
    inspector: &dyn Inspector,
) -> Result<Vec<Staged>, Refusal> {
    // Under the name that it will be published by, as the store looks at it too.
    let files: Vec<Named<'_>> = entries
        .iter()
        .zip(&paths)
        .map(|(entry, path)| match &entry.filename {
            Some(name) => (path.as_path(), name.as_str().into()),
            None => named(path),
        })
        .collect();
    let examined = examine_all(&files, inspector);
    entries
        .into_iter()
        .zip(paths)
        .zip(examined)
        .map(|((entry, path), examined)| complete(entry, path, examined?))
        .collect()
}

fn complete(mut entry: ArtifactEntry, path: PathBuf, examined: Examined) -> Result<Staged, Refusal> {
    check_declared(&entry, &path, &examined)?;
    let report = &examined.report;
    let platform = entry.platform.or(report.platform).ok_or_else(|| {
        about(
            &path,
            ErrorCode::PlatformUnknown,
            "does not tell what it is for: declare its platform in the manifest",
        )
    })?;
    entry.path = None;
    entry.platform = Some(platform);
    entry.filename = Some(match entry.filename.take() {
        Some(name) => name,
        None => file_name(&path)?,
    });
    entry
        .arch
        .get_or_insert_with(|| report.arch.clone().unwrap_or_default());
    entry
        .package_type
        .get_or_insert_with(|| report.package_type.to_string());
    entry
        .content_type
        .get_or_insert_with(|| report.content_type.to_string());
    entry.sha256 = Some(examined.sha256);
    entry.size_bytes = Some(examined.stamp.size);
    Ok(Staged { path, entry, examined })
}

fn check_declared(entry: &ArtifactEntry, path: &Path, examined: &Examined) -> Result<(), Refusal> {
    let size = examined.stamp.size;
    let report = &examined.report;
    if size == 0 {
        return Err(about(
            path,
            ErrorCode::ArtifactEmpty,
            "has no bytes: was the build cut off?",
        ));
    }
    if let Some(declared) = entry.size_bytes.filter(|declared| *declared != size) {
        let message = format!("has {size} bytes, not the declared {declared}");
        return Err(about(path, ErrorCode::SizeMismatch, &message)
            .with("expected", declared)
            .with("found", size));
    }
    if let Some(declared) = entry.sha256.filter(|declared| *declared != examined.sha256) {
        let found = examined.sha256;
        let message = format!("has the SHA-256 {found}, not the declared {declared}");
        return Err(about(path, ErrorCode::DigestMismatch, &message)
            .with("expected", declared.to_string())
            .with("found", found.to_string()));
    }
    if let Some(declared) = entry.platform.filter(|declared| !agrees(report.format, *declared)) {
        let found = report.format.as_str();
        let message = format!("is declared as {declared}, but is {found}: correct the manifest or the path");
        return Err(about(path, ErrorCode::PlatformMismatch, &message)
            .with("declared", declared.as_str())
            .with("format", found));
    }
    if report.verdict == Verdict::Failed {
        let worst = report
            .findings
            .iter()
            .find(|finding| finding.severity == Severity::Error);
        let why = worst.map_or_else(String::new, |finding| format!(": {} {}", finding.message, finding.help));
        let findings = serde_json::to_value(&report.findings).unwrap_or_default();
        let message = format!("cannot be what it claims to be{why}");
        return Err(about(path, ErrorCode::ArtifactFailed, &message).with("findings", findings));
    }
    Ok(())
}

/// The name under which a file is downloaded where the manifest gives none.
fn file_name(path: &Path) -> Result<FileName, Refusal> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.ok_or_else(|| {
        about(
            path,
            ErrorCode::InvalidFilename,
            "has no name in UTF-8: give it a filename",
        )
    })?
    .parse()
}

/// Where an artifact says another version or build than the release.
pub fn version_differences(staged: &[Staged], version: &str, build: &str) -> Vec<String> {
    let mut differences = Vec::new();
    for artifact in staged {
        for (fact, wanted) in [("version", version), ("build", build)] {
            let found = artifact.examined.report.facts.get(fact);
            let found = found.and_then(|value| value.as_str().map(str::to_owned).or_else(|| Some(value.to_string())));
            if let Some(found) = found.filter(|found| found != wanted && !wanted.is_empty()) {
                differences.push(format!(
                    "{} says {fact} {found}, the release {wanted}",
                    artifact.path.display()
                ));
            }
        }
    }
    differences
}

fn refuse_io(path: &Path, error: &std::io::Error) -> Refusal {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => about(
            path,
            ErrorCode::PathNotFound,
            "is not there: build first, or correct the path",
        ),
        _ => about(path, ErrorCode::PathUnreadable, &format!("cannot be read: {error}")),
    }
}

/// A refusal about a file.
pub fn about(path: &Path, code: ErrorCode, message: &str) -> Refusal {
    Refusal::new(code, format!("{} {message}", path.display())).with("path", path.display().to_string())
}

#[cfg(test)]
mod tests {
    use dist_inspect::InProcess;

    use super::*;

    /// A file that says these facts of itself.
    fn staged(folder: &Path, facts: &serde_json::Value) -> Staged {
        let path = folder.join("tool");
        std::fs::write(&path, "tool").unwrap();
        let entry = ArtifactEntry {
            platform: Some(dist_model::Platform::Linux),
            ..ArtifactEntry::default()
        };
        let mut staged = stage(vec![entry], vec![path], &InProcess).unwrap().remove(0);
        staged.examined.report.facts = facts.as_object().unwrap().clone();
        staged
    }

    #[test]
    fn an_artifact_that_says_another_version_or_build_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let check = |facts: serde_json::Value, version: &str, build: &str| {
            version_differences(&[staged(folder.path(), &facts)], version, build).len()
        };
        let facts = serde_json::json!({"version": "1.0", "build": 7, "name": "Tool"});
        assert_eq!(check(facts.clone(), "1.0", "7"), 0);
        assert_eq!(
            check(facts.clone(), "1.0", ""),
            0,
            "a release without a build says nothing of it"
        );
        assert_eq!(check(facts.clone(), "1.1", "7"), 1);
        assert_eq!(check(facts, "1.1", "8"), 2);
        assert_eq!(check(serde_json::json!({}), "1.1", "8"), 0);
    }

    #[test]
    fn a_file_is_looked_at_under_the_name_that_it_is_published_by() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        std::fs::write(&path, "tool").unwrap();
        let stage_as = |name: &str| {
            let entry = ArtifactEntry {
                filename: Some(name.parse().unwrap()),
                ..ArtifactEntry::default()
            };
            let staged = stage(vec![entry], vec![path.clone()], &InProcess);
            staged
                .map(|staged| staged[0].entry.platform)
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(stage_as("tool-linux-x86_64.bin"), Ok(Some(dist_model::Platform::Linux)));
        assert_eq!(stage_as("tool"), Err(ErrorCode::PlatformUnknown));
        assert_eq!(stage_as("tool.exe"), Err(ErrorCode::ArtifactFailed));
    }

    #[test]
    fn many_files_are_examined_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = (0..50).map(|i| folder.path().join(i.to_string())).collect();
        for (size, path) in paths.iter().enumerate().skip(1) {
            std::fs::write(path, vec![b'x'; size]).unwrap();
        }
        let files: Vec<Named<'_>> = paths.iter().map(|path| named(path)).collect();
        let examined = examine_all(&files, &InProcess);
        assert_eq!(examined[0].as_ref().unwrap_err().code, ErrorCode::PathNotFound);
        for (size, examined) in examined.iter().enumerate().skip(1) {
            assert_eq!(examined.as_ref().unwrap().stamp.size, size as u64);
        }
        assert!(examine_all(&[], &InProcess).is_empty());
    }
}
