//! A reverse proxy with a file of `deploy/proxy/`, before a server: TLS on one side, HTTP on the other.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;

use super::traffic;
use crate::server::{Binaries, Launch, Server};
use crate::shell;

const START_LIMIT: Duration = Duration::from_secs(30);
/// The name and the server in the files.
const NAME: &str = "get.example.org";
const UPSTREAM: &str = "127.0.0.1:8787";

/// A proxy that we have a file for.
pub struct Kind {
    /// The file, in `deploy/proxy/`.
    pub file: &'static str,
    /// What starts it with that file's text, after it was made to fit.
    start: fn(&Setting, &str) -> Result<Command>,
}

/// The proxies that can be run.
pub const KINDS: &[Kind] = &[
    Kind {
        file: "Caddyfile",
        start: caddy,
    },
    Kind {
        file: "nginx.conf",
        start: nginx,
    },
];

/// A folder with what a proxy is started with.
pub struct Setting {
    folder: TempDir,
    /// Where it listens for TLS.
    port: u16,
    /// The server behind it.
    upstream: String,
}

/// A proxy that runs, with the server behind it. It is ended where it is dropped.
pub struct Proxy {
    setting: Setting,
    child: Child,
    /// The server behind it.
    pub server: Server,
}

/// Starts a proxy before a server, uses both, and stops them.
pub fn try_out(binaries: &Binaries, kind: &Kind) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    certify(folder.path())?;
    let server = Launch::new(binaries, folder.path().join("data"))
        .flag("--public-url", format!("https://localhost:{port}"))
        .flag("--trusted-proxies", "127.0.0.1")
        .start()?;
    let setting = Setting {
        upstream: server.client.address.to_string(),
        folder,
        port,
    };
    let text = fs::read_to_string(shell::root().join("deploy/proxy").join(kind.file))?;
    ensure!(
        text.contains(NAME) && text.contains(UPSTREAM),
        "it names another server than it did"
    );
    let log = fs::File::create(setting.path("proxy.log"))?;
    let mut command = (kind.start)(&setting, &text.replace(UPSTREAM, &setting.upstream))?;
    command.stdout(Stdio::null()).stderr(log);
    let child = command.spawn().with_context(|| shell::shown(&command))?;
    let mut proxy = Proxy { setting, child, server };
    proxy.wait_until_up()?;
    traffic::run(binaries, &proxy).with_context(|| proxy.log())
}

/// Caddy, with the test's certificate in place of one that it would get by itself.
fn caddy(setting: &Setting, text: &str) -> Result<Command> {
    let site = format!("https://localhost:{}", setting.port);
    let certificate = format!("{{\n\ttls {} {}", setting.shown("cert.pem"), setting.shown("key.pem"));
    let options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n";
    let text = text.replace(&format!("{NAME} {{"), &format!("{site} {certificate}"));
    fs::write(setting.path("Caddyfile"), format!("{options}{text}"))?;
    let mut caddy = shell::command("caddy");
    caddy
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(setting.path("Caddyfile"));
    for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        caddy.env(variable, setting.folder.path());
    }
    Ok(caddy)
}

/// nginx, with the file included as the distribution's own settings do.
fn nginx(setting: &Setting, text: &str) -> Result<Command> {
    let folder = setting.folder.path().display();
    let listen = |port| format!("listen 127.0.0.1:{port}");
    let certificate = format!("/etc/letsencrypt/live/{NAME}/fullchain.pem");
    let text = text
        .replace(&certificate, &setting.shown("cert.pem"))
        .replace(&certificate.replace("fullchain", "privkey"), &setting.shown("key.pem"))
        .replace(NAME, "localhost")
        .replace("listen 443", &listen(setting.port))
        .replace("listen 80", &listen(free_port()?));
    let own_only = text.lines().filter(|line| !line.contains("[::]"));
    fs::write(setting.path("dist.conf"), own_only.collect::<Vec<_>>().join("\n"))?;
    let main = format!(
        "user root;\npid {folder}/nginx.pid;\nerror_log {folder}/proxy.log;\nevents {{}}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path {folder}/body;\n  proxy_temp_path {folder}/proxy;\n  fastcgi_temp_path {folder}/fastcgi;\n  \
         uwsgi_temp_path {folder}/uwsgi;\n  scgi_temp_path {folder}/scgi;\n  include {folder}/dist.conf;\n}}\n"
    );
    fs::write(setting.path("main.conf"), main)?;
    let mut nginx = shell::command("nginx");
    nginx.args(["-g", "daemon off;", "-c"]).arg(setting.path("main.conf"));
    Ok(nginx)
}

impl Setting {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}

impl Proxy {
    /// What links start with.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.setting.port)
    }

    /// The certificate that vouches for the proxy's own.
    pub fn authority(&self) -> PathBuf {
        self.setting.path("ca.pem")
    }

    /// A place for the test's own files.
    pub fn folder(&self) -> &Path {
        self.setting.folder.path()
    }

    /// A client that knows the certificate, and fails where the answer is no success.
    pub fn curl(&self, path: &str) -> Command {
        let mut curl = shell::command("curl");
        curl.args([
            "--silent",
            "--show-error",
            "--fail-with-body",
            "--max-time",
            "120",
            "--cacert",
        ]);
        curl.arg(self.authority()).arg(format!("{}{path}", self.url()));
        curl
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while shell::read(&mut self.curl("/healthz")).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                bail!("it does not start: {}", self.log());
            }
            sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn log(&self) -> String {
        let said = fs::read_to_string(self.setting.path("proxy.log")).unwrap_or_default();
        format!("the proxy's log: {said}\nthe server's: {}", self.server.log())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = shell::end(&mut self.child);
    }
}

/// A port that nobody listens on, for a program that cannot choose one by itself.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// An authority, and a certificate for this machine that it vouches for.
fn certify(folder: &Path) -> Result<()> {
    let openssl = |arguments: &str| {
        let mut openssl = shell::command("openssl");
        openssl.args(arguments.split(' ')).current_dir(folder);
        shell::read(&mut openssl).map(drop)
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"
    ))?;
    openssl(&format!(
        "req {key} -keyout key.pem -out request.pem -subj /CN=localhost"
    ))?;
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n")?;
    openssl("x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem")
}
