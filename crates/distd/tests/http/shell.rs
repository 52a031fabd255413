//! The program itself: people from a shell, and what it writes of secrets.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use dist_model::decide::TokenIntent;
use dist_model::{Scope, Scopes};
use dist_service::{Caller, OpenMode, Principal, Service, Setup, Visit};
use http::Method;
use serde_json::Value;

use crate::common::{PASSWORD, Site, eventually, field};

fn distd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_distd"));
    command.args(arguments).env_clear();
    command
}

/// Runs `distd user` on a folder, with something on its stdin.
fn user(data: &Path, arguments: &[&str], stdin: &str) -> Output {
    let mut child = distd(&["user"])
        .args(arguments)
        .arg("--data")
        .arg(data)
        .args(["--public-url", "https://get.example.org/dist"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn visit() -> Visit {
    Visit {
        address: "192.0.2.1".parse().unwrap(),
        user_agent: String::new(),
        replaces: None,
    }
}

#[tokio::test]
async fn people_are_let_in_from_a_shell_beside_the_server() {
    let site = Site::start().await;
    let data = site.data();
    let made = user(data, &["add", "Ann@example.org", "--role", "admin", "--json"], "");
    assert!(made.status.success(), "{made:?}");
    let made = json(&made);
    assert_eq!(made["user"]["email"], "ann@example.org");
    let path = made["url"]
        .as_str()
        .unwrap()
        .strip_prefix("https://get.example.org/dist")
        .unwrap();
    site.get(path).await.expect(200);
    let again = user(data, &["add", "ann@example.org"], "");
    assert_eq!(again.status.code(), Some(5), "{again:?}");
    assert!(String::from_utf8_lossy(&again.stderr).contains("user.exists"));

    let bob = user(
        data,
        &[
            "add",
            "bob@example.org",
            "--app",
            "acme=manager",
            "--app",
            "other=viewer",
        ],
        "",
    );
    let text = String::from_utf8(bob.stdout).unwrap();
    assert!(
        text.starts_with("https://get.example.org/dist/admin/invitation/"),
        "{text}"
    );
    let set = user(
        data,
        &["set-password", "bob@example.org", "--password-stdin"],
        &format!("{PASSWORD}\n"),
    );
    assert!(set.status.success(), "{set:?}");
    let session = site
        .service
        .sign_in("bob@example.org", PASSWORD.to_owned(), visit())
        .await
        .unwrap();
    let is_in = async || site.service.session_of(&session.secret).await.unwrap().is_some();
    assert!(is_in().await);
    let disabled = user(data, &["disable", "bob@example.org"], "");
    assert_eq!(
        disabled.stdout,
        b"bob@example.org acme=manager, other=viewer, disabled\n"
    );
    assert!(!is_in().await, "the running server knows it at once");
    user(data, &["enable", "bob@example.org"], "");
    user(data, &["set-role", "bob@example.org", "--role", "viewer"], "");
    let listed = json(&user(data, &["list", "--json"], ""));
    assert_eq!(listed["items"][1]["role"], "viewer");
    assert_eq!(listed["items"][1]["app_roles"], serde_json::json!({}));
    assert_eq!(listed["items"][1]["has_password"], true);
    assert!(!listed.to_string().contains("argon2"));

    let last = user(data, &["disable", "ann@example.org", "--json"], "");
    assert_eq!(
        (last.status.code(), &json(&last)["error"]["code"]),
        (Some(5), &Value::from("user.last_admin"))
    );
    let nobody = user(data, &["invite", "eve@example.org"], "");
    assert_eq!(nobody.status.code(), Some(3));
    let audit = site
        .admin_get("/api/audit?action=user.created")
        .await
        .expect(200)
        .json();
    assert!(audit["items"][0]["actor"].as_str().unwrap().starts_with("local:"));
}

#[test]
fn a_folder_without_a_store_gets_one_with_its_first_person_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    assert_eq!(user(&data, &["list"], "").status.code(), Some(3));
    assert!(!data.exists());
    let made = user(&data, &["add", "ann@example.org", "--role", "admin"], "");
    assert!(made.status.success(), "{made:?}");
    Service::open(&data, OpenMode::Existing, Setup::default())
        .unwrap()
        .shutdown();
}

#[test]
fn a_password_is_no_argument() {
    let folder = tempfile::tempdir().unwrap();
    let refused = user(folder.path(), &["set-password", "ann@example.org"], PASSWORD);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
}

/// The program with its log.
pub struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
}

impl Program {
    fn start(folder: &Path) -> Self {
        let mut command = distd(&["--listen", "127.0.0.1:0", "--log", "trace", "--data"]);
        command
            .arg(folder.join("data"))
            .arg("--port-file")
            .arg(folder.join("port"));
        Self::of(command)
    }

    /// Started as the command says.
    pub fn of(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (stderr, written) = (child.stderr.take().unwrap(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                written.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Self { child, log }
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_people_are_not_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(folder.path());
    // It comes after the line that says where the program listens.
    eventually("the link is told", async || program.log().contains("/admin/setup/")).await;
    let log = program.log();
    let (_, setup) = log.split_once("/admin/setup/").expect("the link is told");
    let setup = setup[..64].to_owned();
    let port = std::fs::read_to_string(folder.path().join("port")).unwrap();
    let site = Remote(format!("127.0.0.1:{}", port.trim()));

    let fields = format!(
        "name=Ann&email=ann%40example.org&password={}",
        PASSWORD.replace(' ', "+")
    );
    let answer = site
        .send(Method::POST, &format!("/admin/setup/{setup}"), "", &fields)
        .await;
    let session = answer.split("dist_session=").nth(1).unwrap()[..64].to_owned();
    let cookie = format!("cookie: dist_session={session}\r\n");
    let page = site.send(Method::GET, "/admin/people/new", &cookie, "").await;
    let csrf = field(&page, "csrf");
    let fields = format!("csrf={csrf}&email=bob%40example.org&name=&role=");
    let shown = site.send(Method::POST, "/admin/people", &cookie, &fields).await;
    let invitation = shown.split("/admin/invitation/").nth(1).unwrap()[..64].to_owned();
    site.send(Method::GET, &format!("/admin/invitation/{invitation}"), "", "")
        .await;
    site.send(Method::GET, "/admin/invitation/not-a-secret-of-ours", "", "")
        .await;
    site.send(
        Method::POST,
        "/admin/sign-in",
        "",
        "email=ann%40example.org&password=a+wrong+one",
    )
    .await;
    eventually("the last request is in the log", async || {
        program.log().contains("/admin/sign-in")
    })
    .await;

    let log = program.log();
    assert_eq!(log.matches(&setup).count(), 1, "{log}");
    for secret in [
        &session,
        &invitation,
        &csrf,
        PASSWORD,
        "a wrong one",
        "a+wrong+one",
        "not-a-secret-of-ours",
    ] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
    assert!(log.contains("/admin/invitation/{secret}"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_that_nobody_waits_for_does_not_keep_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let service = Service::open(&data, OpenMode::Create, Setup::default()).unwrap();
    let intent = TokenIntent {
        name: "upkeep".to_owned(),
        scopes: Scopes([Scope::Admin].into()),
        app_slug: None,
        channels: std::collections::BTreeSet::new(),
        expires_at: None,
    };
    let local = Caller::new(Principal::Local(0));
    let secret = service
        .create_token(&local, intent, None)
        .await
        .unwrap()
        .secret
        .unwrap();
    // While this removes objects, a backup waits.
    let removal = service.objects().try_removal().unwrap().unwrap();
    let mut program = Program::start(folder.path());
    eventually("the program listens", async || program.log().contains("listening on")).await;
    let port = std::fs::read_to_string(folder.path().join("port")).unwrap();
    let mut client = std::net::TcpStream::connect(format!("127.0.0.1:{}", port.trim())).unwrap();
    let request = format!(
        "POST /api/store/backup HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {secret}\r\ncontent-length: 0\r\n\r\n"
    );
    client.write_all(request.as_bytes()).unwrap();
    let backups = data.join("backups");
    eventually("the backup has begun", async || {
        std::fs::read_dir(&backups).is_ok_and(|mut made| made.next().is_some())
    })
    .await;
    drop(client);
    let mut signal = Command::new("kill");
    assert!(signal.arg(program.child.id().to_string()).status().unwrap().success());
    eventually("the program stops", async || program.log().contains("stopped")).await;
    eventually("the process ends", async || program.child.try_wait().unwrap().is_some()).await;
    drop(removal);
}

/// A server in another process.
struct Remote(String);

impl Remote {
    async fn send(&self, method: Method, path: &str, headers: &str, body: &str) -> String {
        let Self(host) = self;
        let text = format!(
            "{method} {path} HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut raw = crate::common::Raw(std::net::TcpStream::connect(host).unwrap());
        tokio::task::spawn_blocking(move || raw.write(text).read_to_end())
            .await
            .unwrap()
    }
}
