//! `dist ci publish`: from files to a release that was read back.

mod plan;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use dist_api::PublishResult;
use dist_api::client::Upload;
use dist_api::manifest::{ArtifactEntry, Manifest, Overrides};
use dist_model::decide::PublishStatus;
use dist_model::{Build, ChannelName, ErrorCode, Refusal, Slug, Source, Version};

use super::Outcome;
use crate::artifacts::{Staged, stage, version_differences};
use crate::printer::Printer;
use crate::read_back::Expected;
use crate::report::{Account, Report, ReportFlag};
use crate::session::{AppFlag, Once, Session, usage};
use crate::settings::{Environment, Origin, Setting, Settings, variables};
use crate::target::Target;
use crate::text::{Table, Text, size};

/// How often bytes are sent again that a cleanup took away before the release named them.
const SENDINGS: u32 = 3;

/// Publishes a release.
#[derive(Args, Debug)]
pub struct Publish {
    /// The manifest [env: DIST_MANIFEST] [default: dist.json]
    #[arg(long, value_name = "FILE", conflicts_with = "files")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    app: AppFlag,
    /// The version; beats the manifest's [env: DIST_VERSION]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// The build; beats the manifest's [env: DIST_BUILD]
    #[arg(long, value_name = "BUILD")]
    build: Option<String>,
    /// The channel to move; beats the manifest's [env: DIST_CHANNEL]
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<String>,
    /// Begin or fill a draft, which other jobs add to [env: DIST_DRAFT=true]
    #[arg(long)]
    draft: bool,
    /// Say what would be published and write nothing; that the token may is not asked [env: DIST_DRY_RUN=true]
    #[arg(long)]
    dry_run: bool,
    /// Refuse artifacts that say another version or build than the release, or that would not install
    /// as an update of the last one [env: DIST_STRICT=true]
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    report: ReportFlag,
    #[command(flatten)]
    once: Once,
    /// The artifacts, in place of a manifest [env: DIST_FILES, a path or glob a line]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Publish {
    /// What the flags leave out, from the environment, in which CI systems hand inputs on.
    fn or_environment(mut self, environment: &Environment) -> Result<Self, Refusal> {
        let text = |name| environment.get(name).map(str::to_owned);
        self.version = self.version.or_else(|| text(variables::VERSION));
        self.build = self.build.or_else(|| text(variables::BUILD));
        self.draft |= environment.switch(variables::DRAFT)?;
        self.dry_run |= environment.switch(variables::DRY_RUN)?;
        self.strict |= environment.switch(variables::STRICT)?;
        if self.manifest.is_none() && self.files.is_empty() {
            self.manifest = text(variables::MANIFEST).map(PathBuf::from);
            if let Some(lines) = environment.get(variables::FILES) {
                if self.manifest.is_some() {
                    return Err(usage(
                        "the environment names both DIST_MANIFEST and DIST_FILES: name one of them",
                    ));
                }
                self.files = crate::manifest::list(lines)?;
            }
        }
        Ok(self)
    }
}

/// `dist ci publish`.
pub async fn publish(args: Publish, session: &Session, environment: &Environment) -> Outcome {
    let report = Report::begin(&args.report, environment)?;
    let done = match args.or_environment(environment) {
        Ok(args) => publish_release(args, session, environment, &report).await,
        Err(refusal) => Err(refusal),
    };
    report.finish(done, session.printer)
}

async fn publish_release(
    args: Publish,
    session: &Session,
    environment: &Environment,
    report: &Report,
) -> Result<Account, Refusal> {
    let printer = session.printer;
    let (mut manifest, paths) = describe_release(&args, session)?;
    fill_source(&mut manifest, environment);
    let staged = stage(std::mem::take(&mut manifest.artifacts), paths, &*session.inspector)?;
    manifest.artifacts = staged.iter().map(|artifact| artifact.entry.clone()).collect();
    let warnings = check_versions(&manifest, &staged, args.strict, printer)?;

    if args.dry_run {
        let target = match session.target() {
            // A store that would be made has nothing in it yet.
            Err(refusal) if refusal.code == ErrorCode::StoreNotFound => None,
            target => Some(target?),
        };
        let plan = plan::plan(target.as_ref(), &manifest, &staged).await?;
        let account = plan.account().said(|out| plan.describe(out));
        return Ok(account.with_warnings(warnings));
    }
    let target = session.target_or_new(&args.once)?;
    // What can be refused is refused before anything is uploaded.
    plan::check(&target, &manifest, &staged).await?;
    let result = publish_and_upload(&target, &manifest, &staged, printer).await?;
    Expected::of_manifest(&manifest)
        .check(&target, &result, printer)
        .await?;
    let account = report.account(&target, &result).await;
    Ok(account.said(|out| describe(&result, out)).with_warnings(warnings))
}

/// The release as the manifest or the flags describe it, and the files that it is made of.
fn describe_release(args: &Publish, session: &Session) -> Result<(Manifest, Vec<PathBuf>), Refusal> {
    let overrides = overrides(args, &session.settings)?;
    let (mut manifest, paths) = if args.files.is_empty() {
        let path = args.manifest.as_deref().unwrap_or(Path::new("dist.json"));
        crate::manifest::load(path, &overrides)?
    } else {
        let app = session.app(&args.app)?;
        (manifest_of_files(app, overrides, args.files.len())?, args.files.clone())
    };
    if let (None, Some(channel)) = (&manifest.channel, &session.settings.channel) {
        manifest.channel = Some(channel.value.parse()?);
    }
    manifest.draft = args.draft;
    manifest.strict = args.strict;
    Ok((manifest, paths))
}

