//! `bricklayer-sandbox` as a program of its own: the real coordinator and agents, hosts in memory.

use std::fs::{File, read_to_string};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bricklayer_tests::clients::{GoClient, PythonClient};

/// How long a sandbox may take to start, on a slow machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running sandbox. It is asked to end when this is dropped.
pub struct Sandbox {
    pub server: SocketAddr,
    admin_key: String,
    user_key: String,
    process: Child,
    log: PathBuf,
    _dir: tempfile::TempDir,
}

impl Sandbox {
    /// With these arguments besides, on a free port.
    pub fn start(arguments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let [data, address, log] = ["data", "address", "log"].map(|name| dir.path().join(name));
        #[expect(clippy::disallowed_methods, reason = "the program under test is a process")]
        let mut process = Command::new(env!("CARGO_BIN_EXE_bricklayer-sandbox"))
            .args(["--port", "0", "--data-dir"])
            .arg(&data)
            .arg("--address-file")
            .arg(&address)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let started = Instant::now();
        let url = loop {
            if let Ok(url) = read_to_string(&address) {
                break url;
            }
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the sandbox ended ({status}): {}", text(&log));
            }
            assert!(started.elapsed() < PATIENCE, "the sandbox does not start");
            std::thread::sleep(Duration::from_millis(10));
        };
        let server = url.trim().strip_prefix("http://").unwrap().parse().unwrap();
        let key = |user: &str| {
            let file = data.join("coordinator/keys").join(user).with_extension("key");
            read_to_string(file).unwrap_or_default().trim().to_owned()
        };
        let (admin_key, user_key) = (key("admin"), key("user"));
        Self { server, admin_key, user_key, process, log, _dir: dir }
    }

    /// What it has warned of so far.
    pub fn log(&self) -> String {
        text(&self.log)
    }

    pub fn admin_key(&self) -> &str {
        &self.admin_key
    }

    pub fn go(&self) -> GoClient {
        GoClient::new(self.server, "admin", &self.admin_key)
    }

    pub fn go_as_user(&self) -> GoClient {
        GoClient::new(self.server, "user", &self.user_key)
    }

    pub fn python(&self) -> PythonClient {
        PythonClient::new(self.server, "admin", &self.admin_key)
    }
}

impl Drop for Sandbox {
    /// Ends it as a person would. It then looks whether anything was done to the hosts that must never be done.
    fn drop(&mut self) {
        let id = rustix::process::Pid::from_child(&self.process);
        let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        let status = self.process.wait();
        if !std::thread::panicking() {
            assert!(status.is_ok_and(|status| status.success()), "{}", text(&self.log));
        }
    }
}

fn text(log: &Path) -> String {
    read_to_string(log).unwrap_or_default()
}
