//! Reads a command line as heketi-cli reads it: by the rules of Go's pflag and cobra.
//!
//! Flags and words mix freely; `--flag value` and `--flag=value` are the same, but a boolean takes a value only behind
//! `=`; short flags may be joined; `--` ends them. Which command is meant is found first, and then its flags are read,
//! so a flag may stand before its command. Errors carry pflag's words.

use std::collections::BTreeMap;

/// What a flag's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Int,
    Float,
    Text,
    /// May be given several times.
    Texts,
}

/// A flag that a command takes.
#[derive(Debug)]
pub struct Flag {
    pub name: &'static str,
    pub short: Option<char>,
    pub kind: Kind,
    /// As it would be written; empty for none.
    pub default: &'static str,
    pub help: &'static str,
}

/// The flags of one command line, parsed by their kinds.
#[derive(Debug, Default)]
pub struct Values(BTreeMap<&'static str, Vec<Value>>);

#[derive(Clone, Debug)]
enum Value {
    Bool(bool),
    Int(i64),
    Float(f32),
    Text(String),
}

impl Values {
    fn last(&self, name: &str) -> Option<&Value> {
        self.0.get(name)?.last()
    }

    /// What was given, or the default.
    pub fn text(&self, name: &str) -> &str {
        match self.last(name) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    pub fn texts(&self, name: &str) -> Vec<String> {
        let all = self.0.get(name).into_iter().flatten();
        all.filter_map(|value| if let Value::Text(text) = value { Some(text.clone()) } else { None }).collect()
    }

    pub fn bool(&self, name: &str) -> bool {
        matches!(self.last(name), Some(Value::Bool(true)))
    }

    pub fn int(&self, name: &str) -> i64 {
        match self.last(name) {
            Some(Value::Int(number)) => *number,
            _ => 0,
        }
    }

    pub fn float(&self, name: &str) -> f32 {
        match self.last(name) {
            Some(Value::Float(number)) => *number,
            _ => 0.0,
        }
    }

    /// A text that is a list with commas; empty for none.
    pub fn list(&self, name: &str) -> Vec<String> {
        let text = self.text(name);
        if text.is_empty() { Vec::new() } else { text.split(',').map(str::to_owned).collect() }
    }
}

/// A flag as it was written, before it is known whose it is.
#[derive(Debug)]
enum Written {
    Long { name: String, value: Option<String> },
    Short { letters: String },
}

/// A command line that cannot be read, in pflag's words.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    #[error("unknown flag: --{0}")]
    UnknownLong(String),
    #[error("unknown shorthand flag: {letter:?} in -{letters}")]
    UnknownShort { letter: char, letters: String },
    #[error("flag needs an argument: --{0}")]
    NoValue(String),
    #[error("flag needs an argument: {letter:?} in -{letters}")]
    NoShortValue { letter: char, letters: String },
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("invalid argument {value:?} for {flag:?} flag: {why}")]
    Invalid { value: String, flag: String, why: String },
}

impl Flag {
    fn read(&self, value: &str) -> Result<Value, FlagError> {
        let invalid = |parser: &str| FlagError::Invalid {
            value: value.to_owned(),
            flag: match self.short {
                Some(short) => format!("-{short}, --{}", self.name),
                None => format!("--{}", self.name),
            },
            why: format!("strconv.{parser}: parsing {value:?}: invalid syntax"),
        };
        match self.kind {
            Kind::Bool => match value {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Value::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Value::Bool(false)),
                _ => Err(invalid("ParseBool")),
            },
            Kind::Int => value.parse().map(Value::Int).map_err(|_| invalid("ParseInt")),
            Kind::Float => match value.parse::<f32>() {
                Ok(number) if number.is_finite() => Ok(Value::Float(number)),
                _ => Err(invalid("ParseFloat")),
            },
            Kind::Text | Kind::Texts => Ok(Value::Text(value.to_owned())),
        }
    }
}

/// A command line, read.
#[derive(Debug)]
pub struct Line<C> {
    pub command: C,
    pub values: Values,
    /// The words behind the command.
    pub arguments: Vec<String>,
    pub help: bool,
}

