//! What replicas say to each other, to and from its messages. Pure. Everything that may be held or go wrong can be said: a
//! replica answers exactly what the vault answered the other one.
//!
//! | room | what |
//! |---|---|
//! | `beat` | how a replica is |
//! | [`vault`] | a vault, as one identity reads it |
//! | `object` | which object |
//! | `entry` | an object as it was read |
//! | `failure` | why there is none |

mod beat;
mod entry;
mod failure;
mod object;
pub mod vault;

pub use self::{
    beat::{of_beat, to_beat},
    entry::{of_entry, of_refused, to_entry, to_refused},
    failure::{of_failure, to_failure},
    object::{of_news, of_object, to_news, to_object},
};

/// A message that another replica cannot have meant. Its version may be too far from ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other replica's message makes no sense: {0}")]
pub struct Garbled(pub &'static str);
