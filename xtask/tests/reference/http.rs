//! Every route of `distd`, from its own `OpenAPI` document.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

const METHODS: [&str; 7] = ["get", "head", "post", "put", "patch", "delete", "options"];

/// One section a tag, one table row a route.
pub fn render() -> String {
    let document = serde_json::to_value(distd::router::openapi()).unwrap();
    let mut page = "# HTTP API\n\n\
        The routes of `distd`. Bodies and their schemas are in the OpenAPI document that every server gives at \
        `/api/openapi.json`; refusals are listed in [errors](errors.md).\n"
        .to_owned();
    for (tag, routes) in by_tag(&document) {
        write!(page, "\n## {tag}\n").unwrap();
        for (path, method, operation) in routes {
            route(path, method, operation, &mut page);
        }
    }
    page
}

type Route<'a> = (&'a str, &'a str, &'a Value);

fn by_tag(document: &Value) -> BTreeMap<&str, Vec<Route<'_>>> {
    let mut tags: BTreeMap<&str, Vec<Route<'_>>> = BTreeMap::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let tag = operation["tags"][0].as_str().unwrap_or("other");
                tags.entry(tag).or_default().push((path, method, operation));
            }
        }
    }
    tags
}

fn route(path: &str, method: &str, operation: &Value, page: &mut String) {
    write!(page, "\n### `{} {path}`\n\n", method.to_uppercase()).unwrap();
    for text in ["summary", "description"] {
        if let Some(text) = operation[text].as_str() {
            write!(page, "{}\n\n", text.trim()).unwrap();
        }
    }
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let place = parameter["in"].as_str().unwrap_or_default();
        if place == "path" {
            continue;
        }
        let name = parameter["name"].as_str().unwrap_or_default();
        let help = parameter["description"].as_str().unwrap_or_default().replace('\n', " ");
        writeln!(page, "- {place} `{name}`: {help}").unwrap();
    }
    if let Some(content) = operation["requestBody"]["content"].as_object() {
        for (media_type, body) in content {
            writeln!(page, "- takes `{media_type}`{}", schema(body)).unwrap();
        }
    }
    let responses = operation["responses"].as_object().into_iter().flatten();
    // Every route may refuse, which need not be said of each.
    for (status, response) in responses.filter(|(status, _)| *status != "default") {
        let content = response["content"].as_object().into_iter().flatten();
        let bodies: Vec<String> = content
            .map(|(media, body)| format!("`{media}`{}", schema(body)))
            .collect();
        let description = response["description"].as_str().unwrap_or_default();
        let words: Vec<&str> = [description]
            .into_iter()
            .filter(|text| *text != distd::router::PLAIN_ANSWER)
            .collect();
        let all: Vec<String> = words.iter().map(ToString::to_string).chain(bodies).collect();
        writeln!(
            page,
            "- answers {status}{}{}",
            if all.is_empty() { "" } else { ": " },
            all.join(", ")
        )
        .unwrap();
    }
}

/// The name of a body's schema, where it has one.
fn schema(body: &Value) -> String {
    let reference = body["schema"]["$ref"].as_str();
    let name = reference.and_then(|reference| reference.rsplit('/').next());
    name.map_or_else(String::new, |name| format!(" (`{name}`)"))
}
