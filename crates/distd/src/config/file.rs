//! The settings file: TOML, read strictly, so that a typo is told and not passed over.

use std::collections::BTreeMap;
use std::path::Path;

use dist_model::nearest;
use toml::de::{DeTable, DeValue};

use super::Problem;
use super::options::{Origin, Value};
use super::settings::{Kind, SETTINGS, Setting};

/// What a settings file says of each setting, and everything that is wrong with the file. No problem
/// quotes a value: somebody may have written a secret where a file was asked for.
pub(super) fn read(path: &Path) -> (BTreeMap<&'static str, Value>, Vec<Problem>) {
    let name = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let message = format!("the settings file cannot be read: {error}");
            return (BTreeMap::new(), vec![Problem::error(&name.to_string(), &message)]);
        }
    };
    let line = |at: usize| text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1;
    let table = match DeTable::parse(&text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            let at = line(error.span().map_or(0, |span| span.start));
            let problem = Problem::error(&format!("{name}:{at}"), error.message().trim());
            return (BTreeMap::new(), vec![problem]);
        }
    };
    let mut values = BTreeMap::new();
    let mut problems = Vec::new();
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in entries {
        let at = line(key.span().start);
        let place = format!("{name}:{at}");
        let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key.get_ref()) else {
            problems.push(Problem::error(&place, &unknown(key.get_ref())));
            continue;
        };
        if let Some(text) = text_of(setting, value.get_ref(), path) {
            values.insert(setting.key, Value::new(text, Origin::File(path.to_owned(), at)));
        } else {
            let message = format!("it is written as in `{}`", setting.example_line());
            problems.push(Problem::error(&format!("{place}: {}", setting.key), &message));
        }
    }
    (values, problems)
}

fn unknown(key: &str) -> String {
    let shown: String = key.chars().take(80).collect();
    let hint = nearest(key, SETTINGS.iter().map(|setting| setting.key)).map_or_else(
        || "see `distd --help`".to_owned(),
        |near| format!("did you mean {near:?}?"),
    );
    format!("nobody reads the key {shown:?}: {hint}")
}

/// A value as a flag would give it; paths are relative to the file's folder.
fn text_of(setting: &Setting, value: &DeValue<'_>, file: &Path) -> Option<String> {
    match (setting.kind, value) {
        (Kind::Path, DeValue::String(text)) if !text.is_empty() => {
            let folder = file.parent().unwrap_or(Path::new(""));
            folder.join(text.as_ref()).to_str().map(str::to_owned)
        }
        (Kind::Text | Kind::Path, DeValue::String(text)) => Some(text.clone().into_owned()),
        (Kind::Number, DeValue::Integer(number)) => Some(number.to_string()),
        (Kind::List, DeValue::Array(items)) => {
            let texts: Option<Vec<&str>> = items.iter().map(|item| item.get_ref().as_str()).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}
