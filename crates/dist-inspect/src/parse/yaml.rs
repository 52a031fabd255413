//! The top of a YAML mapping: its texts, and its lists of texts, as `snap.yaml` has them. Anchors,
//! tags and what lies deeper are passed over.
//! Source: YAML 1.2, chapters 6 to 8.

use super::text;

/// How many keys are read.
const KEYS: usize = 1000;

/// A mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapping(Vec<(String, Value)>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    List(Vec<String>),
}

impl Mapping {
    /// Reads what can be read.
    pub fn parse(bytes: &[u8]) -> Self {
        let document = text(bytes);
        let lines: Vec<&str> = document.lines().collect();
        let mut keys = Vec::new();
        let mut rest = lines.as_slice();
        while let Some((line, after)) = rest.split_first() {
            if *line == "..." || keys.len() >= KEYS {
                break;
            }
            // What goes on is deeper, or a list at the same place, or an empty line.
            let is_part = |line: &&&str| line.is_empty() || line.starts_with([' ', '\t', '#']) || is_item(line);
            let count = after.iter().take_while(is_part).count();
            let (block, after) = after.split_at(count);
            rest = after;
            if let Some((key, first)) = pair(line) {
                keys.push((key, value(first, block)));
            }
        }
        Self(keys)
    }

    /// The text of a key.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.find(key)? {
            Value::Text(text) => Some(text),
            Value::List(_) => None,
        }
    }

    /// The texts of a key that has a list of them, or the one that it has.
    pub fn list(&self, key: &str) -> &[String] {
        match self.find(key) {
            Some(Value::Text(text)) => std::slice::from_ref(text),
            Some(Value::List(list)) => list,
            None => &[],
        }
    }

    fn find(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
}

fn is_item(line: &str) -> bool {
    line == "-" || line.starts_with("- ")
}

/// A key and what stands behind its colon.
fn pair(line: &str) -> Option<(String, &str)> {
    if line.starts_with(['#', '%']) || line.starts_with("---") {
        return None;
    }
    let (key, value) = line
        .split_once(": ")
        .or_else(|| Some((line.trim_end().strip_suffix(':')?, "")))?;
    Some((scalar(key), value.trim()))
}

/// A value from where it starts, and the lines that belong to it.
fn value(first: &str, block: &[&str]) -> Value {
    if let Some(inside) = first.strip_prefix('[') {
        // It may go on in more lines.
        let whole = std::iter::once(inside)
            .chain(block.iter().copied())
            .collect::<Vec<_>>()
            .join(" ");
        let inside = whole.split_once(']').map_or(whole.as_str(), |(inside, _)| inside);
        let items = inside.split(',').map(scalar).filter(|item| !item.is_empty());
        return Value::List(items.collect());
    }
    if first.starts_with(['|', '>']) {
        return Value::Text(folded(first, block));
    }
    let items: Vec<String> = block
        .iter()
        .map(|line| line.trim())
        .filter(|line| is_item(line))
        .map(|item| scalar(&item[1..]))
        .collect();
    if first.is_empty() && !items.is_empty() {
        return Value::List(items);
    }
    if first.is_empty() && block.iter().any(|line| pair(line.trim_start()).is_some()) {
        // A mapping in the mapping.
        return Value::List(Vec::new());
    }
    // A text that goes on in deeper lines is one line.
    let lines = std::iter::once(first).chain(block.iter().map(|line| line.trim()));
    let lines: Vec<&str> = lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    Value::Text(scalar(&lines.join(" ")))
}

/// A text of several lines: with `|` they stay lines, with `>` they become one.
fn folded(style: &str, block: &[&str]) -> String {
    let separator = if style.starts_with('|') { "\n" } else { " " };
    let lines: Vec<&str> = block.iter().map(|line| line.trim()).collect();
    lines.join(separator).trim_end().to_owned()
}

/// A text without its quotation marks, or without the comment behind it.
fn scalar(text: &str) -> String {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('\'') {
        let end = rest.rfind('\'').unwrap_or(rest.len());
        return rest[..end].replace("''", "'");
    }
    if let Some(rest) = text.strip_prefix('"') {
        let end = rest.rfind('"').unwrap_or(rest.len());
        return unescaped(&rest[..end]);
    }
    let end = text.find(" #").unwrap_or(text.len());
    text[..end].trim_end().to_owned()
}

/// A text in double quotation marks, with the common escapes resolved.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut unescaped = String::new();
    while let Some(character) = characters.next() {
        if character != '\\' {
            unescaped.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => unescaped.push('\n'),
            Some('t') => unescaped.push('\t'),
            Some(kind @ ('x' | 'u' | 'U')) => {
                let digits = match kind {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let code: String = characters.by_ref().take(digits).collect();
                let code = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                unescaped.push(code.unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => unescaped.push(other),
            None => {}
        }
    }
    unescaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_lists_are_read() {
        let mapping = Mapping::parse(
            b"# made\nname: tide-notes # id\nversion: '2.4''1'\ntitle: \"Tide \\\"N\\\" \\u00e9\"\n\
              architectures:\n- amd64\n- 'arm64'\nbase: core22\nflow: [a, \"b\", c]\nlong: one\n  two\n\
              description: |\n  First: line\n  - second\n\nfolded: >-\n  a\n  b\n\
              apps:\n  tide:\n    command: bin/tide\n    plugs:\n      - home\nempty:\nlast: yes\n",
        );
        assert_eq!(mapping.text("name"), Some("tide-notes"));
        assert_eq!(mapping.text("version"), Some("2.4'1"));
        assert_eq!(mapping.text("title"), Some("Tide \"N\" \u{e9}"));
        assert_eq!(mapping.list("architectures"), ["amd64", "arm64"]);
        assert_eq!(mapping.list("flow"), ["a", "b", "c"]);
        assert_eq!(mapping.list("base"), ["core22"]);
        assert_eq!(mapping.text("long"), Some("one two"));
        assert_eq!(mapping.text("description"), Some("First: line\n- second"));
        assert_eq!(mapping.text("folded"), Some("a b"));
        assert_eq!((mapping.text("apps"), mapping.text("command")), (None, None));
        assert_eq!((mapping.text("empty"), mapping.text("last")), (Some(""), Some("yes")));
    }

    #[test]
    fn what_is_no_mapping_is_empty() {
        for bytes in [
            &b""[..],
            b"---",
            b"- a\n- b",
            b"[",
            b"\xFF\xFE",
            b"'",
            b"\"\\",
            b":",
            b"a: [",
            b"a: '\n",
        ] {
            let mapping = Mapping::parse(bytes);
            assert!(mapping.text("b").is_none(), "{bytes:?}");
        }
    }
}
