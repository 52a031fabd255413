//! The access-control example.

use std::sync::Arc;

use serde_json::json;

use super::group;
use super::subject::{Subject, must};
use crate::Hub;

#[path = "../../examples/acl/acl.rs"]
mod acl;

fn grant(subject: &Subject, resource: &str, principal: &str, at: i64) {
    must(acl::grant(subject.backend(), resource, principal, at));
}

fn revoke(subject: &Subject, resource: &str, principal: &str, at: i64) {
    must(acl::revoke(subject.backend(), resource, principal, at));
}

fn can(subject: &Subject, resource: &str, principal: &str) -> bool {
    must(acl::can(subject.backend(), resource, principal))
}

group! { "example-acl":
    "grant then can?" => "true", |subject| {
        grant(subject, "door", "ada", 1);
        json!(can(subject, "door", "ada"))
    };
    "no grant means no access" => "false", |subject| json!(can(subject, "door", "ada"));
    "revoke removes access" => "false", |subject| {
        grant(subject, "door", "ada", 1);
        revoke(subject, "door", "ada", 2);
        json!(can(subject, "door", "ada"))
    };
    "multiple principals tracked independently" => "[false, true]", |subject| {
        grant(subject, "door", "ada", 1);
        grant(subject, "door", "grace", 2);
        revoke(subject, "door", "ada", 3);
        json!([can(subject, "door", "ada"), can(subject, "door", "grace")])
    };
    "granting twice is idempotent in the set" => "1", |subject| {
        grant(subject, "door", "ada", 1);
        grant(subject, "door", "ada", 2);
        json!(must(acl::grants(subject.backend(), "door")).len())
    };
    "grants on different resources are isolated" => "[false, true]", |subject| {
        grant(subject, "door", "ada", 1);
        json!([can(subject, "safe", "ada"), can(subject, "door", "ada")])
    };
    "audit window answers when-was-it-granted (new capability)" => "2", |subject| {
        grant(subject, "door", "ada", 10);
        grant(subject, "door", "grace", 20);
        grant(subject, "door", "linus", 30);
        json!(must(acl::audit(subject.backend(), "door", 10, 20)).len())
    };
    "materialized view stays current on publish" => "true", |subject| {
        let hub = Hub::new(subject.shared());
        let view = Arc::new(must(acl::view("door")));
        view.attach(&hub);
        must(hub.publish(&must(acl::stream("door")), must(acl::Access::granted("ada", 1))));
        json!(must(view.peek(subject.backend())).contains("ada"))
    };
    "grants survive restart on the durable backend (the headline win)" => "[true, true]", |subject| {
        grant(subject, "door", "ada", 1);
        grant(subject, "safe", "grace", 2);
        subject.restart();
        json!([can(subject, "door", "ada"), can(subject, "safe", "grace")])
    };
    "revoke before restart is still revoked after" => "false", |subject| {
        grant(subject, "door", "ada", 1);
        revoke(subject, "door", "ada", 2);
        subject.restart();
        json!(can(subject, "door", "ada"))
    };
}
