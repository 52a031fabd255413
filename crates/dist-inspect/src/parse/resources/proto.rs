//! Manifests and resources as app bundles have them: the messages of aapt2's `Resources.proto`, of
//! which the few fields are read that say something here.

use super::{Attribute, Config, Element, Value};
use crate::parse::protobuf::{Field, Message};
use crate::{Budget, Refusal};

/// Reads an `XmlNode`.
pub(super) fn parse_xml(bytes: &[u8], budget: &Budget) -> Result<Element, Refusal> {
    let mut nodes = 0;
    node(bytes, budget, &mut nodes, 0)?.ok_or_else(|| Refusal::malformed("resources", "a document has no element"))
}

/// The element that an `XmlNode` is; `None` for text.
fn node(bytes: &[u8], budget: &Budget, nodes: &mut u32, depth: u32) -> Result<Option<Element>, Refusal> {
    let Some(element) = Message::new(bytes).get(1)? else {
        return Ok(None);
    };
    budget.nest(depth)?;
    let mut read = Element::default();
    for field in Message::new(element.bytes()) {
        budget.step()?;
        *nodes += 1;
        let limit = budget.limits().nodes;
        if *nodes > limit {
            return Err(Refusal::TooManyNodes { limit });
        }
        match field? {
            (3, name) => read.name = name.text(),
            (4, bytes) => read.attributes.push(attribute(bytes.bytes())?),
            (5, child) => read.children.extend(node(child.bytes(), budget, nodes, depth + 1)?),
            _ => {}
        }
    }
    Ok(Some(read))
}

fn attribute(bytes: &[u8]) -> Result<Attribute, Refusal> {
    let message = Message::new(bytes);
    let text = message.get(3)?.map(Field::text).unwrap_or_default();
    let compiled = message.get(6)?.map(|bytes| item(bytes.bytes())).transpose()?;
    Ok(Attribute {
        name: message.get(2)?.map(Field::text).unwrap_or_default(),
        id: message.get(5)?.map_or(0, Field::number),
        value: compiled
            .filter(|value| *value != Value::Other)
            .unwrap_or(Value::Text(text)),
    })
}

fn item(bytes: &[u8]) -> Result<Value, Refusal> {
    for field in Message::new(bytes) {
        let (number, field) = field?;
        let message = Message::new(field.bytes());
        let first = || Ok::<_, Refusal>(message.get(1)?.map(Field::text).unwrap_or_default());
        match number {
            1 => return Ok(Value::Reference(message.get(2)?.map_or(0, Field::number))),
            // A text, a raw text, one with styles, and a file are each known by their first field.
            2..=5 => return Ok(Value::Text(first()?)),
            7 => return primitive(message),
            _ => {}
        }
    }
    Ok(Value::Other)
}

fn primitive(message: Message<'_>) -> Result<Value, Refusal> {
    for field in message {
        match field? {
            (6 | 7, number) => return Ok(Value::Integer(number.number())),
            (8, truth) => return Ok(Value::Boolean(truth.number() != 0)),
            _ => {}
        }
    }
    Ok(Value::Other)
}

/// A `ResourceTable`, walked through for each resource that is asked for.
#[derive(Debug)]
pub struct ProtoTable<'a> {
    bytes: &'a [u8],
    budget: &'a Budget,
}

impl<'a> ProtoTable<'a> {
    pub(super) fn new(bytes: &'a [u8], budget: &'a Budget) -> Self {
        Self { bytes, budget }
    }

    pub(super) fn values(&self, id: u32) -> Result<Vec<(Config, Value)>, Refusal> {
        let mut values = Vec::new();
        self.walk(Some(id), |config, bytes| {
            if let Some(found) = Message::new(bytes).get(4)? {
                values.push((config, item(found.bytes())?));
            }
            Ok(())
        })?;
        Ok(values)
    }

    pub(super) fn densities(&self) -> Result<Vec<u16>, Refusal> {
        let mut densities = std::collections::BTreeSet::new();
        self.walk(None, |config, _| {
            densities.insert(config.density);
            Ok(())
        })?;
        Ok(densities.into_iter().collect())
    }

    /// Tells `found` every `Value` of a resource, or of all.
    fn walk(
        &self,
        id: Option<u32>,
        mut found: impl FnMut(Config, &'a [u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let is_it = |number: u32, shift: u32, mask: u32| id.is_none_or(|id| (id >> shift) & mask == number);
        for package in self.all(self.bytes, 2) {
            let package = package?;
            if !is_it(number_in(package)?, 24, 0xFF) {
                continue;
            }
            for kind in self.all(package, 3) {
                let kind = kind?;
                if !is_it(number_in(kind)?, 16, 0xFF) {
                    continue;
                }
                for entry in self.all(kind, 3) {
                    let entry = entry?;
                    if !is_it(number_in(entry)?, 0, 0xFFFF) {
                        continue;
                    }
                    for value in self.all(entry, 6) {
                        let value = Message::new(value?);
                        let config = value.get(1)?.map_or(&[][..], Field::bytes);
                        found(config_of(config)?, value.get(2)?.map_or(&[], Field::bytes))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The messages of this number in another one.
    fn all(&self, bytes: &'a [u8], number: u64) -> impl Iterator<Item = Result<&'a [u8], Refusal>> {
        Message::new(bytes).filter_map(
            move |field| match field.and_then(|field| self.budget.step().map(|()| field)) {
                Ok((other, field)) if other == number => Some(Ok(field.bytes())),
                Ok(_) => None,
                Err(refusal) => Some(Err(refusal)),
            },
        )
    }
}

/// The number in the identifier that packages, types and entries have as their first field.
fn number_in(bytes: &[u8]) -> Result<u32, Refusal> {
    let id = Message::new(bytes).get(1)?.map_or(&[][..], Field::bytes);
    Ok(Message::new(id).get(1)?.map_or(0, Field::number))
}

/// What a `Configuration` says.
fn config_of(bytes: &[u8]) -> Result<Config, Refusal> {
    let mut config = Config {
        is_plain: true,
        is_neutral: true,
        density: 0,
        sdk: 0,
    };
    for field in Message::new(bytes) {
        let (number, field) = field?;
        let value = field.number();
        match number {
            3 => config.is_neutral = field.bytes().is_empty(),
            // Widths and heights of the screen that it is at least for.
            7 | 9 => config.is_plain &= value <= 320,
            8 => config.is_plain &= value <= 480,
            // Size, orientation, kind of device and night: the first value is the common one.
            10 => config.is_plain &= value <= 2,
            15..=17 => config.is_plain &= value <= 1,
            18 => config.density = u16::try_from(value).unwrap_or(0),
            24 => config.sdk = u16::try_from(value).unwrap_or(0),
            // Colours and shape of the screen.
            11..=14 | 25 => {}
            _ => config.is_plain &= value == 0,
        }
    }
    Ok(config)
}