/// Reads a line from the root down. `step` gives the sub-command of a command by its name; `flags` gives a command's
/// own and inherited flags.
pub fn read<C: Copy>(
    line: impl IntoIterator<Item = String>,
    root: C,
    step: impl Fn(C, &str) -> Option<C>,
    flags: impl Fn(C) -> Vec<&'static Flag>,
) -> Result<Line<C>, FlagError> {
    let line: Vec<String> = line.into_iter().collect();
    let (command, rest) = find(line, root, step, &flags);
    let own = flags(command);
    let mut values = Values::default();
    for flag in &own {
        if !flag.default.is_empty() {
            values.0.insert(flag.name, vec![flag.read(flag.default)?]);
        }
    }
    let mut given: BTreeMap<&'static str, Vec<Value>> = BTreeMap::new();
    let mut arguments = Vec::new();
    let mut help = false;
    let mut words = rest.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            arguments.extend(words);
            break;
        }
        match written(&word)? {
            None => arguments.push(word),
            Some(Written::Long { name, value }) => {
                let Some(flag) = own.iter().find(|flag| flag.name == name) else {
                    if name == "help" {
                        help = true;
                        continue;
                    }
                    return Err(FlagError::UnknownLong(name));
                };
                let value = match value {
                    Some(value) => value,
                    None if flag.kind == Kind::Bool => "true".to_owned(),
                    None => words.next().ok_or(FlagError::NoValue(name))?,
                };
                given.entry(flag.name).or_default().push(flag.read(&value)?);
            }
            Some(Written::Short { letters }) => {
                let mut rest = letters.chars();
                while let Some(letter) = rest.next() {
                    let Some(flag) = own.iter().find(|flag| flag.short == Some(letter)) else {
                        if letter == 'h' {
                            help = true;
                            break;
                        }
                        return Err(FlagError::UnknownShort { letter, letters });
                    };
                    let tail = rest.as_str();
                    let (value, all) = match tail.strip_prefix('=') {
                        Some(value) => (value.to_owned(), true),
                        None if flag.kind == Kind::Bool => ("true".to_owned(), false),
                        None if !tail.is_empty() => (tail.to_owned(), true),
                        None => {
                            let missing = || FlagError::NoShortValue { letter, letters: letters.clone() };
                            (words.next().ok_or_else(missing)?, true)
                        }
                    };
                    given.entry(flag.name).or_default().push(flag.read(&value)?);
                    if all {
                        break;
                    }
                }
            }
        }
    }
    values.0.extend(given);
    Ok(Line { command, values, arguments, help })
}

fn written(word: &str) -> Result<Option<Written>, FlagError> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        if name.is_empty() || name.starts_with('-') {
            return Err(FlagError::Syntax(word.to_owned()));
        }
        return Ok(Some(Written::Long { name: name.to_owned(), value }));
    }
    match word.strip_prefix('-') {
        Some(letters) if !letters.is_empty() => Ok(Some(Written::Short { letters: letters.to_owned() })),
        _ => Ok(None),
    }
}

