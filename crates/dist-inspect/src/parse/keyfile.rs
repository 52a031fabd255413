//! Groups of keys and values: desktop entries, and the metadata of Flatpaks.
//! Source: the Desktop Entry Specification, chapter 3.

use std::rc::Rc;

use super::text;

/// A file of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyFile(Vec<(Rc<str>, String, String)>);

/// How many keys are read; real files have a few hundred, most of them translations.
const KEYS: usize = 10_000;

impl KeyFile {
    /// Reads what can be read: a line that is neither a group nor a key is passed over, as those
    /// who show desktop entries do.
    pub fn parse(bytes: &[u8]) -> Self {
        let document = text(bytes);
        // Many keys are in one group, whose name may be long.
        let mut group: Rc<str> = Rc::from("");
        let mut keys = Vec::new();
        for line in document.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[') {
                group = Rc::from(name.trim_end_matches(']'));
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                keys.push((Rc::clone(&group), key.trim().to_owned(), value.trim().to_owned()));
            }
            if keys.len() >= KEYS {
                break;
            }
        }
        Self(keys)
    }

    /// The value of a key without a locale, as it stands there.
    pub fn get(&self, group: &str, key: &str) -> Option<&str> {
        let mut keys = self.0.iter();
        let found = keys.find(|(in_group, name, _)| **in_group == *group && name == key);
        found.map(|(_, _, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_in_their_group() {
        let file =
            KeyFile::parse(b"# x=1\n[Desktop Entry]\nName = Acme\nName[de]=Akme\nExec=a b=c\nbad\n[Other]\nName=No\n");
        assert_eq!(file.get("Desktop Entry", "Name"), Some("Acme"));
        assert_eq!(file.get("Desktop Entry", "Exec"), Some("a b=c"));
        assert_eq!(file.get("Other", "Exec"), None);
        assert_eq!(file.get("", "# x"), None);
    }
}
