//! Who did what and when: the audit log, to read and to take along.

mod export;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use dist_model::{Refusal, Scope, Timestamp};
use dist_service::{AuditChoices, AuditFilter, AuditLine, AuditPage, AuditPlace};
use serde::{Deserialize, Serialize};

pub(crate) use self::export::{__path_csv, __path_jsonl, csv, jsonl};
use super::Visit;
use crate::error::{ApiError, Result};
use crate::extract::Query;
use crate::state::Site;
use crate::web::{Section, Shell};

const DAY_MS: i64 = 86_400_000;
/// How many events a page shows.
const LINES: u32 = 50;

/// A page of the log, and the filter that it is under.
#[derive(Template)]
#[template(path = "console/audit.html")]
struct LogPage {
    shell: Shell,
    fields: AuditQuery,
    choices: AuditChoices,
    lines: Vec<AuditLine>,
    /// The queries of the pages beside this one.
    newer: Option<String>,
    older: Option<String>,
    /// The query of the same filter.
    query: String,
    /// True where the reader has to say of which app.
    needs_app: bool,
}

/// A filter as it is typed, and where a page of it stands; an empty field lets everything through.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct AuditQuery {
    #[serde(skip_serializing_if = "String::is_empty")]
    app: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    actor: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    action: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    target: String,
    /// The first day or moment, UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    since: String,
    /// The last day, which is within, or the moment before which.
    #[serde(skip_serializing_if = "String::is_empty")]
    until: String,
    /// The event that the page ends before.
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<u64>,
    /// The event that it begins after.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<u64>,
}

impl AuditQuery {
    fn filter(&self) -> Result<AuditFilter, Refusal> {
        let some = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        Ok(AuditFilter {
            app: some(&self.app).map(|app| app.parse()).transpose()?,
            actor: some(&self.actor),
            action: some(&self.action),
            target: some(&self.target),
            since: some(&self.since).map(|text| moment(&text, 0)).transpose()?,
            until: some(&self.until).map(|text| moment(&text, DAY_MS)).transpose()?,
        })
    }

    fn place(&self) -> AuditPlace {
        match (self.before, self.after) {
            (Some(id), _) => AuditPlace::Before(id),
            (None, Some(id)) => AuditPlace::After(id),
            (None, None) => AuditPlace::Newest,
        }
    }

    /// The query of the same filter at another place.
    fn at(&self, place: AuditPlace) -> Result<String> {
        let (before, after) = match place {
            AuditPlace::Newest => (None, None),
            AuditPlace::Before(id) => (Some(id), None),
            AuditPlace::After(id) => (None, Some(id)),
        };
        let there = Self {
            before,
            after,
            ..self.clone()
        };
        serde_html_form::to_string(&there).map_err(ApiError::internal)
    }

    fn is_filtered(&self) -> bool {
        let fields = [
            &self.app,
            &self.actor,
            &self.action,
            &self.target,
            &self.since,
            &self.until,
        ];
        fields.iter().any(|field| !field.is_empty())
    }

    /// The actions to choose from: whole areas, then each with how often it was done, and whether it
    /// is chosen.
    fn actions(&self, choices: &AuditChoices) -> Vec<(String, String, bool)> {
        let area = |action: &str| action.split_once('.').map(|(area, _)| format!("{area}."));
        let mut areas: Vec<_> = choices.actions.keys().filter_map(|action| area(action)).collect();
        areas.dedup();
        let areas = areas.into_iter().map(|area| (area.clone(), format!("{area}*")));
        let single = choices.actions.iter();
        let single = single.map(|(action, count)| (action.clone(), format!("{action} ({count})")));
        let choice = |(value, text): (String, String)| {
            let is_chosen = value == self.action;
            (value, text, is_chosen)
        };
        areas.chain(single).map(choice).collect()
    }
}

/// A moment, or the beginning of a day and so much later.
fn moment(text: &str, later_ms: i64) -> Result<Timestamp, Refusal> {
    if text.len() == "2026-01-31".len() {
        let day: Timestamp = format!("{text}T00:00:00Z").parse()?;
        return Ok(day.plus_millis(later_ms));
    }
    text.parse()
}

/// An event's data as it is read: each member on a line of its own.
fn data(line: &AuditLine) -> String {
    serde_json::to_string_pretty(&line.event.metadata).unwrap_or_default()
}

impl Visit {
    /// Whether the person may read what happened to no single app too.
    pub(crate) fn may_read_whole_log(&self) -> bool {
        self.person.user.check_role(Scope::Promote, None).is_ok()
    }
}

/// The log, newest first. Who may not read all of it names an app.
#[utoipa::path(get, path = "/admin/audit", tag = "console",
    responses((status = 200, body = String, content_type = "text/html"), (status = 422)))]
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(fields): Query<AuditQuery>,
) -> Result<Response> {
    let filter = fields.filter()?;
    let needs_app = filter.app.is_none() && !visit.may_read_whole_log();
    let (found, choices) = if needs_app {
        (AuditPage::default(), AuditChoices::default())
    } else {
        let found = site
            .service
            .audit_page(&visit.caller, &filter, fields.place(), LINES)
            .await?;
        let choices = site.service.audit_choices(&visit.caller, filter.app.as_ref()).await?;
        (found, choices)
    };
    let link = |place: Option<AuditPlace>| place.map(|place| fields.at(place)).transpose();
    let (newer, older, query) = (link(found.newer)?, link(found.older)?, fields.at(AuditPlace::Newest)?);
    visit.page("Audit", Section::Audit, |shell| LogPage {
        shell,
        choices,
        lines: found.lines,
        newer,
        older,
        query,
        needs_app,
        fields,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_within_and_moments_exact() {
        let query = AuditQuery {
            since: "2026-11-20".to_owned(),
            until: "2026-11-21".to_owned(),
            ..AuditQuery::default()
        };
        let filter = query.filter().unwrap();
        assert_eq!(filter.since, Some("2026-11-20T00:00:00Z".parse().unwrap()));
        assert_eq!(filter.until, Some("2026-11-22T00:00:00Z".parse().unwrap()));
        let exact = "2026-11-21T16:00:00Z";
        assert_eq!(moment(exact, DAY_MS).unwrap(), exact.parse().unwrap());
        for wrong in ["yesterday", "2026-13-01", "täglich!"] {
            assert!(moment(wrong, 0).is_err(), "{wrong}");
        }
    }

    #[test]
    fn links_keep_the_filter() {
        let query = AuditQuery {
            actor: "token:a&b".to_owned(),
            before: Some(3),
            ..AuditQuery::default()
        };
        assert_eq!(query.at(AuditPlace::Newest).unwrap(), "actor=token%3Aa%26b");
        assert_eq!(query.at(AuditPlace::After(7)).unwrap(), "actor=token%3Aa%26b&after=7");
    }
}
