//! What somebody has just done, told on the page that they come back to. The address carries a word
//! and never a text, and a move is looked up again: no link can put words into a page.

use dist_model::{ChannelName, MoveCause, Slug};
use dist_service::{Paging, Selector};
use serde::Deserialize;

use super::Visit;
use crate::error::Result;
use crate::state::Site;

/// What an address says of the form that led to it.
#[derive(Default, Deserialize)]
pub(crate) struct Done {
    #[serde(default, rename = "done")]
    deed: String,
    #[serde(default)]
    channel: String,
    #[serde(default)]
    revision: String,
}

/// What is told of it.
pub(crate) struct Note {
    /// `done`, or `warning`.
    pub kind: &'static str,
    pub text: String,
    /// Where it is undone, below the site's own path.
    pub undo: Option<String>,
}

impl Note {
    fn done(text: impl Into<String>) -> Self {
        Self {
            kind: "done",
            text: text.into(),
            undo: None,
        }
    }
}

/// The query of an address that tells of a channel's move.
pub(crate) fn moved(channel: &ChannelName, revision: u64) -> String {
    format!("done=moved&channel={channel}&revision={revision}")
}

impl Done {
    /// What there is to tell on a page of an app.
    pub(crate) async fn note(&self, site: &Site, visit: &Visit, app: &Slug) -> Result<Option<Note>> {
        match self.deed.as_str() {
            "moved" => self.note_of_move(site, visit, app).await,
            _ => Ok(self.plain_note()),
        }
    }

    /// What there is to tell of anything but a move.
    pub(crate) fn plain_note(&self) -> Option<Note> {
        let text = match self.deed.as_str() {
            "made" => "The app is there. CI can publish to it.",
            "saved" => "The settings are saved.",
            "published" => "The draft is published. It never changes from now on.",
            "yanked" => "The release is yanked, and never offered again.",
            "discarded" => "The draft is gone. Its files go with the next cleanup.",
            "revoked" => "The tester link is revoked: it opens nothing any more.",
            "password" => "The password is changed. You are signed out everywhere else.",
            "signed-out" => "The other browser is signed out.",
            "person" => "The name and the roles are saved.",
            "disabled" => "The account is disabled, and signed out everywhere.",
            "enabled" => "The account is enabled again.",
            "cleaned" => "The cleanup is done. What it has marked is removed by one at least an hour later.",
            "held-off" => "A backup is being taken: objects go with the next cleanup.",
            "backed-up" => "The backup is whole.",
            _ => return None,
        };
        Some(Note {
            kind: if self.deed == "held-off" { "warning" } else { "done" },
            ..Note::done(text)
        })
    }

    async fn note_of_move(&self, site: &Site, visit: &Visit, app: &Slug) -> Result<Option<Note>> {
        let (Ok(channel), Ok(revision)) = (self.channel.parse::<ChannelName>(), self.revision.parse::<u64>()) else {
            return Ok(None);
        };
        let newest = Paging { cursor: None, limit: 1 };
        let history = site.service.history(&visit.caller, app, &channel, &newest).await;
        let Some(entry) = history.ok().and_then(|mut page| page.items.pop()) else {
            return Ok(None);
        };
        if entry.revision < revision {
            return Ok(None);
        }
        if entry.revision > revision {
            return Ok(Some(Note {
                kind: "warning",
                text: format!("{channel} was moved again since."),
                undo: None,
            }));
        }
        let after = dist_model::ReleaseName::new(entry.release_id, &entry.version, &entry.build).label;
        let Some(previous) = entry.previous_release_id else {
            return Ok(Some(Note::done(format!("{channel} now offers {after}."))));
        };
        let undo = match entry.cause {
            MoveCause::RolledBack => format!("/admin/apps/{app}/promote?channel={channel}&release={previous}"),
            _ => format!("/admin/apps/{app}/channels/{channel}/rollback"),
        };
        let before = site
            .service
            .release(&visit.caller, app, &Selector::from(previous))
            .await?;
        Ok(Some(Note {
            kind: "done",
            text: format!(
                "{channel} now offers {after}; before, it was {}.",
                before.release.label()
            ),
            undo: Some(undo),
        }))
    }
}
