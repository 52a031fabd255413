//! `dist.json` on disk: where its paths lead.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use dist_api::manifest::{ArtifactEntry, Form, Manifest, Overrides};
use dist_model::{ErrorCode, Refusal};

use crate::artifacts::about;

/// How long a manifest is read, in bytes: one more than its parser takes.
const MANIFEST_LIMIT: u64 = (1 << 20) + 1;
/// How long release notes may be, in bytes.
const NOTES_LIMIT: u64 = 256 << 10;

/// Reads the manifest at `path`, its notes file included, and finds its artifacts' files.
///
/// # Errors
/// `manifest.not_found`, the refusals of [`Manifest::parse`], and those of [`resolve`].
pub fn load(path: &Path, overrides: &Overrides) -> Result<(Manifest, Vec<PathBuf>), Refusal> {
    let bytes = read(path, MANIFEST_LIMIT).map_err(|error| match error.kind() {
        ErrorKind::NotFound => about(
            path,
            ErrorCode::ManifestNotFound,
            "is not there: name the manifest with --manifest, or the files with --app A --version V FILE…",
        ),
        _ => about(path, ErrorCode::ManifestNotFound, &format!("cannot be read: {error}")),
    })?;
    let mut manifest = Manifest::parse_with(&bytes, Form::File, overrides)
        .map_err(|refusal| refusal.with("manifest", path.display().to_string()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    if let Some(file) = manifest.notes_file.take() {
        manifest.notes = Some(notes(&folder.join(file))?);
    }
    let paths = manifest
        .artifacts
        .iter()
        .map(|artifact: &ArtifactEntry| resolve(folder, artifact.path.as_deref().unwrap_or_default()))
        .collect::<Result<_, _>>()?;
    Ok((manifest, paths))
}

fn read(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn notes(path: &Path) -> Result<String, Refusal> {
    let invalid = |message: &str| about(path, ErrorCode::ManifestInvalidField, message).with("field", "/notes_file");
    let bytes = read(path, NOTES_LIMIT + 1).map_err(|error| invalid(&format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > NOTES_LIMIT {
        return Err(invalid("is over 256 KiB: shorten the notes"));
    }
    String::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))
}

/// The one file that `text` names below `folder`: itself, or what it matches as a glob.
///
/// # Errors
/// `artifact.path_not_found` where there is none, `artifact.path_ambiguous` where there are several.
fn resolve(folder: &Path, text: &str) -> Result<PathBuf, Refusal> {
    let mut files = matches(folder, text)?;
    match files.len() {
        1 => Ok(files.remove(0)),
        count => {
            let names: Vec<String> = files.iter().take(5).map(|path| path.display().to_string()).collect();
            let message = format!(
                "matches {count} files, {}: a glob must match exactly one",
                names.join(", ")
            );
            Err(about(&folder.join(text), ErrorCode::PathAmbiguous, &message).with("matches", names))
        }
    }
}

/// The files that `lines` name, a path or a glob a line; a glob may match several.
///
/// # Errors
/// `artifact.path_not_found` where a glob matches none.
pub fn list(lines: &str) -> Result<Vec<PathBuf>, Refusal> {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let files: Vec<Vec<PathBuf>> = lines
        .map(|line| matches(Path::new(""), line))
        .collect::<Result<_, _>>()?;
    Ok(files.concat())
}

/// What `text` names below `folder`: itself, or one file or more that it matches as a glob.
fn matches(folder: &Path, text: &str) -> Result<Vec<PathBuf>, Refusal> {
    let literal = folder.join(text);
    // A file may really be called `app[1].apk`.
    if !text.contains(['*', '?', '[']) || literal.exists() {
        return Ok(vec![literal]);
    }
    let pattern = if Path::new(text).is_absolute() || folder.as_os_str().is_empty() {
        text.to_owned()
    } else {
        format!("{}/{text}", glob::Pattern::escape(&folder.to_string_lossy()))
    };
    let found = glob::glob(&pattern).map_err(|error| {
        about(
            &literal,
            ErrorCode::ManifestInvalidField,
            &format!("is no glob: {error}"),
        )
    })?;
    let files: Vec<PathBuf> = found.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    if files.is_empty() {
        return Err(about(
            &literal,
            ErrorCode::PathNotFound,
            "matches no file: build first, or correct the glob",
        ));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_exactly_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("odd [name]");
        std::fs::create_dir_all(folder.join("out/x.d")).unwrap();
        for name in ["out/a.apk", "out/b.ipa", "out/c.ipa", "out/app[1].deb"] {
            std::fs::write(folder.join(name), "x").unwrap();
        }
        let check = |text: &str, expect: Result<&str, &str>| {
            let found = resolve(&folder, text).map_err(|refusal| refusal.code.as_str());
            assert_eq!(found, expect.map(|name| folder.join(name)), "{text}");
        };
        check("out/a.apk", Ok("out/a.apk"));
        check("out/*.apk", Ok("out/a.apk"));
        check("**/*.deb", Ok("out/app[1].deb"));
        check("out/app[1].deb", Ok("out/app[1].deb"));
        check("out/missing.apk", Ok("out/missing.apk"));
        check("out/*.ipa", Err("artifact.path_ambiguous"));
        check("out/*.dmg", Err("artifact.path_not_found"));
        check("out/*.d", Err("artifact.path_not_found"));
        check("out/[", Err("manifest.invalid_field"));
    }
}
