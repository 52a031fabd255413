//! What is wrong with the settings, or doubtful.

use std::fmt;

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The server does not start so.
    Error,
    /// The server starts, and probably does not do what was meant.
    Warning,
}

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How bad it is.
    pub level: Level,
    /// Where it was said: a flag, a variable, a line of the settings file, or the key of a default.
    pub place: String,
    /// What it is, and what to do.
    pub message: String,
}

impl Problem {
    pub(super) fn error(place: &str, message: &str) -> Self {
        Self::new(Level::Error, place, message)
    }

    pub(super) fn warning(place: &str, message: &str) -> Self {
        Self::new(Level::Warning, place, message)
    }

    fn new(level: Level, place: &str, message: &str) -> Self {
        Self {
            level,
            place: place.to_owned(),
            message: message.to_owned(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Why the server cannot be started with the settings: everything that is wrong, not only the first.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct ConfigError(Vec<Problem>);

impl ConfigError {
    /// With the errors among `problems`; there is at least one.
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// What is wrong.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}
