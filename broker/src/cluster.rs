//! The cluster's API server, as far as it answers single questions. What is watched of it is
//! [`crate::source::kubernetes`]'s.
//!
//! | room | does |
//! |---|---|
//! | [`client`] | connects, by `KUBECONFIG` or from within the cluster |
//! | [`ask`] | one request and its answer, within a time |
//! | [`pods`] | a pod, by name |
//! | [`reviews`] | whose a token is; what a user may do |
//! | [`turns`] | how much is asked because of whoever comes |
//! | [`secrets`] | credentials for Azure, by name, in the broker's own namespace |
//!
//! Answers that hold a token or a secret are never left to a library that logs what it cannot read.

pub mod ask;
pub mod client;
pub mod pods;
pub mod reviews;
pub mod secrets;
#[cfg(test)]
pub(crate) mod testing;
pub mod turns;
