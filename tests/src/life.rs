//! A program within this process that can be killed: a thread with a runtime of its own.
//!
//! [`Life::kill`] drops the runtime with every task in it, at whatever each of them was waiting for, and frees what they
//! held (locks of stores, sockets). What was handed to a blocking thread is finished first, as a system call is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bricklayer_proto::names::HostName;
use bricklayer_store::Store;
use tokio::runtime::Handle;
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
        until_ready(name, told, how_it_ended).await.map(|ready| (life, ready))
    }

    /// The same on a thread that it shares with others: what it leaves to run by itself is not killed with it.
    pub async fn start_among<R, F>(
        crew: &Crew,
        name: &str,
        main: impl FnOnce(CancellationToken, Ready<R>) -> F,
    ) -> anyhow::Result<(Self, R)>
    where
        R: Send + 'static,
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let (stop, kill) = (CancellationToken::new(), CancellationToken::new());
        let (tell, told) = oneshot::channel();
        let (ended, how_it_ended) = oneshot::channel();
        let (program, killed) = (main(stop.clone(), Ready(tell)), kill.clone());
        crew.next().spawn(async move {
            // Whoever started it may no longer wait.
            let _ = ended.send(unless_killed(killed, program).await);
        });
        let life = Self { stop, kill, thread: None };
        until_ready(name, told, how_it_ended).await.map(|ready| (life, ready))
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
    runtime.block_on(unless_killed(kill, main))
}

async fn unless_killed(kill: CancellationToken, main: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::select! {
        () = kill.cancelled() => Ok(()),
        result = main => result,
    }
}

async fn until_ready<R>(
    name: &str,
    told: oneshot::Receiver<R>,
    how_it_ended: oneshot::Receiver<anyhow::Result<()>>,
) -> anyhow::Result<R> {
    match told.await {
        Ok(ready) => Ok(ready),
        Err(_) => match how_it_ended.await? {
            Ok(()) => anyhow::bail!("{name} ended before it was ready"),
            Err(error) => Err(error.context(format!("{name} did not start"))),
        },
    }
}

/// A few threads for many programs, where hundreds with a thread each would measure how the kernel switches between them.
pub struct Crew {
    threads: Vec<Handle>,
    next: AtomicUsize,
    /// Where the agents' journals lie together; `None`: each has a store of its own.
    journals: Option<Store>,
}

impl Crew {
    /// # Errors
    /// Where the system has no thread left.
    pub fn of(threads: usize, journals: Option<Store>) -> std::io::Result<Self> {
        let threads = (0..threads.max(1)).map(|number| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let handle = runtime.handle().clone();
            let thread = std::thread::Builder::new().name(format!("crew-{number}"));
            thread.spawn(move || runtime.block_on(std::future::pending::<()>()))?;
            Ok(handle)
        });
        Ok(Self { threads: threads.collect::<std::io::Result<_>>()?, next: AtomicUsize::new(0), journals })
    }

    /// The journal of a host, where they lie together.
    #[must_use]
    pub fn journal(&self, host: &HostName) -> Option<Store> {
        self.journals.as_ref().map(|journals| journals.part(host.as_str()))
    }

    /// Each thread in turn.
    fn next(&self) -> &Handle {
        &self.threads[self.next.fetch_add(1, Ordering::Relaxed) % self.threads.len()]
    }
}

#[cfg(test)]
mod tests {
    use bricklayer_agent::journal::SCHEMA;
    use bricklayer_store::{Batch, Table};

    use super::*;

    #[tokio::test]
    async fn journals_in_one_store_know_nothing_of_each_other_and_are_there_after_a_restart() {
        const NOTES: Table<String, u32> = Table::new("notes");
        let dir = tempfile::tempdir().expect("a folder");
        let hosts: [HostName; 2] = ["gfs1", "gfs10"].map(|name| name.parse().expect("a name"));
        for round in 1..3 {
            let store = Store::open(dir.path(), SCHEMA).expect("it opens");
            let crew = Crew::of(1, Some(store.clone())).expect("a thread");
            for (host, number) in hosts.iter().zip([1, 2]) {
                let journal = crew.journal(host).expect("they lie together");
                let before = journal.scan(&NOTES).expect("it reads");
                assert_eq!(before, if round == 1 { Vec::new() } else { vec![("note".to_owned(), number)] });
                let mut batch = Batch::new();
                batch.put(&NOTES, &"note".to_owned(), &number);
                journal.commit(batch).await.expect("it writes");
                assert_eq!(journal.get(&NOTES, &"note".to_owned()).expect("it reads"), Some(number));
            }
            store.close();
        }
    }
}
