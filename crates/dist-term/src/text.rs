//! Text for people: lines and tables, and nothing that a terminal would obey.

use std::fmt;

/// Lines and tables, one below the other.
#[derive(Debug, Default)]
pub struct Text {
    written: String,
    width: Option<usize>,
}

impl Text {
    /// Text for a terminal of so many columns; for a file or a pipe, which have no width, where absent.
    pub fn fitting(width: Option<usize>) -> Self {
        Self {
            written: String::new(),
            width,
        }
    }

    /// Text for this process's stdout.
    pub fn for_stdout() -> Self {
        let size = rustix::termios::tcgetwinsize(rustix::stdio::stdout());
        Self::fitting(size.ok().map(|size| size.ws_col.into()).filter(|width| *width > 0))
    }

    /// One line, whatever `text` holds.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.written.push_str(&clean(text.as_ref()));
        self.written.push('\n');
    }

    /// A table; nothing where it has no rows.
    pub fn table(&mut self, table: &Table) {
        let fits = self.width.is_none_or(|width| table.width() <= width);
        if fits || !table.has_header {
            self.written.push_str(&table.to_string());
        } else {
            self.written.push_str(&table.one_by_one());
        }
    }

    /// An empty line.
    pub fn gap(&mut self) {
        self.written.push('\n');
    }

    /// Text of our own, as it is.
    pub fn raw(&mut self, text: &str) {
        self.written.push_str(text);
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

/// Aligned columns, with a header or without.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    has_header: bool,
}

impl Table {
    /// A table with a header.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self {
            has_header: true,
            ..Self::default().row(header)
        }
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

    /// The columns' widths, in characters.
    fn widths(&self) -> Vec<usize> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..columns).map(width).collect()
    }

    /// The width of the widest line, in characters.
    fn width(&self) -> usize {
        self.to_string()
            .lines()
            .map(|line| line.chars().count())
            .max()
            .unwrap_or(0)
    }

    /// The rows one below the other, each cell on a line of its own behind its header. It is how a table
    /// is shown that is wider than the terminal: a terminal that breaks lines would mix the columns up,
    /// and a cell that is cut, such as a digest, could not be copied.
    fn one_by_one(&self) -> String {
        let Some((header, rows)) = self.rows.split_first() else {
            return String::new();
        };
        let records = rows.iter().map(|row| {
            let pairs = header.iter().zip(row);
            let record = pairs.fold(Self::default(), |table, (name, cell)| table.row([name, cell]));
            record.to_string()
        });
        records.collect::<Vec<_>>().join("\n")
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
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
    fn a_table_that_is_wider_than_the_terminal_is_shown_row_by_row() {
        let table = Table::new(["NAME", "DIGEST"]).row(["a", "0123456789"]).row(["b", ""]);
        let shown = |width| {
            let mut text = Text::fitting(width);
            text.table(&table);
            text.as_str().to_owned()
        };
        assert_eq!(shown(None), "NAME  DIGEST\na     0123456789\nb\n");
        assert_eq!(shown(Some(16)), shown(None));
        assert_eq!(shown(Some(15)), "NAME    a\nDIGEST  0123456789\n\nNAME    b\nDIGEST\n");
    }

    #[test]
    fn a_list_is_its_items_or_a_dash() {
        assert_eq!(list(["a", "b"]), "a, b");
        assert_eq!(list(Vec::<String>::new()), "-");
    }
}
