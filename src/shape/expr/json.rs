//! Fields of a JSON body: `json $.order.items[0].id`.
//!
//! In: a path, parsed once, and bodies. Out: whether the field there is as asked. Guaranteed: the body is read once from
//! front to back and no tree of it is made, so memory does not grow with it; what is not JSON to its end has no fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::value::{Number, Value};

/// Steps of a path at most.
pub const MAX_STEPS: usize = 64;

/// From the root to a field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonPath(Vec<Step>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    /// The member of an object.
    Member(String),
    /// The item of an array, from 0.
    Item(usize),
}

impl JsonPath {
    /// The path that a text begins with, and how long it is there; or at which byte it is none, and what was expected.
    pub fn parse(text: &str) -> Result<(Self, usize), (usize, &'static str)> {
        let Some(mut rest) = text.strip_prefix('$') else {
            return Err((0, "expected a path from the root, such as $.order.items[0]"));
        };
        let mut steps = Vec::new();
        loop {
            let at = text.len() - rest.len();
            if let Some(behind) = rest.strip_prefix('.') {
                let is_end = |c: char| c.is_whitespace() || ".[]()=!<>^$*~'\",".contains(c);
                let end = behind.find(is_end).unwrap_or(behind.len());
                let (name, behind) = behind.split_at_checked(end).unwrap_or((behind, ""));
                if name.is_empty() {
                    return Err((
                        at + 1,
                        "expected the name of a member; others than plain ones in [\"...\"]",
                    ));
                }
                steps.push(Step::Member(name.to_owned()));
                rest = behind;
            } else if let Some(behind) = rest.strip_prefix('[') {
                let (step, behind) = bracket(behind).ok_or((
                    at + 1,
                    "expected the number of an item or a name in quotes, and `]`",
                ))?;
                steps.push(step);
                rest = behind;
            } else {
                return Ok((Self(steps), at));
            }
            if steps.len() > MAX_STEPS {
                return Err((at, "the path has too many steps"));
            }
        }
    }

    /// Whether there is such a field, and if a value is asked for, whether it is like that.
    pub fn any(&self, body: &[u8], value: Option<&Value>) -> bool {
        if body.is_empty() {
            return false;
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let found = Walk { steps: &self.0, value }.deserialize(&mut reader);
        found.is_ok_and(|is_so| is_so && reader.end().is_ok())
    }
}

/// What stands behind `[`, and the text behind its `]`.
fn bracket(text: &str) -> Option<(Step, &str)> {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let (name, behind) = text.get(1..)?.split_once(quote)?;
        return Some((Step::Member(name.to_owned()), behind.strip_prefix(']')?));
    }
    let (number, behind) = text.split_once(']')?;
    Some((Step::Item(number.parse().ok()?), behind))
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
        let Some((Step::Item(number), steps)) = self.steps.split_first() else {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(self.fits_whole());
        };
        let mut found = false;
        for _ in 0..*number {
            if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(false);
            }
        }
        if let Some(is_so) = items.next_element_seed(Walk { steps, ..self })? {
            found = is_so;
            while items.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let Some((Step::Member(name), steps)) = self.steps.split_first() else {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(self.fits_whole());
        };
        let mut found = false;
        while let Some(is_it) = members.next_key_seed(IsName(name))? {
            match is_it {
                // Of several of the same name any will do, as everywhere.
                true => found |= members.next_value_seed(Walk { steps, ..self })?,
                false => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }
}

/// Whether a member has this name; nothing is kept of it.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}
