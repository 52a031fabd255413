//! Publishing releases, straight or through drafts.

use dist_inspect::Report;
use dist_model::decide::{
    self, ArtifactIntent, Decided, DraftIntent, PublishDraftState, PublishIntent, PublishState, PublishStatus,
    Published,
};
use dist_model::{
    App, Artifact, Build, ChannelName, Digest, ErrorCode, FileName, Platform, Refusal, Release, ReleaseStatus, Scope,
    Slug, Source, ValidationStatus, Version,
};
use persist::{SqlRead, SqlReadExt as _, params};
use serde_json::{Map, Value, json};

use crate::access::no_such_app;
use crate::idempotency::Receipted;
use crate::service::{Scene, blocking};
use crate::{Caller, Error, Idempotency, Selector, Service, inspection, object, preflight, rows};

/// A release to publish.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishRequest {
    /// The app; made where it is not there and the caller may.
    pub slug: Slug,
    /// The app's name for people, used only when this makes the app.
    pub display_name: Option<String>,
    /// The version.
    pub version: Version,
    /// The build.
    pub build: Build,
    /// The channel to move.
    pub channel: Option<ChannelName>,
    /// Release notes, Markdown, at most 256 KiB.
    pub notes: String,
    /// Where the build came from.
    pub source: Source,
    /// True to begin or fill a draft.
    pub draft: bool,
    /// True to refuse what is found beside the last release, rather than to note it.
    pub strict: bool,
    /// The artifacts, whose bytes are in the store.
    pub artifacts: Vec<ArtifactRequest>,
}

/// An artifact of a [`PublishRequest`]; what is absent is told from the bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct ArtifactRequest {
    /// What it runs on; must agree with what the file is.
    pub platform: Option<Platform>,
    /// The processor.
    pub arch: Option<String>,
    /// The kind of file.
    pub package_type: Option<String>,
    /// The name under which it is downloaded.
    pub filename: Option<FileName>,
    /// The media type.
    pub content_type: Option<String>,
    /// The digest of its bytes.
    pub sha256: Digest,
    /// How many they are; checked.
    pub size_bytes: Option<u64>,
    /// What the build adds.
    pub metadata: Map<String, Value>,
}

impl Service {
    /// Publishes a release with all its artifacts and moves the channel, or begins or fills a
    /// draft: one transaction.
    ///
    /// # Errors
    /// The refusals of `dist_model::decide::publish`, `object.missing` where bytes are not there or
    /// not the caller's to name, and those of access.
    pub async fn publish(
        &self,
        caller: &Caller,
        request: PublishRequest,
        idempotency: Option<Idempotency>,
    ) -> Result<Published, Error> {
        // A first look, so that a stranger cannot have files inspected.
        caller.require(
            Scope::Publish,
            Some(&request.slug),
            request.channel.as_ref(),
            self.now(),
        )?;
        let artifacts = self.examine(caller, request.artifacts.clone()).await?;
        let strict = request.strict;
        let intent = intent(request, artifacts)?;
        self.write_once(caller, idempotency, move |tx, scene| {
            object::claim(tx, scene, &intent)?;
            decide_publish(&*tx, scene, intent, strict)
        })
        .await
    }