/// Walks down as long as the next word that is no flag, nor a flag's value, names a sub-command. Gives the command and
/// the line without the words that led to it.
fn find<C: Copy>(
    mut line: Vec<String>,
    root: C,
    step: impl Fn(C, &str) -> Option<C>,
    flags: &impl Fn(C) -> Vec<&'static Flag>,
) -> (C, Vec<String>) {
    let mut command = root;
    loop {
        let known = flags(command);
        let takes_next = |word: &str| match written(word) {
            Ok(Some(Written::Long { name, value: None })) => {
                name != "help" && !known.iter().any(|flag| flag.name == name && flag.kind == Kind::Bool)
            }
            Ok(Some(Written::Short { letters })) => {
                let mut one = letters.chars();
                match (one.next(), one.next()) {
                    (Some(letter), None) => {
                        letter != 'h' && !known.iter().any(|flag| flag.short == Some(letter) && flag.kind == Kind::Bool)
                    }
                    _ => false,
                }
            }
            _ => false,
        };
        let mut at = 0;
        let next = loop {
            match line.get(at).map(String::as_str) {
                None | Some("--") => break None,
                Some(word) if word.len() > 1 && word.starts_with('-') => at += if takes_next(word) { 2 } else { 1 },
                Some(word) => break step(command, word),
            }
        };
        let Some(next) = next else { return (command, line) };
        line.remove(at);
        command = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAGS: &[Flag] = &[
        Flag { name: "json", short: None, kind: Kind::Bool, default: "false", help: "" },
        Flag { name: "server", short: Some('s'), kind: Kind::Text, default: "", help: "" },
        Flag { name: "size", short: None, kind: Kind::Int, default: "-1", help: "" },
        Flag { name: "block", short: Some('b'), kind: Kind::Bool, default: "true", help: "" },
        Flag { name: "cert", short: Some('C'), kind: Kind::Texts, default: "", help: "" },
    ];

    fn parse(line: &str) -> Result<Line<&'static str>, FlagError> {
        let step = |from: &'static str, word: &str| match (from, word) {
            ("", "volume") => Some("volume"),
            ("volume", "create") => Some("create"),
            _ => None,
        };
        read(line.split_whitespace().map(str::to_owned), "", step, |_| FLAGS.iter().collect())
    }

    #[test]
    fn flags_may_stand_anywhere_and_their_values_are_no_commands() {
        for line in [
            "-s volume volume create --size 8 x",
            "volume --server volume create x --size=8",
            "volume create -svolume --size 8 x",
            "--size 8 volume create -s=volume x",
        ] {
            let read = parse(line).unwrap();
            assert_eq!((read.command, read.values.text("server"), read.values.int("size")), ("create", "volume", 8));
            assert_eq!(read.arguments, ["x"], "{line}");
        }
    }

    #[test]
    fn a_boolean_takes_a_value_only_behind_an_equals_sign() {
        let read = parse("volume create --block false").unwrap();
        assert!(read.values.bool("block"));
        assert_eq!(read.arguments, ["false"]);
        assert!(!parse("volume create --block=false").unwrap().values.bool("block"));
        assert!(!parse("volume create -b=0").unwrap().values.bool("block"));
        assert!(parse("volume create").unwrap().values.bool("block"));
    }

    #[test]
    fn what_may_be_given_twice_is_kept_twice_and_other_flags_take_the_last() {
        let read = parse("volume -C a --cert b --size 1 --size 2").unwrap();
        assert_eq!(read.values.texts("cert"), ["a", "b"]);
        assert_eq!(read.values.int("size"), 2);
        assert!(parse("volume").unwrap().values.texts("cert").is_empty());
    }

    #[test]
    fn the_words_behind_two_dashes_are_arguments() {
        let read = parse("volume create --size=1 -- --size -x").unwrap();
        assert_eq!((read.values.int("size"), read.arguments), (1, vec!["--size".to_owned(), "-x".to_owned()]));
    }

    #[test]
    fn errors_have_pflags_words() {
        for (line, text) in [
            ("volume create --bogus", "unknown flag: --bogus"),
            ("volume create -x", "unknown shorthand flag: 'x' in -x"),
            ("volume create --size", "flag needs an argument: --size"),
            ("volume create -s", "flag needs an argument: 's' in -s"),
            (
                "volume create --size=eight",
                r#"invalid argument "eight" for "--size" flag: strconv.ParseInt: parsing "eight": invalid syntax"#,
            ),
            (
                "volume create --block=maybe",
                r#"invalid argument "maybe" for "-b, --block" flag: strconv.ParseBool: parsing "maybe": invalid syntax"#,
            ),
        ] {
            assert_eq!(parse(line).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn a_negative_number_is_a_value() {
        assert_eq!(parse("volume create --size -5").unwrap().values.int("size"), -5);
    }

    #[test]
    fn help_is_asked_for_by_either_flag() {
        assert!(parse("volume create --help").unwrap().help);
        assert!(parse("volume -h").unwrap().help);
    }
}
