//! Carries out `bricklayer`'s commands: a file per word, a function per command.
//!
//! A command finds the ids of what was named, and then either reads and shows, by [`Session::look`], or makes a
//! [`Change`] and has it made: by [`Session::ask`] where the server does it at once, by [`Session::work`] where it takes
//! its time. These three know of `--watch`, `--dry-run`, `--curl` and of waiting, so that no command has to.

mod adopt;
mod agent;
mod audit;
mod block_volume;
mod brick;
mod cluster;
mod device;
mod doctor;
mod node;
mod placing;
mod plan;
mod policy;
mod pool;
mod score;
mod server;
mod support;
mod topology;
mod trash;
mod volume;

use std::collections::BTreeMap;
use std::fmt;
use std::process::ExitCode;

use bricklayer_api::client::{Accepted, Change, Client, ClientError, Record, Reply, WorkResult};
use bricklayer_api::ids::OperationId;
use bricklayer_api::v1::Plan;
use serde::Serialize;
use serde_json::json;

use super::args::common::{Look, Output, Quick, RmTags, SetTags, Work};
use super::args::{Command, ConnectionArgs};
use super::curl::Curl;
use super::output::{self, Width, between_looks, say};
use super::progress::Bar;
use super::tables;
use crate::actions::finish;
use crate::connection::Connection;
use crate::error::CliError;
use bricklayer_api::heketi::{TagsChange, TagsChangeRequest};

type Done = Result<ExitCode, CliError>;

const DONE: Done = Ok(ExitCode::SUCCESS);

/// Variables that name the server and the user, ours before heketi's.
pub const VARIABLES: &[&str] = &["BRICKLAYER", "HEKETI_CLI"];

/// A command that is being carried out.
struct Session {
    client: Client,
    /// Where requests are shown instead of results.
    curl: Option<(Curl, Record)>,
}

pub async fn carry_out(connection: ConnectionArgs, command: Command) -> Done {
    // What can be refused without a server is refused without one.
    volume::check(&command)?;
    let mut client = Connection {
        server: connection.server.clone(),
        user: connection.user.clone(),
        key: connection.secret.clone(),
        insecure_tls: connection.insecure_tls,
        tls_certificates: connection.tls_certificates.clone(),
    }
    .client(VARIABLES)?;
    let mut curl = None;
    if connection.curl {
        let record = Record::default();
        client = client.recorded_in(&record);
        curl = Some((Curl::new(&connection, client.server(), client.user()), record));
    }
    let session = Session { client, curl };
    let done = session.dispatch(command).await;
    session.show_reads()?;
    done
}

/// What was found, and whether a watcher can stop looking.
struct Seen {
    over: bool,
}

impl Seen {
    /// Whatever is seen, it may still change.
    const SO_FAR: Self = Self { over: false };
}

impl Session {
    async fn dispatch(&self, command: Command) -> Done {
        match command {
            Command::Adopt(command) => self.adopt(command).await,
            Command::Agent(command) => self.agent(command).await,
            Command::Audit { look } => self.audit(look).await,
            Command::Apply { id, work } => self.apply(id, work).await,
            Command::BlockVolume(command) => self.block_volume(command).await,
            Command::Brick(command) => self.brick(command).await,
            Command::Capacity(asked) => self.capacity(asked).await,
            Command::Cluster(command) => self.cluster(command).await,
            Command::Db(command) => self.db(command).await,
            Command::Device(command) => self.device(command).await,
            Command::Doctor { look } => self.doctor(look).await,
            Command::Export(command) => self.export(command).await,
            Command::LogLevel(command) => self.log_level(command).await,
            Command::Node(command) => self.node(command).await,
            Command::Operation(command) => self.operation(command).await,
            Command::Plan(command) => self.plan(command).await,
            Command::Policy(command) => self.policy(command).await,
            Command::Pool(command) => self.pool(command).await,
            Command::Score { moves, look } => self.score(moves, look).await,
            Command::Server(command) => self.server(command).await,
            Command::Simulate(asked) => self.simulate(asked).await,
            Command::SupportBundle { file } => self.support_bundle(&file).await,
            Command::Topology(command) => self.topology(command).await,
            Command::Trash(command) => self.trash(command).await,
            Command::Unadopt(command) => self.unadopt(command).await,
            Command::Volume(command) => self.volume(command).await,
            Command::Token { method, path } => {
                say(&format!("{}\n", self.client.token(&method, &path)?))?;
                DONE
            }
            Command::Completion { .. } => DONE,
        }
    }

    /// Shows an answer; nothing where requests are shown.
    fn show<T: Serialize>(
        &self,
        output: Output,
        answer: &T,
        text: impl FnOnce(Width) -> String,
        names: impl FnOnce() -> Vec<String>,
    ) -> Result<(), CliError> {
        if self.curl.is_some() { Ok(()) } else { output::show(output, answer, text, names) }
    }

    /// Tells that something was done, and to what.
    fn tell(&self, output: Output, answer: &impl Serialize, text: &str, name: &impl ToString) -> Done {
        self.show(output, answer, |_| format!("{text}\n"), || vec![name.to_string()])?;
        DONE
    }

