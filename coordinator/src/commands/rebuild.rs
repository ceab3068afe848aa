use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bricklayer_store::{OpenError, Store};
use clap::Args;

use crate::config::ConfigFile;
use crate::model::Topology;
use crate::pki::Clock;
use crate::rebuild::{self, Collect, Collected, Progress, Rebuilt};
use crate::service::Layout;
use crate::state::{SCHEMA, State, assemble};

#[derive(Debug, Args)]
pub struct Rebuild {
    /// Where agents attach; as for `run`.
    #[arg(long, env = "BRICKLAYER_AGENTS_LISTEN", value_name = "ADDRESS:PORT")]
    agents_listen: Option<SocketAddr>,
    /// How many seconds the hosts are waited for. It ends earlier when all that are known of have answered.
    #[arg(long, default_value_t = 180, value_name = "SECONDS")]
    wait: u64,
    /// A node that is not waited for, by name or id; may be given several times. What other hosts keep of it counts.
    #[arg(long, value_name = "NODE")]
    without: Vec<String>,
    /// Writes the new store without asking.
    #[arg(long)]
    apply: bool,
    /// A store that is there is renamed to make room, without asking. It is never deleted.
    #[arg(long)]
    set_aside: bool,
}

/// What lies where the new store is to be.
enum There {
    Nothing,
    /// It can be read.
    Whole(Box<Topology>),
    Damaged(String),
}

impl Rebuild {
    pub fn run(self, data_dir: PathBuf, file: &ConfigFile) -> anyhow::Result<()> {
        let layout = Layout(&data_dir);
        anyhow::ensure!(
            layout.authority().is_dir(),
            "{} has no authority: what hosts say is believed only if it is certain that they are ours. \
             `bricklayer-coordinator recover` brings it back from what any host keeps",
            data_dir.display()
        );
        let there = look(&layout)?;
        match &there {
            There::Nothing => {}
            There::Whole(_) => eprintln!("There is a store that can be read. It is compared with what the hosts say."),
            There::Damaged(why) => eprintln!("There is a store that cannot be read: {why}"),
        }
        let listen = self.agents_listen.or(file.agents_listen).unwrap_or(SocketAddr::from(([0, 0, 0, 0], 24010)));
        let wanted = Collect {
            data_dir: data_dir.clone(),
            listen,
            advertise: file.advertise.clone().unwrap_or_default(),
            wait: Duration::from_secs(self.wait),
            without: self.without.clone(),
        };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let collected = runtime.block_on(rebuild::collect(wanted, |progress| tell_progress(&progress)))?;
        let now = Clock::system().now();
        let rebuilt = rebuild::rebuild(&collected.evidence, now);
        // A reader that has seen enough is no failure.
        let _ = tell(&mut std::io::stdout(), &rebuilt, &there);
        refuse_if_incomplete(&collected)?;
        if !self.confirmed(&there)? {
            println!("\nNothing was written. With --apply it is.");
            return Ok(());
        }
        if !matches!(there, There::Nothing) {
            let aside = bricklayer_store::set_aside(&layout.store())?;
            println!("The store that was there is {} now.", aside.display());
        }
        let (installation, epoch) = (collected.evidence.installation, collected.highest_epoch);
        runtime.block_on(rebuild::write(rebuilt, &layout.store(), installation, epoch, now))?;
        println!("Wrote {}. Next: bricklayer-coordinator run", layout.store().display());
        Ok(())
    }

    fn confirmed(&self, there: &There) -> anyhow::Result<bool> {
        let room = matches!(there, There::Nothing) || self.set_aside;
        if self.apply && room {
            return Ok(true);
        }
        if !std::io::stdin().is_terminal() {
            anyhow::ensure!(
                !self.apply,
                "there is a store already, and nobody to ask: --set-aside renames it. Nothing was written"
            );
            return Ok(false);
        }
        let question =
            if room { "Write this state?" } else { "Set the store that is there aside and write this state?" };
        eprint!("\n{question} [y/N] ");
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}

fn look(layout: &Layout<'_>) -> anyhow::Result<There> {
    if !layout.has_store() {
        return Ok(There::Nothing);
    }
    match Store::open(&layout.store(), SCHEMA) {
        Ok(opened) => {
            let state = State::load(opened.clone());
            opened.close();
            Ok(match state {
                Ok(state) => There::Whole(Box::new(Topology::clone(&state.read()))),
                Err(error) => There::Damaged(format!("{:#}", anyhow::Error::from(error))),
            })
        }
        Err(error @ OpenError::Locked { .. }) => {
            Err(anyhow::Error::from(error).context("a coordinator runs on this store: stop it first"))
        }
        // A store on which sled turns in circles is as good as a damaged one.
        Err(error @ OpenError::TookTooLong { .. }) => Ok(There::Damaged(error.to_string())),
        Err(error) if error.is_damage() => Ok(There::Damaged(format!("{:#}", anyhow::Error::from(error)))),
        Err(error) => Err(error).context("the store that is there could not be examined"),
    }
}

fn refuse_if_incomplete(collected: &Collected) -> anyhow::Result<()> {
    anyhow::ensure!(
        !collected.evidence.hosts.is_empty(),
        "no host was heard. Do the agents run, and do they reach this machine at the address that they know? \
         `bricklayer-agent status` says; `bricklayer-agent set-coordinator ADDRESS` changes it. Nothing was written"
    );
    anyhow::ensure!(
        collected.missing.is_empty(),
        "not heard: {}. Start these hosts and try again, with a longer --wait if need be; or leave them out: {}. \
         Nothing was written",
        collected.missing.join(", "),
        collected.missing.iter().map(|name| format!("--without {name}")).collect::<Vec<_>>().join(" ")
    );
    Ok(())
}

fn tell_progress(progress: &Progress) {
    match progress {
        Progress::Listening { at } => eprintln!("Waiting for agents at {at}. They come back within half a minute."),
        Progress::Heard { name, bricks } => eprintln!("{name}: heard, {bricks} bricks"),
        Progress::Missing { names } if names.is_empty() => {}
        Progress::Missing { names } => eprintln!("Still to be heard: {}", names.join(", ")),
    }
}

fn tell(out: &mut impl std::io::Write, rebuilt: &Rebuilt, there: &There) -> std::io::Result<()> {
    let records = &rebuilt.records;
    let bricks: usize = records.volumes.iter().map(|volume| volume.bricks.len()).sum();
    writeln!(out, "\nWhat the hosts say comes to:")?;
    for (count, what) in [
        (records.clusters.len(), "clusters"),
        (records.nodes.len(), "nodes"),
        (records.devices.len(), "devices"),
        (records.volumes.len(), "volumes"),
        (bricks, "bricks"),
        (records.block_volumes.len(), "block volumes"),
    ] {
        writeln!(out, "{count:>8} {what}")?;
    }
    if rebuilt.differences.is_empty() {
        writeln!(out, "\nAll of it fits together.")?;
    } else {
        writeln!(out, "\nWhat does not fit together ({}):", rebuilt.differences.len())?;
        for difference in &rebuilt.differences {
            writeln!(out, "  {difference}")?;
        }
    }
    if let There::Whole(before) = there {
        let lines = rebuild::compare(before, &assemble(records.clone()));
        if lines.is_empty() {
            writeln!(out, "\nThe store that is there says the same.")?;
        } else {
            writeln!(out, "\nThe store that is there differs ({}):", lines.len())?;
            lines.iter().try_for_each(|line| writeln!(out, "  {line}"))?;
        }
    }
    Ok(())
}
