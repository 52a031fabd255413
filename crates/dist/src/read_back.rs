//! Exit 0 means published *and read back*: what was answered is fetched again and compared.

use dist_api::PublishResult;
use dist_api::manifest::Manifest;
use dist_model::decide::PublishStatus;
use dist_model::{
    Build, ChannelName, Digest, ErrorCode, ErrorKind, FileName, Refusal, Release, ReleaseStatus, Slug, Version,
};

use crate::printer::Printer;
use crate::target::{ReleaseName, Target};

/// What must be there after a publish.
pub struct Expected<'a> {
    app: &'a Slug,
    version: &'a Version,
    build: &'a Build,
    artifacts: Vec<(Digest, &'a FileName, u64)>,
    channel: Option<&'a ChannelName>,
    notes: Option<&'a str>,
}

impl<'a> Expected<'a> {
    /// What a manifest asked for.
    pub fn of_manifest(manifest: &'a Manifest) -> Self {
        let named = |entry: &'a dist_api::manifest::ArtifactEntry| {
            Some((entry.sha256?, entry.filename.as_ref()?, entry.size_bytes?))
        };
        Self {
            app: &manifest.app,
            version: &manifest.version,
            build: &manifest.build,
            artifacts: manifest.artifacts.iter().filter_map(named).collect(),
            channel: manifest.channel.as_ref(),
            notes: manifest.notes.as_deref(),
        }
    }

    /// What an answer said of a draft that was published.
    pub fn of_result(result: &'a PublishResult) -> Self {
        Self {
            app: &result.app.slug,
            version: &result.release.version,
            build: &result.release.build,
            artifacts: result
                .artifacts
                .iter()
                .map(|artifact| (artifact.sha256, &artifact.filename, artifact.size_bytes))
                .collect(),
            channel: result.channel.as_ref().map(|channel| &channel.name),
            notes: None,
        }
    }

    /// Fetches the release, every object and the channel again.
    ///
    /// # Errors
    /// `publish.read_back_failed` where anything differs from what was asked for and answered.
    pub async fn check(&self, target: &Target, result: &PublishResult, printer: Printer) -> Result<(), Refusal> {
        let release = self.check_release(target, result).await?;
        if release.status == ReleaseStatus::Draft {
            self.compare_draft(&release, printer);
        }
        for (sha256, _, size) in &self.artifacts {
            match target.object_size(sha256).await? {
                Some(found) if found == *size => {}
                Some(found) => return Err(differs(&format!("the object {sha256} has {found} bytes, not {size}"))),
                None => return Err(differs(&format!("the object {sha256} is not there"))),
            }
        }
        self.check_channel(target, result, printer).await
    }

    async fn check_release(&self, target: &Target, result: &PublishResult) -> Result<Release, Refusal> {
        let name = ReleaseName {
            text: result.release.id.to_string(),
            build: None,
        };
        let view = match target.release(self.app, &name).await {
            Err(refusal) if refusal.code.kind() == ErrorKind::NotFound => {
                return Err(differs(&format!("the release {} is not there", name.text)));
            }
            view => view?,
        };
        let release = &view.release;
        let label = release.label();
        if (&release.version, &release.build) != (self.version, self.build) {
            return Err(differs(&format!("the release {} is {label}", release.id)));
        }
        // Somebody may have published the draft, or yanked the release, in the meantime.
        let stands = match release.status {
            ReleaseStatus::Draft => result.status == PublishStatus::Draft,
            ReleaseStatus::Published | ReleaseStatus::Yanked => true,
            ReleaseStatus::Deleted => false,
        };
        if !stands {
            return Err(differs(&format!("{label} is {}", release.status)));
        }
        for wanted in &self.artifacts {
            let mut found = view
                .artifacts
                .iter()
                .map(|artifact| (artifact.sha256, &artifact.filename, artifact.size_bytes));
            if !found.any(|found| found == *wanted) {
                let (sha256, filename, _) = wanted;
                return Err(differs(&format!("{label} lacks {filename} with the digest {sha256}")));
            }
        }
        Ok(view.release)
    }

    /// A draft keeps the channel and the notes that it was begun with. A job that asked for others would
    /// else learn of it when the release is out.
    fn compare_draft(&self, draft: &Release, printer: Printer) {
        if let Some(wanted) = self.channel.filter(|wanted| draft.channel.as_ref() != Some(wanted)) {
            let begun = draft.channel.as_ref();
            let begun = begun.map_or_else(|| "no channel".to_owned(), |begun| format!("the channel {begun}"));
            printer.warn(&format!(
                "the draft {} was begun for {begun}: publish it with `dist release publish --channel {wanted}`, or name the same channel in every job",
                draft.label()
            ));
        }
        if self.notes.is_some_and(|notes| notes != draft.notes) {
            printer.warn(&format!(
                "the draft {} keeps the notes that it was begun with: give them in the job that begins it",
                draft.label()
            ));
        }
    }

    /// The channel must point at the release, or have been moved on by somebody else since.
    async fn check_channel(&self, target: &Target, result: &PublishResult, printer: Printer) -> Result<(), Refusal> {
        let Some(name) = self.channel.filter(|_| result.status != PublishStatus::Draft) else {
            return Ok(());
        };
        let channel = target.channel(self.app, name).await?.channel;
        if channel.current_release_id.as_ref() == Some(&result.release.id) {
            return Ok(());
        }
        match &result.channel {
            Some(answered) if channel.revision < answered.revision => Err(differs(&format!(
                "the channel {name} is at revision {}, not at {}",
                channel.revision, answered.revision
            ))),
            Some(answered) if answered.release_id != result.release.id => {
                printer.warn(&format!(
                    "the channel {name} had this release before and points at another now; promote to move it"
                ));
                Ok(())
            }
            Some(answered) if channel.revision == answered.revision => Err(differs(&format!(
                "the channel {name} is at revision {} and does not point at the release",
                channel.revision
            ))),
            Some(_) => {
                printer.warn(&format!(
                    "the channel {name} was moved on by somebody else in the meantime"
                ));
                Ok(())
            }
            None => Err(differs(&format!("the channel {name} was not answered for"))),
        }
    }
}

