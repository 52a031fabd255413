//! From bytes to a [`Manifest`], each fault with its own code and place.
//!
//! Written by hand over [`Value`] rather than derived: a CI job that fails must say which field of
//! which artifact is wrong, and with what code, and serde's messages say neither.

use std::fmt::Display;
use std::str::FromStr;

use dist_model::{Build, ErrorCode, Refusal, Source, nearest};
use serde_json::{Map, Value};

use super::{ArtifactEntry, Form, Manifest, Overrides, json};
use crate::ArtifactsAdd;

pub(super) fn manifest(bytes: &[u8], form: Form, overrides: &Overrides) -> Result<Manifest, Refusal> {
    let mut map = json::object(bytes)?;
    override_field(&mut map, "app", overrides.app.as_ref());
    override_field(&mut map, "version", overrides.version.as_ref());
    override_field(&mut map, "build", overrides.build.as_ref());
    override_field(&mut map, "channel", overrides.channel.as_ref());

    let mut fields = Fields::new(map, String::new());
    fields.text("$schema")?;
    let manifest = Manifest {
        app: fields.required("app")?,
        display_name: fields.line("display_name", 200)?,
        version: fields.required("version")?,
        build: fields.parsed("build")?.unwrap_or_else(Build::none),
        channel: fields.parsed("channel")?,
        notes: fields.text("notes")?,
        notes_file: if form == Form::File {
            fields.path("notes_file")?
        } else {
            None
        },
        source: source(&mut fields)?,
        artifacts: artifacts(&mut fields, form)?,
        draft: form == Form::Request && fields.flag("draft")?,
        strict: form == Form::Request && fields.flag("strict")?,
    };
    fields.refuse_others()?;
    if manifest.notes.is_some() && manifest.notes_file.is_some() {
        return Err(invalid(
            "/notes_file",
            "notes and notes_file are both given: leave one out",
        ));
    }
    if form == Form::File && manifest.artifacts.is_empty() {
        return Err(missing(
            "/artifacts/0",
            "a manifest needs at least one artifact with a path",
        ));
    }
    Ok(manifest)
}

pub(super) fn artifacts_add(bytes: &[u8]) -> Result<ArtifactsAdd, Refusal> {
    let mut fields = Fields::new(json::object(bytes)?, String::new());
    let artifacts = artifacts(&mut fields, Form::Request)?;
    fields.refuse_others()?;
    Ok(ArtifactsAdd { artifacts })
}

fn override_field(map: &mut Map<String, Value>, name: &str, value: Option<&impl Display>) {
    if let Some(value) = value {
        map.insert(name.to_owned(), value.to_string().into());
    }
}

fn source(fields: &mut Fields) -> Result<Source, Refusal> {
    let Some(mut fields) = fields.object("source")? else {
        return Ok(Source::default());
    };
    let source = Source {
        commit: fields.line("commit", 200)?,
        branch: fields.line("branch", 500)?,
        run_url: fields.line("run_url", 2000)?,
    };
    // Pages link to it, so it must not be a script.
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    if source.run_url.as_ref().is_some_and(|url| !is_web(url)) {
        return Err(invalid(
            &fields.pointer("run_url"),
            "run_url must start with https:// or http://",
        ));
    }
    fields.refuse_others()?;
    Ok(source)
}

fn artifacts(fields: &mut Fields, form: Form) -> Result<Vec<ArtifactEntry>, Refusal> {
    let pointer = fields.pointer("artifacts");
    let items = match fields.take("artifacts") {
        Some(Value::Array(items)) => items,
        Some(other) => return Err(wrong_type(&pointer, "a list", &other)),
        None => return Err(missing(&pointer, "artifacts is missing: name what to publish")),
    };
    items
        .into_iter()
        .enumerate()
        .map(|(index, item)| match item {
            Value::Object(map) => artifact(Fields::new(map, format!("{pointer}/{index}")), form),
            other => Err(wrong_type(&format!("{pointer}/{index}"), "an object", &other)),
        })
        .collect()
}

fn artifact(mut fields: Fields, form: Form) -> Result<ArtifactEntry, Refusal> {
    let entry = ArtifactEntry {
        platform: fields.parsed("platform")?,
        path: if form == Form::File { fields.path("path")? } else { None },
        filename: fields.parsed("filename")?,
        arch: fields.word("arch")?,
        package_type: fields.word("package_type")?,
        content_type: fields.content_type()?,
        sha256: fields.parsed("sha256")?,
        size_bytes: fields.size("size_bytes")?,
        metadata: fields.map("metadata")?,
    };
    fields.refuse_others()?;
    let required = match form {
        Form::File if entry.path.is_none() => Some("path"),
        Form::Request if entry.sha256.is_none() => Some("sha256"),
        _ => None,
    };
    match required {
        Some(name) => Err(missing(
            &fields.pointer(name),
            &format!("{name} is missing: each artifact needs one"),
        )),
        None => Ok(entry),
    }
}

fn refusal(code: ErrorCode, pointer: &str, message: &str) -> Refusal {
    let place = if pointer.is_empty() {
        String::new()
    } else {
        format!("{pointer}: ")
    };
    Refusal::new(code, format!("{place}{message}")).with("field", pointer)
}

