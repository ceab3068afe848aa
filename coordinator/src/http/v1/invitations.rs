//! `/v1/invitations`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use bricklayer_api::v1::{
    Invitation, InvitationList, InvitationRequest, InvitationState, InvitationToken, OpenInvitation,
};
use bricklayer_proto::ids::InvitationId;
use bricklayer_proto::names::HostName;
use jiff::{SignedDuration, Timestamp};

use super::Id;
use crate::http::body::OurJson;
use crate::http::failure::Failure;
use crate::http::{Service, answer};
use crate::model::Zone;
use crate::pki::{self, DEFAULT_INVITATION_LIFE, InviteError, NewInvitation};

/// Invites a host.
///
/// The answer holds the secret, which is shown this once and stored nowhere.
#[utoipa::path(post, path = "/v1/invitations", request_body = InvitationRequest, responses((status = 201, body = Invitation)))]
pub async fn create(
    State(service): State<Service>,
    OurJson(request): OurJson<InvitationRequest>,
) -> Result<Response, Failure> {
    let invitation = service.trust.invite(wanted(&request)?).await.map_err(|error| match error {
        InviteError::NameTaken { .. } | InviteError::NodeTaken { .. } | InviteError::OtherNode { .. } => {
            Failure::new(StatusCode::CONFLICT, error.to_string())
        }
        InviteError::NobodyToRejoin(_) => Failure::new(StatusCode::NOT_FOUND, error.to_string()),
        InviteError::Life => Failure::bad_request(error.to_string()),
        InviteError::Store(_) => Failure::internal("the invitation could not be written", &error),
    })?;
    let answer = Invitation {
        invitation: invitation.id,
        name: invitation.name,
        token: InvitationToken::from(invitation.line),
        expires: invitation.expires,
    };
    Ok(answer::json(StatusCode::CREATED, &answer))
}

/// Lists the invitations.
#[utoipa::path(get, path = "/v1/invitations", responses((status = 200, body = InvitationList)))]
pub async fn list(State(service): State<Service>) -> Response {
    let now = service.trust.clock().now();
    let invitations = service.trust.invitations().into_iter().map(|invitation| view(invitation, now)).collect();
    answer::ok(&InvitationList { invitations })
}

/// Withdraws an invitation.
#[utoipa::path(delete, path = "/v1/invitations/{id}", responses((status = 200)))]
pub async fn withdraw(State(service): State<Service>, Id(id): Id<InvitationId>) -> Result<StatusCode, Failure> {
    match service.trust.uninvite(id).await {
        Ok(true) => Ok(StatusCode::OK),
        Ok(false) => {
            let text =
                format!("there is no open invitation {id}\nOne that was used is ended by `bricklayer agent revoke`");
            Err(Failure::new(StatusCode::NOT_FOUND, text))
        }
        Err(error) => Err(Failure::internal("the withdrawal could not be written", &error)),
    }
}

fn wanted(request: &InvitationRequest) -> Result<NewInvitation, Failure> {
    let bad = |error: bricklayer_proto::names::NotAName| Failure::bad_request(error.to_string());
    let name: HostName = request.name.parse().map_err(bad)?;
    let zone = request.zone.map(|zone| super::zone(zone).map(Zone::get));
    let life = match request.ttl_seconds {
        None => DEFAULT_INVITATION_LIFE,
        // Whatever is too long is refused with the limit.
        Some(seconds) => i64::try_from(seconds).map_or(SignedDuration::MAX, SignedDuration::from_secs),
    };
    let node = request.node.as_deref().map(str::parse).transpose();
    let node = node.map_err(|error: bricklayer_proto::ids::NotAnId| Failure::bad_request(error.to_string()))?;
    Ok(NewInvitation { name, zone: zone.transpose()?, life, rejoin: request.rejoin, node })
}

fn view(invitation: pki::OpenInvitation, now: Timestamp) -> OpenInvitation {
    let state = if invitation.used.is_some() {
        InvitationState::Used
    } else if invitation.expires < now {
        InvitationState::Expired
    } else {
        InvitationState::Open
    };
    OpenInvitation {
        invitation: invitation.id,
        name: invitation.name,
        zone: invitation.zone.map(i64::from),
        expires: invitation.expires,
        state,
    }
}
