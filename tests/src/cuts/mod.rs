//! Power cuts and killed programs at random moments of operations on real hosts, and what has to be true after each of
//! them: from a seed follow the operations, the cuts and their moments. The hosts are real and take the time they take, so
//! one seed does not give the same run twice; it gives the same wishes.
//!
//! A round: one or two operations begin, one to four cuts fall while a client writes, all that was cut comes back, the
//! operations come to their ends, and the world is looked at ([`truths`]). At most one cut of a round takes the power of a
//! host, or all of it at once: the copies are whole before the next one, as losing two of three copies one after the other
//! is no test of what manages them.

mod blows;
mod data;
mod deeds;
mod tally;
mod truths;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use self::blows::Blow;
use self::data::Writer;
use self::deeds::{Begun, Deed, Outcome};
use self::tally::Tally;
use crate::histories::chance::Chance;
use crate::lab::Lab;
use crate::scenario;

pub const HOSTS: [&str; 3] = ["gfs1", "gfs2", "gfs3"];

/// Two disks each, so that a brick has somewhere to move to without a fourth host.
pub const DISKS: [&str; 2] = ["/dev/sdb", "/dev/sdc"];

/// As many volumes at a time: few enough to be looked at in a few seconds.
const MOST_VOLUMES: usize = 3;

/// Of an operation whose host comes back: it waits for glusterd's peers to see each other, and moves wait for heals.
const ANSWER: Duration = Duration::from_secs(900);

/// Of a host that was cut, with everything else under way on the machine.
const BACK: Duration = Duration::from_secs(120);

/// A volume that is there, as far as its client knows.
#[derive(Clone, Debug)]
pub struct Volume {
    pub id: String,
    pub name: String,
    pub size_gib: u64,
}

/// A run of rounds in a lab.
pub struct Cuts<'a> {
    lab: &'a Lab,
    chance: Chance,
    volumes: BTreeMap<String, Volume>,
    tally: Tally,
    began: Instant,
}

impl<'a> Cuts<'a> {
    #[must_use]
    pub fn new(lab: &'a Lab, seed: u64) -> Self {
        let (chance, tally) = (Chance::of(seed), Tally::default());
        Self { lab, chance, volumes: BTreeMap::new(), tally, began: Instant::now() }
    }

    /// Rounds until so many cuts have fallen; answers what happened, for people.
    pub fn play(&mut self, cuts: usize) -> anyhow::Result<String> {
        self.begin().context("before the first round")?;
        let mut round = 0;
        while self.tally.cuts() < cuts {
            round += 1;
            self.round(round, cuts - self.tally.cuts()).with_context(|| format!("in round {round}"))?;
        }
        self.say("the end: everything is looked at once more, by fresh mounts and by the doctor");
        for volume in self.volumes.values() {
            data::unmount(self.lab, &volume.id)?;
            data::mount(self.lab, volume)?;
        }
        truths::hold(self.lab, &self.volumes)?;
        truths::doctor_finds_nothing(self.lab, self.volumes.len())?;
        for id in self.volumes.keys().cloned().collect::<Vec<_>>() {
            data::unmount(self.lab, &id)?;
            self.lab.heketi(&["volume", "delete", &id])?;
            self.volumes.remove(&id);
        }
        truths::hold(self.lab, &self.volumes)?;
        scenario::assert_no_bricks(self.lab)?;
        Ok(format!("{} rounds in {} s\n{}", round, self.began.elapsed().as_secs(), self.tally))
    }

    /// A volume that nothing hits while it is made, so that however few the cuts are, data are there to be lost.
    fn begin(&mut self) -> anyhow::Result<()> {
        let made = scenario::create_volume(self.lab, &["--size=1", "--replica=3"])?;
        let volume = Volume { id: made.id, name: made.name, size_gib: 1 };
        data::mount(self.lab, &volume)?;
        self.volumes.insert(volume.id.clone(), volume);
        Ok(())
    }

    fn say(&self, what: &str) {
        eprintln!("[{:5} s, {:3} cuts] {what}", self.began.elapsed().as_secs(), self.tally.cuts());
    }

