//! Fields of a JSON body: `json $.order.items[0].id`.
//!
//! In: a path, parsed once, and bodies. Out: whether the field there is as asked. Guaranteed: the body is read once from
//! front to back and no tree of it is made, so memory does not grow with it; what is not JSON to its end has no fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::json::{JsonPath, Step};
use super::value::{Number, Value};

/// Whether a body has such a field, and if a value is asked for, whether one of them is like that.
pub(super) fn any(path: &JsonPath, body: &[u8], value: Option<&Value>) -> bool {
    if body.is_empty() {
        return false;
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let found = Walk { steps: path.steps(), value }.deserialize(&mut reader);
    found.is_ok_and(|is_so| is_so && reader.end().is_ok())
}

/// Reads a value of the document, and says whether the field is in it as asked.
#[derive(Clone, Copy)]
struct Walk<'a> {
    steps: &'a [Step],
    value: Option<&'a Value>,
}

impl Walk<'_> {
    /// Whether this is the field.
    fn is_there(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether an object or an array that is the field is as asked: no value is like it.
    fn fits_whole(&self) -> bool {
        self.is_there() && self.value.is_none()
    }

    /// A number, `true`, `false` or `null`: its word in the expression is not quoted.
    fn fits_word(&self, word: &str, number: Option<Number>) -> bool {
        self.is_there()
            && match (self.value, number) {
                (None, _) => true,
                (Some(Value::Order(comparison, wanted)), Some(number)) => {
                    comparison.holds(number, *wanted)
                }
                (Some(Value::OneOf(literals)), number) => {
                    literals.iter().filter(|literal| !literal.is_quoted).any(|literal| match number
                    {
                        Some(number) => Number::parse(&literal.text).is_some_and(|wanted| {
                            wanted.compare(number) == Some(std::cmp::Ordering::Equal)
                        }),
                        None => literal.text == word.as_bytes(),
                    })
                }
                _ => false,
            }
    }

    fn fits_text(&self, text: &str) -> bool {
        let is_like = |value: &Value| match value {
            Value::Order(..) => false,
            value => value.fits(text.as_bytes()),
        };
        self.is_there() && self.value.is_none_or(is_like)
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, is_so: bool) -> Result<bool, E> {
        Ok(self.fits_word(if is_so { "true" } else { "false" }, None))
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.fits_word("null", None))
    }

    fn visit_i64<E>(self, number: i64) -> Result<bool, E> {
        Ok(self.fits_word("", Some(Number::Int(number.into()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<bool, E> {
        Ok(self.fits_word("", Some(Number::Int(number.into()))))
    }

    fn visit_f64<E>(self, number: f64) -> Result<bool, E> {
        Ok(self.fits_word("", Some(Number::Float(number))))
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(self.fits_text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut found = self.fits_whole();
        let next = self.steps.split_first();
        for index in 0.. {
            let is_over = match next.filter(|(step, _)| step.is_item(index)) {
                None => items.next_element::<IgnoredAny>()?.is_none(),
                Some((_, steps)) => match items.next_element_seed(Walk { steps, ..self })? {
                    None => true,
                    Some(is_so) => {
                        found |= is_so;
                        false
                    }
                },
            };
            if is_over {
                break;
            }
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut found = self.fits_whole();
        let Some((step, steps)) = self.steps.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(found);
        };
        while let Some(is_it) = members.next_key_seed(IsMember(step))? {
            match is_it {
                // Of several any will do, as everywhere.
                true => found |= members.next_value_seed(Walk { steps, ..self })?,
                false => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Whether the step leads to the member of a name; nothing is kept of it.
struct IsMember<'a>(&'a Step);

impl<'de> DeserializeSeed<'de> for IsMember<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsMember<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(self.0.is_member(name.as_bytes()))
    }
}
