//! `/metrics`: heketi's gauges, under heketi's names, and ours.
//!
//! Owns what is counted while the coordinator runs ([`Metrics`]); everything else is read from the current state at each
//! scrape ([`heketi`], [`ours`], [`process`]), so that no figure can lag behind what REST says. Must never wait for an
//! agent or the disk.

mod heketi;
mod ours;
mod process;

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, LabelSetEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::doctor::OwnHost;
use crate::ops::Operations;

/// Seconds; most answers come from memory, a create waits for one commit, and adding a node for its agent.
const BUCKETS: [f64; 9] = [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// Everything that can be scraped.
pub struct Metrics {
    registry: Registry,
    requests: Family<Answered, Counter>,
    durations: Family<Asked, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Answered {
    method: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    method: &'static str,
}

impl EncodeLabelSet for Answered {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("method", self.method.to_owned()), ("status", self.status.to_string())].encode(encoder)
    }
}

impl EncodeLabelSet for Asked {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        [("method", self.method)].encode(encoder)
    }
}

impl Metrics {
    #[must_use]
    pub fn new(operations: Operations, own: impl Fn() -> OwnHost + Send + Sync + 'static) -> Self {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(OfTheState { operations, own: Box::new(own) }));
        let requests = Family::<Answered, Counter>::default();
        registry.register("bricklayer_rest_requests", "REST requests that were answered", requests.clone());
        let durations = Family::<Asked, Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        let help = "How long answers to REST requests took";
        registry.register_with_unit("bricklayer_rest_request_duration", help, Unit::Seconds, durations.clone());
        Self { registry, requests, durations }
    }

    /// A request was answered. Methods that we do not serve are one, as a client may invent any number.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        let known = ["GET", "POST", "DELETE", "PATCH", "PUT", "HEAD"];
        let method = known.into_iter().find(|known| *known == method).unwrap_or("other");
        self.requests.get_or_create(&Answered { method, status }).inc();
        self.durations.get_or_create(&Asked { method }).observe(took.as_secs_f64());
    }

    /// The whole page.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.registry)?;
        Ok(page)
    }
}

/// What is read from the state at each scrape.
struct OfTheState {
    operations: Operations,
    own: Box<dyn Fn() -> OwnHost + Send + Sync>,
}

impl fmt::Debug for OfTheState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OfTheState")
    }
}

impl Collector for OfTheState {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut gauges = Gauges(encoder);
        let topology = self.operations.topology();
        heketi::gauges(&mut gauges, &topology)?;
        ours::gauges(&mut gauges, &self.operations, &(self.own)(), &topology)?;
        process::gauges(&mut gauges)
    }
}

/// Writes gauges.
struct Gauges<'a>(DescriptorEncoder<'a>);

impl Gauges<'_> {
    /// One without labels.
    fn one(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    /// One for each set of labels.
    fn each<L: EncodeLabelSet, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (L, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
