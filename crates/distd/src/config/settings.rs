//! The settings, each with its name and its meaning. From this one table come the flags, the variables,
//! the keys of the file, the defaults, and the pages that explain them.

/// How a value is written in the settings file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is a path, in the file relative to the file's folder.
    Path,
    /// A whole number.
    Number,
    /// An array of texts; as a flag and a variable, with commas between them.
    List,
}

/// What holds where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// This value.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
    /// Nothing: what it is about is not there.
    Nothing,
}

/// One thing that the server can be told.
#[derive(Debug)]
#[non_exhaustive]
pub struct Setting {
    /// Its key in the settings file. The flag is the key after two dashes.
    pub key: &'static str,
    /// How it is written there.
    pub kind: Kind,
    /// What stands for a value in the help, such as `DIR`.
    pub placeholder: &'static str,
    /// What it says, in a line.
    pub meaning: &'static str,
    /// What else there is to know.
    pub more: &'static str,
    /// What holds without it.
    pub otherwise: Otherwise,
    /// A value that makes sense.
    pub example: &'static str,
}

impl Setting {
    /// Its flag, such as `--public-url`.
    pub fn flag(&self) -> String {
        format!("--{}", self.key)
    }

    /// Its environment variable, such as `DISTD_PUBLIC_URL`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.key.replace('-', "_").to_uppercase())
    }

    /// What holds without it, as one reads it.
    pub fn default_text(&self) -> &'static str {
        match self.otherwise {
            Otherwise::Value(text) | Otherwise::Words(text) => text,
            Otherwise::Nothing => "none",
        }
    }

    /// The example as a line of the settings file.
    pub fn example_line(&self) -> String {
        let quoted = |text: &str| format!("{:?}", text.trim());
        let value = match self.kind {
            Kind::Text | Kind::Path => quoted(self.example),
            Kind::Number => self.example.to_owned(),
            Kind::List => {
                let items: Vec<String> = self.example.split(',').map(quoted).collect();
                format!("[{}]", items.join(", "))
            }
        };
        format!("{} = {value}", self.key)
    }
}

/// What every variable of the server begins with.
pub(super) const PREFIX: &str = "DISTD_";
macro_rules! settings {
    ($($name:ident { $($field:ident: $value:expr),+ $(,)? })+) => {
        $(pub(super) const $name: &Setting = &Setting { $($field: $value),+ };)+

        /// Every setting.
        pub const SETTINGS: &[&Setting] = &[$($name),+];
    };
}

