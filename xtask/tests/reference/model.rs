//! The tables of error codes and of events.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dist_model::{ErrorCode, Event};

/// Every error code, by area.
pub fn errors() -> String {
    let mut page = "# Error codes\n\n\
        Every refusal is `{\"error\":{\"code\":…,\"message\":…,\"details\":{…}}}`, over HTTP as in `dist --json`. \
        A code is `area.reason`; codes are added and never renamed. The same code gives the same exit code of \
        `dist` and the same HTTP status everywhere.\n"
        .to_owned();
    let mut areas: Vec<(&str, Vec<ErrorCode>)> = Vec::new();
    for code in ErrorCode::ALL {
        let area = code.as_str().split('.').next().unwrap_or_default();
        match areas.iter_mut().find(|(known, _)| *known == area) {
            Some((_, codes)) => codes.push(*code),
            None => areas.push((area, vec![*code])),
        }
    }
    for (area, codes) in areas {
        write!(
            page,
            "\n## {area}\n\n| code | exit | HTTP | meaning |\n| --- | --- | --- | --- |\n"
        )
        .unwrap();
        for code in codes {
            let kind = code.kind();
            let (name, help) = (code.as_str(), code.help().replace('|', "\\|"));
            writeln!(
                page,
                "| `{name}` | {} | {} | {help} |",
                kind.exit_code(),
                kind.http_status()
            )
            .unwrap();
        }
    }
    page
}

/// Every action of the log, by what it is done to.
pub fn events() -> String {
    let mut page = "# Events\n\n\
        The event log's types, which are the actions of the audit log (`dist audit list`, `GET /api/audit`, the \
        table `audit_events`). Types are added and never renamed; every released one stays readable.\n"
        .to_owned();
    let mut areas: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for action in Event::ACTIONS {
        areas
            .entry(action.split('.').next().unwrap_or_default())
            .or_default()
            .push(action);
    }
    for (area, actions) in areas {
        write!(page, "\n## {area}\n\n").unwrap();
        for action in actions {
            writeln!(page, "- `{action}`").unwrap();
        }
    }
    page
}
