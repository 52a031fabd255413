//! Forms that somebody filled in wrong: the same page again, with what is wrong beside the field.

use axum::response::{IntoResponse as _, Response};
use dist_model::{ErrorCode, Refusal};
use http::header;

use crate::error::{ApiError, Result};

/// What is wrong with a form, or nothing.
#[derive(Default)]
pub(crate) struct Problem(Option<Refusal>);

impl Problem {
    /// What somebody else can mend; a failure of ours is none of the form's.
    pub(crate) fn of(error: impl Into<ApiError>) -> Result<Self> {
        let error = error.into();
        if error.status().is_server_error() {
            return Err(error);
        }
        Ok(Self(Some(error.refusal)))
    }

    /// The form's page as an answer that says no.
    pub(crate) fn mark(self, mut page: Response) -> Response {
        let Some(refusal) = self.0 else { return page };
        let refused = ApiError::from(refusal).into_response();
        *page.status_mut() = refused.status();
        if let Some(seconds) = refused.headers().get(header::RETRY_AFTER) {
            page.headers_mut().insert(header::RETRY_AFTER, seconds.clone());
        }
        page.extensions_mut().extend(refused.extensions().clone());
        page
    }

    /// What is wrong with a field; empty where nothing is.
    pub(crate) fn on(&self, field: &str) -> &str {
        self.text().filter(|_| self.field() == field).unwrap_or_default()
    }

    /// What is wrong with the whole, or with what is none of the form's fields; empty where nothing is.
    pub(crate) fn beside(&self, fields: &[&str]) -> &str {
        let elsewhere = |_: &&str| !fields.contains(&self.field());
        self.text().filter(elsewhere).unwrap_or_default()
    }

    /// The field that it is about; empty where it is about the whole.
    fn field(&self) -> &'static str {
        match self.0.as_ref().map(|refusal| refusal.code) {
            Some(ErrorCode::InvalidEmail | ErrorCode::UserExists) => "email",
            Some(ErrorCode::UserInvalid | ErrorCode::TokenExists) => "name",
            Some(ErrorCode::PasswordWeak) => "password",
            Some(ErrorCode::AuthWrongPassword) => "old",
            Some(ErrorCode::InvalidSlug) => "app",
            Some(ErrorCode::InvalidChannel) => "channels",
            _ => "",
        }
    }

    fn text(&self) -> Option<&str> {
        self.0.as_ref().map(|refusal| refusal.message.as_str())
    }
}
