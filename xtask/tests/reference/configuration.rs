//! The settings of `distd`, from the table that it reads them by.

use std::fmt::Write as _;

use distd::{Otherwise, SETTINGS, Setting, USUAL_FILE};

/// The book does not have the file.
const EXAMPLE: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/deploy/distd.toml");

/// The page: how settings are told, and one section a setting.
pub fn render() -> String {
    let mut page = format!(
        r#"# Configuration

`distd` needs no configuration: without any it keeps its data in `./dist-data` and listens on port 8787. What it is
told, it is told in one of three places. A flag beats the environment, which beats the settings file, which beats the
default.

| | spelled | as in |
| --- | --- | --- |
| flag | two dashes before the key | `--public-url https://get.example.org` |
| environment | `DISTD_`, and the key in capitals with `_` | `DISTD_PUBLIC_URL=https://get.example.org` |
| settings file | the key | `public-url = "https://get.example.org"` |

The settings file is TOML. It is `{USUAL_FILE}` where that is there, unless `--config FILE` or `DISTD_CONFIG` names
another. [`deploy/distd.toml`]({EXAMPLE}) has every setting, commented out. A key that is not known is
refused, with its line and the nearest known one; paths are relative to the file's folder. A variable that is set to
nothing counts as not set. One that begins with `DISTD_` and is not known is a warning at the start, unless Kubernetes
set it for a service of that name.

## Looking at it

```sh
distd config show     # every setting with its value and where it came from
distd config check    # everything that is wrong or doubtful, and exit code 2 where the server would not start
```

Both take the same flags, environment and file as the server, and `--json`. `check` also looks whether the folders can
be written to and whether others may read the secret. It makes nothing and listens nowhere, so it can run beside the
server.

## Secrets

A secret is never a setting itself: a setting names the file that holds it. So it is in no list of processes, in no
`docker inspect`, and neither `config show` nor the log can show it. The file may end in a line break.

- **Docker and Podman**: name the secret in the service's `secrets:`, and
  `DISTD_OIDC_CLIENT_SECRET_FILE=/run/secrets/NAME` in its environment.
- **systemd**: `LoadCredential=oidc-client-secret:/etc/distd/oidc-client-secret` and
  `Environment=DISTD_OIDC_CLIENT_SECRET_FILE=%d/oidc-client-secret` in the unit; only the service can read it then.

## Settings

| key | default | |
| --- | --- | --- |
"#
    );
    for setting in SETTINGS {
        let (key, meaning) = (setting.key, setting.meaning);
        writeln!(page, "| [`{key}`](#{key}) | {} | {meaning} |", default(setting)).unwrap();
    }
    for setting in SETTINGS {
        section(setting, &mut page);
    }
    page
}

/// The settings file with every setting, commented out.
pub fn render_file() -> String {
    let mut file = "\
# Settings of distd. A flag (--public-url) beats the environment (DISTD_PUBLIC_URL), which beats this
# file, which beats the default. `distd config show` says what holds, `distd config check` what is wrong.
# Paths are relative to this file's folder.
"
    .to_owned();
    for setting in SETTINGS {
        let (meaning, default) = (setting.meaning, setting.default_text());
        write!(
            file,
            "\n# {meaning}.\n# Default: {default}\n#{}\n",
            setting.example_line()
        )
        .unwrap();
    }
    file
}

fn section(setting: &Setting, page: &mut String) {
    let (key, meaning, placeholder) = (setting.key, setting.meaning, setting.placeholder);
    write!(page, "\n### {key}\n\n{meaning}.").unwrap();
    if !setting.more.is_empty() {
        write!(page, " {}", setting.more).unwrap();
    }
    write!(
        page,
        "\n\n- flag `{} {placeholder}`, environment `{}`\n- default: {}\n- example: `{}`\n",
        setting.flag(),
        setting.variable(),
        default(setting),
        setting.example_line()
    )
    .unwrap();
}

fn default(setting: &Setting) -> String {
    match setting.otherwise {
        Otherwise::Value(value) => format!("`{value}`"),
        Otherwise::Words(words) => words.to_owned(),
        Otherwise::Nothing => "none".to_owned(),
    }
}
