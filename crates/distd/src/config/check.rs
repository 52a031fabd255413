//! What the settings mean together and on this machine, beyond each of them making sense.

use std::io;
use std::net::IpAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, access};
use url::Url;

use super::options::Settings;
use super::settings::{BACKUP_DIR, DATA, OIDC_CLIENT_SECRET_FILE, PORT_FILE, PUBLIC_URL, Setting, TRUSTED_PROXIES};
use super::{Config, Problem};
use crate::state::own_url;

/// Where containers find their secrets. Everybody may read them there, and nobody else is there.
const CONTAINER_SECRETS: &str = "/run/secrets/";

impl Settings {
    /// Everything that is wrong or doubtful, asking this machine too.
    pub(super) fn check(&self) -> Vec<Problem> {
        let (config, mut problems) = self.read();
        // Whatever is wrong was told; that it also means nothing need not be.
        let wrong: Vec<String> = problems.iter().map(|problem| problem.place.clone()).collect();
        let more = self.doubts(&config).into_iter().chain(self.on_this_machine(&config));
        problems.extend(more.filter(|problem| !wrong.contains(&problem.place)));
        problems
    }

    /// What is probably not meant so, although a server starts with it.
    pub(crate) fn doubts(&self, config: &Config) -> Vec<Problem> {
        let doubt = |setting: &Setting, message: &str| Some(Problem::warning(&self.place(setting), message));
        let url = config.public_url.as_deref().and_then(|url| Url::parse(url).ok());
        let of_links = match &url {
            None if config.listen.ip().is_loopback() => None,
            None => {
                let message = format!(
                    "links start with {}, which only this machine can follow: set it to the address that people use",
                    own_url(config.listen)
                );
                doubt(PUBLIC_URL, &message)
            }
            Some(url) if url.scheme() == "https" || is_local(url) => None,
            Some(_) => doubt(
                PUBLIC_URL,
                "it is not https: iPhones install from https only, and passwords travel in the open",
            ),
        };
        let is_behind_proxy = url.is_some_and(|url| url.scheme() == "https");
        let of_proxies = if is_behind_proxy && config.trusted_proxies.is_empty() {
            let message = "public-url is https, so a proxy stands before the server: name it here, or everybody has its \
                address in rate limits and in the audit log";
            doubt(TRUSTED_PROXIES, message)
        } else if config.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
            doubt(
                TRUSTED_PROXIES,
                "everybody is trusted to say where they come from: name the proxy",
            )
        } else {
            None
        };
        of_links.into_iter().chain(of_proxies).collect()
    }

    fn on_this_machine(&self, config: &Config) -> Vec<Problem> {
        let mut problems = Vec::new();
        let folders = [
            (DATA, Some(config.data.as_path())),
            (BACKUP_DIR, config.backup_dir.as_deref()),
            (PORT_FILE, config.port_file.as_deref().and_then(Path::parent)),
        ];
        for (setting, folder) in folders {
            if let Some(Err(message)) = folder.map(check_folder) {
                problems.push(Problem::error(&self.place(setting), &message));
            }
        }
        let secret = self
            .values
            .get(OIDC_CLIENT_SECRET_FILE.key)
            .map(|value| value.text.as_str());
        if let Some(path) = secret.filter(|path| !path.starts_with(CONTAINER_SECRETS) && is_open_to_all(path)) {
            let message = format!("everybody on this machine may read the secret: `chmod 640 {path}`");
            problems.push(Problem::warning(&self.place(OIDC_CLIENT_SECRET_FILE), &message));
        }
        problems
    }
}

/// Whether the host of a URL is this machine.
fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn is_open_to_all(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}

/// Whether a folder can be written to, or made where there is none.
fn check_folder(folder: &Path) -> Result<(), String> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let folder = std::path::absolute(folder).map_err(|error| error.to_string())?;
    let is_there = |folder: &&Path| folder.symlink_metadata().is_ok();
    let there = folder.ancestors().find(is_there).unwrap_or(Path::new("/"));
    let metadata = there.metadata().map_err(|error| cannot_write(there, &error))?;
    if !metadata.is_dir() {
        return Err(format!("{} is no folder", there.display()));
    }
    let Err(error) = access(there, Access::WRITE_OK | Access::EXEC_OK) else {
        return Ok(());
    };
    let message = cannot_write(there, &error.into());
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    let place = folder.display();
    // Nobody is told to give a folder away that is not the server's alone.
    Err(if there != folder {
        format!("{message}. Make it first: `install -d -o {uid} -g {gid} {place}`")
    } else if metadata.uid() != uid.as_raw() {
        let owner = metadata.uid();
        format!("{message}. It belongs to the user {owner}: run as that user, or `chown -R {uid}:{gid} {place}`")
    } else {
        message
    })
}

fn cannot_write(folder: &Path, error: &io::Error) -> String {
    format!("{} cannot be written to: {error}", folder.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::options::{Environment, Options};
    use crate::config::problem::Level;

    fn check<const N: usize>(flags: [(&'static str, &str); N]) -> Vec<Problem> {
        Options::from(flags)
            .gather_from(&Environment::default(), Path::new("/nowhere"))
            .check()
    }

    fn places<const N: usize>(flags: [(&'static str, &str); N]) -> Vec<(Level, String)> {
        check(flags)
            .into_iter()
            .map(|problem| (problem.level, problem.place))
            .collect()
    }

    #[test]
    fn a_server_that_others_reach_is_told_how() {
        let warning = |place: &str| (Level::Warning, place.to_owned());
        let local = ("listen", "127.0.0.1:8787");
        assert_eq!(places([]), [warning("public-url")], "links that nobody else can follow");
        assert_eq!(places([local]), []);
        assert_eq!(places([local, ("public-url", "http://localhost:8787")]), []);
        assert_eq!(
            places([local, ("public-url", "http://nas.local")]),
            [warning("--public-url")]
        );
        let url = ("public-url", "https://get.example.org");
        assert_eq!(places([url]), [warning("trusted-proxies")]);
        assert_eq!(places([url, ("trusted-proxies", "127.0.0.1")]), []);
        assert_eq!(
            places([url, ("trusted-proxies", "0.0.0.0/0")]),
            [warning("--trusted-proxies")]
        );
        assert_eq!(
            places([("public-url", "example.org")]),
            [(Level::Error, "--public-url".to_owned()), warning("public-url")][..1],
        );
    }

    #[test]
    fn folders_are_looked_at_and_secrets_are_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        std::fs::write(at("file"), "secret").unwrap();
        let local = ("listen", "127.0.0.1:8787");
        assert_eq!(places([local, ("data", &at("new/folder"))]), []);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made");
        let problems = check([
            local,
            ("data", &at("file")),
            ("backup-dir", &at("file/below")),
            ("port-file", &at("port")),
        ]);
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(
            problems
                .iter()
                .all(|problem| problem.message.ends_with("file is no folder")),
            "{problems:?}"
        );
        for (mode, expected) in [(0o640, 0), (0o644, 1)] {
            std::fs::set_permissions(at("file"), std::fs::Permissions::from_mode(mode)).unwrap();
            let problems = check([
                local,
                ("oidc-issuer", "https://id.example.org"),
                ("oidc-client-id", "dist"),
                ("oidc-client-secret-file", &at("file")),
            ]);
            assert_eq!(problems.len(), expected, "{problems:?}");
        }
    }
}
