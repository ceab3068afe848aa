//! Runs the program against a server that answers by a script.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

/// A request that is expected, and its answer.
pub struct Exchange {
    request: String,
    answer: String,
}

fn exchange(request: &str, status: &str, headers: &str, body: &str) -> Exchange {
    let length = body.len();
    let answer = format!("HTTP/1.1 {status}\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
    Exchange { request: request.to_owned(), answer }
}

pub fn json(request: &str, body: &str) -> Exchange {
    let status =
        if request == "POST /clusters" || request == "POST /v1/invitations" { "201 Created" } else { "200 OK" };
    exchange(request, status, "Content-Type: application/json; charset=UTF-8\r\n", &format!("{body}\n"))
}

/// What a server of ours greets with.
pub fn greeting(name: &str) -> Exchange {
    exchange("GET /hello", "200 OK", "Content-Type: text/plain; charset=UTF-8\r\n", &format!("Hello from {name}"))
}

pub fn accepted(request: &str, queue: &str) -> Exchange {
    exchange(request, "202 Accepted", &format!("Location: {queue}\r\n"), "")
}

pub fn pending(queue: &str) -> Exchange {
    exchange(&format!("GET {queue}"), "200 OK", "X-Pending: true\r\n", "")
}

pub fn see(queue: &str, resource: &str) -> Exchange {
    exchange(&format!("GET {queue}"), "303 See Other", &format!("Location: {resource}\r\n"), "")
}

pub fn finished(queue: &str) -> Exchange {
    exchange(&format!("GET {queue}"), "204 No Content", "", "")
}

pub fn no_content(request: &str) -> Exchange {
    exchange(request, "204 No Content", "", "")
}

pub fn refused(request: &str, status: &str, text: &str) -> Exchange {
    exchange(request, status, "Content-Type: text/plain; charset=utf-8\r\n", &format!("{text}\n"))
}

pub fn problem(request: &str, status: &str, body: &str) -> Exchange {
    exchange(request, status, "Content-Type: application/json\r\n", body)
}

/// A server that expects these requests in this order, and no other.
pub struct Script {
    pub address: String,
    served: JoinHandle<Vec<String>>,
}

/// What became of a run.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut request = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8(request.clone()).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let header = head
                .lines()
                .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            if body.len() >= header.map_or(0, |length| length.parse().unwrap()) {
                return (head.lines().next().unwrap().replace(" HTTP/1.1", ""), body.to_owned());
            }
        }
        let count = stream.read(&mut chunk).unwrap();
        assert!(count > 0, "a request that was cut off");
        request.extend_from_slice(&chunk[..count]);
    }
}

impl Script {
    pub fn new(exchanges: Vec<Exchange>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let served = std::thread::spawn(move || {
            let mut bodies = Vec::new();
            for exchange in exchanges {
                let (mut stream, _) = listener.accept().unwrap();
                let (line, body) = read_request(&mut stream);
                assert_eq!(line, exchange.request);
                stream.write_all(exchange.answer.as_bytes()).unwrap();
                bodies.push(body);
            }
            bodies
        });
        Self { address, served }
    }

    /// The bodies of all requests. Fails where the program asked otherwise than the script says, or asked too little.
    pub fn bodies(self) -> Vec<String> {
        // A script that still waits for a request would wait forever: this one is no line of it, and fails it.
        if !self.served.is_finished()
            && let Ok(mut stream) = TcpStream::connect(self.address.trim_start_matches("http://"))
        {
            let _gone_already = stream.write_all(b"nothing more was asked\r\n\r\n");
        }
        match self.served.join() {
            Ok(bodies) => bodies,
            Err(cause) => std::panic::resume_unwind(cause),
        }
    }
}

/// Runs `program` (which is argv[0]) with the words, and no settings but the server.
pub fn run(program: &str, server: &str, words: &[&str]) -> Ran {
    run_with(program, &[("HEKETI_CLI_SERVER", server)], words)
}

/// Runs `program` with the words, and with these settings alone.
#[expect(clippy::disallowed_methods, reason = "the program under test is a process")]
pub fn run_with(program: &str, settings: &[(&str, &str)], words: &[&str]) -> Ran {
    let done = std::process::Command::new(env!("CARGO_BIN_EXE_bricklayer"))
        .arg0(program)
        .args(words)
        .env_clear()
        .envs(settings.iter().copied())
        .output()
        .unwrap();
    Ran {
        code: done.status.code().unwrap(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
    }
}

/// Begins a run, whose errors are to be read while it goes on.
#[expect(clippy::disallowed_methods, reason = "the program under test is a process")]
pub fn spawn(program: &str, server: &str, words: &[&str]) -> std::process::Child {
    std::process::Command::new(env!("CARGO_BIN_EXE_bricklayer"))
        .arg0(program)
        .args(words)
        .env_clear()
        .env("HEKETI_CLI_SERVER", server)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap()
}

/// A file with this text, in a folder of the test's own.
pub fn file(name: &str, text: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path
}
