//! The log as a file: JSON Lines, or CSV (RFC 4180).

use std::borrow::Cow;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use dist_model::AuditEvent;
use dist_service::AuditExport;
use futures_util::stream;
use http::header;

use super::AuditQuery;
use crate::console::Visit;
use crate::error::{ApiError, Result};
use crate::extract::Query;
use crate::state::{Site, blocking};

const HEAD: &str = "id,created_at,actor,action,target_type,target_id,metadata\r\n";

/// Every event that the filter finds, newest first, a line each.
#[utoipa::path(get, path = "/admin/audit.jsonl", tag = "console",
    responses((status = 200, body = String, content_type = "application/jsonl"), (status = 403)))]
pub(crate) async fn jsonl(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(query): Query<AuditQuery>,
) -> Result<Response> {
    let export = site.service.audit_export(&visit.caller, query.filter()?).await?;
    Ok(file(export, "audit.jsonl", "application/jsonl", "", json_line))
}

/// The same as a table; a field that a spreadsheet would take for a formula has a `'` before it.
#[utoipa::path(get, path = "/admin/audit.csv", tag = "console",
    responses((status = 200, body = String, content_type = "text/csv"), (status = 403)))]
pub(crate) async fn csv(
    State(site): State<Arc<Site>>,
    visit: Visit,
    Query(query): Query<AuditQuery>,
) -> Result<Response> {
    let export = site.service.audit_export(&visit.caller, query.filter()?).await?;
    Ok(file(
        export,
        "audit.csv",
        "text/csv; charset=utf-8; header=present",
        HEAD,
        csv_line,
    ))
}

/// An answer that is read from the log as fast as the client takes it, so that memory does not grow
/// with the log.
fn file(
    export: AuditExport,
    name: &str,
    content_type: &'static str,
    head: &'static str,
    line: fn(&AuditEvent, &mut Vec<u8>) -> serde_json::Result<()>,
) -> Response {
    let chunks = stream::try_unfold((export, head), move |(mut export, head)| {
        blocking(move || {
            let next = export.next().transpose()?;
            if next.is_none() && head.is_empty() {
                return Ok(None);
            }
            let mut chunk = head.as_bytes().to_vec();
            for event in next.iter().flatten() {
                line(event, &mut chunk).map_err(ApiError::internal)?;
            }
            Ok(Some((Bytes::from(chunk), (export, ""))))
        })
    });
    // What fails in the middle breaks the answer off, so that nobody takes a part for the whole.
    let chunks = futures_util::TryStreamExt::map_err(chunks, |error: ApiError| error.refusal);
    let attachment = format!("attachment; filename=\"{name}\"");
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_DISPOSITION, attachment.as_str()),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

fn json_line(event: &AuditEvent, chunk: &mut Vec<u8>) -> serde_json::Result<()> {
    serde_json::to_writer(&mut *chunk, event)?;
    chunk.push(b'\n');
    Ok(())
}

fn csv_line(event: &AuditEvent, chunk: &mut Vec<u8>) -> serde_json::Result<()> {
    let fields = [
        event.id.to_string(),
        event.created_at.to_string(),
        event.actor.to_string(),
        event.action.clone(),
        event.target_type.clone(),
        event.target_id.clone(),
        serde_json::to_string(&event.metadata)?,
    ];
    let fields = fields.iter().map(|text| field(text));
    chunk.extend_from_slice(fields.collect::<Vec<_>>().join(",").as_bytes());
    chunk.extend_from_slice(b"\r\n");
    Ok(())
}

/// A field as it stands in a line: no formula to a spreadsheet, and quoted where it must be.
fn field(text: &str) -> Cow<'_, str> {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return text.into();
    }
    format!("\"{guard}{}\"", text.replace('"', "\"\"")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_no_formulas_and_stay_apart() {
        for (text, written) in [
            ("token:ci", "token:ci"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\r\nlines", "\"two\r\nlines\""),
            ("=1+1", "\"'=1+1\""),
            ("-1", "\"'-1\""),
            ("@SUM(A1)", "\"'@SUM(A1)\""),
            ("\t=1", "\"'\t=1\""),
            ("a=b", "a=b"),
        ] {
            assert_eq!(field(text), written);
        }
    }
}
