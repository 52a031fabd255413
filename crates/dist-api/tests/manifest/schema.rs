//! The schema for editors and the parser say the same of every manifest.

use boon::{Compiler, SchemaIndex, Schemas};
use dist_api::manifest::SCHEMA;
use serde_json::{Value, json};

use super::{SHA, full, parse, with};

struct Schema(Schemas, SchemaIndex);

impl Schema {
    fn compile() -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let name = schema["$id"].as_str().unwrap().to_owned();
        compiler.add_resource(&name, schema).unwrap();
        let index = compiler.compile(&name, &mut schemas).unwrap();
        Self(schemas, index)
    }

    fn takes(&self, manifest: &Value) -> bool {
        self.0.validate(manifest, self.1).is_ok()
    }
}

/// The places of all values in a manifest, as JSON pointers.
fn places(value: &Value, place: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(at, value)| (at.to_string(), value))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let place = format!("{place}/{key}");
        places(child, &place, found);
        found.push(place);
    }
}

/// Values that are good in some places and bad in others.
fn values() -> Vec<Value> {
    let texts = [
        "",
        " ",
        "x",
        "X",
        "a-",
        "-a",
        "a--b",
        "a.b",
        "a_b",
        ".a",
        "1+2~3",
        "a b",
        "ä",
        ".",
        "..",
        "a/b",
        "a\\b",
        "*",
        "out/*.ipa",
        "x\ny",
        "x\n",
        "a\u{0}b",
        "x\u{7f}",
        "x\u{85}",
        "exe.\u{202e}gpj",
        "linux",
        "Linux",
        "ios ",
        "https://x",
        "HTTPS://x",
        "ftp://x",
        "application/zip",
        "text/plain; charset=utf-8",
        "a/b ;",
        "a/b\t;",
        "a/b\n",
        "a/b;ä",
        "a/",
        "/b",
        "a/b/c",
        "a,b/c",
        "a/b\";",
        SHA,
        "g",
    ];
    let long = [63, 64, 65, 200, 201, 255, 256, 500, 501, 2000, 2001].map(|length| "a".repeat(length));
    let url = |length: usize| format!("https://{}", "a".repeat(length - 8));
    let mut values: Vec<Value> = texts.iter().map(|text| json!(text)).collect();
    values.extend(long.iter().map(|text| json!(text)));
    values.extend([
        json!(SHA.to_uppercase()),
        json!(SHA.replace('9', "g")),
        json!(url(2000)),
        json!(url(2001)),
    ]);
    values.extend([
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e20),
    ]);
    values.extend([
        json!([]),
        json!(["x"]),
        json!({}),
        json!({"x": 1}),
        json!([{}]),
        json!([{"path": "x"}]),
    ]);
    values
}

#[test]
fn the_schema_takes_what_the_parser_takes_and_nothing_else() {
    let schema = Schema::compile();
    let mut pointers = Vec::new();
    places(&full(), "", &mut pointers);
    // Keys that are new to an object, at every depth.
    pointers.extend(
        [
            "/notes_file",
            "/draft",
            "/artifacts/0/filename",
            "/artifacts/0/url",
            "/source/tag",
        ]
        .map(str::to_owned),
    );
    let mut wrong = Vec::new();
    let mut verdicts = [0, 0];
    for pointer in &pointers {
        for value in values().into_iter().map(Some).chain([None]) {
            let is_item = pointer.ends_with(|last: char| last.is_ascii_digit());
            if value.is_none() && is_item {
                continue;
            }
            let mut manifest = with(pointer, value.clone());
            if pointer == "/notes_file" && value != Some(json!("x")) {
                manifest["notes"] = json!(null);
            }
            let (parsed, taken) = (parse(&manifest).is_ok(), schema.takes(&manifest));
            verdicts[usize::from(parsed)] += 1;
            if parsed != taken {
                wrong.push(format!("{pointer} = {value:?}: parser {parsed}, schema {taken}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(verdicts.iter().all(|count| *count > 500), "{verdicts:?}");
}

#[test]
fn the_examples_of_the_schema_are_good_ones() {
    let schema = Schema::compile();
    for example in ["dist.json", "dist-1.1.0.json"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../examples")
            .join(example);
        assert!(
            schema.takes(&serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()),
            "{example}"
        );
    }
    let document: Value = serde_json::from_str(SCHEMA).unwrap();
    for (key, property) in document["properties"].as_object().unwrap() {
        for example in property["examples"].as_array().into_iter().flatten() {
            let mut manifest = full();
            manifest.as_object_mut().unwrap().remove("notes");
            manifest[key] = example.clone();
            assert!(schema.takes(&manifest) && parse(&manifest).is_ok(), "{key}: {example}");
        }
    }
}