    /// Looks once, or again and again. A server that is restarted is waited for.
    async fn look(&self, look: Look, once: impl AsyncFn() -> Result<Seen, CliError>) -> Done {
        let Some(pause) = look.watch.filter(|_| self.curl.is_none()) else {
            once().await?;
            return DONE;
        };
        let mut first = true;
        loop {
            if !first {
                tokio::time::sleep(pause).await;
                between_looks(look.output)?;
            }
            match once().await {
                Ok(Seen { over: true }) => return DONE,
                Ok(Seen { over: false }) => {}
                Err(error @ CliError::Client(ClientError::Unreachable { .. })) if !first => {
                    eprintln!("{}; looking again", error.full_text());
                }
                Err(error) => return Err(error),
            }
            first = false;
        }
    }

    /// Has a change made that the server makes at once. `None` where it was only to be shown or rehearsed.
    async fn ask<R: Reply>(&self, change: &Change<R>, quick: Quick) -> Result<Option<R>, CliError> {
        if let Some((curl, _)) = &self.curl {
            self.show_reads()?;
            say(&curl.line(change.method(), change.path(), change.body()))?;
            return Ok(None);
        }
        if quick.dry_run || quick.plan {
            let plan = match quick.plan {
                true => self.client.plan(change).await?,
                false => self.client.rehearse(change).await?,
            };
            output::show(quick.output, &plan, |_| tables::plan(&plan), || plan_names(&plan))?;
            return Ok(None);
        }
        Ok(Some(self.client.ask(change).await?))
    }

    /// Has a change made that takes its time. `None` where nobody waits for the result, or there will be none.
    async fn work<T: WorkResult>(
        &self,
        change: &Change<Accepted<T>>,
        work: Work,
        what: &str,
    ) -> Result<Option<T>, CliError> {
        match self.ask(change, work.quick).await? {
            Some(accepted) => self.wait(accepted, work, what).await,
            None => Ok(None),
        }
    }

    async fn wait<T: WorkResult>(&self, accepted: Accepted<T>, work: Work, what: &str) -> Result<Option<T>, CliError> {
        let operation = accepted.operation();
        if work.no_wait {
            let name = operation.map_or_else(|| accepted.queue().to_owned(), |id| id.to_string());
            let (answer, text) = match operation {
                Some(id) => (json!({ "operation": id }), format!("operation {id}\n")),
                None => (json!({ "queue": accepted.queue() }), format!("{}\n", accepted.queue())),
            };
            output::show(work.output(), &answer, |_| text, || vec![name])?;
            hint_at(operation);
            return Ok(None);
        }
        let mut bar = Bar::new(what);
        let finished = finish(&self.client, accepted, &mut bar);
        let Some(limit) = work.timeout else { return Ok(Some(finished.await?)) };
        match tokio::time::timeout(limit, finished).await {
            Ok(result) => Ok(Some(result?)),
            Err(_) => {
                drop(bar);
                Err(CliError::StillRunning { what: what.to_owned(), operation })
            }
        }
    }

    /// What was read up to now, as lines for curl.
    fn show_reads(&self) -> Result<(), CliError> {
        if let Some((curl, record)) = &self.curl {
            for read in record.take() {
                say(&curl.line("GET", &read.path, &[]))?;
            }
        }
        Ok(())
    }
}

/// A list as the server would answer it: with a name, and in the order of the fields.
fn listed<'a, T>(name: &'static str, items: &'a [T]) -> BTreeMap<&'static str, &'a [T]> {
    BTreeMap::from([(name, items)])
}

/// heketi's refusal to empty what is online says what must be, and not how.
fn disable_first(error: CliError, what: &str, name: &impl fmt::Display) -> CliError {
    match error {
        CliError::Client(ClientError::Refused { status, text, cure: None }) if text.contains("must be offline") => {
            let cure = Some(format!("take it out of service first: `bricklayer {what} disable {name}`"));
            ClientError::Refused { status, text, cure }.into()
        }
        error => error,
    }
}

fn hint_at(operation: Option<OperationId>) {
    if let Some(id) = operation {
        eprintln!("`bricklayer operation info {id}` tells how far it is.");
    }
}

/// A plan that is not kept has no name; its kind tells at least what it is.
fn plan_names(plan: &Plan) -> Vec<String> {
    vec![plan.kept.as_ref().map_or_else(|| plan.kind.clone(), |kept| kept.id.to_string())]
}

impl SetTags {
    fn request(self) -> TagsChangeRequest {
        let change = if self.exact { TagsChange::Set } else { TagsChange::Update };
        TagsChangeRequest { tags: self.tags.into_iter().collect(), change_type: change.as_str().to_owned() }
    }
}

impl RmTags {
    fn request(self) -> TagsChangeRequest {
        let change = if self.all { TagsChange::Set } else { TagsChange::Delete };
        let tags = self.names.into_iter().map(|name| (name, String::new())).collect();
        TagsChangeRequest { tags, change_type: change.as_str().to_owned() }
    }
}