fn differs(what: &str) -> Refusal {
    Refusal::new(
        ErrorCode::ReadBackFailed,
        format!("the release was accepted, but {what}: do not rely on it; run `dist store verify`"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dist_api::manifest::Form;
    use dist_inspect::InProcess;
    use dist_service::OpenMode;

    use super::*;
    use crate::artifacts::stage;
    use crate::settings::Environment;
    use crate::target::Local;

    /// A folder with one release on a channel, what was asked for, and what was answered.
    async fn published(folder: &std::path::Path) -> (Target, Manifest, PublishResult) {
        let path = folder.join("tool");
        std::fs::write(&path, "tool").unwrap();
        let text = br#"{"app":"acme","version":"1","channel":"beta","artifacts":[{"path":"tool","platform":"linux"}]}"#;
        let mut manifest = Manifest::parse(text, Form::File).unwrap();
        let staged = stage(std::mem::take(&mut manifest.artifacts), vec![path.clone()], &InProcess).unwrap();
        manifest.artifacts.push(staged[0].entry.clone());
        let target =
            Target::Local(Local::open(&folder.join("store"), OpenMode::Create, None, Arc::new(InProcess)).unwrap());
        let upload = dist_api::client::Upload {
            path,
            stamp: staged[0].examined.stamp,
            sha256: staged[0].examined.sha256,
            progress: std::sync::Arc::new(|_| {}),
        };
        target.upload(&upload).await.unwrap();
        let result = target.publish(&manifest).await.unwrap();
        (target, manifest, result)
    }

    #[tokio::test]
    async fn whatever_is_not_there_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let (target, manifest, result) = published(folder.path()).await;
        let printer = Printer::new(true, &Environment::default());
        let check = async |result: &PublishResult| {
            let checked = Expected::of_manifest(&manifest).check(&target, result, printer).await;
            checked.map_err(|refusal| (refusal.code, refusal.message))
        };
        assert_eq!(check(&result).await, Ok(()));
        let mut told = result.clone();
        told.release.id = "none".parse().unwrap();
        let (code, message) = check(&told).await.unwrap_err();
        assert_eq!(code, ErrorCode::ReadBackFailed);
        assert!(message.contains("the release none is not there"), "{message}");
        let mut other = manifest.clone();
        other.version = "2".parse().unwrap();
        let refusal = Expected::of_manifest(&other)
            .check(&target, &result, printer)
            .await
            .unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ReadBackFailed);

        let object = folder
            .path()
            .join("store/objects")
            .join(result.artifacts[0].sha256.to_string());
        std::fs::remove_file(object).unwrap();
        let (code, message) = check(&result).await.unwrap_err();
        assert_eq!(code, ErrorCode::ReadBackFailed);
        assert!(message.contains("the object"), "{message}");
    }

    #[tokio::test]
    async fn a_channel_that_somebody_else_moved_on_is_only_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let (target, manifest, mut result) = published(folder.path()).await;
        let printer = Printer::new(true, &Environment::default());
        let next = Manifest {
            version: "2".parse().unwrap(),
            ..manifest.clone()
        };
        target.publish(&next).await.unwrap();
        let expected = Expected::of_manifest(&manifest);
        assert_eq!(expected.check(&target, &result, printer).await, Ok(()));
        // The same without a newer move is a lie.
        if let Some(channel) = &mut result.channel {
            channel.revision = 2;
        }
        let refusal = expected.check(&target, &result, printer).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::ReadBackFailed);
    }
}