    /// Adds artifacts to a draft; the same bytes again change nothing, others of the same name
    /// replace what was there.
    pub async fn add_artifacts(
        &self,
        caller: &Caller,
        app: &Slug,
        release: &Selector,
        artifacts: Vec<ArtifactRequest>,
        idempotency: Option<Idempotency>,
    ) -> Result<Published, Error> {
        caller.require(Scope::Publish, Some(app), None, self.now())?;
        let artifacts = self.examine(caller, artifacts).await?;
        let (slug, selector) = (app.clone(), release.clone());
        self.write_once(caller, idempotency, move |tx, scene| {
            scene
                .caller
                .require(Scope::Publish, Some(&slug), None, scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let release = selector.find(&*tx, &app, true)?;
            let intent = PublishIntent {
                slug,
                display_name: None,
                version: release.version,
                build: release.build,
                channel: None,
                notes: release.notes,
                source: release.source,
                artifacts,
                draft: true,
            };
            object::claim(tx, scene, &intent)?;
            decide_publish(&*tx, scene, intent, false)
        })
        .await
    }

    /// Validates a whole draft, makes it immutable and moves its channel.
    pub async fn publish_draft(
        &self,
        caller: &Caller,
        app: &Slug,
        release: &Selector,
        intent: DraftIntent,
        idempotency: Option<Idempotency>,
    ) -> Result<Published, Error> {
        let (slug, selector) = (app.clone(), release.clone());
        self.write_once(caller, idempotency, move |tx, scene| {
            scene
                .caller
                .require(Scope::Publish, Some(&slug), intent.channel.as_ref(), scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let release = selector.find(&*tx, &app, true)?;
            require_draft(scene, &slug, &release)?;
            let wanted = intent.channel.as_ref().or(release.channel.as_ref());
            scene
                .caller
                .require(Scope::Publish, Some(&slug), wanted, scene.context.now)?;
            let channel = wanted.map(|name| rows::move_state(&*tx, &app.id, name)).transpose()?;
            let mut artifacts = rows::artifacts(&*tx, &release.id)?;
            let mut events = Vec::new();
            if release.status == ReleaseStatus::Draft {
                events = preflight::check_draft(&*tx, &app, &release, wanted, &mut artifacts)?;
            }
            let icons: Vec<Digest> = artifacts.iter().filter_map(Artifact::icon).collect();
            object::check_present(
                tx,
                scene,
                artifacts.iter().map(|artifact| &artifact.sha256).chain(&icons),
            )?;
            let was_in_channel = wanted.map(|name| rows::was_in_channel(&*tx, name, &release));
            let state = PublishDraftState {
                was_in_channel: was_in_channel.transpose()?.unwrap_or(false),
                app,
                release,
                artifacts,
                channel,
            };
            let decided = decide::publish_draft(state, &intent, &scene.context)?;
            events.extend(decided.events);
            Ok(Decided { events, ..decided })
        })
        .await
    }

    /// Throws a draft away; its bytes go with the next cleanup.
    pub async fn discard(&self, caller: &Caller, app: &Slug, release: &Selector) -> Result<Release, Error> {
        let (slug, selector) = (app.clone(), release.clone());
        self.write(caller, move |tx, scene| {
            scene
                .caller
                .require(Scope::Publish, Some(&slug), None, scene.context.now)?;
            let app = rows::app_by_slug(&*tx, &slug)?.ok_or_else(|| no_such_app(&slug))?;
            let release = selector.find(&*tx, &app, true)?;
            require_draft(scene, &slug, &release)?;
            let decided = decide::discard(&release)?;
            Ok(Decided {
                events: decided.events,
                value: release,
            })
        })
        .await
    }

    /// Looks at the bytes of each artifact and fills in what the request leaves out. Objects never
    /// change, so this needs no transaction.
    async fn examine(&self, caller: &Caller, requests: Vec<ArtifactRequest>) -> Result<Vec<ArtifactIntent>, Error> {
        // What is said of bytes would tell that they are there.
        self.read(|tx| object::check_known(tx, caller, requests.iter().map(|request| &request.sha256)))?;
        let service = self.clone();
        blocking(move || requests.into_iter().map(|request| examine(&service, request)).collect()).await
    }
}

/// Loads what a publish needs by key, and decides.
fn decide_publish(
    tx: &dyn SqlRead,
    scene: &Scene,
    mut intent: PublishIntent,
    strict: bool,
) -> Result<Decided<Published>, Error> {
    scene.caller.require(
        Scope::Publish,
        Some(&intent.slug),
        intent.channel.as_ref(),
        scene.context.now,
    )?;
    let app = rows::app_by_slug(tx, &intent.slug)?;
    let release = match &app {
        Some(app) => standing(tx, app, &intent)?,
        None => None,
    };
    if let Some((release, _)) = &release {
        require_draft(scene, &intent.slug, release)?;
    }
    // What was published before stays as it was found then.
    if release
        .as_ref()
        .is_none_or(|(release, _)| release.status == ReleaseStatus::Draft)
    {
        preflight::check(tx, app.as_ref(), &mut intent, strict)?;
    }
    let (mut channel, mut was_in_channel) = (None, false);
    if let (Some(app), Some(name)) = (&app, &intent.channel) {
        channel = Some(rows::move_state(tx, &app.id, name)?);
        if let Some((release, _)) = &release {
            was_in_channel = rows::was_in_channel(tx, name, release)?;
        }
    }
    let state = PublishState {
        app,
        release,
        channel,
        was_in_channel,
    };
    Ok(decide::publish(
        state,
        &intent,
        scene.service.setup().defaults,
        &scene.context,
        &mut scene.ids(),
    )?)
}

/// Refuses a caller who may not publish to the channel that a draft is meant for: what is added to the
/// draft, or taken with it, is that channel's next release.
fn require_draft(scene: &Scene, slug: &Slug, release: &Release) -> Result<(), Refusal> {
    let channel = match release.status {
        ReleaseStatus::Draft => release.channel.as_ref(),
        _ => None,
    };
    scene
        .caller
        .require(Scope::Publish, Some(slug), channel, scene.context.now)
}

/// The release of the same version and build.
fn standing(tx: &dyn SqlRead, app: &App, intent: &PublishIntent) -> Result<Option<(Release, Vec<Artifact>)>, Error> {
    let sql = rows::select_releases!("WHERE app_id = ?1 AND version = ?2 AND build = ?3");
    let found = tx.query_opt(
        sql,
        params![app.id.as_str(), intent.version.as_str(), intent.build.as_str()],
        rows::read_release,
    )?;
    let Some(release) = found else { return Ok(None) };
    let artifacts = rows::artifacts(tx, &release.id)?;
    Ok(Some((release, artifacts)))
}

fn intent(request: PublishRequest, artifacts: Vec<ArtifactIntent>) -> Result<PublishIntent, Refusal> {
    const MOST_NOTES: usize = 256 * 1024;
    if request.notes.len() > MOST_NOTES {
        return Err(
            Refusal::new(ErrorCode::ManifestInvalidField, "the release notes are over 256 KiB").with("field", "/notes"),
        );
    }
    if artifacts.is_empty() && !request.draft {
        return Err(Refusal::new(
            ErrorCode::ReleaseEmpty,
            "a release needs at least one artifact",
        ));
    }
    Ok(PublishIntent {
        slug: request.slug,
        display_name: request.display_name,
        version: request.version,
        build: request.build,
        channel: request.channel,
        notes: request.notes,
        source: request.source,
        artifacts,
        draft: request.draft,
    })
}

fn examine(service: &Service, request: ArtifactRequest) -> Result<ArtifactIntent, Error> {
    let digest = request.sha256;
    let filename = match &request.filename {
        Some(name) => name.clone(),
        None => digest.to_string().parse()?,
    };
    let object = service.objects().open_object(&digest)?;
    let size = object
        .as_ref()
        .map(dist_blobs::Object::size)
        .or(request.size_bytes)
        .unwrap_or(0);
    if let Some(declared) = request.size_bytes.filter(|declared| *declared != size) {
        return Err(Refusal::new(
            ErrorCode::SizeMismatch,
            format!("{filename} has {size} bytes, not the declared {declared}"),
        )
        .with("expected", declared)
        .with("found", size)
        .into());
    }
    let inspection = match object {
        Some(object) => {
            let inspected = service
                .setup()
                .inspector
                .inspect(object.file(), filename.as_str(), service.now());
            Some(inspected.map_err(|error| Error::file(format!("inspecting {filename}"), error))?)
        }
        // The transaction refuses what is not there; a dry run takes it at its word.
        None => None,
    };
    let detected = inspection.as_ref().map(|inspection| &inspection.report);
    let platform = platform(&request, detected, &filename)?;
    let metadata = match &inspection {
        Some(found) => inspection::keep(service.objects(), found, request.metadata)?,
        None => request.metadata,
    };
    Ok(ArtifactIntent {
        platform,
        arch: request
            .arch
            .or_else(|| detected.and_then(|report| report.arch.clone()))
            .unwrap_or_default(),
        package_type: request
            .package_type
            .or_else(|| detected.map(|report| report.package_type.to_string()))
            .unwrap_or_default(),
        filename,
        content_type: request
            .content_type
            .or_else(|| detected.map(|report| report.content_type.to_string()))
            .unwrap_or_else(|| "application/octet-stream".to_owned()),
        sha256: digest,
        size_bytes: size,
        metadata,
        validation_status: detected.map_or(ValidationStatus::Pending, |report| report.verdict.into()),
        bundle_id: detected
            .and_then(|report| report.facts.get("app_id"))
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

fn platform(request: &ArtifactRequest, report: Option<&Report>, filename: &FileName) -> Result<Platform, Refusal> {
    match (request.platform, report) {
        (Some(declared), Some(report)) if !dist_inspect::agrees(report.format, declared) => Err(Refusal::new(
            ErrorCode::PlatformMismatch,
            format!(
                "{filename} is declared as {declared}, but is {}: correct the manifest or the path",
                report.format.as_str()
            ),
        )
        .with("declared", declared.as_str())
        .with("format", report.format.as_str())),
        (Some(declared), _) => Ok(declared),
        (None, report) => report.and_then(|report| report.platform).ok_or_else(|| {
            Refusal::new(
                ErrorCode::PlatformUnknown,
                format!("what {filename} is for cannot be told from its bytes: declare its platform"),
            )
            .with("filename", filename.as_str())
        }),
    }
}

impl Receipted for Published {
    fn receipt(&self) -> Value {
        json!({
            "status": self.status,
            "release": self.release.id,
        "channel": self.channel.as_ref().map(|moved| json!({ "name": moved.channel, "revision": moved.revision })),
        })
    }

    fn recall(tx: &dyn SqlRead, receipt: &Value) -> Result<Self, Error> {
        let broken = || Error::Broken(format!("a receipt cannot be read: {receipt}"));
        let status: PublishStatus = serde_json::from_value(receipt["status"].clone()).map_err(|_| broken())?;
        let id = receipt["release"].as_str().ok_or_else(broken)?;
        let release = rows::release(tx, id)?.ok_or_else(|| {
            Refusal::new(
                ErrorCode::ReleaseNotFound,
                "the draft that this request made was discarded",
            )
        })?;
        let app = rows::app_by_id(tx, &release.app_id)?.ok_or_else(broken)?;
        let artifacts = rows::artifacts(tx, &release.id)?;
        let channel = match (
            receipt["channel"]["name"].as_str(),
            receipt["channel"]["revision"].as_u64(),
        ) {
            (Some(name), Some(revision)) => rows::history_move(tx, &app.id, &name.parse()?, revision)?,
            _ => None,
        };
        Ok(Self {
            status,
            app,
            release,
            artifacts,
            channel,
        })
    }
}
