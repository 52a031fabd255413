//! What holds for every route: ids, methods, errors, the `OpenAPI` document, health.

use http::Method;
use serde_json::json;

use crate::common::{Site, eventually};

#[tokio::test]
async fn unknown_routes_and_methods_are_refused_in_json() {
    let site = Site::start().await;
    let unknown = site.get("/api/nothing").await.expect(404);
    assert_eq!(unknown.code(), "route.not_found");
    assert_eq!(unknown.header("content-type"), "application/json");
    let method = site.call(Method::DELETE, "/api/apps").send().await.expect(405);
    assert_eq!(method.code(), "route.method_not_allowed");
    let mut allowed: Vec<_> = method.header("allow").split(',').map(str::trim).collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
}

#[tokio::test]
async fn a_request_id_is_kept_where_it_is_good_and_made_where_it_is_not() {
    let site = Site::start().await;
    let ours = |value: &'static str| site.call(Method::GET, "/healthz").header("x-request-id", value).send();
    assert_eq!(ours("ci-42:a/b").await.header("x-request-id"), "ci-42:a/b");
    let long = Box::leak("x".repeat(129).into_boxed_str());
    for bad in ["", "a b", "a\"b", long] {
        let made = ours(bad).await.header("x-request-id").to_owned();
        assert!(made.len() > 8 && made != bad, "{made:?}");
    }
    let first = site.get("/healthz").await.header("x-request-id").to_owned();
    assert_ne!(first, site.get("/healthz").await.header("x-request-id"));
}

#[tokio::test]
async fn health() {
    let site = Site::start().await;
    assert_eq!(site.get("/healthz").await.expect(200).text(), "ok\n");
    assert_eq!(site.get("/readyz").await.expect(200).text(), "ready\n");
    site.get("/api/nothing").await;
    let metrics = site.get("/metrics").await.expect(200).text();
    for line in [
        "distd_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1",
        "distd_requests_total{method=\"GET\",route=\"none\",status=\"404\"} 1",
        "distd_connections ",
        "distd_ready 1",
        "distd_refusals_total{code=\"route.not_found\"} 1",
        "distd_store_events ",
        "distd_sequencer_batch_commands_bucket{le=\"1024.0\"} ",
        "distd_backup_last_success_timestamp_seconds 0.0",
        "distd_build_info{version=\"",
        "\nprocess_resident_memory_bytes ",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test]
async fn metrics_can_have_an_address_of_their_own() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let folder = tempfile::tempdir().unwrap();
    let mut config = distd::Config::new(folder.path(), "127.0.0.1:0".parse().unwrap());
    config.metrics_listen = Some("127.0.0.1:0".parse().unwrap());
    let server = distd::Server::bind(config).await.unwrap();
    sender
        .send((server.local_addr(), server.metrics_addr().unwrap()))
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let served = tokio::spawn(server.serve(async {
        let _ = stopped.await;
    }));
    let (main, metrics) = receiver.recv().unwrap();
    let status = |address: std::net::SocketAddr| async move {
        tokio::task::spawn_blocking(move || {
            let mut raw = crate::common::Raw(std::net::TcpStream::connect(address).unwrap());
            raw.write("GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                .read_to_end()
        })
        .await
        .unwrap()
    };
    assert!(status(main).await.starts_with("HTTP/1.1 404"));
    assert!(status(metrics).await.contains("distd_connections"));
    stop.send(()).unwrap();
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn editors_get_the_schema_of_the_manifest() {
    let site = Site::start().await;
    let answer = site.get("/api/manifest.schema.json").await.expect(200);
    assert_eq!(answer.header("content-type"), "application/schema+json");
    assert_eq!(answer.json()["title"], "dist.json");
}

#[tokio::test]
async fn the_openapi_document_names_every_route() {
    let site = Site::start().await;
    let document = site.get("/api/openapi.json").await.expect(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    let mut ids = std::collections::BTreeSet::new();
    for (method, path) in distd::router::list() {
        let operation = &document["paths"][&path][method.as_str().to_ascii_lowercase()];
        assert!(operation.is_object(), "{method} {path}");
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} names two operations");
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{method} {path} says what it does"
        );
        let placed = |place: &str| -> Vec<String> {
            let all = operation["parameters"].as_array().into_iter().flatten();
            let there = all.filter(|parameter| parameter["in"] == place);
            there
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect()
        };
        let in_path = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap());
        assert_eq!(placed("path"), in_path.collect::<Vec<_>>(), "{method} {path}");
        for (status, answer) in operation["responses"].as_object().unwrap() {
            assert!(answer["description"].is_string(), "{method} {path} {status}");
        }
        if path == "/api/audit" {
            let query = ["app", "actor", "action", "since", "until", "cursor", "limit"];
            assert_eq!(placed("query"), query);
        }
        if path == "/api/tokens" && method == Method::POST {
            assert_eq!(placed("header"), ["idempotency-key"]);
        }
    }
    let text = document.to_string();
    let references = text
        .split("#/components/schemas/")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap());
    for name in references {
        assert!(
            document["components"]["schemas"][name].is_object(),
            "{name} is referred to and not there"
        );
    }
}

