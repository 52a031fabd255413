//! One box for everything that has a name.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use dist_model::{
    App, AppId, ChannelName, Digest, FileName, Release, ReleaseName, ReleaseStatus, Scope, Slug, Timestamp, TokenId,
};
use persist::{SqlError, SqlRead, SqlReadExt as _, params};

use super::apps::readable_apps;
use crate::{Caller, Error, Service, rows};

/// The most hits of a search.
const MOST: usize = 20;
/// How much of a digest or commit must be given.
const SHORTEST_HASH: usize = 6;
/// How many rows are looked at of those that have the same beginning of a digest or commit; where
/// there are more, more of it has to be typed.
const LOOKED_AT: i64 = 200;
/// Longer texts find nothing: no name and no digest is as long.
const LONGEST: usize = 200;

/// Something that a search found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// An app, by its slug or name.
    App {
        /// The slug.
        slug: Slug,
        /// The name for people.
        display_name: String,
    },
    /// A release, by its version, build or commit.
    Release {
        /// Its app.
        app: Slug,
        /// The release.
        release: ReleaseName,
        /// Where it stands.
        status: ReleaseStatus,
        /// The commit, where that is what was looked for.
        commit: Option<String>,
    },
    /// An artifact, by the digest of its bytes.
    Artifact {
        /// Its app.
        app: Slug,
        /// Its release.
        release: ReleaseName,
        /// Its name.
        filename: FileName,
        /// Its digest.
        sha256: Digest,
    },
    /// A channel, by its name.
    Channel {
        /// Its app.
        app: Slug,
        /// The name.
        name: ChannelName,
    },
    /// A token, by its name.
    Token {
        /// The id.
        id: TokenId,
        /// The name.
        name: String,
    },
}

/// A hit: what was found, and how well it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchHit {
    /// What.
    pub found: Found,
    /// True where the whole name is what was looked for.
    pub exact: bool,
}

impl Service {
    /// Looks for a text in what the caller may read, and answers at most 20 hits: whole names before
    /// beginnings before what is inside a name; then apps, releases by version, build and commit,
    /// artifacts, channels and tokens; then the newest.
    ///
    /// Slugs, names, channels and tokens are found by any part, versions and builds by their
    /// beginning, commits and digests by at least the first 6 characters. Tokens are found by those
    /// who may list them.
    pub async fn search(&self, caller: &Caller, text: &str) -> Result<Vec<SearchHit>, Error> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return Ok(Vec::new());
        }
        let now = self.now();
        self.read(|tx| {
            let mut search = Search {
                tx,
                caller,
                text,
                lower: text.to_lowercase(),
                apps: readable_apps(tx, caller)?,
                hits: Vec::new(),
            };
            search.apps();
            search.releases()?;
            search.hashes()?;
            search.channels()?;
            search.tokens(now)?;
            Ok(search.best())
        })
    }
}

/// How well a name fits, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Whole,
    Beginning,
    Inside,
}

/// The order of the hits: how well they fit, what they are, and how new.
type Place = (Fit, u8, Reverse<Timestamp>);

struct Search<'a> {
    tx: &'a dyn SqlRead,
    caller: &'a Caller,
    text: &'a str,
    lower: String,
    /// The apps that the caller may read.
    apps: Vec<App>,
    hits: Vec<(Place, SearchHit)>,
}

