//! Paragraphs of fields, as the control files of debs are.
//! Source: Debian Policy, chapter 5; and `dpkg`, which takes no comments and one paragraph there.

use super::text;
use crate::{Budget, Refusal};

/// The only paragraph of a control file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paragraph(Vec<(String, String)>);

impl Paragraph {
    /// Reads all of `bytes`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for a line that is neither a field nor goes on with one, a field that
    /// is there twice, or a second paragraph; [`Refusal::TooManyNodes`] and [`Refusal::Time`].
    pub fn parse(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        let document = text(bytes);
        let limit = budget.limits().nodes.min(FIELDS);
        let mut fields: Vec<(String, String)> = Vec::new();
        let mut is_over = false;
        for line in document.lines() {
            budget.step()?;
            if line.trim().is_empty() {
                // A line of spaces would go on with the field.
                if !line.is_empty() && !fields.is_empty() && !is_over {
                    return Err(malformed("there is an empty line in a field"));
                }
                is_over = !fields.is_empty();
                continue;
            }
            if is_over {
                return Err(malformed("there is a second paragraph"));
            }
            if let Some(rest) = line.strip_prefix([' ', '\t']) {
                let (_, value) = fields.last_mut().ok_or_else(|| malformed("it starts in a field"))?;
                value.push('\n');
                value.push_str(rest.trim_end());
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| malformed("a line has no colon"))?;
            let name = name.trim_end();
            if name.is_empty() || name.contains(char::is_whitespace) {
                return Err(malformed("a field has no name"));
            }
            if fields.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
                return Err(malformed("a field is there twice"));
            }
            fields.push((name.to_owned(), value.trim().to_owned()));
            if fields.len() > limit as usize {
                return Err(Refusal::TooManyNodes { limit });
            }
        }
        if !fields.is_empty() && !document.ends_with('\n') {
            return Err(malformed("its last line does not end"));
        }
        if !is_over && fields.last().is_some_and(|(_, value)| value.is_empty()) {
            return Err(malformed("its last field is empty"));
        }
        Ok(Self(fields))
    }

    /// The value of the field of this name, whatever its case; lines after the first are without
    /// the space that they start with.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut fields = self.0.iter();
        let found = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first line of the field of this name.
    pub fn line(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(|value| value.lines().next())
    }
}

/// How many fields a paragraph may have; each is compared with all others.
const FIELDS: u32 = 1000;

fn malformed(why: &'static str) -> Refusal {
    Refusal::malformed("control file", why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn read(document: &str) -> Result<Paragraph, Refusal> {
        Paragraph::parse(document.as_bytes(), &Budget::new(&Limits::default()))
    }

    #[test]
    fn a_field_goes_on_in_lines_that_start_with_a_space() {
        let control = read("\nPackage : acme\ndescription: A tool\n It does\n .\n\tthings.\r\n\n\n").unwrap();
        assert_eq!(control.get("package"), Some("acme"));
        assert_eq!(control.line("Description"), Some("A tool"));
        assert_eq!(control.get("Description"), Some("A tool\nIt does\n.\nthings."));
        assert_eq!(control.get("Version"), None);
        assert_eq!(read("").unwrap(), Paragraph::default());
    }

    #[test]
    fn what_is_no_paragraph_is_refused() {
        for bad in [
            " a: b\n",
            "a\n",
            "a: b\nA: c\n",
            "a: b\n# c\n",
            "# a: b\n",
            ": b\n",
            "a: b\n\nc: d\n",
            "a: b\n \n c\n",
            "a: b\n \n",
            "a: b",
            "a: b\nc:\n",
        ] {
            assert!(matches!(read(bad), Err(Refusal::Malformed { .. })), "{bad}");
        }
        let many: Vec<String> = (0..2000).map(|number| format!("f{number}: a\n")).collect();
        assert!(matches!(read(&many.concat()), Err(Refusal::TooManyNodes { .. })));
    }
}