#[tokio::test]
async fn bodies_that_are_not_what_a_route_takes() {
    let site = Site::start().await;
    let post =
        |path: &'static str, body: &'static str| site.call(Method::POST, path).token(&site.admin).body(body).send();
    for (path, body, status, code) in [
        ("/api/apps", "{", 400, "request.malformed"),
        ("/api/apps", "", 400, "request.malformed"),
        ("/api/apps", "{\"slug\":\"Acme\"}", 422, "app.invalid_slug"),
        (
            "/api/tokens",
            "{\"name\":\"x\",\"scopes\":[\"fly\"]}",
            400,
            "request.malformed",
        ),
        ("/api/tokens", "{\"name\":\"x\",\"scopes\":[]}", 422, "token.invalid"),
        ("/api/apps/acme/releases", "{", 422, "manifest.invalid_json"),
        ("/api/apps/Acme/releases", "{}", 422, "app.invalid_slug"),
        ("/api/apps/acme/channels/b/promote", "{}", 400, "request.malformed"),
    ] {
        let answer = post(path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.code().as_str()),
            (status, code),
            "{path} {body}: {}",
            answer.text()
        );
    }
    let large = " ".repeat((1 << 20) + 1);
    let answer = site
        .call(Method::POST, "/api/apps")
        .token(&site.admin)
        .body(large)
        .send()
        .await
        .expect(413);
    assert_eq!(answer.code(), "request.too_large");
    for (query, code) in [("limit=many", "usage.error"), ("cursor=%20", "cursor.invalid")] {
        assert_eq!(site.get(&format!("/api/apps?{query}")).await.code(), code, "{query}");
    }
}

#[tokio::test]
async fn credentials_that_are_none() {
    let site = Site::start().await;
    let unknown = format!("Bearer dist_{}", "0".repeat(64));
    for (header, code) in [
        ("Bearer dist_12", "auth.malformed"),
        ("Basic YTpi", "auth.malformed"),
        ("Bearer \u{e4}", "auth.malformed"),
        (unknown.as_str(), "auth.unknown_token"),
    ] {
        let answer = site
            .call(Method::GET, "/api/apps")
            .header("authorization", header)
            .send()
            .await
            .expect(401);
        assert_eq!(
            (answer.code().as_str(), answer.header("www-authenticate")),
            (code, "Bearer"),
            "{header}"
        );
    }
    let answer = site
        .call(Method::POST, "/api/upload")
        .body("x")
        .send()
        .await
        .expect(401);
    assert_eq!(answer.code(), "auth.missing");
}

#[tokio::test]
async fn refusals_of_recognised_credentials_are_events_and_those_of_strangers_are_counted() {
    let site = Site::start().await;
    let (reader, _) = site.new_token(&[dist_model::Scope::Read], None, &[]).await;
    let refused = site
        .call(Method::POST, "/api/apps")
        .token(&reader)
        .json(&json!({"slug": "acme"}))
        .send()
        .await;
    assert_eq!(refused.expect(403).code(), "auth.missing_scope");
    let audit = site
        .admin_get("/api/audit?action=access.refused")
        .await
        .expect(200)
        .json();
    assert_eq!(audit["items"][0]["metadata"]["code"], "auth.missing_scope");
    assert_eq!(audit["items"][0]["metadata"]["request"], "POST /api/apps");

    for _ in 0..5 {
        site.call(Method::GET, "/api/apps")
            .header("authorization", "x")
            .send()
            .await
            .expect(401);
    }
    site.service.flush_all().await.unwrap();
    eventually("one event of five strangers", async || {
        let audit = site
            .admin_get("/api/audit?action=access.strangers_refused")
            .await
            .expect(200)
            .json();
        let counts = audit["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|event| event["metadata"]["count"].as_u64().unwrap());
        counts.sum::<u64>() == 5
    })
    .await;
}

#[tokio::test]
async fn nothing_of_the_api_is_kept_by_caches() {
    let site = Site::start().await;
    let answer = site.get("/api/apps").await.expect(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
}
