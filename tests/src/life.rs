//! A program within this process that can be killed: a thread with a runtime of its own.
//!
//! [`Life::kill`] drops the runtime with every task in it, at whatever each of them was waiting for, and frees what they
//! held (locks of stores, sockets). What was handed to a blocking thread is finished first, as a system call is.

use std::thread::JoinHandle;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub struct Life {
    stop: CancellationToken,
    kill: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    /// Starts `main`, and waits until it says that it is ready or ends.
    pub async fn start<R, F>(
        name: &str,
        main: impl FnOnce(CancellationToken, Ready<R>) -> F + Send + 'static,
    ) -> anyhow::Result<(Self, R)>
    where
        R: Send + 'static,
        F: Future<Output = anyhow::Result<()>>,
    {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (tell, told) = oneshot::channel();
        let (ended, how_it_ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn({
            let (stop, kill) = (stop.clone(), kill.clone());
            move || {
                let result = run(kill, main(stop, Ready(tell)));
                if let Err(error) = &result {
                    tracing::error!("{error:#}");
                }
                // Whoever started it may no longer wait.
                let _ = ended.send(result);
            }
        })?;
        let life = Self { stop, kill, thread: Some(thread) };
        match told.await {
            Ok(ready) => Ok((life, ready)),
            Err(_) => match how_it_ended.await? {
                Ok(()) => anyhow::bail!("{name} ended before it was ready"),
                Err(error) => Err(error.context(format!("{name} did not start"))),
            },
        }
    }

    /// As `kill -9`. Back when nothing of it is left.
    pub async fn kill(mut self) {
        self.kill.cancel();
        self.join().await;
    }

    /// As `systemctl stop`.
    pub async fn stop(mut self) {
        self.stop.cancel();
        self.join().await;
    }

    async fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed, and its tests see what it left.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

/// To be told when the program serves.
pub struct Ready<R>(oneshot::Sender<R>);

impl<R> Ready<R> {
    pub fn tell(self, ready: R) {
        // Whoever started it may no longer wait.
        let _ = self.0.send(ready);
    }
}

fn run(kill: CancellationToken, main: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            () = kill.cancelled() => Ok(()),
            result = main => result,
        }
    })
}
