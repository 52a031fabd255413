//! `dist config`.

use std::collections::BTreeMap;

use clap::Args;
use serde_json::{Value, json};

use super::DONE;
use crate::session::Session;
use crate::settings::{Credential, Place, Setting};
use crate::text::Table;

/// Shows the settings.
#[derive(Args, Debug)]
pub struct Show {}

/// `dist config show`: each setting and where it came from; a secret only as being there.
pub fn show(_: &Show, session: &Session) -> u8 {
    let settings = &session.settings;
    let mut shown: BTreeMap<&str, (String, String)> = BTreeMap::new();
    let mut add = |name, value: String, origin: &crate::settings::Origin| {
        shown.insert(name, (value, origin.to_string()));
    };
    match &settings.place {
        Some(Setting {
            value: Place::Server(url),
            origin,
        }) => add("server", url.clone(), origin),
        Some(Setting {
            value: Place::Folder(folder),
            origin,
        }) => {
            add("local_store", folder.display().to_string(), origin);
        }
        None => {}
    }
    match &settings.credential {
        Some(Setting {
            value: Credential::Secret(_),
            origin,
        }) => add("token", "(hidden)".to_owned(), origin),
        Some(Setting {
            value: Credential::File(path),
            origin,
        }) => {
            add("token_file", path.display().to_string(), origin);
        }
        None => {}
    }
    if let Some(Setting { value, origin }) = &settings.ca_file {
        add("ca_file", value.display().to_string(), origin);
    }
    for (name, setting) in [("app", &settings.app), ("channel", &settings.channel)] {
        if let Some(Setting { value, origin }) = setting {
            add(name, value.clone(), origin);
        }
    }
    let answer: BTreeMap<&str, Value> = shown
        .iter()
        .map(|(name, (value, origin))| (*name, json!({ "value": value, "origin": origin })))
        .collect();
    session.printer.show(&answer, |out| {
        let header = Table::new(["SETTING", "VALUE", "FROM"]);
        out.table(&shown.iter().fold(header, |table, (name, (value, origin))| {
            table.row([*name, value, origin])
        }));
    });
    DONE
}
