//! Flags of `serve` about Event Grid: where its deliveries are taken, and by what they prove themselves.
//!
//! No flag takes a key: a value on the command line is readable by every process of the machine.

#![allow(clippy::doc_markdown, reason = "the comments become the text of --help")]

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

/// The application that Event Grid is in every tenant, as Microsoft documents it.
pub const EVENT_GRID: &str = "4962773b-9cdb-44cf-a8bf-237846a00ab7";

/// Whether and from whom events are taken.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Event Grid")]
pub struct EventsArgs {
    /// Where Event Grid's deliveries are taken, in HTTPS at /events; not at all if absent
    #[arg(long, env = "KEYWARD_EVENTS_LISTEN", value_name = "ADDRESS")]
    pub events_listen: Option<SocketAddr>,

    /// Directory with the files key1 and key2, either of which a delivery may show: as header Keyward-Key, or as `key` in the
    /// query. Read again when they change
    #[arg(long, env = "KEYWARD_EVENTS_KEY_DIR", value_name = "DIR", requires = "events_listen")]
    pub events_key_dir: Option<PathBuf>,

    /// Tenant whose Entra issues the tokens that deliveries carry, by its id
    #[arg(
        long,
        env = "KEYWARD_EVENTS_ENTRA_TENANT",
        value_name = "ID",
        requires = "events_listen",
        requires = "events_entra_audience"
    )]
    pub events_entra_tenant: Option<String>,

    /// Whom these tokens are for: the application's id or its id URI, as the subscription names it; several with commas
    #[arg(
        long,
        env = "KEYWARD_EVENTS_ENTRA_AUDIENCE",
        value_name = "AUDIENCE",
        value_delimiter = ',',
        requires = "events_entra_tenant"
    )]
    pub events_entra_audience: Vec<String>,

    /// To whom they must be issued: the id of an application or of its service principal; several with commas. By default Event
    /// Grid's own application
    #[arg(
        long,
        env = "KEYWARD_EVENTS_ENTRA_SENDER",
        value_name = "ID",
        value_delimiter = ',',
        default_value = EVENT_GRID
    )]
    pub events_entra_sender: Vec<String>,

    /// Where Entra's keys are, an https URL or a file; the tenant's own if absent
    #[arg(long, env = "KEYWARD_EVENTS_ENTRA_KEYS", value_name = "URL|FILE", requires = "events_entra_tenant")]
    pub events_entra_keys: Option<String>,
}
