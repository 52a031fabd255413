//! Audit events as sentences whose names lead to what they name.

use askama::Template;
use askama::filters::HtmlSafe;
use dist_model::{Part, sentence};
use dist_service::AuditLine;

use super::text;

/// A sentence; as text it is the markup.
#[derive(Template)]
#[template(path = "web/sentence.html")]
pub(crate) struct Sentence<'a> {
    /// What is before every link.
    base: &'a str,
    parts: Vec<Part>,
}

/// All that the template writes is escaped there.
impl HtmlSafe for Sentence<'_> {}

impl<'a> Sentence<'a> {
    pub(crate) fn new(base: &'a str, line: &AuditLine) -> Self {
        Self {
            base,
            parts: sentence(&line.event, &line.about),
        }
    }
}

/// The sentence without links.
pub(crate) fn plain(line: &AuditLine) -> String {
    let words = sentence(&line.event, &line.about).into_iter().map(|part| match part {
        Part::Bytes(bytes) => text::human_size(bytes),
        Part::Object(digest) => text::shortened(&digest.to_string()).to_owned(),
        part => part.to_string(),
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use dist_model::{About, AuditEvent, ReleaseName, Timestamp};
    use serde_json::json;

    use super::*;

    fn line(action: &str, target: &str, about: About, metadata: &serde_json::Value) -> AuditLine {
        let event = AuditEvent {
            id: 1,
            actor: "token:ci".to_owned().try_into().unwrap(),
            action: action.to_owned(),
            target_type: "release".to_owned(),
            target_id: target.to_owned(),
            metadata: metadata.as_object().cloned().unwrap_or_default(),
            created_at: Timestamp::default(),
        };
        AuditLine { event, about }
    }

    #[test]
    fn names_lead_to_what_they_name() {
        let about = About {
            app: Some("acme".parse().unwrap()),
            release: Some(ReleaseName {
                id: "r1".parse().unwrap(),
                label: "2.4.0 (812)".to_owned(),
            }),
        };
        let line = line("channel.published", "beta", about, &json!({}));
        assert_eq!(plain(&line), "token:ci published acme 2.4.0 (812) to beta");
        assert_eq!(
            Sentence::new("/dist", &line).to_string(),
            "<a href=\"/dist/admin/audit?actor=token%3Aci\"><bdi>token:ci</bdi></a><bdi> published </bdi>\
             <a href=\"/dist/admin/apps/acme\">acme</a><bdi> </bdi>\
             <a href=\"/dist/admin/apps/acme/releases/r1\"><bdi>2.4.0 (812)</bdi></a><bdi> to </bdi>\
             <a href=\"/dist/admin/apps/acme/channels/beta\">beta</a>"
        );
    }

    #[test]
    fn what_people_wrote_is_text() {
        let reason = json!({"reason": "\"><script>alert(1)</script>\u{202e}"});
        let text = Sentence::new("", &line("release.yanked", "r1", About::default(), &reason)).to_string();
        assert!(
            !text.contains("<script>") && text.contains("&#60;script&#62;"),
            "{text}"
        );
        let object = line(
            "object.uploaded",
            &"ab".repeat(32),
            About::default(),
            &json!({"size_bytes": 2048}),
        );
        assert_eq!(plain(&object), "token:ci uploaded 2.0 KiB, ababababab");
    }
}