fn invalid(pointer: &str, message: &str) -> Refusal {
    refusal(ErrorCode::ManifestInvalidField, pointer, message)
}

fn missing(pointer: &str, message: &str) -> Refusal {
    refusal(ErrorCode::ManifestMissingField, pointer, message)
}

fn wrong_type(pointer: &str, wanted: &str, found: &Value) -> Refusal {
    let hint = match found {
        Value::Number(number) if wanted == "a text" => format!(" (write \"{number}\")"),
        _ => String::new(),
    };
    invalid(pointer, &format!("must be {wanted}, not {}{hint}", json::kind(found)))
}

/// An object's fields, taken out one by one; what is left at the end is unknown. A field that is
/// null counts as left out.
struct Fields {
    left: Map<String, Value>,
    asked: Vec<&'static str>,
    place: String,
}

impl Fields {
    fn new(map: Map<String, Value>, place: String) -> Self {
        Self {
            left: map,
            asked: Vec::new(),
            place,
        }
    }

    /// The JSON pointer (RFC 6901) of a field.
    fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.place, name.replace('~', "~0").replace('/', "~1"))
    }

    fn take(&mut self, name: &'static str) -> Option<Value> {
        self.asked.push(name);
        self.left.remove(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong_type(&self.pointer(name), "a text", &other)),
        }
    }

    /// A text that is a name with rules and a code of its own.
    fn parsed<T: FromStr<Err = Refusal>>(&mut self, name: &'static str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let pointer = self.pointer(name);
        let in_place = |fault: Refusal| refusal(fault.code, &pointer, &fault.message);
        text.parse().map(Some).map_err(in_place)
    }

    fn required<T: FromStr<Err = Refusal>>(&mut self, name: &'static str) -> Result<T, Refusal> {
        self.parsed(name)?
            .ok_or_else(|| missing(&self.pointer(name), &format!("{name} is missing")))
    }

    fn checked(
        &mut self,
        name: &'static str,
        good: impl Fn(&str) -> bool,
        rule: &str,
    ) -> Result<Option<String>, Refusal> {
        match self.text(name)? {
            Some(text) if !good(&text) => Err(invalid(&self.pointer(name), rule)),
            text => Ok(text),
        }
    }

    /// One line for people.
    fn line(&mut self, name: &'static str, longest: usize) -> Result<Option<String>, Refusal> {
        let good = |text: &str| (1..=longest).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        self.checked(
            name,
            good,
            &format!("must have 1 to {longest} characters and no control characters"),
        )
    }

    fn path(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        let good = |text: &str| !text.is_empty() && !text.contains('\0');
        self.checked(name, good, "must be a path")
    }

    /// A short word that machines compare: an architecture, a kind of file.
    fn word(&mut self, name: &'static str) -> Result<Option<String>, Refusal> {
        let good =
            |text: &str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._+-".contains(&b));
        self.checked(name, good, "must have at most 64 characters of A-Z a-z 0-9 . _ + -")
    }

    /// A media type; it becomes an HTTP header, so it must fit one.
    fn content_type(&mut self) -> Result<Option<String>, Refusal> {
        let token =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && !b"/,;\"".contains(&b));
        let good = |text: &str| {
            let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
            text.len() <= 200
                && essence
                    .trim_end_matches(' ')
                    .split_once('/')
                    .is_some_and(|(kind, sub)| token(kind) && token(sub))
                && parameters.bytes().all(|b| b == b' ' || b.is_ascii_graphic())
        };
        self.checked("content_type", good, "must be a media type such as application/zip")
    }

    fn size(&mut self, name: &'static str) -> Result<Option<u64>, Refusal> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(size) => Ok(Some(size)),
                None if value.is_number() => Err(invalid(&self.pointer(name), "must be a whole number of bytes")),
                None => Err(wrong_type(&self.pointer(name), "a number", &value)),
            },
        }
    }

    fn flag(&mut self, name: &'static str) -> Result<bool, Refusal> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(other) => Err(wrong_type(&self.pointer(name), "true or false", &other)),
        }
    }

    fn map(&mut self, name: &'static str) -> Result<Map<String, Value>, Refusal> {
        match self.take(name) {
            None => Ok(Map::new()),
            Some(Value::Object(map)) => Ok(map),
            Some(other) => Err(wrong_type(&self.pointer(name), "an object", &other)),
        }
    }

    fn object(&mut self, name: &'static str) -> Result<Option<Self>, Refusal> {
        let place = self.pointer(name);
        match self.take(name) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Self::new(map, place))),
            Some(other) => Err(wrong_type(&place, "an object", &other)),
        }
    }

    /// Refuses what nobody asked for.
    fn refuse_others(&self) -> Result<(), Refusal> {
        let Some(key) = self.left.keys().next() else {
            return Ok(());
        };
        let known = &self.asked;
        let near = nearest(key, known.iter().copied());
        let hint = near.map_or_else(
            || format!("use {}", known.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        let shown: String = key.chars().take(80).collect();
        let refusal = refusal(
            ErrorCode::ManifestUnknownKey,
            &self.pointer(&shown),
            &format!("nobody reads the key {shown:?}: {hint}"),
        );
        Err(match near {
            Some(near) => refusal.with("nearest", near),
            None => refusal,
        })
    }
}
