//! Release notes: Markdown of others as HTML of ours. Only the elements named here are ever
//! written; HTML in the notes is text, and pictures are their description.

use askama::filters::{Escaper as _, Html};
use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

use super::text::is_invisible;

/// How much of the notes is shown, in bytes of Markdown; a page is meant to load at once.
const SOURCE_BYTES: usize = 4 << 10;
/// How long the HTML of it may get, in bytes: marks of one byte become elements.
const HTML_BYTES: usize = 4 << 10;
/// How deep elements may stand in each other.
const DEPTH: usize = 8;

/// The notes as HTML; empty where there is nothing to see.
pub(crate) fn render(notes: &str) -> String {
    let (shown, is_cut) = beginning(notes);
    let mut writer = Writer::default();
    let mut is_full = false;
    for event in Parser::new_ext(shown, Options::ENABLE_STRIKETHROUGH) {
        writer.write(event);
        if writer.html.len() > HTML_BYTES {
            is_full = true;
            break;
        }
    }
    while let Some(end) = writer.open.pop() {
        writer.html.push_str(end);
    }
    if is_cut || is_full {
        writer
            .html
            .push_str("<p>The notes are longer than what is shown here.</p>");
    }
    writer.html
}

/// As much of the notes as is shown, to the end of a line, and whether that is not all.
fn beginning(notes: &str) -> (&str, bool) {
    if notes.len() <= SOURCE_BYTES {
        return (notes, false);
    }
    let most = &notes[..notes.floor_char_boundary(SOURCE_BYTES)];
    let end = most.rfind('\n').unwrap_or(most.len());
    (&most[..end], true)
}

#[derive(Default)]
struct Writer {
    html: String,
    /// What ends the elements that are open, the innermost last; empty for one that is not written.
    open: Vec<&'static str>,
}

impl Writer {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(_) => {
                let end = self.open.pop().unwrap_or_default();
                self.html.push_str(end);
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => self.text(&text),
            Event::Code(text) => {
                self.html.push_str("<code>");
                self.text(&text);
                self.html.push_str("</code>");
            }
            Event::SoftBreak => self.html.push('\n'),
            Event::HardBreak => self.html.push_str("<br>"),
            Event::Rule => self.html.push_str("<hr>"),
            // Marks of what is not switched on are text.
            Event::FootnoteReference(_) | Event::TaskListMarker(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        let (start, end) = match tag {
            Tag::Link { dest_url, .. } => return self.link(dest_url),
            Tag::Paragraph | Tag::HtmlBlock => ("<p>", "</p>"),
            // The page has its own headings above these.
            Tag::Heading {
                level: HeadingLevel::H1 | HeadingLevel::H2,
                ..
            } => ("<h3>", "</h3>"),
            Tag::Heading { .. } => ("<h4>", "</h4>"),
            Tag::BlockQuote(_) => ("<blockquote>", "</blockquote>"),
            Tag::CodeBlock(_) => ("<pre><code>", "</code></pre>"),
            Tag::List(None) => ("<ul>", "</ul>"),
            Tag::List(Some(_)) => ("<ol>", "</ol>"),
            Tag::Item => ("<li>", "</li>"),
            Tag::Emphasis => ("<em>", "</em>"),
            Tag::Strong => ("<strong>", "</strong>"),
            Tag::Strikethrough => ("<del>", "</del>"),
            _ => ("", ""),
        };
        // An item is never written without its list, nor a list without its items.
        let fits = self.open.len() < DEPTH + usize::from(matches!(tag, Tag::Item));
        let (start, end) = if fits { (start, end) } else { ("", "") };
        self.html.push_str(start);
        self.open.push(end);
    }

    /// Addresses of the web and of people are links; any other is its text.
    fn link(&mut self, address: &str) {
        let is_good = ["https://", "http://", "mailto:"].iter().any(|scheme| {
            let start = address.get(..scheme.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
        });
        // Each character may become five, and half an address would lead to another place.
        if !is_good || self.html.len() + 5 * address.len() > HTML_BYTES {
            return self.open.push("");
        }
        self.html.push_str("<a rel=\"nofollow noopener noreferrer\" href=\"");
        self.text(address);
        self.html.push_str("\">");
        self.open.push("</a>");
    }

    fn text(&mut self, text: &str) {
        for c in text.chars().filter(|c| *c == '\n' || !is_invisible(*c)) {
            if self.html.len() > HTML_BYTES {
                break;
            }
            // Writing to a text does not fail.
            let _ = Html.write_escaped_char(&mut self.html, c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_markdown() {
        for (notes, html) in [
            ("", ""),
            ("Fixes *login*.", "<p>Fixes <em>login</em>.</p>"),
            (
                "# New\n\n- a\n- `b`",
                "<h3>New</h3><ul><li>a</li><li><code>b</code></li></ul>",
            ),
            ("1. a\n   b\\\n   c", "<ol><li>a\nb<br>c</li></ol>"),
            (
                "[run](https://ci.example.org/1?a&b)",
                "<p><a rel=\"nofollow noopener noreferrer\" href=\"https://ci.example.org/1?a&#38;b\">run</a></p>",
            ),
            ("![A plot](https://x/y.png)", "<p>A plot</p>"),
        ] {
            assert_eq!(render(notes), html, "{notes}");
        }
    }

    #[test]
    fn hostile_notes_are_text() {
        for notes in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "<javascript:alert(1)>",
            "[x](https://a/\"onmouseover=\"alert(1))",
            "[x]: javascript:alert(1)\n\n[x]",
            "```\"><script>\n</code></pre><script>\n```",
            "# x {onclick=alert(1)}",
            "<svg/onload=alert(1)>",
            "&lt;script&gt;",
        ] {
            let html = render(notes);
            let tags: Vec<&str> = html.split('<').skip(1).collect();
            for tag in tags {
                let name = tag.trim_start_matches('/').split(['>', ' ']).next().unwrap_or_default();
                let ours = ["p", "a", "em", "h3", "pre", "code", "strong"].contains(&name);
                assert!(ours, "{notes}: {html}");
                let attributes = tag.split('>').next().unwrap_or_default();
                assert!(
                    !attributes.contains("javascript") && !attributes.contains(" on"),
                    "{notes}: {html}"
                );
                assert!(attributes.matches('"').count() <= 4, "{notes}: {html}");
            }
        }
        assert_eq!(render("exe.\u{202e}gpj\u{200b}"), "<p>exe.gpj</p>");
    }

    #[test]
    fn notes_stay_short_whatever_they_are_made_of() {
        for unit in [
            "> ",
            "- ",
            "*a*",
            "[",
            "<b>",
            "\n# x",
            "&",
            "`x` ",
            "![",
            "1. x\n",
            "[a](https://b) ",
        ] {
            let html = render(&unit.repeat(100_000));
            assert!(html.len() < 5 << 10, "{unit}: {}", html.len());
            for element in ["p", "ul", "ol", "li", "em", "h3", "blockquote", "code", "a"] {
                let opened =
                    html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
                assert_eq!(
                    opened,
                    html.matches(&format!("</{element}>")).count(),
                    "{unit} {element}"
                );
            }
        }
    }
}