settings! {
    DATA {
        key: "data",
        kind: Kind::Path,
        placeholder: "DIR",
        meaning: "The data folder; made where there is none",
        more: "Everything that the server keeps is in it. Where it is named nowhere, it is the folder that systemd \
            made for the service (`StateDirectory=`, which sets `STATE_DIRECTORY`), or else `dist-data` in the folder \
            that the server was started in. The server says at its start which one it is.",
        otherwise: Otherwise::Words("$STATE_DIRECTORY, else dist-data"),
        example: "/srv/dist",
    }
    LISTEN {
        key: "listen",
        kind: Kind::Text,
        placeholder: "ADDR",
        meaning: "Where to listen; port 0 takes a free one",
        more: "The server speaks plain HTTP. Where people reach it over a network, a reverse proxy with TLS stands \
            before it, and `127.0.0.1:8787` is enough.",
        otherwise: Otherwise::Value("0.0.0.0:8787"),
        example: "127.0.0.1:8787",
    }
    PUBLIC_URL {
        key: "public-url",
        kind: Kind::Text,
        placeholder: "URL",
        meaning: "What links start with, such as https://get.example.org/dist",
        more: "It may have a path, which the proxy takes off before it asks the server. Links are never made of what \
            a request says, so that nobody can send one to another host. iPhones install from `https` addresses only, \
            and the cookies of people are `Secure` only where it is `https`.",
        otherwise: Otherwise::Words("http:// and the listening address"),
        example: "https://get.example.org",
    }
    TRUSTED_PROXIES {
        key: "trusted-proxies",
        kind: Kind::List,
        placeholder: "CIDR,…",
        meaning: "The proxies that may say where a request comes from",
        more: "Addresses, or networks such as `10.0.0.0/8`. Of a request that comes from one of them, \
            `X-Forwarded-For`, `-Proto` and `-Host`, or `Forwarded`, are believed. Without it everybody behind a proxy \
            has the proxy's address: in rate limits, in sessions and in the audit log.",
        otherwise: Otherwise::Nothing,
        example: "127.0.0.1, ::1",
    }
    METRICS_LISTEN {
        key: "metrics-listen",
        kind: Kind::Text,
        placeholder: "ADDR",
        meaning: "Serve /metrics on this address instead of the main one",
        more: "",
        otherwise: Otherwise::Words("the main address"),
        example: "127.0.0.1:9787",
    }
    PORT_FILE {
        key: "port-file",
        kind: Kind::Path,
        placeholder: "FILE",
        meaning: "Write the listening port to this file once the server listens",
        more: "For whoever starts a server on port 0.",
        otherwise: Otherwise::Nothing,
        example: "/run/distd/port",
    }
    UPLOAD_LIMIT {
        key: "upload-limit",
        kind: Kind::Text,
        placeholder: "SIZE",
        meaning: "The largest upload",
        more: "A number of bytes, or one with KiB, MiB, GiB or TiB. A larger file is refused with \
            `upload.too_large`. The proxy before the server has a limit of its own.",
        otherwise: Otherwise::Value("8GiB"),
        example: "2GiB",
    }
    MAX_CONNECTIONS {
        key: "max-connections",
        kind: Kind::Number,
        placeholder: "N",
        meaning: "The most connections at once",
        more: "Further ones are told that the server is busy. There are never more than the limit of open files \
            allows (`LimitNOFILE=`, `--ulimit nofile`), and the server says so where that is less.",
        otherwise: Otherwise::Words("from the limit of open files"),
        example: "1000",
    }
    DEFAULT_VISIBILITY {
        key: "default-visibility",
        kind: Kind::Text,
        placeholder: "WHO",
        meaning: "Who may see an app that a publish creates: public, unlisted or private",
        more: "It counts when the app is made; `dist app set --visibility` changes it later.",
        otherwise: Otherwise::Value("public"),
        example: "private",
    }
    BACKUP_DIR {
        key: "backup-dir",
        kind: Kind::Path,
        placeholder: "DIR",
        meaning: "Where backups are written",
        more: "Best on another disk than the data folder.",
        otherwise: Otherwise::Words("backups in the data folder"),
        example: "/mnt/backups/dist",
    }
    OIDC_ISSUER {
        key: "oidc-issuer",
        kind: Kind::Text,
        placeholder: "URL",
        meaning: "The OIDC provider that people sign in with, by its issuer URL",
        more: "Exactly as the provider spells it; `https`. It needs `oidc-client-id` beside it. See \
            [people](people.md) for what to set at the provider.",
        otherwise: Otherwise::Nothing,
        example: "https://id.example.org/realms/acme",
    }
    OIDC_CLIENT_ID {
        key: "oidc-client-id",
        kind: Kind::Text,
        placeholder: "ID",
        meaning: "What the provider calls this server",
        more: "",
        otherwise: Otherwise::Nothing,
        example: "dist",
    }
    OIDC_CLIENT_SECRET_FILE {
        key: "oidc-client-secret-file",
        kind: Kind::Path,
        placeholder: "FILE",
        meaning: "A file with the secret that the provider gave this server",
        more: "It is read once, at the start. A public client has none.",
        otherwise: Otherwise::Nothing,
        example: "/run/secrets/oidc-client-secret",
    }
    OIDC_NAME {
        key: "oidc-name",
        kind: Kind::Text,
        placeholder: "NAME",
        meaning: "What the button to sign in there says",
        more: "",
        otherwise: Otherwise::Words("the issuer's host"),
        example: "Acme",
    }
    OIDC_DEFAULT_ROLE {
        key: "oidc-default-role",
        kind: Kind::Text,
        placeholder: "ROLE",
        meaning: "Let in people of oidc-allowed-domain whom nobody let in, with this role: viewer, manager or admin",
        more: "For all apps. It needs `oidc-allowed-domain` beside it.",
        otherwise: Otherwise::Nothing,
        example: "viewer",
    }
    OIDC_ALLOWED_DOMAIN {
        key: "oidc-allowed-domain",
        kind: Kind::Text,
        placeholder: "DOMAIN",
        meaning: "The domain of the addresses of those who get oidc-default-role",
        more: "",
        otherwise: Otherwise::Nothing,
        example: "acme.example",
    }
    LOG {
        key: "log",
        kind: Kind::Text,
        placeholder: "FILTER",
        meaning: "What is logged: error, warn, info, debug, or a filter such as distd=debug",
        more: "Lines for people where stderr is a terminal, JSON otherwise.",
        otherwise: Otherwise::Value("info"),
        example: "info,distd=debug",
    }
}

#[cfg(test)]
mod tests {
    use super::SETTINGS;

    #[test]
    fn a_setting_has_one_name_everywhere() {
        let url = SETTINGS.iter().find(|setting| setting.key == "public-url").unwrap();
        assert_eq!(
            (url.flag().as_str(), url.variable().as_str()),
            ("--public-url", "DISTD_PUBLIC_URL")
        );
        for (at, setting) in SETTINGS.iter().enumerate() {
            let key = setting.key;
            assert!(key.chars().all(|c| c == '-' || c.is_ascii_lowercase()), "{key}");
            assert!(!setting.meaning.ends_with('.') && !setting.example.is_empty(), "{key}");
            assert!(
                SETTINGS[..at].iter().all(|other| other.key != key),
                "{key} is there twice"
            );
        }
    }
}
