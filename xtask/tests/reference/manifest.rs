//! manifest.md, from the schema that editors get.

use std::fmt::Write as _;

use dist_api::manifest::SCHEMA;
use serde_json::Value;

const HEAD: &str = r#"# The manifest, dist.json

A release as `dist ci publish` reads it, in a file beside the build. Everything but `app`, `version` and one
artifact with a `path` may be left out.

```json
{
  "$schema": "https://dist.example.org/api/manifest.schema.json",
  "app": "acme-app", "display_name": "Acme",
  "version": "2.4.0", "build": "812",
  "channel": "beta",
  "notes_file": "CHANGES.md",
  "artifacts": [
    {"platform": "android_apk", "path": "out/acme.apk"},
    {"platform": "ios", "path": "out/*.ipa", "filename": "Acme-2.4.0.ipa"}
  ]
}
```

Unknown keys are refused, with the nearest known one. `notes` and `notes_file` are not given both. A key that is `null`
counts as left out. Flags and the environment beat the manifest: `--app` (`DIST_APP`), `--version`, `--build` and
`--channel` (`DIST_CHANNEL`). What is wrong with a manifest, this says without writing anything:

```sh
echo "acme 2.4.0" > acme-linux-x86_64.bin
cat > dist.json <<'JSON'
{"app": "acme", "version": "2.4.0", "chanel": "beta", "artifacts": [{"path": "acme-linux-*.bin"}]}
JSON
dist ci publish --dry-run --local-store ./dist-data || echo "exit $?"
```

```text,output
…did you mean "channel"?
code: manifest.unknown_key
exit 7
```

## In an editor

`$schema` names the schema (JSON Schema 2020-12), with which editors complete keys and mark mistakes. Every server gives
it at `/api/manifest.schema.json`; it is also in the repository, as
[schema/dist.schema.json](https://github.com/dist-release/dist/blob/main/schema/dist.schema.json), for editors that map
file names to schemas. It marks a manifest without `version`, also where a flag gives the version.

## Keys

"#;

const TAIL: &str = "
## Over HTTP

`POST /api/apps/{slug}/releases` takes the same object with digests in place of paths: each artifact names its
`sha256`, `path` and `notes_file` are not known, and `draft` and `strict` say what `--draft` and `--strict` do. See
[the routes](http.md).
";

/// The page.
pub fn render() -> String {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut page = HEAD.to_owned();
    keys(&mut page, &schema);
    page.push_str("\n### An artifact\n\n");
    keys(&mut page, &schema["$defs"]["artifact"]);
    page.push_str("\n### The source\n\n");
    keys(&mut page, &schema["properties"]["source"]);
    page + TAIL
}

fn keys(page: &mut String, object: &Value) {
    let required = |key: &str| {
        object["required"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|name| name == key)
    };
    page.push_str("| key | meaning |\n| --- | --- |\n");
    for (key, property) in object["properties"].as_object().unwrap() {
        let meaning = property["description"].as_str().expect("every key is described");
        let must = if required(key) { " (required)" } else { "" };
        writeln!(page, "| `{key}`{must} | {meaning}{} |", one_of(property)).unwrap();
    }
}

fn one_of(property: &Value) -> String {
    let values: Vec<String> = property["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|value| value.as_str().map(|value| format!("`{value}`")))
        .collect();
    if values.is_empty() {
        return String::new();
    }
    format!(" One of {}.", values.join(", "))
}
