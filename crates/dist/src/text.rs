//! Text for people: tables, sizes, and nothing that a terminal would obey.

use std::fmt;

/// Lines and tables, one below the other.
#[derive(Debug, Default)]
pub struct Text(String);

impl Text {
    /// One line, whatever `text` holds.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(&clean(text.as_ref()));
        self.0.push('\n');
    }

    /// A table; nothing where it has no rows.
    pub fn table(&mut self, table: &Table) {
        self.0.push_str(&table.to_string());
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Text of our own, as it is.
    pub fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Aligned columns, with a header or without.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with a header.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self::default().row(header)
    }

    /// The same with one more row.
    #[must_use]
    pub fn row<const N: usize>(mut self, cells: [&str; N]) -> Self {
        self.rows.push(cells.map(clean).into());
        self
    }

    /// The same with a row for each of `items`.
    #[must_use]
    pub fn rows<T, const N: usize>(self, items: &[T], cells: impl Fn(&T) -> [String; N]) -> Self {
        items.iter().fold(self, |table, item| {
            table.row(cells(item).each_ref().map(String::as_str))
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let padded: Vec<String> = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"))
                .collect();
            writeln!(f, "{}", padded.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// One line without control and text-direction characters: names and notes come from strangers,
/// and a terminal would obey them.
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if c.is_control() || is_invisible(c) => '\u{fffd}',
            c => c,
        })
        .collect()
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A number of bytes: `52.1 KiB`.
pub fn size(bytes: u64) -> String {
    indicatif::BinaryBytes(bytes).to_string()
}

/// What there is, or a dash.
pub fn or_dash(value: Option<&impl fmt::Display>) -> String {
    value.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The texts of `items` with commas between them, or a dash.
pub fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    if texts.is_empty() {
        "-".to_owned()
    } else {
        texts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_nothing_is_obeyed() {
        let table = Table::new(["NAME", "SIZE"]).row(["a\u{1b}[31m\nb", "1"]).row(["ä", ""]);
        assert_eq!(table.to_string(), "NAME      SIZE\na\u{fffd}[31m b  1\nä\n");
    }

    #[test]
    fn sizes_and_lists() {
        assert_eq!(size(53_350), "52.10 KiB");
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(Vec::<String>::new()), "-");
    }
}