/// What beats a manifest's own fields: a flag, then the environment. `dist.toml` does not: it only
/// fills in what nobody else says.
fn overrides(args: &Publish, settings: &Settings) -> Result<Overrides, Refusal> {
    let of_environment = |setting: &Option<Setting<String>>| {
        let setting = setting.clone().filter(|setting| setting.origin == Origin::Environment);
        setting.map(|setting| setting.value)
    };
    let app = args.app.app.clone().or_else(|| of_environment(&settings.app));
    let channel = args.channel.clone().or_else(|| of_environment(&settings.channel));
    Ok(Overrides {
        app: app.map(Slug::try_from).transpose()?,
        version: args.version.clone().map(Version::try_from).transpose()?,
        build: args.build.clone().map(Build::try_from).transpose()?,
        channel: channel.map(ChannelName::try_from).transpose()?,
    })
}

fn manifest_of_files(app: Slug, overrides: Overrides, files: usize) -> Result<Manifest, Refusal> {
    let version = overrides.version;
    Ok(Manifest {
        app,
        display_name: None,
        version: version.ok_or_else(|| usage("files without a manifest need --version or DIST_VERSION"))?,
        build: overrides.build.unwrap_or_else(Build::none),
        channel: overrides.channel,
        notes: None,
        notes_file: None,
        source: Source::default(),
        artifacts: vec![ArtifactEntry::default(); files],
        draft: false,
        strict: false,
    })
}

/// Takes from the CI system what the manifest leaves out.
fn fill_source(manifest: &mut Manifest, environment: &Environment) {
    let found = crate::ci::source(environment);
    let source = &mut manifest.source;
    source.commit = source.commit.take().or(found.commit);
    source.branch = source.branch.take().or(found.branch);
    source.run_url = source.run_url.take().or(found.run_url);
}

/// Says what people should know of the files, and answers how they differ from the release.
fn check_versions(
    manifest: &Manifest,
    staged: &[Staged],
    strict: bool,
    printer: Printer,
) -> Result<Vec<String>, Refusal> {
    let differences = version_differences(staged, manifest.version.as_str(), manifest.build.as_str());
    if strict && !differences.is_empty() {
        return Err(Refusal::new(ErrorCode::StrictMismatch, differences.join("; ")).with("differences", differences));
    }
    for difference in &differences {
        printer.warn(difference);
    }
    for artifact in staged {
        for finding in &artifact.examined.report.findings {
            printer.warn(&format!(
                "{}: {} {}",
                artifact.path.display(),
                finding.message,
                finding.help
            ));
        }
    }
    Ok(differences)
}

/// Publishes, and sends what the store says that it lacks: so a token that may not publish sends
/// nothing, and a store that has everything is asked once.
async fn publish_and_upload(
    target: &Target,
    manifest: &Manifest,
    staged: &[Staged],
    printer: Printer,
) -> Result<PublishResult, Refusal> {
    let mut sendings = 0;
    loop {
        match target.publish(manifest).await {
            Err(refusal) if refusal.code == ErrorCode::ObjectMissing && sendings < SENDINGS => {
                // The first time only what is missing; after that a cleanup is at work, and a
                // new arrival is what keeps it off.
                upload_all(target, staged, sendings > 0, printer).await?;
                sendings += 1;
            }
            result => return result,
        }
    }
}

async fn upload_all(target: &Target, staged: &[Staged], again: bool, printer: Printer) -> Result<(), Refusal> {
    let mut sent = std::collections::BTreeSet::new();
    for artifact in staged {
        let examined = &artifact.examined;
        if !sent.insert(examined.sha256) || (!again && target.object_size(&examined.sha256).await?.is_some()) {
            continue;
        }
        let bar = printer.bar(examined.stamp.size, &artifact.path.display().to_string());
        let progress = bar.clone();
        let upload = Upload {
            path: artifact.path.clone(),
            stamp: examined.stamp,
            sha256: examined.sha256,
            progress: Arc::new(move |bytes| progress.set_position(bytes)),
        };
        target.upload(&upload).await?;
        bar.finish_and_clear();
    }
    Ok(())
}

/// A publish as people read it.
pub(super) fn describe(result: &PublishResult, out: &mut Text) {
    let done = match result.status {
        PublishStatus::Published => "published",
        PublishStatus::Unchanged => "was published before, unchanged",
        PublishStatus::Draft => "is a draft",
    };
    let label = super::release::label(&result.release.version, &result.release.build);
    out.line(format!("{} {label} {done} ({})", result.app.slug, result.release.id));
    out.table(&Table::default().rows(&result.artifacts, |artifact| {
        [
            format!("  {}", artifact.platform),
            artifact.filename.to_string(),
            size(artifact.size_bytes),
            artifact.validation_status.to_string(),
        ]
    }));
    if let Some(channel) = &result.channel {
        let there = channel.release_id == result.release.id;
        let release = if there { label } else { "another release".to_owned() };
        out.line(format!(
            "{} is at {release} (revision {})",
            channel.name, channel.revision
        ));
    }
    if let Some(url) = &result.install_url {
        out.line(url);
    }
}
