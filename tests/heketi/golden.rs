// Plays golden stories (`*.http` in this folder) against a server, byte for byte. Plain std, so that whoever has a
// server can include this file; README.md describes the format.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a queue may say that work is pending.
const PATIENCE: Duration = Duration::from_secs(30);

struct Exchange {
    line: usize,
    method: String,
    path: String,
    headers: Vec<String>,
    body: String,
    /// Asked again for as long as the answer says `X-Pending: true`.
    until_done: bool,
    status: String,
    expected_headers: Vec<String>,
    expected_body: String,
    /// The body may go on after what is expected.
    open_end: bool,
}

/// All stories, by name.
pub fn stories(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut stories: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    stories.retain(|path| path.extension().is_some_and(|extension| extension == "http"));
    stories.sort();
    stories
}

/// Plays one story. The error shows what was asked, what was expected and what came.
pub fn play(story: &Path, server: SocketAddr) -> Result<usize, String> {
    let text = std::fs::read_to_string(story).map_err(|error| format!("{}: {error}", story.display()))?;
    let exchanges = parse(&text).map_err(|error| format!("{}: {error}", story.display()))?;
    let mut names = BTreeMap::new();
    for exchange in &exchanges {
        exchange.play(server, &mut names).map_err(|error| {
            format!("{}:{}: {} {}\n{error}", story.display(), exchange.line, exchange.method, exchange.path)
        })?;
    }
    Ok(exchanges.len())
}

fn parse(text: &str) -> Result<Vec<Exchange>, String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    let (mut in_request, mut in_body) = (false, false);
    for (line, text) in (1..).zip(text.lines()) {
        let wrong = || format!("line {line}: {text:?} belongs nowhere");
        let (mark, rest) = match text.as_bytes().first() {
            None | Some(b'#') => continue,
            Some(mark @ (b'>' | b'?' | b'<')) => (*mark, text[1..].strip_prefix(' ').unwrap_or(&text[1..])),
            Some(_) => return Err(wrong()),
        };
        if mark == b'<' {
            let exchange = exchanges.last_mut().ok_or_else(wrong)?;
            if in_request {
                (in_request, in_body) = (false, false);
                exchange.status = rest.to_owned();
            } else if rest == "..." {
                exchange.open_end = true;
                exchange.expected_body.pop();
            } else if in_body {
                match rest {
                    "\\" => {
                        exchange.expected_body.pop();
                    }
                    line => exchange.expected_body.push_str(&format!("{line}\n")),
                }
            } else if rest.is_empty() {
                in_body = true;
            } else {
                exchange.expected_headers.push(rest.to_owned());
            }
        } else if !in_request {
            (in_request, in_body) = (true, false);
            let (method, path) = rest.split_once(' ').ok_or_else(wrong)?;
            exchanges.push(Exchange {
                line,
                method: method.to_owned(),
                path: path.to_owned(),
                headers: Vec::new(),
                body: String::new(),
                until_done: mark == b'?',
                status: String::new(),
                expected_headers: Vec::new(),
                expected_body: String::new(),
                open_end: false,
            });
        } else {
            let exchange = exchanges.last_mut().ok_or_else(wrong)?;
            match (in_body, rest) {
                (false, "") => in_body = true,
                (false, header) => exchange.headers.push(header.to_owned()),
                (true, line) => exchange.body.push_str(line),
            }
        }
    }
    Ok(exchanges)
}

