//! Reads JSON the way heketi's server and clients do, by the rules of Go's `encoding/json`.
//!
//! Keys of a struct match whatever their case, unknown keys are skipped, the last of several equal keys wins, and
//! `null` leaves a field at its zero value. A whole number never comes from a float or a string, and nothing may follow
//! the value. Keys of a *map* (tags, mount options) are data, and stay as they are.
//!
//! Types that are read with this derive `Deserialize` with `#[serde(default)]` on every field that may be missing.
//! `#[serde(flatten)]` hides a struct's field names, so it must not be used on them.

use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;

/// A body that is not what the route takes.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Nothing was sent where JSON must stand.
    #[error("the body is empty, JSON is expected")]
    Empty,
    /// Not JSON, or JSON of another shape.
    #[error("the body is not the JSON that is expected here")]
    Unexpected(#[source] serde_json::Error),
}

/// Reads one JSON value, and nothing but one, as heketi would.
pub fn parse_body<T: DeserializeOwned>(body: &[u8]) -> Result<T, BodyError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(BodyError::Empty);
    }
    let json: Json = serde_json::from_slice(body).map_err(BodyError::Unexpected)?;
    T::deserialize(json).map_err(BodyError::Unexpected)
}

/// A JSON value that keeps its members in the order in which they came: of two equal keys the last one counts.
enum Json {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyJson;
        impl<'de> Visitor<'de> for AnyJson {
            type Value = Json;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Json, E> {
                Ok(Json::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
                Ok(Json::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
                Ok(Json::Number(value.into()))
            }

            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
                Number::from_f64(value).map(Json::Number).ok_or_else(|| E::custom("a number that is not finite"))
            }

            fn visit_str<E>(self, value: &str) -> Result<Json, E> {
                Ok(Json::String(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Json::Array(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Json::Object(members))
            }
        }
        deserializer.deserialize_any(AnyJson)
    }
}

/// The members that a struct with these fields takes, each under the field's own name.
fn members_for(fields: &[&'static str], members: Vec<(String, Json)>) -> Vec<(&'static str, Json)> {
    let mut taken: Vec<(&'static str, Json)> = Vec::with_capacity(fields.len());
    for (key, value) in members {
        let Some(field) = fields.iter().find(|field| field.eq_ignore_ascii_case(&key)) else { continue };
        match (taken.iter_mut().find(|(name, _)| name == field), value) {
            (_, Json::Null) => {}
            (Some(earlier), value) => earlier.1 = value,
            (None, value) => taken.push((field, value)),
        }
    }
    taken
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Json {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// `null` stands for the zero value of whatever is wanted.
macro_rules! null_is_zero {
    ($($method:ident => $visit:ident($zero:expr)),+ $(,)?) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
            match self {
                Self::Null => visitor.$visit($zero),
                other => other.deserialize_any(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Json {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Number(value) => value.deserialize_any(visitor),
            Self::String(value) => visitor.visit_string(value),
            Self::Array(items) => {
                let mut items = SeqDeserializer::new(items.into_iter());
                let value = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(value)
            }
            Self::Object(members) => visitor.visit_map(MapDeserializer::new(members.into_iter())),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(&str, Json)>())),
            Self::Object(members) => visitor.visit_map(MapDeserializer::new(members_for(fields, members).into_iter())),
            // A derived struct would also take an array of its fields, which Go does not.
            other => Err(serde::de::Error::invalid_type(other.unexpected(), &"an object")),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => visitor.visit_none(),
            other => visitor.visit_some(other),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        match self {
            Self::String(value) => {
                let value: serde::de::value::StringDeserializer<Self::Error> = value.into_deserializer();
                value.deserialize_enum(name, variants, visitor)
            }
            Self::Object(members) => {
                let members = MapDeserializer::new(members.into_iter());
                serde::de::value::MapAccessDeserializer::new(members).deserialize_enum(name, variants, visitor)
            }
            other => Err(serde::de::Error::invalid_type(other.unexpected(), &"a word")),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => Self::Array(Vec::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Null => Self::Object(Vec::new()).deserialize_any(visitor),
            other => other.deserialize_any(visitor),
        }
    }

    null_is_zero! {
        deserialize_bool => visit_bool(false),
        deserialize_i8 => visit_i8(0),
        deserialize_i16 => visit_i16(0),
        deserialize_i32 => visit_i32(0),
        deserialize_i64 => visit_i64(0),
        deserialize_u8 => visit_u8(0),
        deserialize_u16 => visit_u16(0),
        deserialize_u32 => visit_u32(0),
        deserialize_u64 => visit_u64(0),
        deserialize_f32 => visit_f32(0.0),
        deserialize_f64 => visit_f64(0.0),
        deserialize_str => visit_str(""),
        deserialize_string => visit_str(""),
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

impl Json {
    fn unexpected(&self) -> serde::de::Unexpected<'_> {
        use serde::de::Unexpected;
        match self {
            Self::Null => Unexpected::Unit,
            Self::Bool(value) => Unexpected::Bool(*value),
            Self::Number(_) => Unexpected::Other("a number"),
            Self::String(value) => Unexpected::Str(value),
            Self::Array(_) => Unexpected::Seq,
            Self::Object(_) => Unexpected::Map,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Inner {
        factor: f32,
        names: Vec<String>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Outer {
        size: i64,
        name: String,
        block: bool,
        inner: Inner,
        tags: BTreeMap<String, String>,
        maybe: Option<i64>,
    }

    fn read(text: &str) -> Result<Outer, BodyError> {
        parse_body(text.as_bytes())
    }

    #[test]
    fn keys_match_whatever_their_case_but_tags_keep_theirs() {
        let read = read(r#"{"SIZE":3,"Name":"v","iNNer":{"FACTOR":1.5,"Names":["A"]},"TAGS":{"Arbiter":"Required"}}"#);
        let read = read.unwrap();
        assert_eq!((read.size, read.name.as_str(), read.inner.factor), (3, "v", 1.5));
        assert_eq!(read.inner.names, ["A"]);
        assert_eq!(read.tags, BTreeMap::from([("Arbiter".to_owned(), "Required".to_owned())]));
    }

    #[test]
    fn unknown_keys_are_skipped_and_the_last_of_equal_keys_wins() {
        let read = read(r#"{"more":{"deep":[1,{"x":null}]},"size":1,"Size":2,"SIZE":null}"#).unwrap();
        assert_eq!(read.size, 2);
    }

    #[test]
    fn null_is_the_zero_value_everywhere() {
        assert_eq!(read("null").unwrap(), Outer::default());
        let all = r#"{"size":null,"name":null,"block":null,"inner":null,"tags":null,"maybe":null}"#;
        assert_eq!(read(all).unwrap(), Outer::default());
        assert_eq!(read(r#"{"inner":{"names":["a",null]}}"#).unwrap().inner.names, ["a", ""]);
    }

    #[test]
    fn an_integer_never_comes_from_a_float_or_a_string() {
        for text in [r#"{"size":1.0}"#, r#"{"size":1e3}"#, r#"{"size":"1"}"#, r#"{"size":99999999999999999999}"#] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(read(r#"{"size":-7}"#).unwrap().size, -7);
        assert!((read(r#"{"inner":{"factor":2}}"#).unwrap().inner.factor - 2.0).abs() < f32::EPSILON);
    }

    #[test]
    fn other_types_empty_bodies_and_trailing_garbage_are_refused() {
        for text in
            ["", " \n", "{", "[]", "3", r#"{"size":1}x"#, r#"{"size":1}{}"#, r#"{"name":3}"#, r#"{"block":"yes"}"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(" {\"size\":1}\n").is_ok());
    }

    #[test]
    fn an_array_is_no_struct() {
        assert!(read(r#"{"inner":[1.0,[]]}"#).is_err());
    }
}
