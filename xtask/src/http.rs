//! A small HTTP/1.1 client that says how far a request has come, which the fault tests need and
//! which clients for other purposes hide.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// How long a server of ours may take for any read or write that is not large.
pub const PATIENCE: Duration = Duration::from_secs(30);
const COPY_BYTES: usize = 256 << 10;

/// How far a request has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The connection is being made.
    Connecting,
    /// The request is being sent.
    Sending,
    /// All of it is sent; the answer is awaited.
    Waiting,
}

/// A server and who asks it.
#[derive(Clone, Debug)]
pub struct Client {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The secret of a token.
    pub token: Option<String>,
    /// How long one read or write may take.
    pub patience: Duration,
}

/// What is asked.
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// More headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// Where the body is read from.
    pub body: &'a mut dyn Read,
    /// How many bytes it has.
    pub length: u64,
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, where it was not handed on.
    pub body: Vec<u8>,
}

/// An open connection, for requests one after the other.
pub struct Connection {
    stream: BufReader<TcpStream>,
    authorization: String,
}

impl Client {
    /// A connection of its own.
    pub fn connect(&self) -> io::Result<Connection> {
        let stream = TcpStream::connect_timeout(&self.address, self.patience)?;
        stream.set_read_timeout(Some(self.patience))?;
        stream.set_write_timeout(Some(self.patience))?;
        stream.set_nodelay(true)?;
        let token = self.token.as_ref();
        Ok(Connection {
            stream: BufReader::new(stream),
            authorization: token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n")),
        })
    }

    /// `GET` on a connection of its own.
    pub fn get(&self, path: &str) -> io::Result<Answer> {
        self.send("GET", path, &[], |_| {})
    }

    /// `POST` of JSON on a connection of its own.
    pub fn post(&self, path: &str, body: &Value) -> io::Result<Answer> {
        self.send("POST", path, body.to_string().as_bytes(), |_| {})
    }

    /// One request on a connection of its own; `watch` is told how far it has come.
    pub fn send(&self, method: &str, path: &str, body: &[u8], watch: impl Fn(Step)) -> io::Result<Answer> {
        watch(Step::Connecting);
        let mut connection = self.connect()?;
        let request = Request {
            method,
            path,
            headers: &[],
            length: body.len() as u64,
            body: &mut &*body,
        };
        connection.exchange(request, watch)
    }
}

impl Connection {
    /// The connection's port on our side.
    pub fn local_port(&self) -> io::Result<u16> {
        Ok(self.stream.get_ref().local_addr()?.port())
    }

    /// One request and its answer.
    pub fn exchange(&mut self, request: Request<'_>, watch: impl Fn(Step)) -> io::Result<Answer> {
        let mut body = Vec::new();
        let mut answer = self.exchange_into(request, &mut body, watch)?;
        answer.body = body;
        Ok(answer)
    }

    /// One request and its answer, whose body goes to `sink`.
    pub fn exchange_into(
        &mut self,
        mut request: Request<'_>,
        sink: &mut dyn Write,
        watch: impl Fn(Step),
    ) -> io::Result<Answer> {
        let is_head = request.method == "HEAD";
        watch(Step::Sending);
        let sent = self.write(&mut request);
        if sent.is_ok() {
            watch(Step::Waiting);
        }
        // A server that refuses may do so before it has read everything, and then hang up: what it
        // said matters more than that the rest could not be sent.
        match (self.read_head(), sent) {
            (Ok(answer), _) => self.read_body(answer, is_head, sink),
            (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        }
    }

    fn write(&mut self, request: &mut Request<'_>) -> io::Result<()> {
        let Request {
            method, path, length, ..
        } = *request;
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n");
        head.push_str(&self.authorization);
        for (name, value) in request.headers {
            head.extend([name, ": ", value, "\r\n"]);
        }
        head.push_str("\r\n");
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        copy(&mut request.body.take(length), stream)
    }

    fn read_head(&mut self) -> io::Result<Answer> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        if line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| bad(&format!("no status in {line:?}")))?;
        let mut headers = Vec::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end().split_once(':') {
                Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
                None => break,
            }
        }
        let body = Vec::new();
        Ok(Answer { status, headers, body })
    }

    fn read_body(&mut self, answer: Answer, is_head: bool, sink: &mut dyn Write) -> io::Result<Answer> {
        if is_head || matches!(answer.status, 204 | 304) {
            return Ok(answer);
        }
        let length = answer.header("content-length").and_then(|length| length.parse().ok());
        let length: u64 = length.ok_or_else(|| bad("an answer without a length"))?;
        let mut body = (&mut self.stream).take(length);
        copy(&mut body, sink)?;
        if body.limit() > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(answer)
    }
}

impl Answer {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is something else.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of a refusal, or the empty text.
    pub fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap_or_default().to_owned()
    }

    /// Whether it is a success.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The answer where it is a success, else an error that shows it.
    pub fn expect_ok(self) -> anyhow::Result<Self> {
        anyhow::ensure!(
            self.is_ok(),
            "answered {}: {}",
            self.status,
            String::from_utf8_lossy(&self.body)
        );
        Ok(self)
    }
}

fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n])?,
        }
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
