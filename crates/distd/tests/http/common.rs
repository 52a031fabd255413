//! A server to test against, and a client that hides nothing.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dist_inspect::{Icon, InProcess, Inspection, Inspector};
use dist_model::decide::{TokenIntent, UserIntent};
use dist_model::{Role, Scope, Scopes, Timestamp};
use dist_service::{Caller, Principal, Service, Visit};
use distd::{Config, Server};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use percent_encoding::NON_ALPHANUMERIC;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A picture of one grey pixel.
pub const ICON: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\xdach\0\0\0\x82\0\x81\xdaE\x08;\0\0\0\0IEND\xaeB`\x82";

/// Finds the same picture in every file, so that a test of icons needs no app that has one.
#[derive(Debug)]
pub struct WithIcon;

impl Inspector for WithIcon {
    fn inspect(&self, file: &File, name: &str, now: Timestamp) -> std::io::Result<Inspection> {
        let icon = Icon {
            png: ICON.to_vec(),
            width: 1,
            height: 1,
        };
        Ok(Inspection {
            icon: Some(icon),
            ..InProcess.inspect(file, name, now)?
        })
    }
}

/// A running server, its folder, and a token that may do everything.
pub struct Site {
    pub address: SocketAddr,
    pub service: Service,
    pub admin: String,
    folder: TempDir,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
    names: AtomicU32,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The error's code, or the empty text.
    pub fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        body.pointer("/error/code")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}

/// Somebody who is signed in at a browser.
#[derive(Clone, Debug)]
pub struct Signed {
    pub cookie: String,
    pub csrf: String,
    pub id: dist_model::UserId,
}

/// The password of everybody in these tests.
pub const PASSWORD: &str = "correct horse battery";

/// A request that is being made up.
pub struct Call<'a> {
    site: &'a Site,
    request: http::request::Builder,
    body: Bytes,
}

impl Call<'_> {
    pub fn token(self, secret: &str) -> Self {
        self.header("authorization", &format!("Bearer {secret}"))
    }

    /// As somebody who is signed in at a browser: a form of theirs comes from a page of this server.
    pub fn person(self, person: &Signed) -> Self {
        self.header("cookie", &person.cookie)
            .header("sec-fetch-site", "same-origin")
    }

    /// A form as browsers send it.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let encode = |text: &str| percent_encoding::utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let pairs: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
            .collect();
        self.header("content-type", "application/x-www-form-urlencoded")
            .body(pairs.join("&"))
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    pub async fn send(self) -> Answer {
        let request = self.request.header("host", "test").body(Full::new(self.body)).unwrap();
        let stream = tokio::net::TcpStream::connect(self.site.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection);
        let (head, body) = sender.send_request(request).await.unwrap().into_parts();
        Answer {
            status: head.status,
            headers: head.headers,
            body: body.collect().await.unwrap().to_bytes(),
        }
    }
}

impl Site {
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(tempfile::tempdir().unwrap(), change).await
    }

    pub async fn start_on(folder: TempDir, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::new(folder.path(), "127.0.0.1:0".parse().unwrap());
        config.public_url = Some("https://get.example.org/dist".to_owned());
        change(&mut config);
        Self::serve(Server::bind(config).await.unwrap(), folder).await
    }

    /// Serves with a server that was made of the folder.
    pub async fn serve(server: Server, folder: TempDir) -> Self {
        let (address, service) = (server.local_addr(), server.service().clone());
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            server.serve(shutdown).await.unwrap();
        });
        let mut site = Self {
            address,
            service,
            admin: String::new(),
            folder,
            stop,
            served,
            names: AtomicU32::new(std::process::id()),
        };
        site.admin = site.new_token(&[Scope::Admin], None, &[]).await.0;
        site
    }

    /// Stops the server as a signal would, and answers its folder.
    pub async fn stop(self) -> TempDir {
        let _ = self.stop.send(());
        self.served.await.unwrap();
        self.folder
    }

    pub fn data(&self) -> &Path {
        self.folder.path()
    }

    /// A new token: its secret and its id.
    pub async fn new_token(
        &self,
        scopes: &[Scope],
        app: Option<&str>,
        channels: &[&str],
    ) -> (String, dist_model::TokenId) {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let time = self.service.now().as_millis();
        let intent = TokenIntent {
            name: format!("token-{number}-{time}"),
            scopes: Scopes(scopes.iter().copied().collect()),
            app_slug: app.map(|app| app.parse().unwrap()),
            channels: channels.iter().map(|channel| channel.parse().unwrap()).collect(),
            expires_at: None,
        };
        let made = self
            .service
            .create_token(&Caller::new(Principal::Local(0)), intent, None)
            .await
            .unwrap();
        (made.secret.unwrap(), made.token.id)
    }

    /// Somebody with roles, who accepted their invitation.
    pub async fn person(&self, email: &str, role: Option<Role>, app_roles: &[(&str, Role)]) -> Signed {
        let intent = UserIntent {
            email: email.parse().unwrap(),
            name: String::new(),
            role,
            app_roles: app_roles
                .iter()
                .map(|(app, role)| (app.parse().unwrap(), *role))
                .collect(),
        };
        let local = Caller::new(Principal::Local(0));
        let invited = self.service.create_user(&local, intent).await.unwrap();
        let visit = Visit {
            address: "192.0.2.1".parse().unwrap(),
            user_agent: "a test".to_owned(),
            replaces: None,
        };
        let session = self
            .service
            .accept_invitation(&invited.secret, PASSWORD.to_owned(), visit)
            .await
            .unwrap();
        let cookie = format!("__Secure-dist_session={}", session.secret);
        let page = self
            .call(Method::GET, "/admin/account")
            .header("cookie", &cookie)
            .send();
        let csrf = field(&page.await.expect(200).text(), "csrf");
        Signed {
            cookie,
            csrf,
            id: invited.user.id,
        }
    }

    /// Sends a form of the console as somebody who is signed in.
    pub async fn submit(&self, person: &Signed, path: &str, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("csrf", person.csrf.as_str())], fields].concat();
        self.call(Method::POST, path).person(person).form(&fields).send().await
    }

    /// Opens a page of the console as somebody who is signed in.
    pub async fn open(&self, person: &Signed, path: &str) -> Answer {
        self.call(Method::GET, path).person(person).send().await
    }

    pub fn call(&self, method: Method, path: &str) -> Call<'_> {
        Call {
            site: self,
            request: Request::builder().method(method).uri(path),
            body: Bytes::new(),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).send().await
    }

    /// As the admin.
    pub async fn admin_get(&self, path: &str) -> Answer {
        self.call(Method::GET, path).token(&self.admin).send().await
    }

    /// As the admin.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::POST, path).token(&self.admin).json(body).send().await
    }

    /// As the admin.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.call(Method::PATCH, path)
            .token(&self.admin)
            .json(body)
            .send()
            .await
    }

    /// Uploads bytes and answers their digest.
    pub async fn upload(&self, token: &str, bytes: impl Into<Bytes>) -> String {
        let bytes = bytes.into();
        let answer = self
            .call(Method::POST, "/api/upload")
            .token(token)
            .body(bytes)
            .send()
            .await;
        assert!(answer.status.is_success(), "{}", answer.text());
        answer.json()["sha256"].as_str().unwrap().to_owned()
    }

    /// Publishes one file for Linux under the version, and answers the publish's result.
    pub async fn publish(&self, app: &str, version: &str, channel: &str) -> Value {
        let digest = self.upload(&self.admin, format!("{app} {version}")).await;
        let manifest = json!({
            "app": app, "version": version, "channel": channel, "display_name": "Acme",
            "artifacts": [{"platform": "linux", "filename": format!("{app}.bin"), "sha256": digest}],
        });
        let path = format!("/api/apps/{app}/releases");
        self.post(&path, &manifest).await.expect(201).json()
    }

    /// Publishes a file of the examples' folder and answers its digest.
    pub async fn publish_example(&self, app: &str, file: &str, platform: &str) -> String {
        let bytes = example(file);
        let digest = self.upload(&self.admin, bytes).await;
        let manifest = json!({
            "app": app, "version": "1.0.0", "channel": "beta",
            "artifacts": [{"platform": platform, "filename": file, "sha256": digest}],
        });
        self.post(&format!("/api/apps/{app}/releases"), &manifest)
            .await
            .expect(201);
        digest
    }

    /// The actions of the audit log, the newest first.
    pub async fn actions(&self) -> Vec<String> {
        let audit = self.admin_get("/api/audit?limit=200").await.expect(200).json();
        let action = |event: &Value| event["action"].as_str().unwrap().to_owned();
        audit["items"].as_array().unwrap().iter().map(action).collect()
    }

    /// A connection for what a client library would not do.
    pub fn raw(&self) -> Raw {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Raw(stream)
    }

    /// The names in a folder of the store.
    pub fn names_in(&self, folder: &str) -> Vec<String> {
        names_in(&self.folder.path().join(folder))
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A socket with HTTP written by hand.
pub struct Raw(pub TcpStream);

impl Raw {
    pub fn write(&mut self, text: impl AsRef<[u8]>) -> &mut Self {
        self.0.write_all(text.as_ref()).unwrap();
        self
    }

    /// All that the server sends until it closes.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        let _ = self.0.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// What the server sends until `end` is there.
    pub fn read_until(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        let mut byte = [0];
        while !bytes.ends_with(end.as_bytes()) && self.0.read(&mut byte).unwrap() > 0 {
            bytes.push(byte[0]);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

pub fn sha256(bytes: impl AsRef<[u8]>) -> String {
    let digest: [u8; 32] = Sha256::digest(bytes.as_ref()).into();
    dist_model::Digest::from_bytes(digest).to_string()
}

/// The value of a page's first hidden field of that name.
pub fn field(page: &str, name: &str) -> String {
    let start = format!("name=\"{name}\" value=\"");
    let value = page.split_once(&start).and_then(|(_, rest)| rest.split_once('"'));
    value
        .unwrap_or_else(|| panic!("no field {name} in {page}"))
        .0
        .to_owned()
}

/// An answer's text without what is drawn for each answer anew.
pub fn without_nonce(answer: &Answer) -> String {
    let nonce = answer.header("content-security-policy").split("nonce-").nth(1);
    let nonce = nonce.and_then(|rest| rest.split('\'').next());
    nonce.map_or_else(|| answer.text(), |nonce| answer.text().replace(nonce, "nonce"))
}

/// A file of the examples' folder.
pub fn example(name: &str) -> Vec<u8> {
    std::fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples/dist")
            .join(name),
    )
    .unwrap()
}

/// Waits for something that happens soon after an answer; at most 10 s.
pub async fn eventually(what: &str, mut check: impl AsyncFnMut() -> bool) {
    for _ in 0..1000 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not happen");
}