    fn round(&mut self, round: usize, left: usize) -> anyhow::Result<()> {
        let deeds = self.wishes()?;
        let blows = Blow::some(&mut self.chance, left);
        let words: Vec<String> = deeds.iter().map(Deed::to_string).collect();
        self.say(&format!("round {round}: {}", words.join(" and ")));
        let written: Vec<&Volume> =
            self.volumes.values().filter(|volume| !deeds.iter().any(|d| d.ends(volume))).collect();
        let writer = Writer::start(self.lab, round, &written)?;

        let mut begun = Vec::new();
        for deed in deeds {
            if let Some(id) = deed.doomed() {
                data::unmount(self.lab, id)?;
            }
            begun.push(deed.begin(self.lab)?);
        }
        for (before, blow) in (1..).zip(blows) {
            // The later ones are to fall before the end as well.
            let moment = self.chance.millis(0..=Begun::longest_hoped(&begun) / before);
            pause(moment);
            let at: Vec<String> = begun.iter().map(|begun| begun.stage(self.lab)).collect();
            let down = self.chance.millis(0..=blow.most_down());
            self.say(&format!("  {blow} after {:.1} s, for {:.1} s; {}", secs(moment), secs(down), at.join("; ")));
            blow.fall(self.lab, down)?;
            self.tally.fell(&blow, begun.iter().map(|begun| begun.deed.kind()), &at);
        }
        for host in HOSTS {
            self.lab
                .wait_for(&format!("{host} to be back"), BACK, || Ok(self.lab.run(&["wait-ready", host])?.code == 0))?;
        }
        let wrote = writer.stop(self.lab)?;
        for begun in begun {
            let outcome = self.outcome(&begun)?;
            self.say(&format!("  {}: {outcome}", begun.deed));
            self.tally.ended(begun.deed.kind(), &outcome);
            self.learn(&begun.deed, outcome).with_context(|| begun.deed.to_string())?;
        }
        let looked = Instant::now();
        truths::hold(self.lab, &self.volumes)?;
        let volumes = self.volumes.len();
        self.say(&format!(
            "  {volumes} volumes whole and nothing else there, looked at for {} s; wrote {wrote} files meanwhile",
            looked.elapsed().as_secs()
        ));
        Ok(())
    }

    /// One operation, or two on different volumes.
    fn wishes(&mut self) -> anyhow::Result<Vec<Deed>> {
        let bricks = truths::recorded(self.lab)?;
        let mut free: Vec<Volume> = self.volumes.values().cloned().collect();
        let mut deeds = vec![Deed::any(&mut self.chance, &mut free, &bricks, self.volumes.len() < MOST_VOLUMES)?];
        // Another one beside a device that is emptied would be refused where it wants that device.
        if self.chance.one_in(3) && !matches!(deeds[0], Deed::Empty { .. }) && !free.is_empty() {
            let more = self.volumes.len() + 1 < MOST_VOLUMES;
            let another = Deed::any(&mut self.chance, &mut free, &bricks, more)?;
            if !matches!(another, Deed::Empty { .. }) {
                deeds.push(another);
            }
        }
        Ok(deeds)
    }

    /// Waits for the answer of the queue id that the client was given, and until nothing is under way any more.
    fn outcome(&self, begun: &Begun) -> anyhow::Result<Outcome> {
        let mut answer = None;
        let ended = self.lab.wait_for(&format!("the answer of {}", begun.queue), ANSWER, || {
            answer = scenario::poll(self.lab, &begun.queue)?;
            Ok(answer.is_some())
        });
        if let Err(error) = ended {
            bail!("{}: {error:#}; {}", begun.deed, begun.stage(self.lab));
        }
        let answer = answer.context("there is an answer")?;
        truths::nothing_is_under_way(self.lab)?;
        Ok(match answer {
            scenario::Polled::Resource(path) => Outcome::Finished(Some(path)),
            scenario::Polled::Done => Outcome::Finished(None),
            scenario::Polled::Failed(why) => Outcome::Undone(why),
        })
    }

    /// What its client takes for true from now on.
    fn learn(&mut self, deed: &Deed, outcome: Outcome) -> anyhow::Result<()> {
        let done = matches!(outcome, Outcome::Finished(_));
        match (deed, outcome) {
            (Deed::Create { size_gib }, Outcome::Finished(path)) => {
                let path = path.context("a create that finished names its volume")?;
                let info = scenario::read(self.lab, &path)?;
                let text = |key: &str| info[key].as_str().map(str::to_owned).context("a volume without a name");
                let volume = Volume { id: text("id")?, name: text("name")?, size_gib: *size_gib };
                data::mount(self.lab, &volume)?;
                self.volumes.insert(volume.id.clone(), volume);
            }
            (Deed::Create { .. }, Outcome::Undone(_)) => {}
            (Deed::Expand { volume, by_gib }, _) if done => {
                let known = self.volumes.get_mut(volume).context("the volume is known")?;
                known.size_gib += by_gib;
            }
            (Deed::Delete { volume }, _) if done => {
                self.volumes.remove(volume);
                data::forget(self.lab, volume)?;
            }
            (Deed::Delete { volume }, _) => data::mount(self.lab, &self.volumes[volume])?,
            (Deed::Expand { .. }, _) => {}
            (Deed::Evict { volume, brick }, _) => deeds::was_evicted(self.lab, volume, brick, done)?,
            (Deed::Empty { device }, _) => deeds::was_emptied(self.lab, device, done)?,
        }
        Ok(())
    }
}

/// Until a moment that chance has chosen: what falls there is what this is about.
fn pause(moment: Duration) {
    let end = Instant::now() + moment;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}

fn secs(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
