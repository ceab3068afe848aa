//! Requests that change something: made first, so that they can be shown or rehearsed, and sent afterwards.
//!
//! [`Change`] has a constructor for each route, and [`Client`] a method of the same name that makes and sends at once.

use std::marker::PhantomData;

use reqwest::{Method, StatusCode};
use serde::Serialize;

use super::answer::{Answer, read};
use super::{Accepted, Client, ClientError};
use crate::v1::Plan;

/// A request that changes something and is answered with an `R`. Nothing has been sent yet.
#[derive(Debug)]
#[must_use = "a change that is not sent changes nothing"]
pub struct Change<R> {
    method: Method,
    path: String,
    body: Option<Vec<u8>>,
    reply: PhantomData<fn() -> R>,
}

/// What a change is answered with.
pub trait Reply: Sized {
    fn from_answer(path: &str, answer: Answer) -> Result<Self, ClientError>;
}

impl<T> Reply for Accepted<T> {
    fn from_answer(path: &str, answer: Answer) -> Result<Self, ClientError> {
        let answer = answer.expect(path, StatusCode::ACCEPTED)?;
        Ok(Self { queue: answer.location(path)?, result: PhantomData })
    }
}

impl Reply for () {
    fn from_answer(path: &str, answer: Answer) -> Result<Self, ClientError> {
        match answer.status {
            StatusCode::NO_CONTENT => Ok(()),
            _ => answer.expect(path, StatusCode::OK).map(drop),
        }
    }
}

macro_rules! json_replies {
    ($($reply:ty = $status:ident),+ $(,)?) => {$(
        impl Reply for $reply {
            fn from_answer(path: &str, answer: Answer) -> Result<Self, ClientError> {
                read(path, &answer.expect(path, StatusCode::$status)?.body)
            }
        }
    )+};
}

json_replies! {
    crate::heketi::ClusterInfo = CREATED,
    crate::heketi::LogLevels = OK,
    crate::heketi::Tags = OK,
    crate::v1::Explanation = OK,
    crate::v1::Invitation = CREATED,
    crate::v1::Policy = OK,
    crate::v1::Rebalance = OK,
    crate::v1::Simulation = OK,
    crate::v1::Adoption = OK,
    serde_json::Value = OK,
}

impl<R> Change<R> {
    pub(super) fn new(method: Method, path: String) -> Self {
        Self { method, path, body: None, reply: PhantomData }
    }

    pub(super) fn with_body(self, body: &impl Serialize) -> Result<Self, ClientError> {
        Ok(Self { body: Some(serde_json::to_vec(body).map_err(ClientError::Request)?), ..self })
    }

    /// Such as `POST`.
    #[must_use]
    pub fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Without the server's address.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// JSON; empty where the request has none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }
}

impl Client {
    /// Has the change made.
    pub async fn ask<R: Reply>(&self, change: &Change<R>) -> Result<R, ClientError> {
        let answer = self.send(change.method.clone(), &change.path, change.body.clone()).await?;
        R::from_answer(&change.path, answer)
    }

    /// Asks what the change would do, and changes nothing.
    ///
    /// A heketi would overlook the question and make the change, so a server that does not greet as ours is not asked.
    pub async fn rehearse<R>(&self, change: &Change<R>) -> Result<Plan, ClientError> {
        self.rehearse_with(change, "dry_run=true").await
    }

    /// The same, and the server keeps the plan, so that it can be carried out exactly so.
    pub async fn plan<R>(&self, change: &Change<R>) -> Result<Plan, ClientError> {
        // A server that knows of no plans still takes it for a rehearsal.
        let plan = self.rehearse_with(change, "dry_run=true&plan=true").await?;
        if plan.kept.is_some() { Ok(plan) } else { Err(ClientError::NotKept) }
    }

    async fn rehearse_with<R>(&self, change: &Change<R>, query: &str) -> Result<Plan, ClientError> {
        let greeting = self.hello().await?;
        if !greeting.contains("Bricklayer") {
            return Err(ClientError::NoRehearsal { greeting });
        }
        let path = format!("{}?{query}", change.path);
        let answer = self.send(change.method.clone(), &path, change.body.clone()).await?;
        let done = answer.status.is_success();
        let plan = answer.expect(&path, StatusCode::OK).and_then(|answer| read(&path, &answer.body));
        // What succeeds without telling a plan may have been done in earnest.
        plan.map_err(|error| if done { ClientError::NotRehearsed { path: change.path.clone() } } else { error })
    }
}

/// Gives [`Change`] a constructor and [`Client`] a method per route.
macro_rules! changes {
    ($(
        $(#[$doc:meta])*
        $name:ident($($argument:ident: $kind:ty),* $(,)?) -> $reply:ty = $method:ident $path:literal $(of $part:ident($($given:ident),*))? $(with $body:expr)?;
    )+) => {
        $(impl Change<$reply> {
            $(#[$doc])*
            pub fn $name($($argument: $kind),*) -> Result<Self, ClientError> {
                let change = Self::new(reqwest::Method::$method, format!($path $(, $part($($given),*))?));
                $(let change = change.with_body(&$body)?;)?
                Ok(change)
            }
        })+

        impl Client {$(
            $(#[$doc])*
            pub async fn $name(&self, $($argument: $kind),*) -> Result<$reply, ClientError> {
                self.ask(&Change::<$reply>::$name($($argument),*)?).await
            }
        )+}
    };
}

pub(super) use changes;
