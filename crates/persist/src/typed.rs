//! Events as variants of an enum, and values of any type, through serde.
//!
//! An enum in serde's usual representation, `{"Variant": content}`, has the two halves that an
//! event has: its type and its data.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, VariantAccess, Visitor};
use serde::{Deserialize, Serialize, de, forward_to_deserialize_any};
use serde_json::Value;

use crate::{Error, InvalidInput, NewEvent, Recorded, finite, page};

impl NewEvent {
    /// The variant of an enum as an event of format 1 without `meta`: its name is the type, what
    /// it holds is the data.
    ///
    /// ```
    /// use persist::NewEvent;
    /// use serde::Serialize;
    /// use serde_json::json;
    ///
    /// #[derive(Serialize)]
    /// #[serde(rename_all = "snake_case")]
    /// enum Order {
    ///     Placed { total: u64 },
    ///     Cancelled,
    /// }
    ///
    /// let placed = NewEvent::typed(0, &Order::Placed { total: 12 })?;
    /// assert_eq!(placed, NewEvent::new("placed", 0, json!({"total": 12})));
    /// assert_eq!(NewEvent::typed(0, &Order::Cancelled)?.data, json!(null));
    /// # Ok::<(), persist::Error>(())
    /// ```
    pub fn typed(at: i64, event: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        match value(event)? {
            Value::String(name) => Ok(Self::new(name, at, Value::Null)),
            Value::Object(members) if members.len() == 1 => members
                .into_iter()
                .next()
                .map(|(name, data)| Self::new(name, at, data))
                .ok_or(Error::Invalid(InvalidInput::NotAnEnum)),
            _ => Err(Error::Invalid(InvalidInput::NotAnEnum)),
        }
    }
}

impl Recorded {
    /// The event as a variant of an enum: see [`NewEvent::typed`].
    pub fn decode<E: de::DeserializeOwned>(&self) -> Result<E, Error> {
        let event = &self.event;
        from_value(&event.r#type, &event.data).map_err(|error| page::undecodable(&event.stream, event.seq, &error))
    }
}

/// A value of any type as JSON, which has no NaN and no infinity.
pub(crate) fn value(value: &(impl Serialize + ?Sized)) -> Result<Value, Error> {
    finite::check(value)?;
    serde_json::to_value(value).map_err(|error| Error::Invalid(InvalidInput::NotJson(error.to_string())))
}

/// An event's type and data as an enum.
pub(crate) fn from_value<E: de::DeserializeOwned>(r#type: &str, data: &Value) -> Result<E, serde_json::Error> {
    E::deserialize(Tagged { tag: r#type, data })
}

/// An event's type and stored body as an enum.
pub(crate) fn from_text<E: de::DeserializeOwned>(r#type: &str, body: &str) -> Result<E, serde_json::Error> {
    let mut body = serde_json::Deserializer::from_str(body);
    let event = E::deserialize(Tagged {
        tag: r#type,
        data: &mut body,
    })?;
    body.end()?;
    Ok(event)
}

/// An enum whose variant is named apart from what it holds.
struct Tagged<'t, D> {
    tag: &'t str,
    data: D,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Tagged<'_, D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, 't, D: Deserializer<'de>> EnumAccess<'de> for Tagged<'t, D> {
    type Error = D::Error;
    type Variant = Content<D>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Content<D>), D::Error> {
        let tag: StrDeserializer<'t, D::Error> = self.tag.into_deserializer();
        Ok((seed.deserialize(tag)?, Content(self.data)))
    }
}

struct Content<D>(D);

impl<'de, D: Deserializer<'de>> VariantAccess<'de> for Content<D> {
    type Error = D::Error;

    fn unit_variant(self) -> Result<(), D::Error> {
        // A variant that lost its content, or the one that stands for all others, takes any.
        de::IgnoredAny::deserialize(self.0).map(drop)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, D::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Happened {
        Nothing,
        Number(f64),
        Pair(i64, Option<String>),
        #[serde(rename = "long.name")]
        Fields {
            list: Vec<u8>,
            nested: Box<Option<Happened>>,
        },
    }

    fn happened() -> impl Strategy<Value = Happened> {
        let leaf = prop_oneof![
            Just(Happened::Nothing),
            any::<f64>()
                .prop_filter("finite", |float| float.is_finite())
                .prop_map(Happened::Number),
            any::<(i64, Option<String>)>().prop_map(|(number, text)| Happened::Pair(number, text)),
        ];
        leaf.prop_recursive(3, 8, 1, |inner| {
            (any::<Vec<u8>>(), proptest::option::of(inner)).prop_map(|(list, nested)| Happened::Fields {
                list,
                nested: Box::new(nested),
            })
        })
    }

    proptest! {
        #[test]
        fn every_variant_comes_back(event in happened()) {
            let new = NewEvent::typed(0, &event).unwrap();
            prop_assert_eq!(&from_value::<Happened>(&new.r#type, &new.data).unwrap(), &event);
            prop_assert_eq!(from_text::<Happened>(&new.r#type, &new.data.to_string()).unwrap(), event);
        }
    }

    #[test]
    fn what_is_no_enum_is_refused() {
        for refused in [json!(1), json!([1]), json!({"a": 1, "b": 2}), json!({}), json!(null)] {
            let error = NewEvent::typed(0, &refused).unwrap_err();
            assert!(matches!(error, Error::Invalid(InvalidInput::NotAnEnum)), "{error:?}");
        }
    }

    #[test]
    fn what_has_no_end_is_refused() {
        for float in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let nested = Happened::Fields {
                list: vec![],
                nested: Box::new(Some(Happened::Number(float))),
            };
            let error = NewEvent::typed(0, &nested).unwrap_err();
            assert!(matches!(error, Error::Invalid(InvalidInput::NotFinite)), "{error:?}");
        }
    }

    #[test]
    fn an_unknown_type_can_have_a_variant_of_its_own() {
        #[derive(Debug, PartialEq, Deserialize)]
        enum Known {
            Placed(u8),
            #[serde(other)]
            Other,
        }
        assert_eq!(from_text::<Known>("Placed", "7").unwrap(), Known::Placed(7));
        assert_eq!(from_text::<Known>("Lost", r#"{"x": 1}"#).unwrap(), Known::Other);
        assert!(from_text::<Known>("Placed", "7 8").is_err());
        assert!(from_text::<Known>("Placed", "\"seven\"").is_err());
    }
}
