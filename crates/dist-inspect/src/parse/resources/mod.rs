//! Android's manifests and resources, as packages have them compiled and as app bundles have them
//! in protocol buffers. What both say is the same, and is told here in one form.
//!
//! The layouts are those of AOSP's `ResourceTypes.h` and `Resources.proto`.

mod binary_table;
mod binary_xml;
mod chunk;
mod proto;

use crate::{Budget, Refusal};

/// How many references are followed from one to the next, as Android does.
const HOPS: u32 = 20;
/// How many densities are told apart.
const DENSITIES: usize = 32;
/// What stands for any density, as of what is drawn from lines.
pub const ANY_DENSITY: u16 = 0xFFFE;
/// The density that is meant where none is given.
pub const MEDIUM_DENSITY: u16 = 160;

/// What an attribute or a resource is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text, or the path of a file.
    Text(String),
    /// A number.
    Integer(u32),
    /// Yes or no.
    Boolean(bool),
    /// Another resource, by its number.
    Reference(u32),
    /// Anything else.
    Other,
}

/// An element of a compiled XML document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Its name, without a namespace.
    pub name: String,
    /// Its attributes, in their order.
    pub attributes: Vec<Attribute>,
    /// The elements in it, in their order.
    pub children: Vec<Element>,
}

/// An attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// Its name, without a namespace; Android does not look at it where there is a number.
    pub name: String,
    /// The number that Android knows it by, or 0.
    pub id: u32,
    /// What it is set to.
    pub value: Value,
}

impl Element {
    /// Reads a document as packages have it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], and what exceeds the limits.
    pub fn from_binary(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        binary_xml::parse(bytes, budget)
    }

    /// Reads a document as app bundles have it.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], and what exceeds the limits.
    pub fn from_proto(bytes: &[u8], budget: &Budget) -> Result<Self, Refusal> {
        proto::parse_xml(bytes, budget)
    }

    /// The attribute that Android knows by this number.
    pub fn get(&self, id: u32) -> Option<&Value> {
        let attribute = self.attributes.iter().find(|attribute| attribute.id == id);
        attribute.map(|attribute| &attribute.value)
    }

    /// The text of the attribute of this name, of those without a number.
    pub fn text(&self, name: &str) -> Option<&str> {
        let mut attributes = self.attributes.iter();
        match &attributes.find(|other| other.id == 0 && other.name == name)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of this name that are directly in it.
    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// For which devices a resource's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether an upright phone with nothing special about it, of whatever language, takes it.
    pub is_plain: bool,
    /// Whether it is of no language in particular.
    pub is_neutral: bool,
    /// The density, or 0.
    pub density: u16,
    /// From which Android on.
    pub sdk: u16,
}

/// All resources of a package or module.
#[derive(Debug)]
pub enum Table<'a> {
    /// As packages have them.
    Binary(binary_table::BinaryTable<'a>),
    /// As app bundles have them.
    Proto(proto::ProtoTable<'a>),
    /// None.
    Empty,
}

impl<'a> Table<'a> {
    /// Reads `resources.arsc`.
    ///
    /// # Errors
    /// [`Refusal::Malformed`], and what exceeds the limits.
    pub fn from_binary(bytes: &'a [u8], budget: &'a Budget) -> Result<Self, Refusal> {
        binary_table::BinaryTable::parse(bytes, budget).map(Self::Binary)
    }

    /// Reads `resources.pb`.
    pub fn from_proto(bytes: &'a [u8], budget: &'a Budget) -> Self {
        Self::Proto(proto::ProtoTable::new(bytes, budget))
    }

    /// Every value of a resource, in the table's order.
    pub fn values(&self, id: u32) -> Result<Vec<(Config, Value)>, Refusal> {
        match self {
            Self::Binary(table) => table.values(id),
            Self::Proto(table) => table.values(id),
            Self::Empty => Ok(Vec::new()),
        }
    }

    /// All densities that some resource is made for, at most 32.
    pub fn densities(&self) -> Result<Vec<u16>, Refusal> {
        let mut densities = match self {
            Self::Binary(table) => table.densities(),
            Self::Proto(table) => table.densities()?,
            Self::Empty => Vec::new(),
        };
        for density in &mut densities {
            if *density == 0 {
                *density = MEDIUM_DENSITY;
            }
        }
        densities.sort_unstable();
        densities.dedup();
        densities.truncate(DENSITIES);
        Ok(densities)
    }

    /// What `value` comes to on a plain device of this density, references followed; `None` for a
    /// reference to nothing.
    ///
    /// # Errors
    /// What exceeds the limits.
    pub fn resolve(&self, value: &Value, density: u16) -> Result<Option<Value>, Refusal> {
        let mut value = value.clone();
        for _ in 0..HOPS {
            let Value::Reference(id) = value else {
                return Ok(Some(value));
            };
            let values = self.values(id)?.into_iter();
            let fitting = values.filter(|(config, _)| config.is_plain && config.is_neutral);
            let best = fitting.reduce(|best, other| {
                if is_better(other.0, best.0, density) {
                    other
                } else {
                    best
                }
            });
            let Some((_, best)) = best else { return Ok(None) };
            value = best;
        }
        Ok(None)
    }

    /// The text that `value` comes to; one in some language where there is none for all.
    ///
    /// # Errors
    /// What exceeds the limits.
    pub fn text(&self, value: &Value) -> Result<Option<String>, Refusal> {
        if let Some(Value::Text(text)) = self.resolve(value, MEDIUM_DENSITY)? {
            return Ok(Some(text));
        }
        let Value::Reference(id) = value else { return Ok(None) };
        for (_, value) in self.values(*id)?.into_iter().take(DENSITIES) {
            if let Some(Value::Text(text)) = self.resolve(&value, MEDIUM_DENSITY)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

/// Whether `one` suits a device of this density better than `other`, as `ResTable_config` has it.
fn is_better(one: Config, other: Config, density: u16) -> bool {
    let or_medium = |density: u16| u64::from(if density == 0 { MEDIUM_DENSITY } else { density });
    let (ours, theirs) = (or_medium(one.density), or_medium(other.density));
    if ours == theirs {
        return one.sdk > other.sdk;
    }
    let any = u64::from(ANY_DENSITY);
    if ours == any || theirs == any {
        return ours == any;
    }
    let wanted = if density == ANY_DENSITY {
        MEDIUM_DENSITY.into()
    } else {
        or_medium(density)
    };
    let (low, high) = (ours.min(theirs), ours.max(theirs));
    let is_high_better = if wanted >= high {
        true
    } else if low >= wanted {
        false
    } else {
        // Scaling down looks twice as good as scaling up.
        (2 * low).saturating_sub(wanted) * high <= wanted * wanted
    };
    is_high_better == (ours == high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_density_is_taken_and_lines_before_all() {
        let config = |density, sdk| Config {
            is_plain: true,
            is_neutral: true,
            density,
            sdk,
        };
        let best = |densities: &[u16], wanted| {
            let configs = densities.iter().map(|density| config(*density, 4));
            configs
                .reduce(|best, other| if is_better(other, best, wanted) { other } else { best })
                .unwrap()
                .density
        };
        assert_eq!(best(&[120, 160, 240], 160), 160);
        assert_eq!(best(&[120, 240], 160), 240);
        assert_eq!(best(&[120, 160, 240], 640), 240);
        assert_eq!(best(&[640, 480], 160), 480);
        assert_eq!(best(&[640, ANY_DENSITY, 480], 480), ANY_DENSITY);
        assert!(is_better(config(0, 26), config(160, 4), 160));
    }
}
