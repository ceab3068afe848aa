//! A program of a history: a runtime of its own on the history's one thread, whose time passes when it is told to.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

pub struct Program {
    runtime: Option<Runtime>,
}

impl Program {
    /// # Panics
    /// If the operating system gives no runtime.
    #[must_use]
    pub fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        Self { runtime: Some(runtime.expect("a runtime without input and output needs nothing")) }
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime().spawn(task));
    }

    /// Does something where tasks can be spawned.
    pub fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        self.runtime().block_on(async { act() })
    }

    /// Waits for something while nothing else happens.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime().block_on(work)
    }

    /// Lets its tasks run for this long in its own time, which takes no longer than they compute.
    pub fn step(&self, time: Duration) {
        self.runtime().block_on(async { tokio::time::sleep(time).await });
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is taken only when the program is dropped")
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::new()
    }
}

/// As `kill -9`: every task is dropped wherever it waits.
impl Drop for Program {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
