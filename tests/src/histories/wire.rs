//! The connection between an agent and the coordinator, with all that a network can do to it.
//!
//! Messages go through the real conversions to and from the wire. The stream underneath is TLS over TCP, so a message
//! cannot get lost while its connection lives; it can come late, and a connection can end on one side before the other
//! hears of it. To be on the safe side messages are also told twice and overtake one another, which TCP rules out.

use std::time::Duration;

use bricklayer_proto::ids::NodeId;
use bricklayer_proto::wire::{FromAgent, ToAgent, v1};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::chance::Chance;

/// An agent's end of a connection that it wants, or the coordinator's end of one that came about.
pub struct AgentEnd {
    pub node: NodeId,
    pub said: UnboundedReceiver<FromAgent>,
    pub tell: UnboundedSender<ToAgent>,
}

/// What the network does to messages.
#[derive(Clone, Debug)]
pub struct Weather {
    pub delay: (u64, u64),
    /// Told twice, once in so many; 0 is never.
    pub twice: u64,
    /// May be overtaken, once in so many; 0 is never.
    pub overtaken: u64,
}

impl Weather {
    pub const FAIR: Self = Self { delay: (0, 2), twice: 0, overtaken: 0 };
}

pub struct Line {
    pub node: NodeId,
    up: Way<FromAgent>,
    down: Way<ToAgent>,
    /// When the coordinator's side of a cut line ends, too.
    ends: Option<Duration>,
}

/// One direction.
struct Way<T> {
    from: Option<UnboundedReceiver<T>>,
    to: Option<UnboundedSender<T>>,
    /// Sorted by when they arrive.
    flying: Vec<(Duration, T)>,
    last: Duration,
}

impl<T: Clone> Way<T> {
    fn new(from: UnboundedReceiver<T>, to: UnboundedSender<T>) -> Self {
        Self { from: Some(from), to: Some(to), flying: Vec::new(), last: Duration::ZERO }
    }

    /// True if anything moved.
    fn pump(&mut self, now: Duration, weather: &Weather, chance: &mut Chance, is_first: impl Fn(&T) -> bool) -> bool {
        let mut moved = false;
        while let Some(from) = &mut self.from {
            match from.try_recv() {
                Ok(message) => {
                    moved = true;
                    let mut due = now + chance.millis(weather.delay.0..=weather.delay.1);
                    let plain = is_first(&message);
                    if plain || weather.overtaken == 0 || !chance.one_in(weather.overtaken) {
                        due = due.max(self.last);
                        self.last = due;
                    }
                    if !plain && weather.twice > 0 && chance.one_in(weather.twice) {
                        self.put(due + chance.millis(0..=weather.delay.1), message.clone());
                    }
                    self.put(due, message);
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.from = None,
            }
        }
        while self.flying.first().is_some_and(|(due, _)| *due <= now) {
            let (_, message) = self.flying.remove(0);
            moved = true;
            // Whoever is gone hears nothing any more.
            let _ = self.to.as_ref().map(|to| to.send(message));
        }
        if self.from.is_none() && self.flying.is_empty() {
            self.to = None;
        }
        moved
    }

    fn put(&mut self, due: Duration, message: T) {
        let at = self.flying.partition_point(|(other, _)| *other <= due);
        self.flying.insert(at, (due, message));
    }

    fn hang_up(&mut self) {
        (self.from, self.to) = (None, None);
        self.flying.clear();
    }
}

impl Line {
    /// Joins an agent to the coordinator that accepts it.
    #[must_use]
    pub fn join(agent: AgentEnd, accept: &UnboundedSender<AgentEnd>) -> Self {
        let (to_coordinator, said) = unbounded_channel();
        let (tell, from_coordinator) = unbounded_channel();
        // A coordinator that is just ending lets go of both.
        let _ = accept.send(AgentEnd { node: agent.node, said, tell });
        let up = Way::new(agent.said, to_coordinator);
        let down = Way::new(from_coordinator, agent.tell);
        Self { node: agent.node, up, down, ends: None }
    }

    /// Ends it for the agent now, and for the coordinator when `ends` comes. What was on its way down is lost; what was
    /// on its way up may still arrive.
    pub fn cut(&mut self, ends: Duration) {
        self.down.to = None;
        self.down.flying.clear();
        self.up.from = None;
        self.ends = Some(ends);
    }

    pub fn pump(&mut self, now: Duration, weather: &Weather, chance: &mut Chance) -> bool {
        if self.ends.is_some_and(|ends| ends <= now) {
            self.up.hang_up();
            self.down.hang_up();
        }
        let up = self.up.pump(now, weather, chance, |message| matches!(message, FromAgent::Hello(_)));
        let down = self.down.pump(now, weather, chance, |message| matches!(message, ToAgent::Welcome(_)));
        if self.ends.is_none() {
            // The end of one direction is the end of the other.
            if self.up.to.is_none() {
                self.down.hang_up();
            }
            if self.down.to.is_none() {
                self.up.hang_up();
            }
        }
        up || down
    }

    #[must_use]
    pub fn is_over(&self) -> bool {
        self.up.to.is_none() && self.down.to.is_none()
    }

    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.ends.is_some()
    }
}

/// As it arrives at the other side.
///
/// # Panics
/// If the wire cannot carry it, which is a fault.
#[must_use]
pub fn over_the_wire_up(message: FromAgent) -> FromAgent {
    FromAgent::try_from(v1::FromAgent::from(message)).expect("what an agent says is understood")
}

/// As [`over_the_wire_up`], of the other direction.
///
/// # Panics
/// If the wire cannot carry it, which is a fault.
#[must_use]
pub fn over_the_wire_down(message: ToAgent) -> ToAgent {
    ToAgent::try_from(v1::ToAgent::from(message)).expect("what an agent is told is understood")
}
