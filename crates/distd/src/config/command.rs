//! `distd config`: what the server is told, before it is started.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use dist_term::{Table, Text};
use serde_json::{Map, Value, json};
use url::Url;

use super::options::Settings;
use super::problem::Level;
use super::settings::{SETTINGS, Setting};
use super::{Options, Problem};
use crate::answer::Answer;

/// The exit code of settings that the server does not start with.
const WRONG: u8 = 2;

/// Look at the settings that the server would be started with
#[derive(Args)]
pub struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
    /// Answer with one JSON object on stdout
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Show every setting with its value and where it came from
    Show(Options),
    /// Name everything that is wrong or doubtful; exits with 2 where the server would not start
    Check(Options),
}

impl ConfigCommand {
    /// Does what the command says, and writes what came of it.
    pub fn run(self) -> ExitCode {
        let answer = match self.action {
            Action::Show(options) => show(&options.gather()),
            Action::Check(options) => check(&options.gather().check()),
        };
        answer.give(self.json)
    }
}

/// Values as they were said. Whether they make sense is for `check`, but a file that was not understood
/// would make the answer a lie.
fn show(settings: &Settings) -> Answer {
    let mut table = Table::new(["SETTING", "VALUE", "FROM"]);
    let mut json = Map::new();
    for setting in SETTINGS {
        let said = settings.values.get(setting.key);
        let origin = said.map_or_else(|| "default".to_owned(), |value| value.origin.to_string());
        let text = said.map(|value| without_password(&value.text));
        table = table.row([setting.key, &shown(setting, text), &origin]);
        json.insert(setting.key.to_owned(), json!({ "value": text, "origin": origin }));
    }
    let mut text = Text::for_stdout();
    text.table(&table);
    for problem in &settings.problems {
        eprintln!("distd: {problem}");
    }
    Answer {
        json: Value::Object(json),
        text: text.as_str().to_owned(),
        code: exit_code(&settings.problems),
    }
}

/// A value without the password of a URL. The server refuses such a URL, and it is shown nevertheless.
fn without_password(text: &str) -> &str {
    let has_password = Url::parse(text).is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
    if has_password { "(hidden)" } else { text }
}

/// A value, or in parentheses what holds without one.
fn shown(setting: &Setting, value: Option<&str>) -> String {
    value.map_or_else(|| format!("({})", setting.default_text()), str::to_owned)
}

fn check(problems: &[Problem]) -> Answer {
    let code = exit_code(problems);
    let mut text = Text::default();
    for problem in problems {
        let level = match problem.level {
            Level::Error => "error",
            Level::Warning => "warning",
        };
        text.line(format!("{level}: {problem}"));
    }
    if problems.is_empty() {
        text.line("nothing is wrong with the settings");
    }
    Answer {
        json: json!({ "ok": code == 0, "problems": problems }),
        text: text.as_str().to_owned(),
        code,
    }
}

fn exit_code(problems: &[Problem]) -> u8 {
    if problems.iter().any(|problem| problem.level == Level::Error) {
        WRONG
    } else {
        0
    }
}