impl Search<'_> {
    fn fit(&self, name: &str) -> Option<Fit> {
        let name = name.to_lowercase();
        match name.find(&self.lower)? {
            0 if name.len() == self.lower.len() => Some(Fit::Whole),
            0 => Some(Fit::Beginning),
            _ => Some(Fit::Inside),
        }
    }

    fn hit(&mut self, fit: Fit, rank: u8, at: Timestamp, found: Found) {
        let hit = SearchHit {
            found,
            exact: fit == Fit::Whole,
        };
        self.hits.push(((fit, rank, Reverse(at)), hit));
    }

    /// The best hits. What was found twice, such as by version and build, is there once.
    fn best(mut self) -> Vec<SearchHit> {
        self.hits.sort_by_key(|(place, _)| *place);
        let mut releases = BTreeSet::new();
        let hits = self.hits.into_iter().map(|(_, hit)| hit);
        let once = hits.filter(|hit| match &hit.found {
            Found::Release { release, .. } => releases.insert(release.id.clone()),
            _ => true,
        });
        once.take(MOST).collect()
    }

    fn apps(&mut self) {
        for app in self.apps.clone() {
            let fits = [self.fit(app.slug.as_str()), self.fit(&app.display_name)];
            if let Some(fit) = fits.into_iter().flatten().min() {
                let (slug, display_name) = (app.slug, app.display_name);
                self.hit(fit, 0, app.updated_at, Found::App { slug, display_name });
            }
        }
    }

    /// Versions and builds, app by app off the index, so that apps that the caller may not read are
    /// not even looked at. Of those that only begin so the highest in the order of texts are taken.
    fn releases(&mut self) -> Result<(), SqlError> {
        const VERSION: &str = rows::select_releases!(
            "WHERE app_id = ?1 AND version >= ?2 AND version < ?3 ORDER BY version DESC, build DESC LIMIT ?4"
        );
        const BUILD: &str =
            rows::select_releases!("WHERE app_id = ?1 AND build >= ?2 AND build < ?3 ORDER BY build DESC LIMIT ?4");
        // The whole name sorts before all that go on, and so would be the last of many.
        const SAME_VERSION: &str =
            rows::select_releases!("WHERE app_id = ?1 AND version = ?2 ORDER BY build DESC LIMIT ?3");
        const SAME_BUILD: &str = rows::select_releases!("WHERE app_id = ?1 AND build = ?2 LIMIT ?3");
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let (first, end) = range(self.text);
        let after_whole = format!("{first}\u{1}");
        let apps: Vec<(AppId, Slug)> = self.apps.iter().map(|app| (app.id.clone(), app.slug.clone())).collect();
        for (id, slug) in apps {
            let id = id.as_str();
            for (rank, whole, beginning) in [(1, SAME_VERSION, VERSION), (2, SAME_BUILD, BUILD)] {
                let found = self
                    .tx
                    .query_all(whole, params![id, &first, most], rows::read_release)?;
                self.released(Fit::Whole, rank, &slug, found, None);
                let bound = params![id, &after_whole, &end, most];
                let found = self.tx.query_all(beginning, bound, rows::read_release)?;
                self.released(Fit::Beginning, rank, &slug, found, None);
            }
        }
        Ok(())
    }

    fn released(&mut self, fit: Fit, rank: u8, app: &Slug, releases: Vec<Release>, commit: Option<&str>) {
        let drafts = self.caller.has(Scope::Publish, app);
        for release in releases {
            if release.status == ReleaseStatus::Draft && !drafts {
                continue;
            }
            let at = release.published_at.unwrap_or(release.created_at);
            let found = Found::Release {
                app: app.clone(),
                release: ReleaseName::from(&release),
                status: release.status,
                commit: commit.map(str::to_owned),
            };
            self.hit(fit, rank, at, found);
        }
    }

    /// Commits and digests, which are few for the same beginning.
    fn hashes(&mut self) -> Result<(), SqlError> {
        if self.text.len() < SHORTEST_HASH || !self.text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(());
        }
        let (first, end) = range(&self.lower);
        let sql =
            rows::select_releases!("WHERE source_commit >= ?1 AND source_commit < ?2 ORDER BY source_commit LIMIT ?3");
        let found = self
            .tx
            .query_all(sql, params![&first, &end, LOOKED_AT], rows::read_release)?;
        for release in found {
            let commit = release.source.commit.clone().unwrap_or_default();
            if let (Some(fit), Some(app)) = (self.fit(&commit), self.app(&release.app_id)) {
                self.released(fit, 3, &app, vec![release], Some(&commit));
            }
        }
        let sql = "SELECT app_id, release_id, filename, sha256 FROM artifacts WHERE sha256 >= ?1 AND sha256 < ?2 ORDER BY sha256 LIMIT ?3";
        let found = self.tx.query_all(sql, params![&first, &end, LOOKED_AT], |row| {
            Ok((
                rows::parsed::<AppId>(row, 0)?,
                rows::parsed(row, 1)?,
                rows::parsed::<FileName>(row, 2)?,
                rows::parsed::<Digest>(row, 3)?,
            ))
        })?;
        for (app, release, filename, sha256) in found {
            let Some(app) = self.app(&app) else { continue };
            let release = rows::known_release(self.tx, &release)?;
            let Some(fit) = self.fit(&sha256.to_string()) else {
                continue;
            };
            if release.status == ReleaseStatus::Draft && !self.caller.has(Scope::Publish, &app) {
                continue;
            }
            let at = release.published_at.unwrap_or(release.created_at);
            let release = ReleaseName::from(&release);
            self.hit(
                fit,
                4,
                at,
                Found::Artifact {
                    app,
                    release,
                    filename,
                    sha256,
                },
            );
        }
        Ok(())
    }

    /// The slug of an app, if the caller may read it.
    fn app(&self, id: &AppId) -> Option<Slug> {
        let app = self.apps.iter().find(|app| app.id == *id)?;
        Some(app.slug.clone())
    }

    fn channels(&mut self) -> Result<(), SqlError> {
        let channels = self.tx.query_all("SELECT app_id, name FROM channels", &[], |row| {
            Ok((rows::parsed::<AppId>(row, 0)?, rows::parsed::<ChannelName>(row, 1)?))
        })?;
        for (app, name) in channels {
            if let (Some(fit), Some(app)) = (self.fit(name.as_str()), self.app(&app)) {
                self.hit(fit, 5, Timestamp::default(), Found::Channel { app, name });
            }
        }
        Ok(())
    }

    fn tokens(&mut self, now: Timestamp) -> Result<(), SqlError> {
        if self.caller.require_tokens(now).is_err() {
            return Ok(());
        }
        let sql = rows::select_tokens!("WHERE ?1 IS NULL OR ?1 LIKE '%,' || app_slug || ',%' ORDER BY name");
        let apps = self.caller.reach_of_tokens().slugs();
        let tokens = self.tx.query_all(sql, params![apps.as_deref()], rows::read_token)?;
        for token in tokens {
            if let Some(fit) = self.fit(&token.name) {
                let (id, name) = (token.id, token.name);
                self.hit(fit, 6, token.created_at, Found::Token { id, name });
            }
        }
        Ok(())
    }
}

/// The texts that begin with `text`: from itself to what is not among them any more. No version,
/// build, commit or digest has a character beyond '~'.
fn range(text: &str) -> (String, String) {
    (text.to_owned(), format!("{text}\u{7f}"))
}
