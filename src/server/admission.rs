//! Knows what a server asks of a client before it lets it in, and which check refused.
//! Does not know HTTP's bytes, nor how the host is asked.

use std::sync::Arc;

use super::auth::Known;
use super::networks::Caller;
use super::session::{Seat, Session};
use super::verifier;
use crate::protocol::head::{Refusal, Request, shown};
use crate::protocol::upgrade::{self, Upgrade};

/// Whether clients from there may ask for anything at all.
pub fn check_network(session: &Session, caller: &Caller) -> Result<(), Refusal> {
    let plan = &session.plan;
    let is_denied = plan.deny.contains(caller.ip);
    if is_denied || !plan.allow.is_empty() && !plan.allow.contains(caller.ip) {
        let message = "clients from this address are not allowed";
        let rule = if is_denied { "deny" } else { "allow" };
        return Err(Refusal::new(403, message).because(rule));
    }
    Ok(())
}

/// A seat, for a client that may have one.
pub async fn admit(
    session: &Arc<Session>,
    request: &Request,
    upgrade: &Upgrade,
    caller: &Caller,
) -> Result<Seat, Refusal> {
    check_network(session, caller)?;
    let plan = &session.plan;
    let origin = upgrade.origin.as_deref();
    if !upgrade::origin_is_allowed(origin, request.host(), caller.is_secure, &plan.origins) {
        let origin = shown(origin.unwrap_or_default());
        let message = format!("the origin {origin} is not allowed");
        return Err(Refusal::new(403, message).because("origin"));
    }
    let agreed = upgrade::choose_protocol(&upgrade.protocols, &plan.protocols);
    if plan.requires_protocol && agreed.is_none() {
        let known = plan.protocols.join(", ");
        let message = format!("one of the sub-protocols {known} must be offered");
        return Err(Refusal::new(400, message).because("protocol"));
    }
    check_login(session, request, caller).await?;
    Seat::take(session, caller.ip)
}

/// Whether the one who asks is known, where that is asked for.
pub async fn check_login(
    session: &Session,
    request: &Request,
    caller: &Caller,
) -> Result<(), Refusal> {
    match session.plan.auth.examine(&request.headers) {
        Known::Fits => Ok(()),
        Known::Refused(refusal) => Err(refusal),
        Known::Unsure(credentials) => verifier::verify(credentials, caller.ip).await,
    }
}