impl Exchange {
    fn play(&self, server: SocketAddr, names: &mut BTreeMap<String, String>) -> Result<(), String> {
        let request = self.request(server, names)?;
        let started = Instant::now();
        let answer = loop {
            let answer = ask(server, &request)?;
            let pending = answer.head.iter().any(|header| header.eq_ignore_ascii_case("X-Pending: true"));
            if !(self.until_done && pending) {
                break answer;
            }
            if started.elapsed() > PATIENCE {
                return Err("still pending".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.judge(&answer, names).map_err(|error| {
            format!("{error}\n--- expected\n{}\n{}\n--- came\n{}", self.status, self.expected_body, answer.text())
        })
    }

    fn request(&self, server: SocketAddr, names: &BTreeMap<String, String>) -> Result<String, String> {
        let (path, body) = (fill(&self.path, names)?, fill(&self.body, names)?);
        let mut request = format!("{} {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n", self.method);
        for header in &self.headers {
            let _ = write!(request, "{header}\r\n");
        }
        if !body.is_empty() {
            let _ = write!(request, "Content-Length: {}\r\n", body.len());
        }
        let _ = write!(request, "\r\n{body}");
        Ok(request)
    }

    fn judge(&self, answer: &Answer, names: &mut BTreeMap<String, String>) -> Result<(), String> {
        if answer.status != self.status {
            return Err(format!("status {}", answer.status));
        }
        for expected in &self.expected_headers {
            if let Some(absent) = expected.strip_prefix('!') {
                let start = format!("{absent}:").to_ascii_lowercase();
                if answer.head.iter().any(|header| header.to_ascii_lowercase().starts_with(&start)) {
                    return Err(format!("header {absent} must not be there"));
                }
                continue;
            }
            let (name, _) = expected.split_once(':').ok_or_else(|| format!("{expected:?} is no header"))?;
            let found = answer
                .head
                .iter()
                .find(|header| header.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name)));
            let found = found.ok_or_else(|| format!("header {name} is missing"))?;
            let value = |header: &str| header.split_once(':').map(|(_, value)| value.trim().to_owned());
            let (expected, found) = (value(expected).unwrap_or_default(), value(found).unwrap_or_default());
            matches(&expected, &found, false, names).map_err(|error| format!("header {name}: {error}"))?;
        }
        if self.method != "HEAD" && answer.body.len() != answer.content_length()? {
            return Err("Content-Length is not the length of the body".to_owned());
        }
        matches(&self.expected_body, &answer.body, self.open_end, names).map_err(|error| format!("body: {error}"))
    }
}

struct Answer {
    status: String,
    head: Vec<String>,
    body: String,
}

impl Answer {
    fn text(&self) -> String {
        format!("{}\n{}\n\n{}", self.status, self.head.join("\n"), self.body)
    }

    /// Every answer with a body has it; 204 has neither.
    fn content_length(&self) -> Result<usize, String> {
        let length = self.head.iter().find_map(|header| {
            let (name, value) = header.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        match length {
            None if self.status.starts_with("204") => Ok(0),
            length => length.ok_or_else(|| "there is no Content-Length".to_owned()),
        }
    }
}

fn ask(server: SocketAddr, request: &str) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("the connection broke: {error}");
    let mut stream = TcpStream::connect(server).map_err(failed)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no HTTP: {text:?}"))?;
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap_or_default();
    let status = first.strip_prefix("HTTP/1.1 ").ok_or_else(|| format!("no HTTP/1.1: {first:?}"))?;
    Ok(Answer { status: status.to_owned(), head: lines.collect(), body: body.to_owned() })
}

/// Puts what was learnt in the place of `%name%`.
fn fill(text: &str, names: &BTreeMap<String, String>) -> Result<String, String> {
    let mut filled = String::new();
    for (at, part) in text.split('%').enumerate() {
        match at % 2 {
            0 => filled.push_str(part),
            _ => filled.push_str(names.get(part).ok_or_else(|| format!("%{part}% is not known yet"))?),
        }
    }
    Ok(filled)
}

/// Compares, and learns each `%name%` (letters and digits) or `%name*%` (up to the next quote or line end) that is new.
fn matches(expected: &str, found: &str, open_end: bool, names: &mut BTreeMap<String, String>) -> Result<(), String> {
    let mut rest = found;
    for (at, part) in expected.split('%').enumerate() {
        if at % 2 == 0 {
            rest = rest.strip_prefix(part).ok_or_else(|| format!("{part:?} expected, {:?} found", head(rest)))?;
            continue;
        }
        let name = part.trim_end_matches('*');
        if let Some(known) = names.get(name) {
            rest = rest
                .strip_prefix(known.as_str())
                .ok_or_else(|| format!("{known:?} ({name}) expected, {:?} found", head(rest)))?;
            continue;
        }
        let ends = |char: char| match part.ends_with('*') {
            true => matches!(char, '"' | '\n'),
            false => !char.is_ascii_alphanumeric(),
        };
        let (value, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        if value.is_empty() {
            return Err(format!("something for {name} expected, {:?} found", head(rest)));
        }
        names.insert(name.to_owned(), value.to_owned());
        rest = after;
    }
    if rest.is_empty() || open_end { Ok(()) } else { Err(format!("the end expected, {:?} found", head(rest))) }
}

fn head(text: &str) -> String {
    text.chars().take(120).collect()
}
