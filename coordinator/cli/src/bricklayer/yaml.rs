//! Writes answers as YAML, in the order of their fields.
//!
//! Only what JSON has is written, and every text that could be read as something else is written as a JSON string, which
//! YAML reads the same. So there is nothing here that a reader of YAML 1.1 or 1.2 could take differently. (That is why
//! it is written here: the crates at hand, such as serde_yaml_ng 0.10, leave `No`, `on` and `12:30:45` bare, which YAML
//! 1.1 takes for booleans and numbers.)

use std::fmt;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value that keeps the order of its members.
enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AnyTree;
        impl<'de> Visitor<'de> for AnyTree {
            type Value = Tree;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Tree, E> {
                Ok(Tree::Null)
            }

            fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
                Ok(Tree::Bool(value))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
                Ok(Tree::Number(value.into()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
                Ok(Tree::Number(value.into()))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
                Ok(Number::from_f64(value).map_or(Tree::Null, Tree::Number))
            }

            fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
                Ok(Tree::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Tree::List(items))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Tree::Map(members))
            }
        }
        deserializer.deserialize_any(AnyTree)
    }
}

/// One document, ending with a line feed.
pub fn to_yaml<T: Serialize>(value: &T) -> Result<String, serde_json::Error> {
    let tree: Tree = serde_json::from_str(&serde_json::to_string(value)?)?;
    let mut text = String::new();
    match &tree {
        Tree::List(items) if !items.is_empty() => list(&mut text, items, 0),
        Tree::Map(members) if !members.is_empty() => map(&mut text, members, 0, 0),
        scalar_or_empty => {
            text.push_str(&inline(scalar_or_empty));
            text.push('\n');
        }
    }
    Ok(text)
}

/// What fits behind a key: a scalar, or an empty list or map.
fn inline(tree: &Tree) -> String {
    match tree {
        Tree::Null => "null".to_owned(),
        Tree::Bool(value) => value.to_string(),
        Tree::Number(value) => value.to_string(),
        Tree::Text(text) => scalar(text),
        Tree::List(_) => "[]".to_owned(),
        Tree::Map(_) => "{}".to_owned(),
    }
}

/// Plain where nobody can mistake it, else as JSON.
fn scalar(text: &str) -> String {
    let plain_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./+ ".contains(&byte);
    // A letter in front keeps numbers out, but not `yes`, nor `e5` of an id that is all digits and one e.
    let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'/');
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"];
    let word = words.contains(&text.to_ascii_lowercase().as_str());
    if first && !word && !text.ends_with(' ') && text.bytes().all(plain_byte) {
        text.to_owned()
    } else {
        serde_json::Value::from(text).to_string()
    }
}

fn indent(text: &mut String, depth: usize) {
    text.extend(std::iter::repeat_n("  ", depth));
}

/// `skip` is how deep the line already stands where the first member goes.
fn map(text: &mut String, members: &[(String, Tree)], depth: usize, skip: usize) {
    for (number, (key, value)) in members.iter().enumerate() {
        indent(text, if number == 0 { depth - skip } else { depth });
        text.push_str(&scalar(key));
        text.push(':');
        match value {
            Tree::List(items) if !items.is_empty() => {
                text.push('\n');
                list(text, items, depth);
            }
            Tree::Map(inner) if !inner.is_empty() => {
                text.push('\n');
                map(text, inner, depth + 1, 0);
            }
            value => {
                text.push(' ');
                text.push_str(&inline(value));
                text.push('\n');
            }
        }
    }
}

fn list(text: &mut String, items: &[Tree], depth: usize) {
    for item in items {
        indent(text, depth);
        text.push_str("- ");
        match item {
            Tree::Map(members) if !members.is_empty() => map(text, members, depth + 1, depth + 1),
            Tree::List(inner) if !inner.is_empty() => {
                text.push('\n');
                list(text, inner, depth + 1);
            }
            item => {
                text.push_str(&inline(item));
                text.push('\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_and_lists_are_indented_as_people_write_them() {
        let value = json!({
            "a": { "list": [1, "two", { "v": true, "w": { "z": null } }], "none": [], "map": {} },
            "b": [["in", "in"]],
        });
        let text = "a:\n  list:\n  - 1\n  - two\n  - v: true\n    w:\n      z: null\n  map: {}\n  none: []\nb:\n- \n  - in\n  - in\n";
        assert_eq!(to_yaml(&value).unwrap(), text);
        assert_eq!(to_yaml(&json!([])).unwrap(), "[]\n");
        assert_eq!(to_yaml(&json!("x")).unwrap(), "x\n");
    }

    #[test]
    fn the_order_of_fields_is_kept() {
        #[derive(Serialize)]
        struct Answer {
            size: u64,
            name: &'static str,
        }
        assert_eq!(to_yaml(&Answer { size: 8, name: "v" }).unwrap(), "size: 8\nname: v\n");
    }

    #[test]
    fn a_text_that_could_be_something_else_is_quoted() {
        for text in [
            "",
            "1",
            "1e5",
            "-",
            "- a",
            "true",
            "No",
            "on",
            "null",
            "~",
            "a: b",
            "a #b",
            "{}",
            "[",
            "*a",
            "&a",
            "!x",
            "%",
            "@",
            "`",
            "\"",
            "'",
            " a",
            "a ",
            "a\nb",
            "00000000000000000000000000000e10",
            "0x1",
            ".5",
            "+1",
            "y",
            "é",
            "a,b",
            "=",
        ] {
            assert!(scalar(text).starts_with('"'), "{text:?} became {}", scalar(text));
        }
        for text in ["gfs1", "vol_1", "/dev/sdb", "a b", "ReadWriteMany", "e5"] {
            assert_eq!(scalar(text), text);
        }
    }
}
