//! HTTPS: who is believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use dist_api::Paging;
use dist_api::client::{Client, Options, Retry};
use dist_model::{ErrorCode, Refusal};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const AUTHORITY: &[u8] = include_bytes!("tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("tls/server.pem");
const KEY: &[u8] = include_bytes!("tls/server.key");

/// A server whose certificate a test authority signed; it answers every request with an empty list.
fn serve() -> String {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()];
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            if stream.read(&mut [0; 4096]).is_ok() {
                let body = r#"{"items":[],"next_cursor":null}"#;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    url
}

async fn list(server: String, ca_pem: Option<&[u8]>) -> Result<(), Refusal> {
    let client = Client::new(Options {
        server,
        ca_pem: ca_pem.map(<[u8]>::to_vec),
        retry: Retry {
            attempts: 2,
            first: Duration::from_millis(1),
            ..Retry::default()
        },
        ..Options::default()
    });
    client?.apps(&Paging::default()).await.map(drop)
}

#[tokio::test]
async fn an_authority_is_believed_only_where_it_is_named() {
    let url = serve();
    list(url.clone(), Some(AUTHORITY)).await.unwrap();
    let refusal = list(url, None).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NetworkError);
    assert!(refusal.message.contains("certificate"), "{refusal}");
}
