//! `/v1/score`: how well bricks lie, and what would better it.

use axum::extract::{RawQuery, State};
use axum::response::Response;
use bricklayer_api::v1::{Score as Shown, ScoreList, ScorePart, ScoreQuery, ScoredMove};

use super::audit::Names;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::ops::ClusterScore;
use crate::placement::score::{Improvement, Part};

/// Moves that are looked for where nobody says how many.
const USUAL_MOVES: usize = 10;

/// More would be out of date before they are made.
const MOST_MOVES: usize = 100;

/// Says how well bricks lie, and which moves would better it most per byte.
///
/// Each move was placed, after those before it. Changes nothing.
#[utoipa::path(get, path = "/v1/score", params(ScoreQuery), responses((status = 200, body = ScoreList)))]
pub async fn score(State(service): State<Service>, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let moves = read(query.as_deref().unwrap_or_default())?;
    let operations = service.operations.clone();
    let scores = tokio::task::spawn_blocking(move || operations.scores(moves)).await;
    let scores = scores.map_err(|error| Failure::internal("the score was broken off", &error))?;
    let topology = service.operations.topology();
    let names = Names(&topology);
    Ok(answer::ok(&ScoreList { scores: scores.iter().map(|score| view(&names, score)).collect() }))
}

/// A word that nobody knows is refused, as it would be overlooked.
fn read(query: &str) -> Result<usize, Failure> {
    let mut moves = USUAL_MOVES;
    for (key, text) in form_urlencoded::parse(query.as_bytes()) {
        if key != "moves" {
            return Err(Failure::bad_request(format!("{key:?} is no word of this query")));
        }
        let valid = text.parse().ok().filter(|moves| *moves <= MOST_MOVES);
        moves = valid.ok_or_else(|| Failure::bad_request(format!("moves is 0 to {MOST_MOVES}, not {text:?}")))?;
    }
    Ok(moves)
}

fn view(names: &Names<'_>, of: &ClusterScore) -> Shown {
    let parts = of.score.parts.iter().map(|(part, share)| ScorePart {
        part: part.word().to_owned(),
        weight: part.weight(),
        share: fraction(share.millionths(), 1.0),
        text: text(*part).to_owned(),
    });
    let moves = of.moves.iter().map(|Improvement { volume, set, moved, after }| ScoredMove {
        volume: *volume,
        volume_name: names.volume(*volume),
        set: *set,
        brick: moved.brick,
        from: names.device(moved.from),
        to: names.device(moved.to.device),
        to_device: moved.to.device,
        bytes: moved.bytes().bytes(),
        points_after: fraction(*after, 100.0),
    });
    Shown {
        cluster: of.cluster,
        points: fraction(of.score.millionths(), 100.0),
        parts: parts.collect(),
        moves: moves.collect(),
        changing: of.changing.clone(),
    }
}

/// Of a whole, to four decimals.
fn fraction(millionths: u64, whole: f64) -> f64 {
    let millionths = u32::try_from(millionths).unwrap_or(1_000_000);
    (f64::from(millionths) * whole / 100.0).round() / 10_000.0
}

fn text(part: Part) -> &'static str {
    match part {
        Part::Strength => "brick sets of which all bricks are there",
        Part::Rules => "brick sets that keep every rule; see `bricklayer audit`",
        Part::Spread => "zones that bricks of sets lie in, of those that they could lie in",
        Part::Balance => "bytes in use that would lie where they are if all devices were equally full",
    }
}
