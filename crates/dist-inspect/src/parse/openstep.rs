//! Property lists as `OpenStep` wrote them: braces, parentheses, and texts that need no quotes. Apple's
//! systems still read them, and old or hand-made apps have them.
//! Source: Apple's `CFOldStylePList.c`.

use std::collections::BTreeMap;
use std::str::Chars;

use super::plist::{Plist, malformed};
use crate::{Budget, Refusal};

/// Reads a property list; every value of it is a text, bytes, a list or a dictionary.
pub(super) fn parse(text: &str, budget: &Budget) -> Result<Plist, Refusal> {
    let mut reader = Reader {
        rest: text,
        budget,
        made: 0,
    };
    let root = reader.value(0)?;
    reader.skip_space()?;
    if reader.rest.is_empty() {
        Ok(root)
    } else {
        Err(malformed("something follows it"))
    }
}

struct Reader<'t> {
    rest: &'t str,
    budget: &'t Budget,
    /// How many values and keys there have been.
    made: u32,
}

impl Reader<'_> {
    fn value(&mut self, depth: u32) -> Result<Plist, Refusal> {
        self.budget.nest(depth)?;
        self.count()?;
        if self.takes('{')? {
            self.dict(depth)
        } else if self.takes('(')? {
            self.array(depth)
        } else if self.takes('<')? {
            self.data()
        } else {
            self.text().map(Plist::Text)
        }
    }

    fn count(&mut self) -> Result<(), Refusal> {
        let limit = self.budget.limits().nodes;
        self.budget.step()?;
        self.made += 1;
        if self.made > limit {
            return Err(Refusal::TooManyNodes { limit });
        }
        Ok(())
    }

    fn dict(&mut self, depth: u32) -> Result<Plist, Refusal> {
        let mut dict = BTreeMap::new();
        while !self.takes('}')? {
            self.count()?;
            let key = self.text()?;
            let value = if self.takes('=')? {
                self.value(depth + 1)?
            } else {
                // A key alone is its own value.
                Plist::Text(key.clone())
            };
            dict.insert(key, value);
            if !self.takes(';')? && !self.rest.starts_with('}') {
                return Err(malformed("a value of a dictionary does not end"));
            }
        }
        Ok(Plist::Dict(dict))
    }

    fn array(&mut self, depth: u32) -> Result<Plist, Refusal> {
        let mut list = Vec::new();
        while !self.takes(')')? {
            list.push(self.value(depth + 1)?);
            if !self.takes(',')? && !self.rest.starts_with(')') {
                return Err(malformed("a value of a list does not end"));
            }
        }
        Ok(Plist::Array(list))
    }

    /// Bytes in hexadecimal, up to `>`.
    fn data(&mut self) -> Result<Plist, Refusal> {
        let (digits, rest) = self
            .rest
            .split_once('>')
            .ok_or_else(|| malformed("its data does not end"))?;
        self.rest = rest;
        let digits: String = digits.split_ascii_whitespace().collect();
        let bytes = hex::decode(digits).map_err(malformed)?;
        Ok(Plist::Data(bytes))
    }

    fn text(&mut self) -> Result<String, Refusal> {
        self.skip_space()?;
        if let Some(quote) = self.rest.chars().next().filter(|first| matches!(first, '"' | '\'')) {
            return self.quoted(quote);
        }
        let is_plain = |character: char| character.is_ascii_alphanumeric() || "_$/:.-".contains(character);
        let end = self.rest.find(|character| !is_plain(character));
        let (text, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
        if text.is_empty() {
            return Err(malformed("a text is missing"));
        }
        self.rest = rest;
        Ok(text.to_owned())
    }

    fn quoted(&mut self, quote: char) -> Result<String, Refusal> {
        let mut text = String::new();
        let mut characters = self.rest[1..].chars();
        while let Some(character) = characters.next() {
            if character == quote {
                self.rest = characters.as_str();
                return Ok(text);
            }
            text.push(if character == '\\' {
                escaped(&mut characters)
            } else {
                character
            });
        }
        Err(malformed("a text does not end"))
    }

    /// Whether this is the next character that is no space, which is then behind.
    fn takes(&mut self, character: char) -> Result<bool, Refusal> {
        self.skip_space()?;
        let rest = self.rest.strip_prefix(character);
        self.rest = rest.unwrap_or(self.rest);
        Ok(rest.is_some())
    }

    /// Goes to what is neither white space nor a comment.
    fn skip_space(&mut self) -> Result<(), Refusal> {
        loop {
            self.budget.step()?;
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("//") {
                self.rest = comment.find(['\n', '\r']).map_or("", |end| &comment[end..]);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                let after = comment.split_once("*/").map(|(_, after)| after);
                self.rest = after.ok_or_else(|| malformed("a comment does not end"))?;
            } else {
                return Ok(());
            }
        }
    }
}

/// The character that stands behind a backslash, by its letter or its number.
fn escaped(characters: &mut Chars<'_>) -> char {
    let numbered = |characters: &mut Chars<'_>, digits: usize, radix: u32| {
        let text = characters.as_str();
        let end = text
            .chars()
            .take(digits)
            .take_while(|digit| digit.is_digit(radix))
            .count();
        let number = u32::from_str_radix(&text[..end], radix).ok();
        *characters = text[end..].chars();
        number.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    let before = characters.clone();
    match characters.next() {
        Some('0'..='7') => {
            *characters = before;
            numbered(characters, 3, 8)
        }
        Some('U' | 'u') => numbered(characters, 4, 16),
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some(other) => other,
        None => char::REPLACEMENT_CHARACTER,
    }
}
