//! Who is at the other end, as far as the connection tells: the role in a verified client certificate.

use keyward_kit::tls::role::{Role, role_of};
use tonic::{Request, Status};

/// Lets only `role` through. The certificate itself was verified in the handshake; a caller without one is a launcher.
pub fn require<T>(request: &Request<T>, role: Role, trust_domain: &str) -> Result<(), Status> {
    let certificates = request.peer_certs();
    let Some(certificate) = certificates.as_ref().and_then(|certificates| certificates.first()) else {
        return Err(Status::unauthenticated(format!("this method needs a client certificate of role `{role}`")));
    };
    match role_of(certificate, trust_domain) {
        Ok(found) if found == role => Ok(()),
        Ok(found) => Err(Status::permission_denied(format!("role `{found}` may not call this method; `{role}` may"))),
        Err(error) => Err(Status::permission_denied(format!("the client certificate carries no role: {error}"))),
    }
}
