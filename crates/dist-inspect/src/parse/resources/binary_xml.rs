//! XML documents as packages have them compiled.

use super::chunk::{Chunk, Numbers, Strings, kind, malformed};
use super::{Attribute, Element, Value};
use crate::{Budget, Refusal};

/// Where an element's own fields start, after line and comment.
const FIELDS: usize = 16;

pub(super) fn parse(bytes: &[u8], budget: &Budget) -> Result<Element, Refusal> {
    let (document, _) = Chunk::split(bytes)?;
    if document.kind != kind::XML {
        return Err(malformed("a document is no compiled XML"));
    }
    let mut reader = Reader {
        strings: Strings::default(),
        ids: &[],
        budget,
        nodes: 0,
    };
    let mut open: Vec<Element> = Vec::new();
    for chunk in document.chunks() {
        let chunk = chunk?;
        match chunk.kind {
            kind::STRINGS => reader.strings = Strings::parse(chunk)?,
            kind::ATTRIBUTE_IDS => reader.ids = chunk.bytes.get(chunk.header..).unwrap_or_default(),
            kind::START_ELEMENT => {
                budget.nest(u32::try_from(open.len()).unwrap_or(u32::MAX))?;
                open.push(reader.element(chunk)?);
            }
            kind::END_ELEMENT => {
                let closed = open.pop().ok_or_else(|| malformed("an element ends twice"))?;
                match open.last_mut() {
                    Some(parent) => parent.children.push(closed),
                    None => return Ok(closed),
                }
            }
            _ => {}
        }
    }
    Err(malformed("a document does not end"))
}

struct Reader<'a> {
    strings: Strings<'a>,
    /// The numbers of the attributes whose names are the first strings.
    ids: &'a [u8],
    budget: &'a Budget,
    nodes: u32,
}

impl Reader<'_> {
    fn count(&mut self) -> Result<(), Refusal> {
        self.budget.step()?;
        self.nodes += 1;
        let limit = self.budget.limits().nodes;
        if self.nodes > limit {
            Err(Refusal::TooManyNodes { limit })
        } else {
            Ok(())
        }
    }

    fn element(&mut self, chunk: Chunk<'_>) -> Result<Element, Refusal> {
        self.count()?;
        let bytes = chunk.bytes;
        let name = self.strings.get(bytes.u32_at(FIELDS + 4)?, self.budget)?;
        let start = FIELDS + usize::from(bytes.u16_at(FIELDS + 8)?);
        let stride = usize::from(bytes.u16_at(FIELDS + 10)?);
        let count = usize::from(bytes.u16_at(FIELDS + 12)?);
        let mut attributes = Vec::new();
        for place in 0..count {
            self.count()?;
            let attribute = bytes.get(start + place * stride..).unwrap_or_default();
            attributes.push(self.attribute(attribute)?);
        }
        Ok(Element {
            name,
            attributes,
            children: Vec::new(),
        })
    }

    fn attribute(&self, bytes: &[u8]) -> Result<Attribute, Refusal> {
        let name = bytes.u32_at(4)?;
        let id = usize::try_from(name)
            .ok()
            .and_then(|place| self.ids.u32_at(place.checked_mul(4)?).ok());
        let value = value(bytes.u8_at(15)?, bytes.u32_at(16)?, &self.strings, self.budget)?;
        Ok(Attribute {
            // Names that are no text are those of attributes that are known by their number.
            name: given(self.strings.get(name, self.budget))?.unwrap_or_default(),
            id: id.unwrap_or(0),
            value,
        })
    }
}

/// A typed value, whose texts stand in `strings`.
pub(super) fn value(kind: u8, data: u32, strings: &Strings<'_>, budget: &Budget) -> Result<Value, Refusal> {
    Ok(match kind {
        0x01 | 0x07 => Value::Reference(data),
        0x03 => given(strings.get(data, budget))?.map_or(Value::Other, Value::Text),
        0x12 => Value::Boolean(data != 0),
        0x10..=0x1F => Value::Integer(data),
        _ => Value::Other,
    })
}

/// A text, or `None` where it is damaged.
fn given(text: Result<String, Refusal>) -> Result<Option<String>, Refusal> {
    match text {
        Ok(text) => Ok(Some(text)),
        Err(Refusal::Malformed { .. }) => Ok(None),
        Err(stop) => Err(stop),
    }
}
